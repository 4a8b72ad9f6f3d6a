//! Mistakes of history, each asleep until a test wakes it: proof that the tests would see them.
//!
//! Compiled in by the feature `planted-bugs` only, which nothing shipped has; without it
//! [`has`] is `false` and costs nothing. The table with what catches each of them is in
//! docs/reliability.md.

/// A mistake. The comment says what is done wrong when it is awake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(feature = "planted-bugs"), expect(unreachable_pub, reason = "public to tests"))]
pub enum Bug {
    /// The parent is looked at before the claim only.
    ParentSeenBeforeClaim = 1,
    /// A commit is believed though somebody else's verdict is there.
    VerdictIgnored,
    /// A sweep takes a session without verdict for dead.
    SilentSessionIsDead,
    /// A listing that lacks records is believed.
    PartialListBelieved,
    /// A listing that fails is an empty one.
    FailedListIsEmpty,
    /// The directory of a new object is not synced.
    NoDirectorySync,
    /// An object gets its name before its content is synced.
    NoFileSync,
    /// A new directory is not made durable in its parent.
    ParentDirectoryNotSynced,
    /// The failure of an upload is overlooked.
    UploadUnchecked,
    /// A preview forgets the death lists.
    FreedBytesWrong,
    /// Rewriting a pack drops one slot too many.
    CompactionDropsSlot,
    /// The compressor is wrong now and then, and nobody decodes again.
    ProofSkipped,
    /// An unfinished session does not keep its parent.
    PinsIgnored,
    /// What died later is dead, though an older version is live.
    DeathsWithoutLineage,
    /// What aborted sessions wrote stays.
    AbortedKept,
    /// A put of unknown outcome has happened.
    UnknownIsCreated,
    /// A restore that lacks ranges succeeds.
    LossForgotten,
    /// Holes are not written to a disk that is not empty.
    HolesNotZeroed,
    /// A pack is removed before its rewritten form is there.
    RemovedBeforeRewritten,
    /// Deletions are read after the claims.
    DeletionsReadLast,
    /// A reader that finds its pack moved looks in the same place again, and believes that it is gone.
    StaleIndexKept,
    /// A session borrows what the retire log names.
    RetireLogIgnored,
    /// A sweep does not wait for sessions that may have borrowed before they knew.
    OpenBorrowerIgnored,
    /// A sweep looks at the claims before its retire record is durable, not after.
    RetiredAfterClaims,
    /// A patch takes a block without comparing its id with the one that was lost.
    PatchUnproven,
    /// Undoing a repair removes what others have healed.
    UndoRemovesOthers,
    /// A backup forgets what it was told of damage: it builds on that, and heals nothing.
    DistrustIgnored,
    /// A writer whom the arbiter told what was decided writes its own bytes.
    ArbiterAnswerIgnored,
    /// An old master key ends before all keys are wrapped by the new one.
    KeyRetiredEarly,
    /// A fold lacks the last deletion.
    FoldHidesDeletion,
    /// Of a listing the first page is read only.
    FirstPageOnly,
    /// A listing that fails after its first page is taken for complete, and nobody asks for what may follow.
    BrokenListBelieved,
    /// A check does not learn of chains that began while it listed.
    NewChainUnknown,
    /// While two master keys open a repository both make tenants keys.
    TwoMakersOfKeys,
    /// A purge that was decided before the version was taken out of the trash is put after that, and counts.
    PurgeOutlivesUndelete,
    /// What is in the trash keeps nothing from being swept.
    TrashIsGarbage,
    /// Who notes something again does not see that it is noted.
    NotedTwice,
}

#[cfg(feature = "planted-bugs")]
static AWAKE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Wakes one mistake, in the whole process; none: all sleep.
#[cfg(feature = "planted-bugs")]
pub fn wake(bug: Option<Bug>) {
    AWAKE.store(bug.map_or(0, |bug| bug as u8), std::sync::atomic::Ordering::SeqCst);
}

/// Whether the mistake is awake.
#[cfg(feature = "planted-bugs")]
pub(crate) fn has(bug: Bug) -> bool {
    AWAKE.load(std::sync::atomic::Ordering::Relaxed) == bug as u8
}

/// No mistake is compiled in.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn has(_: Bug) -> bool {
    false
}
