//! Where each object lies: the keys of format v1, both ways.

use std::fmt;

use uuid::Uuid;

use super::id::{ChainRef, DomainId, PackId, PackKind, PackRef, Scope};
use crate::backend::Key;

/// A UUID as names have it: 8-4-4-4-12 small hexadecimal digits.
///
/// Each name that is read is made again to be compared, so this is among the hottest code of a check.
struct Name(Uuid);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (n, byte) in self.0.as_bytes().iter().enumerate() {
            at += usize::from(matches!(n, 4 | 6 | 8 | 10));
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 15)];
            at += 2;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// The store's descriptor.
pub fn descriptor() -> Key {
    Key::from_parts("store.v1".to_owned())
}

/// The tenant's wrapped key number `key_id`.
pub fn tenant_key(tenant: Uuid, key_id: u32) -> Key {
    let tenant = Name(tenant);
    Key::from_parts(format!("t/{tenant}/k/{key_id:08x}"))
}

/// The descriptor that master key number `master` made; number 0 is [`descriptor`].
pub fn descriptor_of(master: u32) -> Key {
    match master {
        0 => descriptor(),
        master => Key::from_parts(format!("store.v1.{master:08x}")),
    }
}

/// The prefix of all descriptors.
pub const DESCRIPTORS: &str = "store.v1";

/// The prefix of a tenant's keys.
pub fn tenant_keys(tenant: Uuid) -> String {
    let tenant = Name(tenant);
    format!("t/{tenant}/k/")
}

/// The tenant's key number `key_id`, wrapped by master key number `master`.
pub fn tenant_key_by(tenant: Uuid, key_id: u32, master: u32) -> Key {
    match master {
        0 => tenant_key(tenant, key_id),
        master => {
            let tenant = Name(tenant);
            Key::from_parts(format!("t/{tenant}/k/{key_id:08x}.{master:08x}"))
        }
    }
}

/// What maintenance needs of the tenant's key number `key_id`, for master key number `master`.
pub fn maintenance_ring(tenant: Uuid, key_id: u32, master: u32) -> Key {
    let tenant = Name(tenant);
    Key::from_parts(format!("t/{tenant}/k/{key_id:08x}.{master:08x}.maintenance"))
}

/// That the tenant's keys were destroyed, by the owner of master key number `master`.
pub fn shredded(tenant: Uuid, master: u32) -> Key {
    let tenant = Name(tenant);
    Key::from_parts(format!("t/{tenant}/k/shredded.{master:08x}"))
}

/// The prefix of everything of `tenant`.
pub fn tenant(tenant: Uuid) -> String {
    let tenant = Name(tenant);
    format!("t/{tenant}/")
}

/// The prefix of everything in `domain`.
pub fn domain(domain: &DomainId) -> String {
    let DomainId { tenant, scope, sharer, epoch } = domain;
    let (tenant, sharer) = (Name(*tenant), Name(*sharer));
    format!("t/{tenant}/d/{}{sharer}.{epoch:08x}/", scope.letter())
}

/// The domain's record.
pub fn domain_record(id: &DomainId) -> Key {
    Key::from_parts(format!("{}domain.v1", domain(id)))
}

/// The prefix of all packs of a kind.
pub fn packs(id: &DomainId, kind: PackKind) -> String {
    format!("{}{}/", domain(id), kind.directory())
}

/// The prefix of all generations of a pack.
pub fn pack_generations(pack: &PackRef) -> String {
    format!("{}{}/{}.", packs(&pack.domain, pack.kind), pack.id.spread(), pack.id)
}

/// One generation of a pack.
pub fn pack(pack: &PackRef, generation: u32) -> Key {
    Key::from_parts(format!("{}{generation:08x}", pack_generations(pack)))
}

/// The prefix of all patches of packs of a kind.
pub fn all_patches(id: &DomainId, kind: PackKind) -> String {
    format!("{}h{}/", domain(id), kind.directory())
}

/// The prefix of the patches of a pack.
pub fn patches(pack: &PackRef) -> String {
    format!("{}{}/{}.", all_patches(&pack.domain, pack.kind), pack.id.spread(), pack.id)
}

/// One patch of a pack.
pub fn patch(pack: &PackRef, number: u32) -> Key {
    Key::from_parts(format!("{}{number:08x}", patches(pack)))
}

/// The prefix of all chains of a domain.
pub fn chains(id: &DomainId) -> String {
    format!("{}c/", domain(id))
}

