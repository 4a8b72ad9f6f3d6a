//! Opening a repository and finding keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cbr_env::{Random, RandomExt};
use uuid::Uuid;

use crate::backend::{Backend, BackendExt, Decided, probe};
use crate::chain::ChainLog;
use crate::crypto::{MasterKey, MasterKeys, TenantKey, TenantKeys};
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, DomainId};
use crate::format::place;
use crate::format::record::{Descriptor, Domain, Record};
use crate::options::Options;
use crate::packs::Packs;
use crate::restore::ReadCache;

/// The number of the one key a tenant has; rotation will add more.
const FIRST_KEY: u32 = 1;

/// An open repository. Cheap to share between threads; every call is synchronous.
#[derive(Debug)]
pub struct Repository {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) options: Options,
    pub(crate) reads: Arc<ReadCache>,
    master: MasterKeys,
    descriptor: Descriptor,
    tenants: Mutex<HashMap<Uuid, Arc<TenantKeys>>>,
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
        let key = place::descriptor();
        if backend.get(&key)?.is_none() {
            let probes = probe(backend.as_ref(), random.as_ref())?;
            let descriptor = Descriptor { store: random.uuid(), incompat: 0, ro_compat: 0, probes };
            let object = descriptor.seal(&key, &master.keys(), random.as_ref());
            // If somebody else was faster, theirs is opened below.
            let _: Decided = backend.put_decided(&key, &[&object])?;
        }
        Self::open(backend, master, random, options)
    }

    /// Opens the repository at `backend`.
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::WrongKey`], [`Error::Unsupported`].
    pub fn open(
        backend: Arc<dyn Backend>,
        master: MasterKey,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<Self> {
        let key = place::descriptor();
        let master = master.keys();
        let object = backend.get(&key)?.ok_or_else(|| Error::NoStore { at: backend.describe() })?;
        let descriptor = Descriptor::open(&object, &key, &master)?;
        if !descriptor.may_read() {
            let what = format!("features {:#x}", descriptor.incompat);
            return Err(Error::Unsupported { object: key.to_string(), what });
        }
        let (options, tenants) = (options.clamped(), Mutex::default());
        let reads = Arc::new(ReadCache::new(options.read_cache_bytes));
        Ok(Self { backend, random, options, reads, master, descriptor, tenants })
    }

    /// The repository's random id.
    pub const fn id(&self) -> Uuid {
        self.descriptor.store
    }

    /// Refuses if this release may only read.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.descriptor.may_write() {
            return Ok(());
        }
        let what = format!("features {:#x} to write", self.descriptor.ro_compat);
        Err(Error::Unsupported { object: place::descriptor().to_string(), what })
    }

    /// The keys of a tenant, if it has any data.
    pub(crate) fn tenant(&self, tenant: Uuid) -> Result<Option<Arc<TenantKeys>>> {
        if let Some(keys) = self.lock().get(&tenant) {
            return Ok(Some(Arc::clone(keys)));
        }
        let key = place::tenant_key(tenant, FIRST_KEY);
        let Some(object) = self.backend.get(&key)? else { return Ok(None) };
        let tenant_key = TenantKey::open(&object, &key, &self.master)?;
        let keys = Arc::new(TenantKeys::derive(tenant, FIRST_KEY, &tenant_key));
        self.lock().insert(tenant, Arc::clone(&keys));
        Ok(Some(keys))
    }

    /// The keys of a tenant; a new tenant gets one.
    fn tenant_or_new(&self, tenant: Uuid) -> Result<Arc<TenantKeys>> {
        if let Some(keys) = self.tenant(tenant)? {
            return Ok(keys);
        }
        let key = place::tenant_key(tenant, FIRST_KEY);
        let object = TenantKey::generate(self.random.as_ref()).seal(
            &key,
            &self.master,
            self.random.as_ref(),
        );
        let _: Decided = self.backend.put_decided(&key, &[&object])?;
        self.tenant(tenant)?.ok_or_else(|| Error::Missing { object: key.to_string() })
    }

    /// The log of a chain, if its tenant has any data.
    pub(crate) fn log(&self, chain: &ChainRef) -> Result<Option<ChainLog>> {
        let keys = self.tenant(chain.tenant)?;
        Ok(keys.map(|keys| self.log_with(chain, keys)))
    }

    /// The log of a chain; tenant key and domain are made if need be.
    pub(crate) fn log_or_new(&self, chain: &ChainRef) -> Result<ChainLog> {
        let keys = self.tenant_or_new(chain.tenant)?;
        let log = self.log_with(chain, keys);
        self.ensure_domain(&chain.domain(), &log)?;
        Ok(log)
    }

    fn log_with(&self, chain: &ChainRef, keys: Arc<TenantKeys>) -> ChainLog {
        let (backend, random) = (Arc::clone(&self.backend), Arc::clone(&self.random));
        ChainLog { chain: *chain, backend, keys, random }
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

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<TenantKeys>>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
