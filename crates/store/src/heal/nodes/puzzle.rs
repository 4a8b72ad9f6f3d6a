//! Filling the gaps of a node by trying. Pure.

/// How many fillings are tried.
const TRIES_MAX: usize = 20_000;

/// What is known of a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known<T> {
    /// Nothing is known.
    Not,
    /// There is nothing.
    Nothing,
    /// There is this.
    This(T),
}

/// What is known of a node, place by place.
#[derive(Clone, Debug)]
pub(super) struct Puzzle<T> {
    /// What is there for sure.
    pub(super) known: Vec<Known<T>>,
    /// What was there in the version before.
    pub(super) before: Vec<Option<T>>,
    /// What the version wrote for this node and is not placed, in the order in which it stands there.
    pub(super) new: Vec<T>,
}

impl<T: Copy> Puzzle<T> {
    /// The filling that `is_it`, if it is among the likely ones: all that is new stands somewhere, in
    /// its order; where nothing new stands is what was before, or nothing.
    pub(super) fn solve(
        &self,
        is_it: &mut dyn FnMut(&[Option<T>]) -> bool,
    ) -> Option<Vec<Option<T>>> {
        let is_open = |place: &usize| matches!(self.known[*place], Known::Not);
        let open: Vec<usize> = (0..self.known.len()).filter(is_open).collect();
        let mut tries = 0;
        let nothing = vec![None; self.before.len()];
        'all: for rest in [&self.before, &nothing] {
            let fill = |(known, rest): (&Known<T>, &Option<T>)| match known {
                Known::Not => *rest,
                Known::Nothing => None,
                Known::This(item) => Some(*item),
            };
            let filled: Vec<Option<T>> = self.known.iter().zip(rest).map(fill).collect();
            for new in self.choices(open.len()) {
                let mut places: Vec<usize> = (0..new.len()).collect();
                loop {
                    let mut filling = filled.clone();
                    for (place, item) in places.iter().zip(new) {
                        filling[open[*place]] = Some(*item);
                    }
                    if is_it(&filling) {
                        return Some(filling);
                    }
                    tries += 1;
                    if tries >= TRIES_MAX {
                        break 'all;
                    }
                    if !next(&mut places, open.len()) {
                        break;
                    }
                }
            }
        }
        None
    }

    /// What of `new` may belong here: all of it, or, if that is more than fits, a part that follows
    /// one on the other.
    fn choices(&self, room: usize) -> Vec<&[T]> {
        if self.new.len() <= room {
            return vec![&self.new];
        }
        if room == 0 { vec![&[]] } else { self.new.windows(room).collect() }
    }
}

/// The next choice of so many of `count` places, ascending; false after the last.
fn next(places: &mut [usize], count: usize) -> bool {
    let chosen = places.len();
    for at in (0..chosen).rev() {
        if places[at] + (chosen - at) < count {
            let first = places[at] + 1;
            for (step, place) in places[at..].iter_mut().enumerate() {
                *place = first + step;
            }
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_of_places_comes_once() {
        let mut places = vec![0, 1];
        let mut seen = vec![places.clone()];
        while next(&mut places, 4) {
            seen.push(places.clone());
        }
        assert_eq!(seen, [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]);
        assert!(!next(&mut [], 4), "nothing is placed in one way");
        assert!(!next(&mut [0, 1], 2));
    }

    #[test]
    fn who_never_finds_it_gives_up() {
        let puzzle = Puzzle {
            known: vec![Known::Not; 200],
            before: vec![None; 200],
            new: (0..100_000).collect(),
        };
        let mut tries = 0;
        let solved = puzzle.solve(&mut |_| {
            tries += 1;
            false
        });
        assert_eq!((solved, tries), (None, TRIES_MAX));
    }

    #[test]
    fn gaps_are_filled_with_what_is_new_and_what_was_before() {
        let wanted = [Some('a'), Some('x'), None, Some('y'), Some('e')];
        let puzzle = Puzzle {
            known: vec![Known::This('a'), Known::Not, Known::Nothing, Known::Not, Known::Not],
            before: vec![None, Some('b'), Some('c'), Some('d'), Some('e')],
            new: vec!['x', 'y'],
        };
        assert_eq!(puzzle.solve(&mut |it| it == wanted).unwrap(), wanted);
        assert_eq!(puzzle.solve(&mut |_| false), None);
        // More than fits: what the leaf's neighbours wrote is among it.
        let more = Puzzle { new: vec!['p', 'x', 'y', 'q', 'r'], ..puzzle.clone() };
        let full = [Some('a'), Some('x'), None, Some('y'), Some('q')];
        assert_eq!(more.solve(&mut |it| it == full).unwrap(), full);
        // What was there may have been taken away.
        let fewer = Puzzle { new: vec!['x'], ..puzzle };
        let holes = [Some('a'), Some('x'), None, None, None];
        assert_eq!(fewer.solve(&mut |it| it == holes).unwrap(), holes);
    }
}
