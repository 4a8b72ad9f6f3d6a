//! Which keys there are, and who can open them.

use std::collections::{BTreeMap, BTreeSet};

use cbr_store::backend::Key;
use cbr_store::crypto::{MasterKey, TenantKey, TenantKeys};
use cbr_store::format::id::{DomainId, Scope};
use cbr_store::format::place::Place;
use cbr_store::format::record::{Domain, Record};
use uuid::Uuid;

use super::Objects;
use crate::model::Master;

/// The keys of all tenants, as the objects say.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// By number, what was found in wraps: one that was given up may be beside the one that counts.
    found: BTreeMap<Uuid, BTreeMap<u32, BTreeMap<Print, TenantKey>>>,
    /// Which of them counts.
    counts: BTreeMap<(Uuid, u32), Print>,
    /// What each wrap has.
    wraps: BTreeMap<(Uuid, u32, u32), Print>,
    rings: BTreeMap<Uuid, TenantKeys>,
    /// Tenants of which something was sealed with the ring.
    used: BTreeSet<Uuid>,
    shredded: BTreeSet<Uuid>,
}

/// Two keys are the same if they give a block the same id.
type Print = [u8; 32];

impl Keys {
    /// What opens the tenant's objects.
    pub(crate) fn ring(&self, tenant: Uuid) -> Option<&TenantKeys> {
        self.rings.get(&tenant)
    }

    /// A sign was put that the tenant's keys are destroyed.
    pub(super) fn saw_shredded(&mut self, tenant: Uuid) {
        self.shredded.insert(tenant);
    }

    /// A wrapped key was put: what is wrong with it.
    pub(super) fn saw_wrap(
        &mut self,
        object: &[u8],
        (key, tenant, id, by): (&Key, Uuid, u32, u32),
        masters: &[Master],
    ) -> Option<String> {
        let opened = masters.iter().rev().find_map(|master| {
            let master = MasterKey::from_bytes(master.bytes).keys();
            TenantKey::open(object, key, &master).ok()
        });
        let Some(secret) = opened else { return Some(format!("{key} opens with no master key")) };
        let print = fingerprint(tenant, id, &secret)?;
        self.wraps.insert((tenant, id, by), print);
        let found = self.found.entry(tenant).or_default().entry(id).or_default();
        let is_other = !found.is_empty() && !found.contains_key(&print);
        found.insert(print, secret);
        // Until something is sealed the latest counts.
        let is_used = self.used.contains(&tenant);
        if !is_used || !is_other && !self.counts.contains_key(&(tenant, id)) {
            self.ring_of(tenant, (id, print));
        }
        None
    }

    /// The ring beside a wrap was put, which says that the wrapped key counts.
    pub(super) fn saw_ring(&mut self, (tenant, id, by): (Uuid, u32, u32)) {
        if let Some(print) = self.wraps.get(&(tenant, id, by)).copied() {
            self.ring_of(tenant, (id, print));
        }
    }

    /// The ring with this key under this number.
    fn ring_of(&mut self, tenant: Uuid, (id, print): (u32, Print)) {
        self.counts.insert((tenant, id), print);
        let Some(found) = self.found.get(&tenant) else { return };
        let mut keys = BTreeMap::new();
        for (other, candidates) in found {
            let counts = self.counts.get(&(tenant, *other));
            let wanted = counts.and_then(|print| candidates.get(print));
            keys.extend(wanted.or_else(|| candidates.values().next()).map(|k| (*other, k.clone())));
        }
        self.rings.insert(tenant, TenantKeys::of_rotations(tenant, &keys));
    }

    /// The first thing of a domain was put, sealed with whichever of the keys counts.
    pub(super) fn saw_domain(&mut self, object: &[u8], key: &Key, tenant: Uuid) -> Option<String> {
        let prints: Vec<Print> = {
            let first = self.found.get(&tenant).and_then(|found| found.get(&1));
            first.into_iter().flat_map(|found| found.keys().copied()).collect()
        };
        let opens = |keys: &Self| {
            keys.ring(tenant).is_some_and(|ring| Domain::open(object, key, ring).is_ok())
        };
        if !opens(self) && !self.used.contains(&tenant) {
            for print in prints {
                self.ring_of(tenant, (1, print));
                if opens(self) {
                    break;
                }
            }
        }
        self.used.insert(tenant);
        (!opens(self)).then(|| format!("{key} is sealed with another key of the same number"))
    }

    /// What is wrong with removing this wrap: nobody could open the key any more.
    pub(super) fn sees_unwrapping(
        &self,
        objects: &Objects,
        (tenant, id, by): (Uuid, u32, u32),
    ) -> Option<String> {
        // What was given up before anything was sealed is of no use.
        if self.shredded.contains(&tenant) || !self.used.contains(&tenant) {
            return None;
        }
        let (masters, print) = (masters(objects), self.wraps.get(&(tenant, id, by)));
        let counts = fingerprint_of(self.rings.get(&tenant)?);
        if id == 1 && print != counts.as_ref() {
            return None;
        }
        let held = wraps(objects, tenant);
        let is_other = |other: u32| {
            let same = self.wraps.get(&(tenant, id, other)) == print;
            other != by && same && held.contains(&(id, other))
        };
        if masters.iter().any(|master| is_other(*master)) {
            return None;
        }
        Some(format!("the wrap of key {id} of tenant {tenant} by master key {by} is the last one"))
    }

    /// What is wrong with ending this master key: no other one opens everything it opens.
    pub(super) fn sees_end(&self, objects: &Objects, number: u32) -> Option<String> {
        let others: BTreeSet<u32> =
            masters(objects).into_iter().filter(|other| *other != number).collect();
        let tenants = self.used.iter().filter(|tenant| !self.shredded.contains(tenant));
        let held: Vec<_> = tenants.map(|tenant| wraps(objects, *tenant)).collect();
        let opens = |other: &u32| {
            held.iter().all(|wraps| {
                wraps.iter().all(|(id, by)| *by != number || wraps.contains(&(*id, *other)))
            })
        };
        if others.iter().any(opens) {
            return None;
        }
        Some(format!("master key {number} ends, and no other one opens everything"))
    }
}

fn masters(objects: &Objects) -> BTreeSet<u32> {
    let number = |key: &Key| match Place::parse(key)? {
        Place::Descriptor => Some(0),
        Place::DescriptorOf(number) => Some(number),
        _ => None,
    };
    objects.keys().filter_map(number).collect()
}

fn wraps(objects: &Objects, of: Uuid) -> BTreeSet<(u32, u32)> {
    let wrap = |key: &Key| match Place::parse(key)? {
        Place::TenantKey(tenant, id) if tenant == of => Some((id, 0)),
        Place::TenantKeyBy(tenant, id, by) if tenant == of => Some((id, by)),
        _ => None,
    };
    objects.keys().filter_map(wrap).collect()
}

fn fingerprint(tenant: Uuid, id: u32, key: &TenantKey) -> Option<Print> {
    fingerprint_of(&TenantKeys::derive(tenant, id, key))
}

fn fingerprint_of(ring: &TenantKeys) -> Option<Print> {
    let tenant = ring.tenant();
    let domain = DomainId { tenant, scope: Scope::Tenant, sharer: tenant, epoch: 0 };
    Some(ring.block_hasher(&domain).ok()?.id(b"fingerprint").0)
}
