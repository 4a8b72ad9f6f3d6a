//! Keys over their lifetime: made, rotated, handed out for maintenance, destroyed.
//!
//! Nothing here rewrites data. A tenant's key is wrapped by the master key in an object of its own;
//! a new master key wraps the same keys again under new names, a new key of a tenant seals what is
//! written from then on. Every step may be repeated, and at no moment is anything unreadable:
//!
//! ```text
//! rotate_master   wrap every tenant's keys with the new key ─▶ its descriptor ─▶ wrap what came meanwhile
//! retire_master   the old descriptor goes ─▶ wrap what came meanwhile ─▶ old wraps go   only the new
//! ```
//! Who makes a tenant a key looks before and afterwards whether the descriptor of his master key is
//! still the newest. Either it is, and the wrapping after the next descriptor sees the key; or it is
//! not, and he gives up. Who finds a tenant's key wrapped by others that still are master keys waits
//! for its wrap: two first keys of one tenant would be two tenants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::Repository;
use super::open::{Master, descriptors};
use crate::backend::{BackendExt, Decided, Key};
use crate::crypto::{MaintenanceRing, MasterKey, TenantKey, TenantKeys};
use crate::error::{Error, Result};
use crate::format::place::{self, Place};
use crate::format::record::{Descriptor, Record, Shredded};
use crate::planted::{self, Bug};

/// The number of a tenant's first key.
const FIRST_KEY: u32 = 1;

/// What there is of keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyStatus {
    /// The number of the master key the repository was opened with: how many there were before.
    pub master: u32,
    /// The numbers of all master keys that open the repository now.
    pub masters: Vec<u32>,
    /// All tenants that have keys, or had.
    pub tenants: Vec<TenantKeyStatus>,
}

/// What there is of a tenant's keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TenantKeyStatus {
    /// The tenant.
    pub tenant: Uuid,
    /// The numbers of its keys; new objects are sealed with the last.
    pub keys: Vec<u32>,
    /// Whether its keys were destroyed.
    pub is_shredded: bool,
}

/// The names below a tenant's `k/`, sorted out.
#[derive(Debug, Default)]
struct Held {
    /// Key number and number of the master key that wraps it.
    wraps: BTreeSet<(u32, u32)>,
    rings: BTreeSet<(u32, u32)>,
    shredded: BTreeSet<u32>,
}

impl Held {
    /// The highest number of a master key in any name.
    fn last_master(&self) -> u32 {
        let wraps = self.wraps.iter().chain(&self.rings).map(|(_, by)| *by);
        wraps.chain(self.shredded.iter().copied()).max().unwrap_or_default()
    }

    fn ids(&self) -> BTreeSet<u32> {
        self.wraps.iter().chain(&self.rings).map(|(key_id, _)| *key_id).collect()
    }
}

impl Repository {
    /// Reads the keys of a tenant; `None` if it has none.
    pub(super) fn read_tenant(&self, tenant: Uuid) -> Result<Option<TenantKeys>> {
        let held = self.held(tenant)?;
        if !held.shredded.is_empty() {
            return Err(Error::Shredded { tenant: tenant.to_string() });
        }
        let number = self.master.number;
        let of_ours = |names: &BTreeSet<(u32, u32)>| -> Vec<u32> {
            names.iter().filter(|(_, by)| *by == number).map(|(key_id, _)| *key_id).collect()
        };
        if !self.master.keys.opens_tenants() {
            let mut rings = Vec::new();
            for key_id in of_ours(&held.rings) {
                let key = place::maintenance_ring(tenant, key_id, number);
                let object = self.must_get(&key)?;
                rings.push((key_id, MaintenanceRing::open(&object, &key, &self.master.keys)?));
            }
            let keys = TenantKeys::for_maintenance(tenant, rings);
            let is_empty = keys.ids().next().is_none();
            return Ok((!is_empty).then_some(keys));
        }
        let mut keys = BTreeMap::new();
        for key_id in of_ours(&held.wraps) {
            keys.insert(key_id, self.unwrap_key(tenant, key_id)?);
        }
        // The first key is never left out of a rotation: without it block ids would change.
        if keys.contains_key(&FIRST_KEY) {
            return Ok(Some(TenantKeys::of_rotations(tenant, &keys)));
        }
        // Wrapped by others only: somebody gave up making it because his master key was retired.
        // Then nothing was ever sealed with it.
        if keys.is_empty() && self.has_no_key(tenant, &held)? {
            return Ok(None);
        }
        let object = place::tenant_key_by(tenant, FIRST_KEY, number).to_string();
        Err(Error::Missing { object })
    }

