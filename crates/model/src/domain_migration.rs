//! An account's wish to be moved here from the services that came before (contract C70, C71).

use crate::Timestamp;
use crate::id::{DomainId, UserId};

/// That an account asked, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DomainMigration {
    /// The account.
    pub domain: DomainId,
    /// Who asked last.
    pub user: UserId,
    /// Whether all regions were meant, or this one.
    pub all_regions: bool,
    /// Spare capacity that was asked for, in millionths of what would be moved: 0 to 1 000 000.
    pub reservation_millionths: u32,
    /// When it was asked last.
    pub asked_at: Timestamp,
}
