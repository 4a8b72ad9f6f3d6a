//! What there is, as people see it.

use async_trait::async_trait;
use cbr_model::ResourceId;
use cbr_model::Timestamp;
use rustix::fs::{fstatvfs, ioctl_ficlone};
use tokio::task::JoinSet;

use super::catalogue::{Catalogue, Entry, ServerEntry, device_name};
use super::config::{LocalConfig, PoolConfig};
use super::durable::Directory;
use super::in_use::Usage;
use super::lock;
use super::place::Access;
use super::reach::described;
use super::service::{LocalProvider, SNAPSHOTS, Shared};
use super::tags::Tags;
use crate::error::{Doing, Result};
use crate::provider::Inventory;
use crate::resource::{
    AttachedVolume, Page, PageRequest, Pool, Quiescence, Server, ServerStatus, Volume, VolumeStatus,
};

/// How many status commands run at the same time.
const COMMANDS_MAX: usize = 8;

impl Shared {
    pub(crate) fn volume_of(
        &self,
        entry: &Entry,
        catalogue: &Catalogue,
        usage: &Usage,
    ) -> Result<Volume> {
        let attachments = catalogue.attachments(entry.id);
        let (busy, encrypted) = look(entry, usage);
        let status = match (self.state.restore(entry.id)?, &entry.size_bytes) {
            (_, Err(why)) => VolumeStatus::Error { why: why.clone() },
            (Some(mark), Ok(_)) => match mark.failure {
                None => VolumeStatus::Restoring,
                Some(why) => VolumeStatus::Error { why: format!("a restore failed: {why}") },
            },
            (None, Ok(_)) if busy.is_some() || !attachments.is_empty() => VolumeStatus::InUse,
            (None, Ok(_)) => VolumeStatus::Available,
        };
        Ok(Volume {
            id: entry.id,
            name: entry.name.clone(),
            description: entry.description.clone(),
            size_bytes: entry.size_bytes.as_ref().copied().unwrap_or(0),
            status,
            busy,
            bootable: attachments.iter().any(|attachment| attachment.index == 0),
            encrypted,
            format: entry.place.format(),
            pool: entry.pool.clone(),
            availability_zone: entry.availability_zone.clone(),
            created_at: entry.created_at,
            attachments,
            tags: self.config.tags_of_volume(entry),
        })
    }

    /// A pool, also if it cannot be read: that is said of it then.
    fn pool_of(config: &PoolConfig) -> Pool {
        Self::examined(config).unwrap_or_else(|error| Pool {
            name: config.name.clone(),
            availability_zone: config.availability_zone.clone(),
            total_bytes: 0,
            free_bytes: 0,
            can_snapshot: false,
            problem: Some(described(&error)),
        })
    }

    fn examined(config: &PoolConfig) -> Result<Pool> {
        let doing = || format!("examine pool {} at {}", config.name, config.path.display());
        let directory = config.open().doing(doing)?;
        let space = fstatvfs(&directory).doing(doing)?;
        // What can be opened may still not be listed, and then nothing in it is reached.
        directory.file_names().doing(doing)?;
        Ok(Pool {
            name: config.name.clone(),
            availability_zone: config.availability_zone.clone(),
            total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
            can_snapshot: can_reflink(&directory),
            problem: None,
        })
    }
}

/// Who has the volume open, or holds a lock on it; and whether its owner encrypts it.
fn look(entry: &Entry, usage: &Usage) -> (Option<String>, bool) {
    // What cannot be opened is an error of the volume, told by its size.
    let Ok(file) = entry.place.open(Access::Look) else { return (None, false) };
    let holder = entry.place.holder(&file, usage).or_else(|| match lock::is_locked(&file) {
        Ok(false) => None,
        Ok(true) => Some("locked by another programme or by a running backup".into()),
        Err(error) => Some(format!("its locks cannot be examined: {error}")),
    });
    (holder, entry.size_bytes.is_ok() && entry.place.is_encrypted(&file))
}

/// Tries it, with two empty files.
fn can_reflink(pool: &Directory) -> bool {
    let attempt = || -> std::io::Result<()> {
        let directory = pool.make_subdirectory(SNAPSHOTS)?;
        let names = [".probe-from", ".probe-to"];
        for name in names {
            directory.remove_file(name)?;
        }
        let (from, to) = (directory.create_file(names[0])?, directory.create_file(names[1])?);
        from.set_len(4096)?;
        let result = ioctl_ficlone(&to, &from);
        for name in names {
            directory.remove_file(name)?;
        }
        Ok(result?)
    };
    attempt().is_ok()
}

