//! The local provider as one object, and what its parts share.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cbr_env::Clock;
use cbr_model::ResourceId;
use tokio::sync::OwnedMutexGuard;

use super::catalogue::Catalogue;
use super::closable::Closable;
use super::config::{LocalConfig, PoolConfig};
use super::guard::ReadGuard;
use super::state::State;
use crate::error::{ProviderError, Result};
use crate::provider::{BackupSource, Factory, Inventory, Provider, RestoreTarget, ServerFactory};
use crate::snapshot::{Leftover, LeftoverKind, SnapshotName, TaskEnd};

/// Where in a pool reflink copies lie.
pub(crate) const SNAPSHOTS: &str = ".cbr-snapshots";

/// The volumes and servers of this host.
#[derive(Debug)]
pub struct LocalProvider {
    pub(crate) shared: Arc<Shared>,
}

/// What the parts of the provider share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: LocalConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: State,
    handles: Mutex<Handles>,
    /// One per server, held from freezing to thawing: the thaw of one snapshot must not
    /// end the freeze of another.
    freezing: Mutex<HashMap<ResourceId, Arc<tokio::sync::Mutex<()>>>>,
    /// Held while the state or a pool is changed, so that looking and acting are one. Whoever
    /// needs both takes the lock of a freezing first.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// Held while pools are tried out. Not the one above, which a freeze holds: lists go on.
    probing: Mutex<()>,
    /// The pools of which it was said that they cannot be read.
    pub(super) told: Mutex<BTreeSet<String>>,
}

/// The proof that nobody else changes the state or a pool.
pub(crate) type Changing = OwnedMutexGuard<()>;

/// What is open in this process.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    /// Disks that are read in place.
    pub(crate) readers: HashMap<(SnapshotName, ResourceId), Arc<ReadGuard>>,
    /// Disks that are being restored.
    pub(crate) writers: HashMap<(SnapshotName, ResourceId), Arc<Closable>>,
}

impl LocalProvider {
    /// The provider that `config` describes.
    ///
    /// `state` is a directory of its own, made if need be; it must survive restarts.
    pub fn open(config: LocalConfig, state: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        config.validate()?;
        let shared = Shared {
            config,
            clock,
            state: State::open(state)?,
            handles: Mutex::default(),
            freezing: Mutex::default(),
            changing: Arc::default(),
            probing: Mutex::default(),
            told: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Runs what waits for disks off the threads that serve requests.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .unwrap_or_else(|error| Err(ProviderError::unavailable(doing, error.to_string())))
    }
}

impl Shared {
    /// Everything there is: what lies there and is configured, and the servers made of it.
    pub(crate) fn catalogue(&self) -> Result<Catalogue> {
        let mut catalogue = self.read()?;
        self.add_made_servers(&mut catalogue)?;
        Ok(catalogue)
    }

    pub(crate) fn handles(&self) -> MutexGuard<'_, Handles> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock of one server's freezing.
    pub(crate) fn freezing(&self, server: ResourceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.freezing.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(server).or_default())
    }

    pub(crate) fn probing(&self) -> MutexGuard<'_, ()> {
        self.probing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for everybody else; only in work that runs by [`LocalProvider::blocking`].
    pub(crate) fn changing(&self) -> Changing {
        Arc::clone(&self.changing).blocking_lock_owned()
    }

    /// The same, without holding up a thread.
    pub(crate) async fn changing_soon(&self) -> Changing {
        Arc::clone(&self.changing).lock_owned().await
    }

    /// The names of the snapshots that have copies in the pools that can be read. Those in others
    /// are found when they can be read again.
    fn copies(&self) -> Vec<SnapshotName> {
        let mut names = Vec::new();
        for pool in &self.config.pools {
            match copies_in(pool) {
                Ok(found) => names.extend(found),
                Err(error) => tracing::warn!(
                    pool.name = pool.name,
                    error = &error as &dyn std::error::Error,
                    "the snapshots in a pool cannot be listed; what is left in it stays for now"
                ),
            }
        }
        names
    }

    fn leftovers(&self) -> Result<Vec<Leftover>> {
        let mut snapshots = self.copies();
        let records = self.state.snapshots.names()?;
        snapshots.extend(records.iter().filter_map(|name| name.parse::<SnapshotName>().ok()));
        snapshots.sort_unstable();
        snapshots.dedup();
        let snapshots =
            snapshots.into_iter().map(|name| Leftover { name, kind: LeftoverKind::Snapshot });
        let restores = self.state.all_restores()?.into_iter().filter_map(|(volume, mark)| {
            let kind = LeftoverKind::Restore { volume };
            mark.failure.is_none().then_some(Leftover { name: mark.name, kind })
        });
        Ok(snapshots.chain(restores).collect())
    }

    fn restores_of(&self, name: &SnapshotName) -> Result<Vec<ResourceId>> {
        let marks = self.state.all_restores()?.into_iter();
        Ok(marks
            .filter(|(_, mark)| mark.name == *name && mark.failure.is_none())
            .map(|(volume, _)| volume)
            .collect())
    }
}

fn copies_in(pool: &PoolConfig) -> io::Result<Vec<SnapshotName>> {
    let snapshots = match pool.open()?.subdirectory(SNAPSHOTS) {
        Ok(snapshots) => snapshots,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(snapshots.directory_names()?.iter().filter_map(|name| name.parse().ok()).collect())
}

#[async_trait]
impl Provider for LocalProvider {
    fn name(&self) -> &'static str {
        "local"
    }

    fn inventory(&self) -> &dyn Inventory {
        self
    }

    fn source(&self) -> &dyn BackupSource {
        self
    }

    fn target(&self) -> Option<&dyn RestoreTarget> {
        Some(self)
    }

    fn factory(&self) -> Option<&dyn Factory> {
        Some(self)
    }

    fn server_factory(&self) -> Option<&dyn ServerFactory> {
        Some(self)
    }

    async fn leftovers(&self) -> Result<Vec<Leftover>> {
        self.blocking("list what is open", Shared::leftovers).await
    }

    async fn release(&self, name: &SnapshotName, ended: TaskEnd) -> Result<()> {
        self.close(name).await?;
        let name = *name;
        let volumes =
            self.blocking("list restores", move |shared| shared.restores_of(&name)).await?;
        for volume in volumes {
            match ended {
                TaskEnd::Succeeded => self.unmark(volume, &name).await?,
                TaskEnd::Untouched => self.withdraw(volume, &name).await?,
                TaskEnd::Failed => self.abandon(volume, &name, "the restore was lost").await?,
            }
        }
        Ok(())
    }
}
