//! Why something about topics was refused.

/// Why something about topics was refused.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// Absent, or another project's.
    #[error("{noun} {id} does not exist")]
    NotFound {
        /// Topic, subscription or delivery.
        noun: &'static str,
        /// Its name or id.
        id: String,
    },
    /// There is one like it.
    #[error("there is a {noun} {name} already")]
    Taken {
        /// Topic or subscription.
        noun: &'static str,
        /// Its name or endpoint.
        name: String,
    },
    /// As many as may be.
    #[error("there are {limit} {noun} already; remove one of them first")]
    TooMany {
        /// Topics or subscriptions.
        noun: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Nobody can be made to receive mail without end.
    #[error("{0} was asked for agreement often enough today; try again tomorrow")]
    AskedOften(String),
    /// The state of things forbids it.
    #[error("{0}")]
    Conflict(&'static str),
}
