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
//!
//! What somebody gave up is still there, and the newer master key may have got another key of the
//! same number. So nobody uses a key for having found it: the maintenance ring beside a wrap, put
//! after that second look, says that the key counts. Who finds a wrap alone takes the look himself.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use uuid::Uuid;

use super::Repository;
use super::open::{Master, descriptors};
use crate::backend::{BackendError, BackendExt, Decided, Key, Op};
use crate::crypto::{MaintenanceRing, MasterKey, TenantKey, TenantKeys};
use crate::error::{Error, Result};
use crate::format::place::{self, Place};
use crate::format::record::{Descriptor, Record, Shredded};
use crate::planted::{self, Bug};

/// The number of a tenant's first key.
const FIRST_KEY: u32 = 1;
/// How often the keys of a tenant are listed that seems to have none.
const LISTINGS_MAX: usize = 3;

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
        let held = self.held_surely(tenant)?;
        if !held.shredded.is_empty() {
            return Err(Error::Shredded { tenant: tenant.to_string() });
        }
        let number = self.master.number;
        if !self.master.keys.opens_tenants() {
            let mut rings = Vec::new();
            for key_id in of(number, &held.rings) {
                let key = place::maintenance_ring(tenant, key_id, number);
                let object = self.must_get(&key)?;
                rings.push((key_id, MaintenanceRing::open(&object, &key, &self.master.keys)?));
            }
            let keys = TenantKeys::for_maintenance(tenant, rings);
            let is_empty = keys.ids().next().is_none();
            return Ok((!is_empty).then_some(keys));
        }
        let mut keys = BTreeMap::new();
        for key_id in self.settled(&held)? {
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

    /// The keys wrapped by this repository's master key that count, see above.
    ///
    /// # Errors
    /// [`Error::WrongKey`] if it does not for the first one: a newer master key tells which does.
    fn settled(&self, held: &Held) -> Result<Vec<u32>> {
        let number = self.master.number;
        let mut own = of(number, &held.wraps);
        let is_marked = |key_id: &u32| held.rings.contains(&(*key_id, number));
        if own.iter().all(is_marked) || self.is_newest()? {
            return Ok(own);
        }
        if own.contains(&FIRST_KEY) && !is_marked(&FIRST_KEY) {
            self.check_is_newest()?;
        }
        own.retain(is_marked);
        Ok(own)
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
        let kept = self.put_wrapped(&fresh, &key, &self.master)?;
        self.check_is_newest()?;
        self.put_ring(tenant, FIRST_KEY, &kept, &self.master)?;
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
        let next = self.next_key(tenant, keys.ids().last().unwrap_or(FIRST_KEY))?;
        let next = next.ok_or_else(no_data)?;
        let key = place::tenant_key_by(tenant, next, self.master.number);
        self.check_is_newest()?;
        let fresh = TenantKey::generate(self.random.as_ref());
        let kept = self.put_wrapped(&fresh, &key, &self.master)?;
        self.check_is_newest()?;
        self.put_ring(tenant, next, &kept, &self.master)?;
        self.forget_tenant(tenant);
        Ok(next)
    }

    /// The number after the last of a tenant's keys, whoever wraps them.
    ///
    /// # Errors
    /// [`Error::Missing`] if a change of the master key has still to hand one of them on.
    fn next_key(&self, tenant: Uuid, newest: u32) -> Result<Option<u32>> {
        let held = self.held(tenant)?;
        let masters = descriptors(self.backend.as_ref())?;
        let number = self.master.number;
        for (key_id, _) in held.wraps.iter().filter(|(_, by)| masters.contains(by)) {
            if !held.wraps.contains(&(*key_id, number)) {
                let object = place::tenant_key_by(tenant, *key_id, number).to_string();
                return Err(Error::Missing { object });
            }
        }
        Ok(held.ids().last().copied().unwrap_or(newest).max(newest).checked_add(1))
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
    /// [`Error::Missing`] if one of them opens data that neither `new` nor the key this repository was
    /// opened with does: the change has to be made from that one.
    pub fn retire_master(&self, new: &MasterKey) -> Result<()> {
        let number = self.rotate_master(new)?;
        let new = Master { keys: new.keys(), number };
        self.check_hands_on_all(number, &descriptors(self.backend.as_ref())?)?;
        // Twice: what the first listing does not show is no less a key.
        self.end_others(&new)?;
        self.end_others(&new)
    }

    fn end_others(&self, new: &Master) -> Result<()> {
        let number = new.number;
        for old in descriptors(self.backend.as_ref())? {
            if old != number {
                self.backend.delete(&place::descriptor_of(old))?;
            }
        }
        // Who made a tenant a key before it went is seen now; who comes later gives up.
        self.wrap_all(new)?;
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

    /// That no other master key of `masters` has what the one numbered `new` has not.
    fn check_hands_on_all(&self, new: u32, masters: &[u32]) -> Result<()> {
        let is_other = |by: &u32| *by != new && *by != self.master.number && masters.contains(by);
        for tenant in self.key_tenants()? {
            let held = self.held(tenant)?;
            let of_others = held.wraps.iter().filter(|(_, by)| is_other(by));
            for (key_id, _) in of_others {
                if !held.wraps.contains(&(*key_id, new)) && !self.has_no_domain(tenant)? {
                    let object = place::tenant_key_by(tenant, *key_id, new).to_string();
                    return Err(Error::Missing { object });
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
        self.forget_maps(tenant);
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
        self.forget_maps(tenant);
        let mut removed = 0;
        for prefix in [format!("{}d/", place::tenant(tenant)), place::notes(tenant)] {
            for entry in self.backend.list_all(&prefix)? {
                self.backend.delete(&entry.key)?;
                removed += entry.size_bytes;
            }
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
                    self.check_is_newest()?;
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
        // What was given up under this key may be another key under one in between.
        let masters = descriptors(self.backend.as_ref())?;
        let is_next = masters.iter().all(|by| *by == self.master.number || *by == new.number);
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
                let is_marked = held.rings.contains(&(*key_id, *by));
                if *by != self.master.number || !(is_next || is_marked) {
                    continue;
                }
                let kept = self.unwrap_key(tenant, *key_id)?;
                let key = place::tenant_key_by(tenant, *key_id, new.number);
                let there = self.put_wrapped(&kept, &key, new)?;
                self.put_ring(tenant, *key_id, &there, new)?;
                // What the new master key has is what counts, also for who still has the old one.
                let is_same = there.as_bytes() == kept.as_bytes();
                if is_same && !is_marked {
                    self.put_ring(tenant, *key_id, &kept, &self.master)?;
                }
            }
        }
        Ok(())
    }

    /// Puts a tenant's key, wrapped by `master`, and opens what is there then (P31).
    fn put_wrapped(&self, tenant_key: &TenantKey, key: &Key, master: &Master) -> Result<TenantKey> {
        let object = tenant_key.seal(key, &master.keys, self.random.as_ref());
        // Another one may be there: of a racing process, or of the run that was interrupted.
        let _: Decided = self.backend.put_decided(key, &[&object])?;
        let there = self.must_get(key)?;
        TenantKey::open(&there, key, &master.keys)
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

    /// As [`Repository::held`]; where nothing is listed, the first key is looked for by its name. A tenant
    /// without keys would be one without data, so an empty listing is not believed (P10).
    fn held_surely(&self, tenant: Uuid) -> Result<Held> {
        let first = place::tenant_key_by(tenant, FIRST_KEY, self.master.number);
        for _ in 0..LISTINGS_MAX {
            let held = self.held(tenant)?;
            let is_empty = held.wraps.is_empty() && held.shredded.is_empty();
            if !is_empty || self.backend.size(&first)?.is_none() {
                return Ok(held);
            }
        }
        let source = io::Error::other("a listing lacks it, and it is there");
        Err(BackendError::Unavailable { op: Op::List, key: first.to_string(), source }.into())
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
    pub(super) fn key_tenants(&self) -> Result<Vec<Uuid>> {
        let mut tenants = Vec::new();
        let mut after: Option<Key> = None;
        loop {
            let page = self.backend.list("t/", after.as_ref())?;
            let Some(entry) = page.entries.first() else { return Ok(tenants) };
            let tenant =
                entry.key.as_str().split('/').nth(1).and_then(|id| Uuid::try_parse(id).ok());
            // Whatever of ours lies below this name is passed over in one step; a name behind that by itself.
            let name = entry.key.as_str().split('/').nth(1).unwrap_or_default();
            let ours = Key::new(format!("t/{name}/zz"))?;
            after = Some(if entry.key.as_str() < ours.as_str() { ours } else { entry.key.clone() });
            if tenants.last() != tenant.as_ref() {
                tenants.extend(tenant);
            }
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
        if self.is_newest()? {
            return Ok(());
        }
        let newest = descriptors(self.backend.as_ref())?.last().copied();
        let newest = newest.unwrap_or(self.master.number);
        Err(Error::WrongKey { object: place::descriptor_of(newest).to_string() })
    }

    fn is_newest(&self) -> Result<bool> {
        let masters = descriptors(self.backend.as_ref())?;
        let number = self.master.number;
        let is_fooled = planted::has(Bug::TwoMakersOfKeys) && masters.contains(&number);
        Ok(masters.last() == Some(&number) || is_fooled)
    }
}

/// The numbers of the keys among `names` that the master key of this number wraps.
fn of(number: u32, names: &BTreeSet<(u32, u32)>) -> Vec<u32> {
    names.iter().filter(|(_, by)| *by == number).map(|(key_id, _)| *key_id).collect()
}
