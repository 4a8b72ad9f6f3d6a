//! Opening a repository at a place that somebody else runs and that may overwrite objects.
//!
//! It is asked at every start; where it overwrites, an arbiter decides which of two writers wins
//! (`backend/layer/arbitrated.rs`), and without one there is only reading (P21).

use std::sync::Arc;

use cbr_env::Random;

use super::Repository;
use super::open::{descriptors, find_descriptor, put_descriptor};
use crate::backend::layer::{Arbiter, Arbitrated};
use crate::backend::{Backend, Probe, creates_once, survey};
use crate::crypto::MasterKey;
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
        let probes = survey(backend.as_ref(), random.as_ref())?;
        let is_known = Self::is_at(backend.as_ref())?;
        // What was recorded or what is seen now, whichever is more careful: the objects may have
        // been moved to another store.
        let creates_once = creates_once(backend.as_ref(), &probes)?
            && !(is_known && find_descriptor(&*backend, &master.keys())?.1.is_arbitrated());
        let backend = if creates_once { backend } else { arbitrate(backend, arbiter)? };
        if !is_known {
            let ro_compat = if creates_once { 0 } else { Descriptor::ARBITRATED };
            put_descriptor(&*backend, &master, &*random, probes, ro_compat)?;
        }
        let mut repository = Self::open(backend, master, random, options)?;
        if !creates_once {
            repository.arbitration = Arbitration::Present;
        }
        Ok(repository)
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

/// The backend with an arbiter before it; puts of processes that died are finished.
fn arbitrate(backend: Arc<dyn Backend>, arbiter: Arc<dyn Arbiter>) -> Result<Arc<dyn Backend>> {
    let arbitrated = Arbitrated::new(backend, arbiter);
    arbitrated.finish()?;
    Ok(Arc::new(arbitrated))
}
