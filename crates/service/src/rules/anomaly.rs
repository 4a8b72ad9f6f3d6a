//! Whether a backup looks unlike those before it, as one does whose disk was encrypted by somebody else.
//!
//! Two figures that every backup has anyway: how much changed, and how far that could be compressed or
//! was there already. One that is unlike in the first only is suspicious when most of the disk changed:
//! people copy large files, and update systems.

use cbr_model::anomaly::Figures;

/// So many earlier backups are compared with; fewer say nothing about what is usual.
pub(crate) const EARLIER_MIN: usize = 5;
/// And no more.
pub(crate) const EARLIER_MAX: usize = 30;
/// So many times what usually changes at most.
const TIMES: u64 = 4;
/// Less than a tenth of the disk is never suspicious ...
const DISK_PART_MIN: u64 = 10;
/// ... and half of it always, if that is unusual.
const DISK_PART_ALWAYS: u64 = 2;
/// What adds so many per cent of its size does not compress ...
const DENSE_PERCENT: u64 = 90;
/// ... where what is usual does by so many per cent more.
const DENSER_PERCENT: u64 = 20;

/// What is unlike about `new`, in words; none: nothing. `earlier` are incremental backups.
pub(crate) fn suspicion(earlier: &[Figures], new: Figures) -> Option<String> {
    let earlier = &earlier[..earlier.len().min(EARLIER_MAX)];
    if earlier.len() < EARLIER_MIN || new.disk.0 == 0 {
        return None;
    }
    let usual = earlier.iter().map(|one| one.changed.0).max().unwrap_or(0);
    let is_jump = new.changed.0 > usual.saturating_mul(TIMES);
    let is_part = |part: u64| new.changed.0 >= new.disk.0 / part;
    let (density, before) = (density(new), median(earlier.iter().copied().map(density).collect()));
    let is_dense = density >= DENSE_PERCENT && density >= before.saturating_add(DENSER_PERCENT);
    let is_suspicious =
        is_jump && (is_part(DISK_PART_ALWAYS) || is_part(DISK_PART_MIN) && is_dense);
    is_suspicious.then(|| {
        format!(
            "{} of the disk changed, at most {} in the {} backups before; of that {density} % was \
             stored, {before} % before",
            percent(new.changed.0, new.disk.0),
            percent(usual, new.disk.0),
            earlier.len()
        )
    })
}

/// What was stored of what changed, in per cent.
fn density(figures: Figures) -> u64 {
    figures.added.0.saturating_mul(100).checked_div(figures.changed.0).unwrap_or(0)
}

fn percent(part: u64, whole: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use cbr_model::size::Bytes;

    use super::*;

    fn figures(changed: u64, added: u64) -> Figures {
        Figures { disk: Bytes(1000), changed: Bytes(changed), added: Bytes(added) }
    }

    #[test]
    fn much_that_does_not_compress_and_nearly_all_are_suspicious() {
        let usual = vec![figures(20, 8); 6];
        let dense = vec![figures(20, 20); 6];
        #[rustfmt::skip]
        let table = [
            ("as usual",                &usual,  figures(25, 10),   false),
            ("a large update",          &usual,  figures(300, 120), false),
            ("encrypted, a part",       &usual,  figures(100, 101), true),
            ("too little",              &usual,  figures(99, 100),  false),
            ("nearly all",              &usual,  figures(500, 10),  true),
            ("never compressed",        &dense,  figures(300, 300), false),
            ("never compressed, all",   &dense,  figures(900, 900), true),
        ];
        for (what, earlier, new, expected) in table {
            assert_eq!(suspicion(earlier, new).is_some(), expected, "{what}");
        }
        assert_eq!(suspicion(&usual[..4], figures(900, 900)), None, "nothing is usual yet");
        let mut with_one = usual.clone();
        with_one[3] = figures(400, 100);
        assert_eq!(suspicion(&with_one, figures(900, 900)), None, "it has been so before");
        let text = suspicion(&usual, figures(505, 500)).unwrap();
        assert!(text.starts_with("50.5 % of the disk changed, at most 2.0 %"), "{text}");
    }
}