/// The prefix of a chain's log.
pub fn chain(chain: &ChainRef) -> String {
    format!("{}{}/", chains(&chain.domain()), Name(chain.chain))
}

/// The claim of a sequence number.
pub fn claim(id: &ChainRef, seq: u64) -> Key {
    Key::from_parts(format!("{}{seq:016x}.claim", chain(id)))
}

/// The outcome of a sequence number.
pub fn outcome(id: &ChainRef, seq: u64) -> Key {
    Key::from_parts(format!("{}{seq:016x}.outcome", chain(id)))
}

/// The prefix of the chain's delete records.
pub fn deletes(id: &ChainRef) -> String {
    format!("{}d/", chain(id))
}

/// The chain's delete record number `n`.
pub fn delete(id: &ChainRef, n: u64) -> Key {
    Key::from_parts(format!("{}{n:016x}", deletes(id)))
}

/// The prefix of the chain's folds.
pub fn folds(id: &ChainRef) -> String {
    format!("{}ckpt.", chain(id))
}

/// The chain's fold of the sessions up to `seq` and the delete records up to `n`.
pub fn fold(id: &ChainRef, (seq, n): (u64, u64)) -> Key {
    Key::from_parts(format!("{}{seq:016x}.{n:016x}", folds(id)))
}

/// The prefix of the domain's retire records.
pub fn retires(id: &DomainId) -> String {
    format!("{}g/", domain(id))
}

/// The domain's retire record number `n`.
pub fn retire(id: &DomainId, n: u64) -> Key {
    Key::from_parts(format!("{}{n:016x}", retires(id)))
}

/// The prefix of the folds of the domain's retire log.
pub fn retire_folds(id: &DomainId) -> String {
    format!("{}ckpt.", retires(id))
}

/// The fold of the domain's retire records up to number `n`.
pub fn retire_fold(id: &DomainId, n: u64) -> Key {
    Key::from_parts(format!("{}{n:016x}", retire_folds(id)))
}

/// The prefix of a tenant's notes.
pub fn notes(tenant: Uuid) -> String {
    let tenant = Name(tenant);
    format!("t/{tenant}/n/")
}

/// The prefix of a tenant's notes about `subject`.
pub fn notes_about(tenant: Uuid, subject: Uuid) -> String {
    let subject = Name(subject);
    format!("{}{subject}/", notes(tenant))
}

/// The tenant's note number `n` about `subject`.
pub fn note(tenant: Uuid, subject: Uuid, n: u64) -> Key {
    Key::from_parts(format!("{}{n:016x}", notes_about(tenant, subject)))
}

/// What a key of format v1 names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The store's descriptor.
    Descriptor,
    /// A descriptor by a later master key, of this number.
    DescriptorOf(u32),
    /// A tenant's wrapped key.
    TenantKey(Uuid, u32),
    /// A tenant's key wrapped by a later master key: key number, master's number.
    TenantKeyBy(Uuid, u32, u32),
    /// A tenant's maintenance ring: key number, master's number.
    MaintenanceRing(Uuid, u32, u32),
    /// A tenant's keys were destroyed: master's number.
    Shredded(Uuid, u32),
    /// A domain's record.
    Domain(DomainId),
    /// A generation of a pack.
    Pack(PackRef, u32),
    /// A patch of a pack.
    Patch(PackRef, u32),
    /// A claim.
    Claim(ChainRef, u64),
    /// An outcome.
    Outcome(ChainRef, u64),
    /// A delete record.
    Delete(ChainRef, u64),
    /// A fold of so many sessions and delete records.
    Fold(ChainRef, (u64, u64)),
    /// A retire record.
    Retire(DomainId, u64),
    /// A fold of so many retire records.
    RetireFold(DomainId, u64),
    /// A tenant's note: its subject and its number.
    Note(Uuid, Uuid, u64),
}

impl Place {
    /// What `key` names, or `None` if it is no key of format v1.
    pub fn parse(key: &Key) -> Option<Self> {
        let parts: Vec<&str> = key.as_str().split('/').collect();
        let place = match parts.as_slice() {
            ["store.v1"] => Self::Descriptor,
            [name] => Self::DescriptorOf(number(name.strip_prefix("store.v1.")?)?),
            ["t", tenant, "k", name] => parse_key(uuid(tenant)?, name)?,
            ["t", tenant, "n", subject, n] => {
                Self::Note(uuid(tenant)?, uuid(subject)?, long_number(n)?)
            }
            ["t", tenant, "d", domain, rest @ ..] => {
                in_domain(&parse_domain(uuid(tenant)?, domain)?, rest)?
            }
            _ => return None,
        };
        // Exactly one key per place: whatever the parsers above let through, this does not.
        (place.key() == *key).then_some(place)
    }

