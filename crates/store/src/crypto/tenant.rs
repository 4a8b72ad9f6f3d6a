//! A tenant's keys and what derives from them.
//!
//! The keys themselves are random and lie in the store, sealed by the master key.
//! Losing these objects makes the tenant's data unreadable, on purpose or not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use cbr_env::{Random, RandomExt};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::block_id::BlockHasher;
use super::maintenance::MaintenanceRing;
use super::master::MasterKeys;
use super::role::{KeyRing, Role, RoleKeys, Secret, derive};
use crate::backend::Key;
use crate::error::{Error, Result};
use crate::format::id::DomainId;
use crate::format::place;
use crate::format::record::Record;

/// Thirty-two random bytes, as stored (sealed) in the tenant's key object.
#[derive(Clone)]
pub struct TenantKey(Secret);

impl TenantKey {
    /// A new random key.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random.bytes().into())
    }

    pub(crate) fn from_bytes(bytes: Secret) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The object with the part of it that is enough for maintenance, sealed by the master key.
    pub fn seal_maintenance_ring(
        &self,
        key: &Key,
        master: &MasterKeys,
        random: &dyn Random,
    ) -> Vec<u8> {
        self.maintenance_ring().seal(key, master, random)
    }

    /// The part of what derives from it that is enough for maintenance.
    fn maintenance_ring(&self) -> MaintenanceRing {
        let roles = RoleKeys::derive(self.as_bytes(), b"tenant");
        let key = |role| {
            let key = roles.get(role).expect("a whole key has all roles");
            Secret::new(*key)
        };
        MaintenanceRing { metadata: key(Role::Metadata), maintenance: key(Role::Maintenance) }
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKey(..)")
    }
}

/// What a tenant's data is sealed and identified with: the keys of all its rotations.
pub struct TenantKeys {
    tenant: Uuid,
    newest: u32,
    roles: BTreeMap<u32, RoleKeys>,
    /// What block ids are made with. Of the first key for ever: another one would make every block
    /// look changed.
    dedup: Option<Secret>,
    /// Somebody met an object of a key that is not in the ring: it was rotated meanwhile.
    is_stale: AtomicBool,
}

impl TenantKeys {
    /// The keys under the tenant's one key number `key_id` (from 1 on).
    pub fn derive(tenant: Uuid, key_id: u32, key: &TenantKey) -> Self {
        Self::of_rotations(tenant, &BTreeMap::from([(key_id, key.clone())]))
    }

    /// The keys under all keys the tenant ever had, by number; not none.
    pub fn of_rotations(tenant: Uuid, keys: &BTreeMap<u32, TenantKey>) -> Self {
        let role_keys = |key: &TenantKey| RoleKeys::derive(key.as_bytes(), b"tenant");
        let dedup = |key: &TenantKey| derive(key.as_bytes(), b"cbr/v1/dedup", &[tenant.as_bytes()]);
        Self {
            tenant,
            newest: keys.keys().last().copied().unwrap_or_default(),
            roles: keys.iter().map(|(key_id, key)| (*key_id, role_keys(key))).collect(),
            dedup: keys.values().next().map(dedup),
            is_stale: AtomicBool::new(false),
        }
    }

    /// What a maintenance key opens, by key number; not none.
    pub(crate) fn for_maintenance(
        tenant: Uuid,
        rings: impl IntoIterator<Item = (u32, MaintenanceRing)>,
    ) -> Self {
        let roles: BTreeMap<u32, RoleKeys> = rings
            .into_iter()
            .map(|(key_id, ring)| {
                (key_id, RoleKeys::of_tenant_for_maintenance(ring.metadata, ring.maintenance))
            })
            .collect();
        let newest = roles.keys().last().copied().unwrap_or_default();
        Self { tenant, newest, roles, dedup: None, is_stale: AtomicBool::new(false) }
    }

    /// Whose keys these are.
    pub const fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// The numbers of all keys.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.roles.keys().copied()
    }

    /// Whether an object of a newer key was met: the ring should be read again.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Relaxed)
    }

    /// Whether blocks and maps can be read and written, or only what maintenance needs.
    pub(crate) const fn opens_data(&self) -> bool {
        self.dedup.is_some()
    }

    /// What seals local files that may be lost (`cache/`): of the tenant's newest key, so that no file outlives it.
    /// `None` with a maintenance key, which opens no map.
    pub(crate) fn cache_key(&self) -> Option<Zeroizing<[u8; 32]>> {
        let wrap = self.role_key(self.newest, Role::Wrap)?;
        Some(derive(wrap, b"cbr/v1/local-cache", &[self.tenant.as_bytes()]))
    }

    /// What computes the block ids of `domain`.
    ///
    /// # Errors
    /// [`Error::NoKey`] with a maintenance key.
    pub fn block_hasher(&self, domain: &DomainId) -> Result<BlockHasher> {
        let no_key = || Error::NoKey { object: place::domain(domain) };
        let dedup = self.dedup.as_ref().ok_or_else(no_key)?;
        let scope = [domain.scope.tag()];
        let epoch = domain.epoch.to_le_bytes();
        let info: [&[u8]; 4] = [domain.tenant.as_bytes(), &scope, domain.sharer.as_bytes(), &epoch];
        Ok(BlockHasher::new(derive(dedup, b"cbr/v1/block", &info)))
    }
}

impl KeyRing for TenantKeys {
    fn sealing_id(&self) -> u32 {
        self.newest
    }

    fn knows(&self, key_id: u32) -> bool {
        let is_known = self.roles.contains_key(&key_id);
        if !is_known {
            self.is_stale.store(true, Ordering::Relaxed);
        }
        is_known
    }

    fn role_key(&self, key_id: u32, role: Role) -> Option<&[u8; 32]> {
        self.roles.get(&key_id)?.get(role)
    }
}

impl fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantKeys").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}
