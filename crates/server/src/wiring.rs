//! Making the parts and joining them: the only place that knows all of them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use cbr_db::Db;
use cbr_provider::local::{LocalConfig, PoolConfig, PoolKind};
use cbr_provider::{LocalProvider, VolumeFormat};
use cbr_store::backend::{Backend, LocalBackend, LocalOptions, S3Backend, S3Options};
use cbr_store::{MaintenanceKey, MasterKey, Options, Repository};

use crate::arbiter::DatabaseArbiter;
use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError, holds_data};
use crate::own_repository;
use crate::world::World;

/// Opens the database of the configuration.
pub(crate) async fn database(data: &DataDir, config: &Config, world: &World) -> Result<Arc<Db>> {
    let url = match config.database.url()? {
        Some(url) => url,
        None => format!("sqlite:{}", utf8(&data.database_path())?),
    };
    let db = Db::open(&url, Arc::clone(&world.clock)).await.context("cannot open the database")?;
    Ok(Arc::new(db))
}

/// What opens a repository.
#[derive(Clone, Debug)]
pub(crate) enum RepositoryKey {
    /// Everything.
    Master(MasterKey),
    /// All but the data.
    Maintenance(MaintenanceKey),
}

impl RepositoryKey {
    /// Reads a key file of either kind.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Ok(match MaintenanceKey::read_file(path)? {
            Some(key) => Self::Maintenance(key),
            None => Self::Master(MasterKey::read_file(path)?),
        })
    }
}

/// Where a repository is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A bucket.
    Bucket(Box<S3Options>),
}

impl Place {
    /// What the configuration says.
    pub(crate) fn of(data: &DataDir, config: &Config) -> Result<Self> {
        match Self::bucket(config)? {
            Some(bucket) => Ok(bucket),
            None => Ok(Self::Directory(data.repository_path(config))),
        }
    }

    /// The bucket of the configuration, if it names one.
    pub(crate) fn bucket(config: &Config) -> Result<Option<Self>> {
        let Some(s3) = &config.repository.s3 else { return Ok(None) };
        Ok(Some(Self::Bucket(Box::new(s3.options()?))))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Bucket(options) => write!(f, "{} at {}", options.place(), options.endpoint),
        }
    }
}

/// Opens a bucket; waits for the store.
pub(crate) fn open_bucket(options: &S3Options, world: &World) -> Result<Arc<dyn Backend>> {
    let (clock, random) = (Arc::clone(&world.clock), Arc::clone(&world.random));
    let backend = S3Backend::open(options, clock, random)
        .with_context(|| format!("cannot open {} at {}", options.place(), options.endpoint))?;
    Ok(Arc::new(backend))
}

/// Whether there is a repository in a bucket: then only its own key will do.
fn is_sealed(place: &Place, world: &World) -> Result<bool> {
    match place {
        Place::Directory(_) => Ok(false),
        Place::Bucket(options) => Ok(Repository::is_at(&*open_bucket(options, world)?)?),
    }
}

/// The master key; a new one only where there is nothing yet that another one sealed.
pub(crate) fn key(
    data: &DataDir,
    config: &Config,
    place: &Place,
    world: &World,
) -> Result<MasterKey> {
    if data.has_key() || !is_sealed(place, world)? {
        return Ok(data.key(config, &*world.random)?);
    }
    let (key, data) = (data.key_path(), PathBuf::from(place.to_string()));
    Err(DataDirError::KeyLost { key, data }.into())
}

/// Opens the repository of the database; makes it where there is none yet. Waits for the store, so not
/// for tasks of the runtime.
pub(crate) fn repository(
    place: &Place,
    config: &Config,
    key: &MasterKey,
    db: &Arc<Db>,
    world: &World,
) -> Result<Arc<Repository>> {
    let cannot = || format!("cannot open the repository in {place}");
    let opened = || {
        let key = RepositoryKey::Master(key.clone());
        arbitrated_repository(place, &key, config, db, world)
    };
    let made = || {
        let (random, options) = (Arc::clone(&world.random), store_options(config, world));
        match place {
            Place::Directory(path) => {
                let backend = LocalBackend::create(path, local_options(config))
                    .with_context(|| format!("cannot open {place}"))?;
                Repository::init(Arc::new(backend), key.clone(), random, options)
            }
            Place::Bucket(bucket) => {
                let backend = open_bucket(bucket, world)?;
                let arbiter = Arc::new(DatabaseArbiter::new(Arc::clone(db), bucket.place()));
                Repository::init_arbitrated(backend, arbiter, key.clone(), random, options)
            }
        }
        .with_context(cannot)
    };
    let is_missing = || is_missing(place, config, world);
    let repository = own_repository::own(db, &place.to_string(), is_missing, opened, made)?;
    if repository.is_arbitrated() {
        tracing::warn!(%place, "the object store overwrites: the database decides about new objects");
    }
    Ok(repository)
}

