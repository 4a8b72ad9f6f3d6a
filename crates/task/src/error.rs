//! What can go wrong in the engine itself.

use cbr_db::DbError;

/// Why the engine could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The database did not do it.
    #[error("the task engine could not {operation}")]
    Db {
        /// What was wanted.
        operation: &'static str,
        /// Why not.
        #[source]
        source: DbError,
    },
    /// A stage does not convert to or from its stored form.
    #[error("a stage of a `{kind}` task cannot be read or written")]
    Stage {
        /// Which kind of task.
        kind: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

impl TaskError {
    pub(crate) fn db(operation: &'static str) -> impl FnOnce(DbError) -> Self {
        move |source| Self::Db { operation, source }
    }
}