    /// The key of this place.
    pub fn key(&self) -> Key {
        match self {
            Self::Descriptor => descriptor(),
            Self::DescriptorOf(master) => descriptor_of(*master),
            Self::TenantKey(tenant, id) => tenant_key(*tenant, *id),
            Self::TenantKeyBy(tenant, id, master) => tenant_key_by(*tenant, *id, *master),
            Self::MaintenanceRing(tenant, id, master) => maintenance_ring(*tenant, *id, *master),
            Self::Shredded(tenant, master) => shredded(*tenant, *master),
            Self::Domain(id) => domain_record(id),
            Self::Pack(id, generation) => pack(id, *generation),
            Self::Patch(id, number) => patch(id, *number),
            Self::Claim(chain, seq) => claim(chain, *seq),
            Self::Outcome(chain, seq) => outcome(chain, *seq),
            Self::Delete(chain, n) => delete(chain, *n),
            Self::Fold(chain, ends) => fold(chain, *ends),
            Self::Retire(domain, n) => retire(domain, *n),
            Self::RetireFold(domain, n) => retire_fold(domain, *n),
            Self::Note(tenant, subject, n) => note(*tenant, *subject, *n),
        }
    }
}

fn parse_key(tenant: Uuid, name: &str) -> Option<Place> {
    let parts: Vec<&str> = name.split('.').collect();
    Some(match parts.as_slice() {
        ["shredded", master] => Place::Shredded(tenant, number(master)?),
        [id] => Place::TenantKey(tenant, number(id)?),
        [id, master] => Place::TenantKeyBy(tenant, number(id)?, number(master)?),
        [id, master, "maintenance"] => Place::MaintenanceRing(tenant, number(id)?, number(master)?),
        _ => return None,
    })
}

fn in_domain(domain: &DomainId, rest: &[&str]) -> Option<Place> {
    let chain = |id: &str| uuid(id).map(|id| domain.chain(id));
    Some(match rest {
        ["domain.v1"] => Place::Domain(*domain),
        [directory @ ("p" | "m" | "hp" | "hm"), _, name] => {
            let kind = if directory.ends_with('p') { PackKind::Data } else { PackKind::Meta };
            let (id, n) = name.split_once('.')?;
            let pack = PackRef { domain: *domain, kind, id: PackId::from_hex(id)? };
            let n = number(n)?;
            if directory.len() == 1 { Place::Pack(pack, n) } else { Place::Patch(pack, n) }
        }
        ["g", name] => match name.strip_prefix("ckpt.") {
            Some(n) => Place::RetireFold(*domain, long_number(n)?),
            None => Place::Retire(*domain, long_number(name)?),
        },
        ["c", id, "d", n] => Place::Delete(chain(id)?, long_number(n)?),
        ["c", id, record] => match record.split_once('.')? {
            (seq, "claim") => Place::Claim(chain(id)?, long_number(seq)?),
            (seq, "outcome") => Place::Outcome(chain(id)?, long_number(seq)?),
            ("ckpt", ends) => {
                let (seq, n) = ends.split_once('.')?;
                Place::Fold(chain(id)?, (long_number(seq)?, long_number(n)?))
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn parse_domain(tenant: Uuid, text: &str) -> Option<DomainId> {
    let scope = [Scope::Volume, Scope::Tenant]
        .into_iter()
        .find(|scope| text.starts_with(scope.letter()))?;
    let (sharer, epoch) = text.get(1..)?.split_once('.')?;
    let (sharer, epoch) = (uuid(sharer)?, number(epoch)?);
    Some(DomainId { tenant, scope, sharer, epoch })
}

fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

fn number(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

fn long_number(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of before, whoever wrote them.
    #[test]
    fn a_name_is_written_as_uuids_are() {
        for seed in 0..256_u128 {
            let uuid =
                Uuid::from_u128(seed.wrapping_mul(0x0123_4567_89ab_cdef_fedc_ba98_7654_3211));
            assert_eq!(Name(uuid).to_string(), uuid.to_string());
        }
    }
}
