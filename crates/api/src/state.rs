//! What handlers reach: the use cases and the settings.

use std::sync::Arc;

use cbr_env::{Clock, Random};
use cbr_service::{
    Backups, Checkpoints, Identity, Operations, Protectables, Servers, Vaults, Volumes,
};

use crate::auth::replay::SeenSignatures;
use crate::settings::Settings;

/// The use cases behind the API, and its clock and randomness.
#[derive(Clone, Debug)]
pub struct Services {
    /// Who calls.
    pub identity: Arc<Identity>,
    /// Vaults.
    pub vaults: Arc<Vaults>,
    /// Restore points.
    pub checkpoints: Arc<Checkpoints>,
    /// Backups.
    pub backups: Arc<Backups>,
    /// Operation logs.
    pub operations: Arc<Operations>,
    /// What could be protected.
    pub protectables: Arc<Protectables>,
    /// Disks.
    pub volumes: Arc<Volumes>,
    /// Servers.
    pub servers: Arc<Servers>,
    /// The time, for the age of signatures.
    pub clock: Arc<dyn Clock>,
    /// For request ids.
    pub random: Arc<dyn Random>,
}

/// The state every handler gets.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) services: Services,
    pub(crate) settings: Settings,
    pub(crate) seen: SeenSignatures,
}

impl Api {
    pub(crate) fn new(services: Services, settings: Settings) -> Self {
        let skew = i64::try_from(settings.signature_skew.as_secs()).unwrap_or(i64::MAX);
        let seen = SeenSignatures::new(skew, settings.signatures_remembered_max);
        Self(Arc::new(Inner { services, settings, seen }))
    }
}

impl std::ops::Deref for Api {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
