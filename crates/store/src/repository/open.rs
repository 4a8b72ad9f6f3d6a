//! Opening a repository and finding keys.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cbr_env::{Random, RandomExt};
use uuid::Uuid;

use super::arbitration::Arbitration;
use super::watch::Watched;
use crate::backend::{Backend, BackendExt, Decided, Key, Probe, probe};
use crate::cache::{CacheDirectory, CacheFiles};
use crate::chain::{ChainLog, KnownLists};
use crate::crypto::{MaintenanceKey, MasterKey, MasterKeys, TenantKeys};
use crate::dedup::Domains;
use crate::delete::{KeptMaps, KnownMaps};
use crate::error::{Error, Result};
use crate::format::envelope::{ObjectKind, Reader};
use crate::format::id::{ChainRef, DomainId};
use crate::format::place::{self, Place};
use crate::format::record::{Descriptor, Domain, Record};
use crate::options::Options;
use crate::packs::Packs;
use crate::restore::ReadCache;

/// An open repository. Cheap to share between threads; every call is synchronous.
#[derive(Debug)]
pub struct Repository {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) options: Options,
    pub(crate) reads: Arc<ReadCache>,
    pub(super) master: Arc<Master>,
    pub(super) descriptor: Descriptor,
    pub(super) arbitration: Arbitration,
    pub(super) watched: Option<Arc<Watched>>,
    tenants: Mutex<HashMap<Uuid, Arc<TenantKeys>>>,
    pub(crate) known: KnownMaps,
    pub(crate) kept: Option<KeptMaps>,
    pub(crate) lists: Arc<KnownLists>,
    pub(crate) dedup: Arc<Domains>,
}

/// The master key a repository was opened with.
#[derive(Debug)]
pub(super) struct Master {
    pub(super) keys: MasterKeys,
    /// How many master keys there were before it.
    pub(super) number: u32,
}

