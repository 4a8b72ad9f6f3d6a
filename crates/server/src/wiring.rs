//! Making the parts and joining them: the only place that knows all of them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use cbr_db::Db;
use cbr_provider::local::{LocalConfig, PoolConfig, PoolKind};
use cbr_provider::{LocalProvider, VolumeFormat};
use cbr_store::backend::{Backend, LocalBackend, LocalOptions};
use cbr_store::{MasterKey, Options, Repository};

use crate::config::Config;
use crate::data_dir::DataDir;
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

/// Opens the repository; makes it where there is none.
pub(crate) fn repository(
    data: &DataDir,
    config: &Config,
    key: MasterKey,
    world: &World,
) -> Result<Arc<Repository>> {
    let path = data.repository_path(config);
    let backend = LocalBackend::create(&path, local_options(config))
        .with_context(|| format!("cannot open {}", path.display()))?;
    let backend: Arc<dyn Backend> = Arc::new(backend);
    let repository =
        Repository::init(backend, key, Arc::clone(&world.random), store_options(config))
            .with_context(|| format!("cannot open the repository in {}", path.display()))?;
    Ok(Arc::new(repository))
}

/// Opens a repository that must be there already.
pub(crate) fn existing_repository(
    path: &Path,
    key: MasterKey,
    config: &Config,
    world: &World,
) -> Result<Repository> {
    let backend = LocalBackend::open(path, local_options(config))
        .with_context(|| format!("cannot open {}", path.display()))?;
    Repository::open(Arc::new(backend), key, Arc::clone(&world.random), store_options(config))
        .with_context(|| format!("cannot open the repository in {}", path.display()))
}

fn store_options(config: &Config) -> Options {
    Options { read_cache_bytes: config.export.cache_mib << 20, ..config.repository.options() }
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
