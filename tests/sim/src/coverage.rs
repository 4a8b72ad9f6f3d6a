//! Rare states that a campaign must have reached, or it is blind.

use std::collections::BTreeMap;

/// What a campaign of a few thousand seeds must have seen.
pub const REQUIRED: &[&str] = &[
    "a backup was committed",
    "a backup stored nothing",
    "a backup of one session has several packs",
    "a backup was aborted by its owner",
    "a backup was left behind",
    "a change map was used",
    "a disk grew",
    "a disk shrank",
    "the chain was busy",
    "a session was taken over",
    "a zombie lost its session",
    "an unacknowledged commit was found by its owner",
    "a put was unknown and had happened",
    "a put was unknown and had not happened",
    "there was no space",
    "a listing was cut short",
    "a listing was empty",
    "a read was torn",
    "a crash while a session was open",
    "a crash while a version was being removed",
    "a crash of everybody",
    "a crash during recovery",
    "a pack was rewritten",
    "a reader found its pack moved",
    "a version was deleted while a session built on it",
    "a version was deleted while it was read",
    "two sweeps at once",
    "a sweep refused to delete",
    "a check ran beside changes",
    "a check found damage",
    "a restore refused damage",
    "everything was deleted in the end",
    "a deleted version was refused",
    "a version was put into the trash",
    "a version was taken out of the trash",
    "a version in the trash was purged",
    "a version was moved by several at once",
    "a version was verified",
    "a recount ran",
    "a sweep was planned and carried out later",
    "a log was folded",
    "a note was kept",
    // Chains that share blocks.
    "a disk was cloned",
    "a version borrowed from another chain",
    "blocks were borrowed with little memory",
    "a slot was retired",
    "a slot was borrowed just before it was retired",
    // The cache.
    "a process began with what others had read",
    "a cache was compared with the maps",
    "a cache file was damaged",
    "a cache file was lost",
    "a cache file was an older one",
    "a cache file was another domain's",
    // Damage.
    "a scrub came to its end",
    "a pack was healed",
    "a backup healed older versions",
    "a repair healed something",
    "a repair was undone",
    "a crash while damage was healed",
    "damage was healed in the end",
    "a pack lived on in its patches",
    "a pack that is shared lived on in its patches",
    // Keys.
    "a tenant's key was rotated",
    "a version lies under several keys of its tenant",
    "a process met an object of a key it did not know",
    "a master key was rotated",
    "a master key was retired",
    "a process met the end of its master key",
    "a tenant was destroyed",
    "a destroyed tenant was refused",
    "keys were changed beside a backup or a deletion",
    "a crash while keys were changed",
    // Stores like S3, and those that overwrite.
    "a put happened and failed",
    "a put arrived late",
    "a removal arrived late",
    "a listing failed after its first page",
    "an object was written again where writing overwrites",
    "a writer finished another one's put",
    "the arbiter decided and its answer was lost",
    "a start finished what a dead process had begun to put",
];

/// How often which state was reached.
#[derive(Clone, Debug, Default)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    /// This happened.
    pub fn saw(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// What another run saw, too.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// All states and how often they were reached.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(what, count)| (*what, *count))
    }

    /// The required states that were never reached.
    pub fn blind_spots(&self) -> Vec<&'static str> {
        REQUIRED.iter().copied().filter(|what| !self.0.contains_key(what)).collect()
    }
}