    /// Whether what wraps there are are of nobody who still has a master key, and of no use.
    fn has_no_key(&self, tenant: Uuid, held: &Held) -> Result<bool> {
        if held.wraps.is_empty() {
            return Ok(true);
        }
        let masters = descriptors(self.backend.as_ref())?;
        let is_alive = held.wraps.iter().any(|(_, by)| masters.contains(by))
            && !planted::has(Bug::TwoMakersOfKeys);
        Ok(!is_alive && self.has_no_domain(tenant)?)
    }

    fn has_no_domain(&self, tenant: Uuid) -> Result<bool> {
        let prefix = format!("{}d/", place::tenant(tenant));
        Ok(self.backend.list(&prefix, None)?.entries.is_empty())
    }

    /// The keys of a tenant; a new tenant gets one.
    pub(super) fn tenant_or_new(&self, tenant: Uuid) -> Result<Arc<TenantKeys>> {
        if let Some(keys) = self.tenant(tenant)? {
            return Ok(keys);
        }
        let number = self.master.number;
        let key = place::tenant_key_by(tenant, FIRST_KEY, number);
        if !self.master.keys.opens_tenants() {
            return Err(Error::NoKey { object: key.to_string() });
        }
        self.check_is_newest()?;
        let fresh = TenantKey::generate(self.random.as_ref());
        self.put_wrapped(&fresh, &key, &self.master)?;
        let kept = self.unwrap_key(tenant, FIRST_KEY)?;
        self.put_ring(tenant, FIRST_KEY, &kept, &self.master)?;
        self.check_is_newest()?;
        self.tenant(tenant)?.ok_or_else(|| Error::Missing { object: key.to_string() })
    }

    /// Makes a tenant a new key: what is written from now on is sealed with it. Nothing is
    /// rewritten, and what is there stays readable; compaction moves slots to the new key's care.
    ///
    /// Other processes notice when they meet the first object of the new key; the one operation
    /// that met it fails with [`Error::UnknownKey`] and works when it is repeated.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tenant has no key yet; [`Error::Shredded`], [`Error::NoKey`].
    pub fn rotate_tenant(&self, tenant: Uuid) -> Result<u32> {
        self.check_holds_master()?;
        self.check_writable()?;
        self.forget_tenant(tenant);
        let no_data = || Error::Invalid { what: format!("tenant {tenant} has no key to rotate") };
        let keys = self.tenant(tenant)?.ok_or_else(no_data)?;
        let newest = keys.ids().last().unwrap_or(FIRST_KEY);
        let next = newest.checked_add(1).ok_or_else(no_data)?;
        let key = place::tenant_key_by(tenant, next, self.master.number);
        self.check_is_newest()?;
        self.put_wrapped(&TenantKey::generate(self.random.as_ref()), &key, &self.master)?;
        let kept = self.unwrap_key(tenant, next)?;
        self.put_ring(tenant, next, &kept, &self.master)?;
        self.check_is_newest()?;
        self.forget_tenant(tenant);
        Ok(next)
    }

    /// Lets a new master key open the repository beside the one it was opened with; returns the
    /// new one's number. May be repeated with the same key after a crash.
    ///
    /// The old key opens everything until [`Repository::retire_master`].
    pub fn rotate_master(&self, new: &MasterKey) -> Result<u32> {
        self.check_holds_master()?;
        self.check_writable()?;
        let new = new.keys();
        let numbers = descriptors(self.backend.as_ref())?;
        for number in &numbers {
            let key = place::descriptor_of(*number);
            let object = self.must_get(&key)?;
            if Descriptor::open(&object, &key, &new).is_ok() {
                let new = Master { keys: new, number: *number };
                if !planted::has(Bug::KeyRetiredEarly) {
                    self.wrap_all(&new)?;
                }
                return Ok(*number);
            }
        }
        // A change that was given up may have left wraps by a key nobody has any more: their number
        // is not used again.
        let mut last = numbers.last().copied().unwrap_or_default().max(self.master.number);
        for tenant in self.key_tenants()? {
            last = last.max(self.held(tenant)?.last_master());
        }
        let number = last.checked_add(1).ok_or_else(|| Error::Invalid {
            what: "the master key was changed too often".to_owned(),
        })?;
        let new = Master { keys: new, number };
        let is_early = planted::has(Bug::KeyRetiredEarly);
        if !is_early {
            self.wrap_all(&new)?;
        }
        // From here on the new key opens the repository.
        let key = place::descriptor_of(number);
        let object = self.descriptor.seal(&key, &new.keys, self.random.as_ref());
        match self.backend.put_decided(&key, &[&object])? {
            Decided::Ours if is_early => Ok(number),
            Decided::Ours => {
                self.wrap_all(&new)?;
                Ok(number)
            }
            // An earlier attempt of ours that arrived late.
            Decided::Other(there) if Descriptor::open(&there, &key, &new.keys).is_ok() => {
                self.wrap_all(&new)?;
                Ok(number)
            }
            Decided::Other(_) => Err(Error::Invalid {
                what: "somebody else changes the master key at the same time".to_owned(),
            }),
        }
    }

