//! Looking again whether the place still does what it did when the repository was opened.
//!
//! A store that somebody else runs may become another one overnight: an upgrade, a proxy, a setting. Who
//! runs for weeks asks it again now and then; if it no longer does what is relied on, nothing is
//! written or removed any more (P21). Reading goes on: what is there is sealed and proves itself. The
//! next start asks anew, and lets an arbiter decide if that is all it takes.

use std::sync::{Arc, Mutex, PoisonError};

use super::Repository;
use super::arbitration::Arbitration;
use crate::backend::layer::Stoppable;
use crate::backend::{Backend, BackendError, Op, Probe, Weight, survey};
use crate::error::Result;

/// What is needed for looking again.
#[derive(Debug)]
pub(super) struct Watched {
    /// The place itself, without whatever stands in for its promises.
    pub(super) place: Arc<dyn Backend>,
    /// What all writing goes through.
    pub(super) stop: Arc<Stoppable>,
    /// The last answers.
    pub(super) probes: Mutex<Vec<Probe>>,
}

impl Repository {
    /// Asks the place what it does now. Nothing follows from the answers.
    ///
    /// # Errors
    /// The backend's own; what it does wrong is in the answers.
    pub fn ask_place(&self) -> Result<Vec<Probe>> {
        let place = self.watched.as_ref().map_or(&self.backend, |watched| &watched.place);
        Ok(survey(place.as_ref(), self.random.as_ref())?)
    }

    /// Asks the place again, and stops all writing if it does not do what is relied on. `None` where
    /// nobody else runs the place: opened without an arbiter.
    ///
    /// # Errors
    /// The backend's own: no answer is no bad answer, and stops nothing.
    pub fn ask_again(&self) -> Result<Option<Vec<Probe>>> {
        let Some(watched) = &self.watched else { return Ok(None) };
        let probes = survey(watched.place.as_ref(), self.random.as_ref())?;
        let broken = self.broken(&probes);
        if !broken.is_empty() {
            watched.stop.stop(format!(
                "the object store no longer does what it did when the service was started ({}); \
                 nothing is written until it is started again, which asks anew",
                broken.join("; ")
            ));
        }
        watched.probes.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&probes);
        Ok(Some(probes))
    }

    /// The last answers of the place; `None` as in [`Repository::ask_again`].
    pub fn last_probes(&self) -> Option<Vec<Probe>> {
        let watched = self.watched.as_ref()?;
        Some(watched.probes.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Why nothing is written any more, if so.
    pub fn stopped(&self) -> Option<&str> {
        self.watched.as_ref()?.stop.reason()
    }

    /// The questions on which something depends here and whose answer is no.
    pub fn broken<'a>(&self, probes: &'a [Probe]) -> Vec<&'a str> {
        let is_relied_on = |probe: &&Probe| match probe.weight() {
            Weight::Required => true,
            Weight::Arbitrable => self.arbitration == Arbitration::NotNeeded,
            Weight::Noted => false,
        };
        let broken = probes.iter().filter(|probe| !probe.holds).filter(is_relied_on);
        broken.map(|probe| probe.name.as_str()).collect()
    }

    pub(super) fn check_not_stopped(&self) -> Result<()> {
        let Some(reason) = self.stopped() else { return Ok(()) };
        let (key, reason) = (self.backend.describe(), reason.to_owned());
        Err(BackendError::ReadOnly { op: Op::Put, key, reason }.into())
    }
}
