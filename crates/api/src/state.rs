//! What handlers reach: the use cases, the settings, time and randomness.

use std::sync::Arc;

use cbr_env::{Clock, Random};
use cbr_service::Services;

use crate::auth::replay::SeenSignatures;
use crate::body::Bodies;
use crate::settings::Settings;

/// The state every handler gets.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) services: Services,
    pub(crate) settings: Settings,
    /// For the age of signatures and the duration of requests.
    pub(crate) clock: Arc<dyn Clock>,
    /// For request ids.
    pub(crate) random: Arc<dyn Random>,
    pub(crate) seen: SeenSignatures,
    pub(crate) bodies: Bodies,
}

impl Api {
    pub(crate) fn new(
        services: Services,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
    ) -> Self {
        let skew = i64::try_from(settings.signature_skew.as_secs()).unwrap_or(i64::MAX);
        let seen = SeenSignatures::new(skew, settings.signatures_remembered_max);
        let bodies = Bodies::new(settings.body_bytes_max);
        Self(Arc::new(Inner { services, settings, clock, random, seen, bodies }))
    }
}

impl std::ops::Deref for Api {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
