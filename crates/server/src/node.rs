//! One running installation: everything `wiring.rs` makes, joined to services.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use cbr_db::Db;
use cbr_provider::Provider;
use cbr_service::{Catalogue, Identity, SealingKey, Services, ServicesConfig};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::telemetry;
use crate::wiring::{self, World};

/// One running installation.
#[derive(Debug)]
pub(crate) struct Node {
    world: World,
    db: Arc<Db>,
    provider: Arc<dyn Provider>,
    services: Services,
}