    /// Ends every master key but `new`: they open nothing any more. `self` was opened with one of
    /// the old ones and is of no use afterwards. May be repeated.
    ///
    /// # Errors
    /// [`Error::WrongKey`] if `new` does not open the repository yet.
    pub fn retire_master(&self, new: &MasterKey) -> Result<()> {
        let number = self.rotate_master(new)?;
        let new = Master { keys: new.keys(), number };
        for old in descriptors(self.backend.as_ref())? {
            if old != number {
                self.backend.delete(&place::descriptor_of(old))?;
            }
        }
        // Who made a tenant a key before it went is seen now; who comes later gives up.
        self.wrap_all(&new)?;
        for tenant in self.key_tenants()? {
            let held = self.held(tenant)?;
            for key_id in held.ids() {
                if held.wraps.contains(&(key_id, number)) {
                    self.remove_key(tenant, key_id, &held, |by| by != number)?;
                }
            }
            for by in held.shredded.iter().filter(|by| **by != number) {
                if held.shredded.contains(&number) {
                    self.backend.delete(&place::shredded(tenant, *by))?;
                }
            }
        }
        Ok(())
    }

    /// Destroys all keys of a tenant: nothing of its data can be read ever again, by anybody, also
    /// not from copies of the objects. The objects themselves stay until they are removed.
    ///
    /// May be repeated. `by` says who and why.
    pub fn shred_tenant(&self, tenant: Uuid, by: &str) -> Result<()> {
        self.check_holds_master()?;
        self.check_writable()?;
        let key = place::shredded(tenant, self.master.number);
        let record = Shredded { by: by.chars().take(1000).collect() };
        let object = record.seal(&key, &self.master.keys, self.random.as_ref());
        // First the sign, so that nobody makes the tenant a new key over the old data.
        let _: Decided = self.backend.put_decided(&key, &[&object])?;
        self.forget_tenant(tenant);
        let held = self.held(tenant)?;
        for key_id in held.ids() {
            self.remove_key(tenant, key_id, &held, |_| true)?;
        }
        Ok(())
    }

    /// Removes the objects of a tenant whose keys were destroyed; returns their bytes. The sign
    /// that this was done stays.
    ///
    /// # Errors
    /// [`Error::Invalid`] if its keys were not destroyed.
    pub fn remove_shredded(&self, tenant: Uuid) -> Result<u64> {
        self.check_writable()?;
        if self.held(tenant)?.shredded.is_empty() {
            let what = format!("the keys of tenant {tenant} were not destroyed");
            return Err(Error::Invalid { what });
        }
        let mut removed = 0;
        for entry in self.backend.list_all(&format!("{}d/", place::tenant(tenant)))? {
            self.backend.delete(&entry.key)?;
            removed += entry.size_bytes;
        }
        Ok(removed)
    }

    /// Makes sure that a maintenance key opens what it should of every tenant; says of how many.
    pub fn prepare_maintenance(&self) -> Result<usize> {
        self.check_holds_master()?;
        self.check_writable()?;
        let tenants = self.key_tenants()?;
        for tenant in &tenants {
            let held = self.held(*tenant)?;
            for (key_id, by) in &held.wraps {
                if *by == self.master.number && !held.rings.contains(&(*key_id, *by)) {
                    let key = self.unwrap_key(*tenant, *key_id)?;
                    self.put_ring(*tenant, *key_id, &key, &self.master)?;
                }
            }
        }
        Ok(tenants.len())
    }

    /// Which keys there are.
    pub fn key_status(&self) -> Result<KeyStatus> {
        let mut tenants = Vec::new();
        for tenant in self.key_tenants()? {
            let held = self.held(tenant)?;
            let keys = held.ids().into_iter().collect();
            tenants.push(TenantKeyStatus { tenant, keys, is_shredded: !held.shredded.is_empty() });
        }
        let masters = descriptors(self.backend.as_ref())?;
        Ok(KeyStatus { master: self.master.number, masters, tenants })
    }

    /// Wraps every key of every tenant with `new`, from what this repository's key opens.
    fn wrap_all(&self, new: &Master) -> Result<()> {
        for tenant in self.key_tenants()? {
            let held = self.held(tenant)?;
            if !held.shredded.is_empty() {
                let key = place::shredded(tenant, new.number);
                let by = Shredded { by: "carried over to a new master key".to_owned() };
                let object = by.seal(&key, &new.keys, self.random.as_ref());
                let _: Decided = self.backend.put_decided(&key, &[&object])?;
                continue;
            }
            for (key_id, by) in &held.wraps {
                if *by != self.master.number {
                    continue;
                }
                let kept = self.unwrap_key(tenant, *key_id)?;
                let key = place::tenant_key_by(tenant, *key_id, new.number);
                self.put_wrapped(&kept, &key, new)?;
                self.put_ring(tenant, *key_id, &kept, new)?;
            }
        }
        Ok(())
    }

