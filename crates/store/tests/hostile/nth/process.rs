//! A process that works on a repository, and what anybody sees there.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use cbr_env::Random;
use cbr_store::backend::{Backend, BackendError, Key};
use cbr_store::{Error, Job, MasterKey, Options, Repository, Result, VersionInfo};

use crate::world::{Disk, Seeds, Target, master, options};

pub(super) fn new_master() -> MasterKey {
    MasterKey::from_bytes([0x77; 32])
}

/// One call after the other in an order that repeats, so that call N is the same one every time.
pub(super) fn in_order() -> Options {
    Options { threads: 0, ..options() }
}

/// What it has opened stays open, as in a service, so that what it remembers is tested too.
pub(super) struct Process {
    pub(super) backend: Arc<dyn Backend>,
    random: Arc<dyn Random>,
    opened: OnceCell<Repository>,
}

impl Process {
    pub(super) fn new(backend: Arc<dyn Backend>, seed: u64) -> Self {
        Self::with(backend, Seeds::new(seed).random())
    }

    pub(super) fn with(backend: Arc<dyn Backend>, random: Arc<dyn Random>) -> Self {
        Self { backend, random, opened: OnceCell::new() }
    }

    /// The repository; made if there is none, opened with whichever key is the master key now.
    pub(super) fn repository(&self) -> Result<&Repository> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let open = |key| {
            let backend = Arc::clone(&self.backend);
            Repository::init(backend, key, Arc::clone(&self.random), in_order())
        };
        let opened = match open(master()) {
            Err(Error::WrongKey { .. }) => open(new_master())?,
            opened => opened?,
        };
        Ok(self.opened.get_or_init(|| opened))
    }

    /// What every version of every chain restores to.
    pub(super) fn seen(&self) -> Seen {
        let repository = self.repository().unwrap();
        let mut seen = Vec::new();
        for chain in repository.chains().unwrap() {
            match repository.versions(&chain) {
                Ok(versions) => seen.extend(versions.iter().map(|one| restored(repository, one))),
                Err(Error::Shredded { .. }) => {}
                Err(error) => panic!("{chain} cannot be listed: {error:?}"),
            }
        }
        Seen(seen)
    }
}

fn restored(repository: &Repository, info: &VersionInfo) -> Option<Disk> {
    let target = Target::new(usize::try_from(info.disk_bytes).unwrap());
    match repository.restore(&info.version, &target, &Job::quiet()) {
        Ok(_) => Some(target.into_disk()),
        Err(Error::Incomplete { .. }) => None,
        Err(error) => panic!("{:?}: {error:?}", info.version),
    }
}

/// What the versions restore to, chain by chain; `None`: damaged, and said so.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Seen(pub(super) Vec<Option<Disk>>);

impl Seen {
    /// Whether nothing is damaged.
    pub(super) fn is_whole(&self) -> bool {
        self.0.iter().all(Option::is_some)
    }

    /// Whether it is `before`, where some of what was damaged may be as it is in `after` already:
    /// healing is no all or nothing.
    pub(super) fn is_on_the_way(&self, before: &Self, after: &Self) -> bool {
        let is_right = |at: usize, disk: &Option<Disk>| {
            let old = &before.0[at];
            disk == old || old.is_none() && after.0.get(at) == Some(disk)
        };
        self.0.len() == before.0.len()
            && self.0.iter().enumerate().all(|(at, disk)| is_right(at, disk))
    }
}

/// A disk is half a megabyte; a message needs its first bytes.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = self.0.iter().map(|disk| disk.as_ref().map(|disk| disk.0[..4].to_vec()));
        f.debug_list().entries(heads).finish()
    }
}

/// Whether the backend has stopped writing until it is opened again (P20).
pub(super) fn is_read_only(error: &Error) -> bool {
    matches!(error, Error::Backend(BackendError::ReadOnly { .. }))
}

/// Whether the object is a tenant's data or says what became of it.
pub(super) fn in_domain(key: &Key) -> bool {
    key.as_str().contains("/d/")
}

/// How many packs there are.
pub(super) fn packs_in(backend: &dyn Backend) -> usize {
    crate::world::packs(backend).len()
}
