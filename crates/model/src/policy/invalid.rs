//! What is wrong with a policy.

/// A part of a policy that breaks its rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidPolicy {
    /// Which part; a key of the contract.
    pub field: &'static str,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

impl InvalidPolicy {
    pub(crate) fn new(field: &'static str, reason: impl ToString) -> Self {
        Self { field, reason: reason.to_string() }
    }
}
