//! Why something about alarms was refused.

/// Why something about alarms was refused.
#[derive(Debug, thiserror::Error)]
pub enum AlarmError {
    /// Absent, or another project's.
    #[error("{noun} {id} does not exist")]
    NotFound {
        /// Alarm or template.
        noun: &'static str,
        /// Its id.
        id: String,
    },
    /// There is one like it.
    #[error("there is an alarm template {0} already")]
    TemplateTaken(String),
    /// As many as may be.
    #[error("there are {limit} alarms already; remove one of them first")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// What everybody has cannot be removed.
    #[error("a built-in template cannot be removed")]
    BuiltIn,
}