    /// Puts a tenant's key, wrapped by `master`, and looks whether it opens again (P31).
    fn put_wrapped(&self, tenant_key: &TenantKey, key: &Key, master: &Master) -> Result<()> {
        let object = tenant_key.seal(key, &master.keys, self.random.as_ref());
        // Another one may be there: of a racing process, or of the run that was interrupted.
        let _: Decided = self.backend.put_decided(key, &[&object])?;
        let there = self.must_get(key)?;
        TenantKey::open(&there, key, &master.keys).map(drop)
    }

    fn put_ring(&self, tenant: Uuid, key_id: u32, of: &TenantKey, master: &Master) -> Result<()> {
        let key = place::maintenance_ring(tenant, key_id, master.number);
        let object = of.seal_maintenance_ring(&key, &master.keys, self.random.as_ref());
        let _: Decided = self.backend.put_decided(&key, &[&object])?;
        Ok(())
    }

    fn unwrap_key(&self, tenant: Uuid, key_id: u32) -> Result<TenantKey> {
        let key = place::tenant_key_by(tenant, key_id, self.master.number);
        TenantKey::open(&self.must_get(&key)?, &key, &self.master.keys)
    }

    /// Removes wraps and rings of one key, of the master keys that `goes` names.
    fn remove_key(
        &self,
        tenant: Uuid,
        key_id: u32,
        held: &Held,
        goes: impl Fn(u32) -> bool,
    ) -> Result<()> {
        for (_, by) in held.wraps.iter().filter(|(id, by)| *id == key_id && goes(*by)) {
            self.backend.delete(&place::tenant_key_by(tenant, key_id, *by))?;
        }
        for (_, by) in held.rings.iter().filter(|(id, by)| *id == key_id && goes(*by)) {
            self.backend.delete(&place::maintenance_ring(tenant, key_id, *by))?;
        }
        Ok(())
    }

    /// The names of a tenant's keys.
    fn held(&self, tenant: Uuid) -> Result<Held> {
        let mut held = Held::default();
        for entry in self.backend.list_all(&place::tenant_keys(tenant))? {
            match Place::parse(&entry.key) {
                Some(Place::TenantKey(_, key_id)) => drop(held.wraps.insert((key_id, 0))),
                Some(Place::TenantKeyBy(_, key_id, by)) => drop(held.wraps.insert((key_id, by))),
                Some(Place::MaintenanceRing(_, key_id, by)) => {
                    held.rings.insert((key_id, by));
                }
                Some(Place::Shredded(_, by)) => drop(held.shredded.insert(by)),
                _ => {}
            }
        }
        Ok(held)
    }

    /// All tenants that have keys, or had.
    fn key_tenants(&self) -> Result<Vec<Uuid>> {
        let mut tenants = Vec::new();
        let mut after: Option<Key> = None;
        loop {
            let page = self.backend.list("t/", after.as_ref())?;
            let Some(entry) = page.entries.first() else { return Ok(tenants) };
            let tenant =
                entry.key.as_str().split('/').nth(1).and_then(|id| Uuid::try_parse(id).ok());
            // Whatever lies below this name is passed over in one step.
            let name = entry.key.as_str().split('/').nth(1).unwrap_or_default();
            after = Some(Key::new(format!("t/{name}/zz"))?);
            tenants.extend(tenant);
        }
    }

    fn must_get(&self, key: &Key) -> Result<Vec<u8>> {
        self.backend.get(key)?.ok_or_else(|| Error::Missing { object: key.to_string() })
    }

    pub(crate) fn check_holds_master(&self) -> Result<()> {
        if self.master.keys.opens_tenants() {
            return Ok(());
        }
        Err(Error::NoKey { object: place::descriptor_of(self.master.number).to_string() })
    }

    /// Only the newest master key makes new keys. One that comes or goes while this is asked finds
    /// the new key, see above.
    fn check_is_newest(&self) -> Result<()> {
        let masters = descriptors(self.backend.as_ref())?;
        match masters.last() {
            Some(newest) if *newest == self.master.number => Ok(()),
            _ if planted::has(Bug::TwoMakersOfKeys) && masters.contains(&self.master.number) => {
                Ok(())
            }
            newest => {
                let newest = newest.copied().unwrap_or(self.master.number);
                Err(Error::WrongKey { object: place::descriptor_of(newest).to_string() })
            }
        }
    }
}
