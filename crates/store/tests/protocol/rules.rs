//! Which rules of the protocol are kept: all of them, or all but one.

/// How the protocol is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The pack of the contested slot holds another slot that is always needed, so that the
    /// contested one is removed by compaction and not with its pack.
    pub(crate) shared_pack: bool,
    /// Another chain of the domain may borrow the slot; the retire log is used. To keep the number
    /// of states in bounds only one session is on chain A then, and a chain's log is read at once:
    /// both are explored within one chain.
    pub(crate) tenant_scope: bool,
    /// Claims and outcomes of aborted sessions are removed at last, instead of staying for ever.
    pub(crate) forgets_aborted: bool,
    /// How often the base may go into the trash and come back.
    pub(crate) moves_max: u8,
    /// The one rule that is broken, if any.
    pub(crate) broken: Option<Broken>,
}

/// A rule that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// A session reads the retire log only before its claim is durable.
    RetireLogBeforeClaim,
    /// A session does not look for its claim after its commit.
    NoLookAfterCommit,
    /// A silent session counts as dead without a verdict.
    SilentIsDead,
    /// The collector does not wait for claims that are older than its retire record.
    IgnoresOlderClaims,
    /// A silent session's claim is removed before it has an outcome.
    RemovesClaimFirst,
    /// The collector does not read the logs again after the open claims are decided.
    NoSecondLook,
    /// A session does not look at the deletions after its claim is durable.
    NoLookAtDeletions,
    /// What was deleted long enough ago counts as gone without a record that says so.
    PurgesWithoutRecord,
    /// A purge is put under the next free number, though a record has come since its decision.
    PurgesByOldDecision,
    /// A compactor removes the old generation before the new one is stored.
    RemovesBeforeRewrite,
}

impl Rules {
    /// What the engine does within one chain.
    pub(crate) const VOLUME: Self = Self {
        shared_pack: false,
        tenant_scope: false,
        forgets_aborted: false,
        moves_max: 3,
        broken: None,
    };

    /// Chains of a tenant borrow from each other.
    pub(crate) const TENANT: Self = Self { tenant_scope: true, ..Self::VOLUME };

    pub(crate) fn breaks(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }
}
