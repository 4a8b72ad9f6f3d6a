//! What handlers reach: the use cases, the settings, time and randomness.

use std::net::IpAddr;
use std::sync::Arc;

use cbr_env::{Clock, Random};
use cbr_model::ProjectId;
use cbr_service::Services;

use crate::auth::replay::SeenSignatures;
use crate::body::Bodies;
use crate::settings::Settings;
use crate::shares::Shares;
use crate::x::task_events;

/// Most requests without a credential but with a body that are served at a time for one address: half of the
/// logins that may wait, and a quarter of the room for their bodies.
const ANONYMOUS_OF_ADDRESS_MAX: usize = 16;

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
    /// The places of streams.
    pub(crate) streams: Shares<ProjectId>,
    /// The places of requests without a credential, by address.
    pub(crate) anonymous: Shares<IpAddr>,
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
        let streams = task_events::places();
        let anonymous = Shares::new(ANONYMOUS_OF_ADDRESS_MAX, usize::MAX);
        Self(Arc::new(Inner {
            services,
            settings,
            clock,
            random,
            seen,
            bodies,
            streams,
            anonymous,
        }))
    }
}

impl std::ops::Deref for Api {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
