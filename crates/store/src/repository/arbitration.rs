//! Opening a repository at a place that somebody else runs and that may overwrite objects.
//!
//! It is asked at every start; where it overwrites, an arbiter decides which of two writers wins
//! (`backend/layer/arbitrated.rs`), and without one there is only reading (P21).

use std::sync::{Arc, Mutex};

use cbr_env::Random;

use super::Repository;
use super::open::{descriptors, find_descriptor, put_descriptor};
use super::watch::Watched;
use crate::backend::layer::{Arbiter, Arbitrated, Stoppable};
use crate::backend::{Backend, Probe, creates_once, survey};
use crate::crypto::{MaintenanceKey, MasterKey, MasterKeys};
use crate::error::Result;
use crate::format::place;
use crate::format::record::Descriptor;
use crate::options::Options;

/// How it is decided which of two writers of an object wins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arbitration {
    /// The backend does it.
    NotNeeded,
    /// An arbiter does it.
    Present,
    /// An arbiter would have to do it: nothing may be written.
    Missing,
}

impl Arbitration {
    /// For a repository that is opened without an arbiter.
    pub(super) const fn without_arbiter(descriptor: &Descriptor) -> Self {
        if descriptor.is_arbitrated() { Self::Missing } else { Self::NotNeeded }
    }
}

impl Repository {
    /// As [`Repository::init`], at a place that somebody else runs: it is asked each time whether it
    /// keeps its promises, and if it overwrites objects, `arbiter` decides who may write.
    ///
    /// # Errors
    /// As [`Repository::init`]; a backend that breaks a promise for which nothing can stand in.
    pub fn init_arbitrated(
        backend: Arc<dyn Backend>,
        arbiter: Arc<dyn Arbiter>,
        master: MasterKey,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<Self> {
        let asked = Asked::of(backend, master.keys(), random.as_ref())?;
        let make = (!asked.is_known).then_some(&master);
        asked.open(arbiter, make, random, options)
    }

    /// Opens a repository at such a place to write it, and makes none where there is none.
    ///
    /// # Errors
    /// [`Error::NoStore`](crate::Error::NoStore); as [`Repository::init_arbitrated`].
    pub fn open_arbitrated(
        backend: Arc<dyn Backend>,
        arbiter: Arc<dyn Arbiter>,
        master: &MasterKey,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<Self> {
        Asked::of(backend, master.keys(), random.as_ref())?.open(arbiter, None, random, options)
    }

    /// As [`Repository::open_arbitrated`], with a key that reads and writes no data.
    ///
    /// # Errors
    /// As [`Repository::open_arbitrated`].
    pub fn open_arbitrated_for_maintenance(
        backend: Arc<dyn Backend>,
        arbiter: Arc<dyn Arbiter>,
        key: &MaintenanceKey,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<Self> {
        Asked::of(backend, key.keys(), random.as_ref())?.open(arbiter, None, random, options)
    }

    /// Whether a repository that was opened without an arbiter may be written as it is: asks the
    /// place what it does now, because the objects may have been moved there since.
    ///
    /// # Errors
    /// The backend's; a promise for which nothing can stand in.
    pub fn needs_arbiter(&self) -> Result<bool> {
        if self.descriptor.is_arbitrated() {
            return Ok(true);
        }
        Ok(!creates_once(self.backend.as_ref(), &self.ask_place()?)?)
    }

    /// Whether there is a repository at `backend`.
    ///
    /// # Errors
    /// The backend's: that it does not answer is no "no".
    pub fn is_at(backend: &dyn Backend) -> Result<bool> {
        Ok(backend.get(&place::descriptor())?.is_some() || !descriptors(backend)?.is_empty())
    }

    /// What was asked of the backend when the repository was made, and the answers.
    pub fn probes(&self) -> &[Probe] {
        &self.descriptor.probes
    }

    /// Whether an arbiter stands in, or should, for a backend that overwrites.
    pub fn is_arbitrated(&self) -> bool {
        self.arbitration != Arbitration::NotNeeded
    }
}

/// A place that was asked what it does.
struct Asked {
    backend: Arc<dyn Backend>,
    keys: MasterKeys,
    probes: Vec<Probe>,
    /// Whether there is a repository.
    is_known: bool,
    creates_once: bool,
}

impl Asked {
    fn of(backend: Arc<dyn Backend>, keys: MasterKeys, random: &dyn Random) -> Result<Self> {
        let probes = survey(backend.as_ref(), random)?;
        let is_known = Repository::is_at(backend.as_ref())?;
        // What was recorded or what is seen now, whichever is more careful: the objects may have
        // been moved to another store.
        let creates_once = creates_once(backend.as_ref(), &probes)?
            && !(is_known && find_descriptor(&*backend, &keys)?.1.is_arbitrated());
        Ok(Self { backend, keys, probes, is_known, creates_once })
    }

    fn open(
        self,
        arbiter: Arc<dyn Arbiter>,
        make: Option<&MasterKey>,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<Repository> {
        let Self { backend: place, keys, probes, creates_once, .. } = self;
        let mut backend = Arc::clone(&place);
        if !creates_once {
            backend = arbitrate(backend, arbiter)?;
        }
        let stop = Arc::new(Stoppable::new(backend));
        let backend: Arc<dyn Backend> = Arc::clone(&stop) as _;
        if let Some(master) = make {
            let ro_compat = if creates_once { 0 } else { Descriptor::ARBITRATED };
            put_descriptor(&*backend, master, &*random, probes.clone(), ro_compat)?;
        }
        let mut repository = Repository::open_with(backend, keys, random, options)?;
        if !creates_once {
            repository.arbitration = Arbitration::Present;
        }
        repository.watched = Some(Arc::new(Watched { place, stop, probes: Mutex::new(probes) }));
        Ok(repository)
    }
}

/// The backend with an arbiter before it; puts of processes that died are finished.
fn arbitrate(backend: Arc<dyn Backend>, arbiter: Arc<dyn Arbiter>) -> Result<Arc<dyn Backend>> {
    let arbitrated = Arbitrated::new(backend, arbiter);
    arbitrated.finish()?;
    Ok(Arc::new(arbitrated))
}
