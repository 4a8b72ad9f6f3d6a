//! The database as arbiter for object stores that overwrite (`cbr_store::backend::layer::Arbiter`).
//!
//! Called from the threads of the store, which are none of the runtime's: there it may wait.

use std::sync::Arc;

use cbr_db::{Db, DbError, ObjectClaim};
use cbr_store::backend::layer::{Arbiter, Fate, Registered};
use cbr_store::backend::{BackendError, Key, Op};
use tokio::runtime::Handle;

/// Claims on the objects of one place, kept in the database.
#[derive(Debug)]
pub(crate) struct DatabaseArbiter {
    db: Arc<Db>,
    runtime: Handle,
    place: String,
}

impl DatabaseArbiter {
    /// For the objects at `place`; must be made in the runtime that drives the database.
    pub(crate) fn new(db: Arc<Db>, place: String) -> Self {
        Self { db, runtime: Handle::current(), place }
    }

    fn wait<T>(
        &self,
        key: &str,
        work: impl Future<Output = Result<T, DbError>>,
    ) -> Result<T, BackendError> {
        self.runtime.block_on(work).map_err(|error| BackendError::Unavailable {
            op: Op::Put,
            key: key.to_owned(),
            source: std::io::Error::other(error),
        })
    }
}

impl Arbiter for DatabaseArbiter {
    fn register(&self, key: &Key, body: &[u8]) -> Result<Registered, BackendError> {
        let claim = self.wait(key.as_str(), async {
            let mut tx = self.db.begin().await?;
            let claim = tx.object_claims().claim(&self.place, key.as_str(), body).await?;
            tx.commit().await?;
            Ok(claim)
        })?;
        Ok(match claim {
            ObjectClaim::New => Registered::First,
            ObjectClaim::Open(body) => Registered::Before(body),
            ObjectClaim::Written => Registered::Written,
        })
    }

    fn settle(&self, key: &Key, fate: Fate) -> Result<(), BackendError> {
        self.wait(key.as_str(), async {
            let mut tx = self.db.begin().await?;
            match fate {
                Fate::Written => {
                    tx.object_claims().mark_written(&self.place, key.as_str()).await?;
                }
                Fate::Removed => tx.object_claims().delete(&self.place, key.as_str()).await?,
            }
            tx.commit().await
        })
    }

    fn unfinished(&self, most: usize) -> Result<Vec<(Key, Vec<u8>)>, BackendError> {
        let found = self.wait(&self.place, async {
            self.db.read().await?.object_claims().unfinished(&self.place, most).await
        })?;
        found.into_iter().map(|(key, body)| Ok((Key::new(key)?, body))).collect()
    }
}
