//! A tenant's key and what derives from it.
//!
//! The key itself is random and lies in the store, sealed by the master key.
//! Losing that object makes the tenant's data unreadable, on purpose or not.

use std::fmt;

use cbr_env::{Random, RandomExt};
use uuid::Uuid;

use super::block_id::BlockHasher;
use super::role::{KeyRing, Role, RoleKeys, Secret, derive};
use crate::format::id::DomainId;

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
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKey(..)")
    }
}

/// What a tenant's data is sealed and identified with.
pub struct TenantKeys {
    tenant: Uuid,
    key_id: u32,
    roles: RoleKeys,
    dedup: Secret,
}

impl TenantKeys {
    /// The keys under the tenant's key number `key_id` (from 1 on).
    pub fn derive(tenant: Uuid, key_id: u32, key: &TenantKey) -> Self {
        let roles = RoleKeys::derive(key.as_bytes(), b"tenant");
        let dedup = derive(key.as_bytes(), b"cbr/v1/dedup", &[tenant.as_bytes()]);
        Self { tenant, key_id, roles, dedup }
    }

    /// Whose keys these are.
    pub const fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// What computes the block ids of `domain`.
    pub fn block_hasher(&self, domain: &DomainId) -> BlockHasher {
        let scope = [domain.scope.tag()];
        let epoch = domain.epoch.to_le_bytes();
        let info: [&[u8]; 4] = [domain.tenant.as_bytes(), &scope, domain.sharer.as_bytes(), &epoch];
        BlockHasher::new(derive(&self.dedup, b"cbr/v1/block", &info))
    }
}

impl KeyRing for TenantKeys {
    fn key_id(&self) -> u32 {
        self.key_id
    }

    fn role_key(&self, role: Role) -> Option<&[u8; 32]> {
        self.roles.get(role)
    }
}

impl fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantKeys").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}
