//! Why a backup goes, and what keeps it (RET-10 … RET-18).

use crate::Timestamp;
use crate::operation::words;

words! {
    /// Why a backup goes.
    RemoveReason {
        /// Its end has come (RET-14).
        Expired = "expired",
        /// There are enough newer ones (RET-14).
        TooMany = "too_many",
        /// It failed, and ten newer ones did as well (RET-13).
        FailedTooMany = "failed_too_many",
        /// It failed more than a month ago (RET-13).
        FailedTooOld = "failed_too_old",
    }
}

words! {
    /// What keeps a backup whatever its policy says.
    HoldKind {
        /// Somebody said so.
        Person = "person",
        /// It was deleted and taken back: who did that wants to have it.
        TakenBack = "taken_back",
        /// An image was made of it (RET-12).
        Image = "image",
        /// A rebuild of a lost database found it: what kept it before is not known (ADR 34).
        Rebuilt = "rebuilt",
    }
}

/// A reason for which a backup is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// What keeps it.
    pub kind: HoldKind,
    /// Why, in somebody's words; may be empty.
    pub note: String,
    /// Since when.
    pub since: Timestamp,
}