/// What the operator says of a server by its name. Of one that users made they chose the name, so it must not decide what is
/// backed up with it (P26).
fn tags_of(config: &LocalConfig, entry: &ServerEntry) -> Tags {
    if entry.is_made { Tags::new() } else { config.tags_of_server(&entry.config.name) }
}

fn server_of(
    entry: &ServerEntry,
    status: ServerStatus,
    catalogue: &Catalogue,
    tags: Tags,
) -> Server {
    let volumes = || entry.volumes.iter().filter_map(|id| catalogue.volume(*id).ok());
    Server {
        id: entry.id,
        name: entry.config.name.clone(),
        status,
        availability_zone: volumes()
            .next()
            .map_or_else(|| "local".to_owned(), |volume| volume.availability_zone.clone()),
        volumes: entry
            .volumes
            .iter()
            .enumerate()
            .map(|(index, volume)| AttachedVolume {
                volume: *volume,
                device: device_name(index),
                index,
            })
            .collect(),
        can_power: entry.config.start.is_some() && entry.config.stop.is_some(),
        is_made: entry.is_made,
        // The operator's `freeze` holds the writes of file systems: databases know nothing of it.
        databases: Quiescence::NoAgent {
            why: "this service has no agent for databases yet".to_owned(),
        },
        created_at: volumes().map(|volume| volume.created_at).min().unwrap_or(Timestamp(0)),
        tags,
    }
}

impl LocalProvider {
    /// A state that cannot be told is a fault to be shown, not a failure of the list.
    async fn shown_state(&self, server: &ServerEntry) -> ServerStatus {
        match self.power_state(server).await {
            Ok(status) => status,
            Err(error) => ServerStatus::Fault { why: error.to_string() },
        }
    }
}

#[async_trait]
impl Inventory for LocalProvider {
    async fn volumes(&self, page: PageRequest) -> Result<Page<Volume>> {
        self.blocking("list volumes", move |shared| {
            let catalogue = shared.catalogue()?;
            let entries = Page::cut(catalogue.entries.iter().collect(), page, |entry| entry.id);
            let usage = Usage::scan();
            let volumes = entries
                .items
                .into_iter()
                .map(|entry| shared.volume_of(entry, &catalogue, &usage))
                .collect::<Result<_>>()?;
            Ok(Page { items: volumes, more: entries.more })
        })
        .await
    }

    async fn volume(&self, id: ResourceId) -> Result<Volume> {
        self.blocking("show a volume", move |shared| {
            let catalogue = shared.catalogue()?;
            shared.volume_of(catalogue.volume(id)?, &catalogue, &Usage::scan())
        })
        .await
    }

    async fn servers(&self, page: PageRequest) -> Result<Page<Server>> {
        let catalogue = self.blocking("list servers", Shared::catalogue).await?;
        let entries = Page::cut(catalogue.servers.clone(), page, |server| server.id);
        let mut waiting = entries.items.into_iter();
        let mut running = JoinSet::new();
        let mut servers = Vec::new();
        loop {
            while running.len() < COMMANDS_MAX {
                let Some(entry) = waiting.next() else { break };
                let provider = Self { shared: self.shared.clone() };
                running.spawn(async move { (provider.shown_state(&entry).await, entry) });
            }
            match running.join_next().await {
                None => break,
                Some(Ok((status, entry))) => {
                    let tags = tags_of(&self.shared.config, &entry);
                    servers.push(server_of(&entry, status, &catalogue, tags));
                }
                Some(Err(error)) => {
                    let why = error.to_string();
                    return Err(crate::ProviderError::unavailable("list servers", why));
                }
            }
        }
        servers.sort_by_key(|server| server.id);
        Ok(Page { items: servers, more: entries.more })
    }

    async fn server(&self, id: ResourceId) -> Result<Server> {
        let catalogue = self.blocking("show a server", Shared::catalogue).await?;
        let entry = catalogue.server(id)?;
        let status = self.shown_state(entry).await;
        let tags = tags_of(&self.shared.config, entry);
        Ok(server_of(entry, status, &catalogue, tags))
    }

    async fn pools(&self) -> Result<Vec<Pool>> {
        self.blocking("list pools", |shared| {
            let _alone = shared.probing();
            Ok(shared.config.pools.iter().map(Shared::pool_of).collect())
        })
        .await
    }
}
