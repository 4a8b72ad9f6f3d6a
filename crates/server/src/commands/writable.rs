//! Opening the repository for a command that changes it.
//!
//! Where the object store overwrites, the database decides about every new object, and only one
//! process at a time may have it open: the service must be stopped. Everywhere else such commands run
//! beside the service.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use cbr_db::Db;
use cbr_store::Repository;

use crate::config::Config;
use crate::data_dir::{DataDir, DataDirLock};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::wiring::{self, RepositoryKey};
use crate::world::World;

/// An open repository, and what has to stay open with it.
#[derive(Debug)]
pub(super) struct Writable {
    pub(super) repository: Arc<Repository>,
    database: Option<(Arc<Db>, DataDirLock)>,
}

impl Writable {
    /// For a command that only reads.
    pub(super) fn for_reading(repository: Repository) -> Self {
        Self { repository: Arc::new(repository), database: None }
    }

    /// For a command that changes something. `data` is the service's data directory, if it was named.
    pub(super) async fn open(
        place: wiring::Place,
        key: &Path,
        data: Option<DataDir>,
        config: &Config,
        output: Output,
    ) -> Result<Self> {
        let (world, config) = (World::real(), config.clone());
        let key = RepositoryKey::read(key)?;
        let is_bucket = matches!(place, wiring::Place::Bucket(_));
        let (repository, needs_database) = {
            let (key, place, config, world) =
                (key.clone(), place.clone(), config.clone(), world.clone());
            apart(move || {
                let repository = wiring::existing_repository(&place, &key, &config, &world)?;
                let needs_database = is_bucket && repository.needs_arbiter()?;
                Ok((repository, needs_database))
            })
            .await?
        };
        if !needs_database {
            return Ok(Self::for_reading(repository));
        }
        drop(repository);
        let Some(data) = data else {
            let lang = output.lang;
            return Err(Failure::new(
                Kind::Usage,
                lang.what_repo_change(),
                lang.why_needs_database(),
            )
            .with_next(lang.next_key_data_dir())
            .into());
        };
        let lock = data.lock()?;
        let database = wiring::database(&data, &config, &world).await?;
        let opened = {
            let database = Arc::clone(&database);
            apart(move || wiring::arbitrated_repository(&place, &key, &config, &database, &world))
                .await
        };
        match opened {
            Ok(repository) => {
                Ok(Self { repository: Arc::new(repository), database: Some((database, lock)) })
            }
            Err(error) => {
                database.close().await?;
                Err(error)
            }
        }
    }

    /// Ends it; without that the next start examines the database's file.
    pub(super) async fn close(self) -> Result<()> {
        match self.database {
            Some((database, _lock)) => database.close().await.context("cannot close the database"),
            None => Ok(()),
        }
    }
}

/// Runs a call of the store on a thread of its own: it waits for the backend, and where the
/// database decides, for the runtime.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("the work ended unexpectedly")?
}