impl Repository {
    /// Makes an empty place a repository, or opens the one that is there.
    ///
    /// # Errors
    /// [`Error::WrongKey`] or [`Error::Damaged`] if what is there was made with another key.
    pub fn init(
        backend: Arc<dyn Backend>,
        master: MasterKey,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<Self> {
        if !Self::is_at(backend.as_ref())? {
            let probes = probe(backend.as_ref(), random.as_ref())?;
            put_descriptor(&*backend, &master, &*random, probes, 0)?;
        }
        Self::open(backend, master, random, options)
    }

    /// Opens the repository at `backend`. One that needs an arbiter can then only be read.
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::WrongKey`], [`Error::Unsupported`].
    pub fn open(
        backend: Arc<dyn Backend>,
        master: MasterKey,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<Self> {
        Self::open_with(backend, master.keys(), random, options)
    }

    /// Opens the repository with a key that lists, accounts, deletes and collects, and cannot read
    /// or write any data: what needs more fails with [`Error::NoKey`].
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn open_for_maintenance(
        backend: Arc<dyn Backend>,
        key: &MaintenanceKey,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<Self> {
        Self::open_with(backend, key.keys(), random, options)
    }

    pub(super) fn open_with(
        backend: Arc<dyn Backend>,
        keys: MasterKeys,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<Self> {
        let (number, descriptor) = find_descriptor(backend.as_ref(), &keys)?;
        if !descriptor.may_read() {
            let what = format!("features {:#x}", descriptor.incompat);
            let object = place::descriptor_of(number).to_string();
            return Err(Error::Unsupported { object, what });
        }
        let (options, tenants) = (options.clamped(), Mutex::default());
        let reads = Arc::new(ReadCache::new(options.read_cache_bytes));
        let dedup = Arc::new(Domains::new(options.dedup_ram_bytes));
        let master = Arc::new(Master { keys, number });
        let arbitration = Arbitration::without_arbiter(&descriptor);
        let known = KnownMaps::default();
        let lists = Arc::default();
        let of_repository = |cache: &PathBuf| cache.join(descriptor.store.to_string());
        let files = options.cache.as_ref().map(|cache| {
            let files: Arc<dyn CacheFiles> = Arc::new(CacheDirectory::new(of_repository(cache)));
            files
        });
        let kept = files.map(|files| KeptMaps::new(files, descriptor.store, Arc::clone(&random)));
        Ok(Self {
            backend,
            random,
            options,
            reads,
            master,
            descriptor,
            arbitration,
            watched: None,
            tenants,
            known,
            kept,
            lists,
            dedup,
        })
    }

    /// With a cache of these files, instead of the directory of [`Options::cache`]: for tests, which fail and
    /// damage them.
    #[must_use]
    pub fn with_cache(mut self, files: Arc<dyn CacheFiles>) -> Self {
        self.kept = Some(KeptMaps::new(files, self.descriptor.store, Arc::clone(&self.random)));
        self
    }

    /// The same repository seen through another backend, with nothing remembered.
    pub(crate) fn through(&self, backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            random: Arc::clone(&self.random),
            options: self.options.clone(),
            reads: Arc::new(ReadCache::new(0)),
            master: Arc::clone(&self.master),
            descriptor: self.descriptor.clone(),
            arbitration: self.arbitration,
            watched: self.watched.clone(),
            tenants: Mutex::default(),
            dedup: Arc::new(Domains::new(0)),
            known: KnownMaps::default(),
            kept: None,
            lists: Arc::default(),
        }
    }

    /// Reads a descriptor or a key and checks that it is whole; what it says only its own key tells.
    pub(crate) fn verify_key_object(&self, key: &Key, kind: ObjectKind) -> Result<()> {
        let object = self.backend.get(key)?;
        let object = object.ok_or_else(|| Error::Missing { object: key.to_string() })?;
        Reader::open(&object, kind, key, &self.master.keys).map(drop)
    }

    /// The repository's random id.
    pub const fn id(&self) -> Uuid {
        self.descriptor.store
    }

    /// Refuses if this release, or this way of opening, may only read.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.check_not_stopped()?;
        if self.descriptor.may_write() {
            return match self.arbitration {
                Arbitration::NotNeeded | Arbitration::Present => Ok(()),
                Arbitration::Missing => Err(Error::NoArbiter { at: self.backend.describe() }),
            };
        }
        let what = format!("features {:#x} to write", self.descriptor.ro_compat);
        Err(Error::Unsupported { object: place::descriptor().to_string(), what })
    }

    /// The keys of a tenant, if it has any data.
    pub(crate) fn tenant(&self, tenant: Uuid) -> Result<Option<Arc<TenantKeys>>> {
        if let Some(keys) = self.lock().get(&tenant)
            && !keys.is_stale()
        {
            return Ok(Some(Arc::clone(keys)));
        }
        let Some(keys) = self.read_tenant(tenant)? else { return Ok(None) };
        let keys = Arc::new(keys);
        self.lock().insert(tenant, Arc::clone(&keys));
        Ok(Some(keys))
    }

    /// Forgets the keys of a tenant, so that they are read again.
    pub(crate) fn forget_tenant(&self, tenant: Uuid) {
        self.lock().remove(&tenant);
    }

    /// Forgets what was read of a tenant's maps, in this process and beside it.
    pub(super) fn forget_maps(&self, tenant: Uuid) {
        self.known.forget_tenant(tenant);
        if let Some(kept) = &self.kept {
            kept.forget_tenant(tenant);
        }
    }

    /// The log of a chain, if its tenant has any data.
    pub(crate) fn log(&self, chain: &ChainRef) -> Result<Option<ChainLog>> {
        let keys = self.tenant(chain.tenant)?;
        Ok(keys.map(|keys| self.log_with(chain, keys)))
    }

    /// The log of a chain; tenant key and domain are made if need be.
    pub(crate) fn log_or_new(&self, chain: &ChainRef) -> Result<ChainLog> {
        let keys = self.tenant_or_new(chain.tenant)?;
        if !keys.opens_data() {
            return Err(Error::NoKey { object: place::domain(&chain.domain()) });
        }
        let log = self.log_with(chain, keys);
        self.ensure_domain(&chain.domain(), &log)?;
        Ok(log)
    }

    fn log_with(&self, chain: &ChainRef, keys: Arc<TenantKeys>) -> ChainLog {
        let (backend, random) = (Arc::clone(&self.backend), Arc::clone(&self.random));
        let fold_after = self.options.fold_after.into();
        ChainLog { chain: *chain, backend, keys, random, fold_after }
    }

    fn ensure_domain(&self, domain: &DomainId, log: &ChainLog) -> Result<()> {
        let key = place::domain_record(domain);
        let expected = Domain { scope: domain.scope, epoch: domain.epoch };
        let object = if let Some(object) = self.backend.get(&key)? {
            object
        } else {
            let object = expected.seal(&key, log.keys.as_ref(), self.random.as_ref());
            match self.backend.put_decided(&key, &[&object])? {
                Decided::Ours => return Ok(()),
                Decided::Other(there) => there,
            }
        };
        if Domain::open(&object, &key, log.keys.as_ref())? == expected {
            Ok(())
        } else {
            Err(Error::damaged(&key, "it describes another domain"))
        }
    }

    /// The packs of a chain's domain.
    pub(crate) fn packs(&self, log: &ChainLog) -> Arc<Packs> {
        let (backend, keys) = (Arc::clone(&self.backend), Arc::clone(&log.keys));
        Arc::new(Packs::new(backend, keys, log.chain.domain()))
    }

    /// The same for who counts again and again what lists say: those that were read lately are
    /// remembered. Whoever is to find damage must not ask here.
    pub(crate) fn packs_for_books(&self, log: &ChainLog) -> Arc<Packs> {
        let (backend, keys) = (Arc::clone(&self.backend), Arc::clone(&log.keys));
        let packs = Packs::new(backend, keys, log.chain.domain());
        Arc::new(packs.remembering(Arc::clone(&self.lists)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<TenantKeys>>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The descriptor that opens with `keys`, and the number of that master key.
pub(super) fn find_descriptor(
    backend: &dyn Backend,
    keys: &MasterKeys,
) -> Result<(u32, Descriptor)> {
    let mut first_error = None;
    // The first one is nearly always the one: look there before listing.
    for number in
        std::iter::once(0).chain(descriptors(backend)?.into_iter().skip_while(|n| *n == 0))
    {
        let key = place::descriptor_of(number);
        let Some(object) = backend.get(&key)? else { continue };
        match Descriptor::open(&object, &key, keys) {
            Ok(descriptor) => return Ok((number, descriptor)),
            // That of another master key; or damaged, and another may be sound.
            Err(error) => drop(first_error.get_or_insert(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| Error::NoStore { at: backend.describe() }))
}

/// The numbers of all descriptors, ascending.
pub(super) fn descriptors(backend: &dyn Backend) -> Result<Vec<u32>> {
    let entries = backend.list_all(place::DESCRIPTORS)?;
    Ok(entries
        .iter()
        .filter_map(|entry| match Place::parse(&entry.key) {
            Some(Place::Descriptor) => Some(0),
            Some(Place::DescriptorOf(number)) => Some(number),
            _ => None,
        })
        .collect())
}

/// Puts the first descriptor. If somebody else was faster, theirs stands.
pub(super) fn put_descriptor(
    backend: &dyn Backend,
    master: &MasterKey,
    random: &dyn Random,
    probes: Vec<Probe>,
    ro_compat: u32,
) -> Result<()> {
    let key = place::descriptor();
    let descriptor = Descriptor { store: random.uuid(), incompat: 0, ro_compat, probes };
    let object = descriptor.seal(&key, &master.keys(), random);
    let _: Decided = backend.put_decided(&key, &[&object])?;
    Ok(())
}
