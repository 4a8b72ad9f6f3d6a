//! What the operator is told.

/// What a rebuild did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rebuilt {
    /// Vaults that were missing.
    pub vaults: u64,
    /// Resources that were missing.
    pub resources: u64,
    /// Checkpoints that were missing.
    pub checkpoints: u64,
    /// Backups that were missing, without children.
    pub backups: u64,
    /// Backups in the store's trash that were missing in the database's, without children.
    pub trashed: u64,
    /// Backups that are kept since, because it is not known any more what kept them.
    pub held: u64,
    /// Disks that projects had made themselves, and of which the database did not know whose they are.
    pub disk_owners: u64,
    /// Versions of the store that were known already.
    pub known: u64,
    /// Versions whose card could not be read, so that only the store's tools reach them.
    pub unreadable: u64,
    /// Versions of server backups that never became complete.
    pub incomplete: u64,
    /// Backups the database has and the store has not: they cannot be restored.
    pub lost: u64,
}

/// One thing the doctor looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What was looked at, e.g. `store`.
    pub subject: String,
    /// How it is.
    pub health: Health,
    /// What was seen, and what to do.
    pub message: String,
}

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Health {
    /// As it should be.
    Good,
    /// Works, but somebody should look.
    Warning,
    /// Does not work.
    Bad,
}