/// Whether there is no repository. An empty mount point is looked at, and nothing is made in it.
fn is_missing(place: &Place, config: &Config, world: &World) -> Result<bool> {
    if let Place::Directory(path) = place
        && !holds_data(path)
    {
        return Ok(true);
    }
    Ok(!Repository::is_at(&*existing_backend(place, config, world)?)?)
}

/// Opens a repository that must be there already, to read it: where an arbiter is needed, there is none.
pub(crate) fn existing_repository(
    place: &Place,
    key: &RepositoryKey,
    config: &Config,
    world: &World,
) -> Result<Repository> {
    let (backend, options) =
        (existing_backend(place, config, world)?, store_options(config, world));
    let random = Arc::clone(&world.random);
    match key {
        RepositoryKey::Master(key) => Repository::open(backend, key.clone(), random, options),
        RepositoryKey::Maintenance(key) => {
            Repository::open_for_maintenance(backend, key, random, options)
        }
    }
    .with_context(|| format!("cannot open the repository in {place}"))
}

/// Opens a repository that must be there already, to write it: the database decides where that is
/// needed.
pub(crate) fn arbitrated_repository(
    place: &Place,
    key: &RepositoryKey,
    config: &Config,
    db: &Arc<Db>,
    world: &World,
) -> Result<Repository> {
    let Place::Bucket(bucket) = place else {
        return existing_repository(place, key, config, world);
    };
    let (backend, options) = (open_bucket(bucket, world)?, store_options(config, world));
    let random = Arc::clone(&world.random);
    let arbiter = Arc::new(DatabaseArbiter::new(Arc::clone(db), bucket.place()));
    match key {
        RepositoryKey::Master(key) => {
            Repository::open_arbitrated(backend, arbiter, key, random, options)
        }
        RepositoryKey::Maintenance(key) => {
            Repository::open_arbitrated_for_maintenance(backend, arbiter, key, random, options)
        }
    }
    .with_context(|| format!("cannot open the repository in {place}"))
}

fn existing_backend(place: &Place, config: &Config, world: &World) -> Result<Arc<dyn Backend>> {
    match place {
        Place::Directory(path) => {
            let backend = LocalBackend::open(path, local_options(config))
                .with_context(|| format!("cannot open {place}"))?;
            Ok(Arc::new(backend))
        }
        Place::Bucket(bucket) => open_bucket(bucket, world),
    }
}

fn store_options(config: &Config, world: &World) -> Options {
    Options {
        read_cache_bytes: config.export.cache_mib << 20,
        cache: world.cache.clone(),
        ..config.repository.options()
    }
}

fn local_options(config: &Config) -> LocalOptions {
    LocalOptions {
        accepts_network: config.repository.accept_network_file_system,
        ..LocalOptions::default()
    }
}

/// What the local provider is told: the configuration, or else one pool in the data directory.
pub(crate) fn local_config(data: &DataDir, config: &Config) -> LocalConfig {
    let mut local = config.local.clone();
    if local.pools.is_empty() && local.block_devices.is_empty() {
        local.pools.push(PoolConfig {
            name: "pool".into(),
            path: data.pool_path(),
            mount_point: None,
            kind: PoolKind::Directory,
            availability_zone: "local".into(),
            default_format: VolumeFormat::Raw,
        });
    }
    local
}

/// Opens the local provider.
pub(crate) fn provider(
    data: &DataDir,
    config: &Config,
    world: &World,
) -> Result<Arc<LocalProvider>> {
    let local = local_config(data, config);
    if local.pools.iter().any(|pool| pool.path == data.pool_path()) {
        data.make(&data.pool_path())?;
    }
    let provider = LocalProvider::open(local, &data.provider_path(), Arc::clone(&world.clock))
        .context("cannot open the local provider")?;
    Ok(Arc::new(provider))
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not a name in UTF-8", path.display()))
}
