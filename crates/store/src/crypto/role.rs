//! What a key is for, and how keys derive from keys.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// A key as bytes; wiped when dropped.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// With what a section is protected. The tags are stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Role {
    /// Not by the envelope: the slots of a pack, each sealed on its own.
    Plain = 0,
    /// Readable by anybody, followed by a code only the key's owner can make.
    Mac = 1,
    /// Sealed; holds keys (a tenant's key, a pack's key).
    Wrap = 2,
    /// Sealed; who needs to understand the contents.
    Metadata = 3,
    /// Sealed; who only moves and removes slots.
    Maintenance = 4,
}

impl Role {
    /// The name that goes into the derivation.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Plain => b"plain",
            Self::Mac => b"mac",
            Self::Wrap => b"wrap",
            Self::Metadata => b"metadata",
            Self::Maintenance => b"maintenance",
        }
    }
}

/// Keys by number and role: the master's, or those a tenant ever had.
///
/// Objects carry the number of the key they were sealed with, so that a rotation rewrites nothing:
/// what is new is sealed with the newest key, what is old opens with the one of its time.
pub trait KeyRing {
    /// The number of the key that new objects are sealed with: 0 is the master key, others number
    /// a tenant's keys.
    fn sealing_id(&self) -> u32;
    /// Whether there is a key of this number at all.
    fn knows(&self, key_id: u32) -> bool;
    /// The key of `role` under the key numbered `key_id`; `None` for [`Role::Plain`], for a number
    /// that is not known, and for what the holder of a maintenance key must not have.
    fn role_key(&self, key_id: u32, role: Role) -> Option<&[u8; 32]>;
}

/// A ring that seals with one of its older keys.
pub(crate) struct SealingAs<'a> {
    /// The ring.
    pub(crate) keys: &'a dyn KeyRing,
    /// The number of the key.
    pub(crate) id: u32,
}

impl KeyRing for SealingAs<'_> {
    fn sealing_id(&self) -> u32 {
        self.id
    }

    fn knows(&self, key_id: u32) -> bool {
        self.keys.knows(key_id)
    }

    fn role_key(&self, key_id: u32, role: Role) -> Option<&[u8; 32]> {
        self.keys.role_key(key_id, role)
    }
}

/// The role keys under one parent key: all four, or those that maintenance needs.
pub(super) struct RoleKeys {
    mac: Option<Secret>,
    wrap: Option<Secret>,
    metadata: Option<Secret>,
    maintenance: Option<Secret>,
}

impl RoleKeys {
    pub(super) fn derive(parent: &[u8; 32], purpose: &'static [u8]) -> Self {
        let key = |role: Role| derive(parent, b"cbr/v1/role", &[purpose, b"/", role.label()]);
        Self {
            mac: Some(key(Role::Mac)),
            wrap: Some(key(Role::Wrap)),
            metadata: Some(key(Role::Metadata)),
            maintenance: Some(key(Role::Maintenance)),
        }
    }

    /// Of a tenant, without what opens or seals data.
    pub(super) fn of_tenant_for_maintenance(metadata: Secret, maintenance: Secret) -> Self {
        Self { mac: None, wrap: None, metadata: Some(metadata), maintenance: Some(maintenance) }
    }

    /// Of the master key, without what opens tenants' keys.
    pub(super) fn of_master_for_maintenance(mac: Secret, maintenance: Secret) -> Self {
        Self { mac: Some(mac), wrap: None, metadata: None, maintenance: Some(maintenance) }
    }

    pub(super) fn get(&self, role: Role) -> Option<&[u8; 32]> {
        let key = match role {
            Role::Plain => None,
            Role::Mac => self.mac.as_ref(),
            Role::Wrap => self.wrap.as_ref(),
            Role::Metadata => self.metadata.as_ref(),
            Role::Maintenance => self.maintenance.as_ref(),
        };
        key.map(|key| &**key)
    }
}

struct Len32;

impl KeyType for Len32 {
    fn len(&self) -> usize {
        32
    }
}

/// HKDF-SHA256: `salt` names the step, the joined `info` the key.
pub(super) fn derive(parent: &[u8; 32], salt: &[u8], info: &[&[u8]]) -> Secret {
    let mut key = Zeroizing::new([0; 32]);
    let prk = Salt::new(HKDF_SHA256, salt).extract(parent);
    let okm = prk.expand(info, Len32).expect("32 bytes are less than HKDF's limit");
    okm.fill(key.as_mut()).expect("the lengths are equal");
    key
}

/// HMAC-SHA256 over the parts, joined.
pub(crate) fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut code = [0; 32];
    code.copy_from_slice(context.sign().as_ref());
    code
}
