//! What is known about whether a backup can be restored.

use crate::Timestamp;

/// Whether every byte of a disk's backup can be restored, as far as it was looked at.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Integrity {
    /// The verdict.
    pub state: IntegrityState,
    /// When every byte of it was last read and found right; none: never.
    pub verified_at: Option<Timestamp>,
    /// The byte ranges of the disk, from and to, that cannot be restored.
    pub lost: Vec<(u64, u64)>,
}

/// The verdict on a backup.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum IntegrityState {
    /// All of it can be restored.
    Ok,
    /// Some of it is lost.
    Damaged,
    /// Nobody has looked yet.
    #[default]
    Unknown,
}

impl IntegrityState {
    /// Its word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Damaged => "damaged",
            Self::Unknown => "unknown",
        }
    }

    /// The state with exactly this word.
    pub fn from_str_exact(word: &str) -> Option<Self> {
        [Self::Ok, Self::Damaged, Self::Unknown].into_iter().find(|state| state.as_str() == word)
    }
}

impl Integrity {
    /// That of a whole server: as bad as its worst disk, as old as its oldest verification.
    #[must_use]
    pub fn of_all(disks: impl IntoIterator<Item = Self>) -> Self {
        let mut disks = disks.into_iter();
        let Some(first) = disks.next() else { return Self::default() };
        disks.fold(Self { lost: Vec::new(), ..first }, |all, disk| Self {
            state: all.state.or_worse(disk.state),
            verified_at: all.verified_at.min(disk.verified_at),
            lost: Vec::new(),
        })
    }
}

impl IntegrityState {
    fn or_worse(self, other: Self) -> Self {
        let badness = |state| match state {
            Self::Ok => 0,
            Self::Unknown => 1,
            Self::Damaged => 2,
        };
        if badness(other) > badness(self) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::IntegrityState::{Damaged, Unknown};
    use super::*;

    #[test]
    fn a_server_is_as_sound_as_its_worst_disk() {
        let disk = |state, at: Option<i64>| Integrity {
            state,
            verified_at: at.map(Timestamp),
            lost: vec![(0, 1)],
        };
        let of = |disks: Vec<Integrity>| {
            let all = Integrity::of_all(disks);
            (all.state, all.verified_at)
        };
        assert_eq!(of(vec![]), (Unknown, None));
        assert_eq!(
            of(vec![disk(IntegrityState::Ok, Some(5)), disk(IntegrityState::Ok, Some(3))]),
            (IntegrityState::Ok, Some(Timestamp(3)))
        );
        assert_eq!(
            of(vec![disk(IntegrityState::Ok, Some(5)), disk(Unknown, None)]),
            (Unknown, None)
        );
        assert_eq!(of(vec![disk(Damaged, Some(5)), disk(Unknown, None)]), (Damaged, None));
    }
}
