//! Typed ids: the id of a vault does not fit where the id of a backup is meant.
//!
//! Resource-like ids are shown as UUIDs with dashes, identity-like ids as 32
//! hexadecimal digits (contract A.7). Both forms are accepted when read.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use cbr_env::{Random, RandomExt};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// What an id is the id of.
pub trait Kind {
    /// The word used in messages: `` `x` is not a vault id ``.
    const NAME: &'static str;
    /// Whether the id is shown as 32 hexadecimal digits without dashes.
    const IS_PLAIN_HEX: bool;
}

/// The id of a `K`.
pub struct Id<K> {
    uuid: Uuid,
    kind: PhantomData<fn() -> K>,
}

/// Text that is not an id of the kind wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id")]
pub struct InvalidId {
    kind: &'static str,
    text: String,
}

impl<K: Kind> Id<K> {
    /// The id with exactly these bits.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self { uuid, kind: PhantomData }
    }

    /// A fresh random id.
    pub fn random(random: &dyn Random) -> Self {
        Self::from_uuid(random.uuid())
    }

    /// The bits.
    pub const fn as_uuid(&self) -> Uuid {
        self.uuid
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if K::IS_PLAIN_HEX {
            fmt::Display::fmt(&self.uuid.simple(), f)
        } else {
            fmt::Display::fmt(&self.uuid.hyphenated(), f)
        }
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", K::NAME)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let refused = || InvalidId { kind: K::NAME, text: text.chars().take(64).collect() };
        // The parser also takes braces and URNs; the contract knows two forms only.
        if !matches!(text.len(), 32 | 36) {
            return Err(refused());
        }
        Uuid::try_parse(text).map(Self::from_uuid).map_err(|_| refused())
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $alias:ident = $kind:ident, $name:literal, $hex:literal;)+) => {$(
        #[doc = concat!("Marks the ids of a ", $name, ".")]
        #[derive(Debug)]
        pub enum $kind {}

        impl Kind for $kind {
            const NAME: &'static str = $name;
            const IS_PLAIN_HEX: bool = $hex;
        }

        $(#[$doc])*
        pub type $alias = Id<$kind>;
    )+};
}

// Append only, in alphabetical order.
ids! {
    /// A delegation to another account.
    AgencyId     = Agency,     "agency",     true;
    /// The programme on a host whose files are to be backed up.
    AgentId      = Agent,      "agent",      false;
    /// A directory that an agent is to back up.
    AgentPathId  = AgentPath,  "directory",  false;
    /// An alarm rule.
    AlarmId      = Alarm,      "alarm",      false;
    /// A change of state of an alarm.
    AlarmRecordId = AlarmRecord, "alarm record", false;
    /// Conditions to make alarms from.
    AlarmTemplateId = AlarmTemplate, "alarm template", false;
    /// One resource's result in a checkpoint.
    BackupId     = Backup,     "backup",     false;
    /// The restore points of one resource in one vault, as the store knows them.
    ChainId      = Chain,      "chain",      false;
    /// One run over a vault.
    CheckpointId = Checkpoint, "checkpoint", false;
    /// A message to one subscription.
    DeliveryId   = Delivery,   "delivery",   false;
    /// An account.
    DomainId     = Domain,     "domain",     true;
    /// Something that happened.
    EventId      = Event,      "event",      false;
    /// A backup given out as a disk.
    ExportId     = Export,     "export",     false;
    /// A whole server's image, made of a backup.
    ImageId      = Image,      "image",      false;
    /// The offer of a backup to another project.
    MemberId     = Member,     "member",     false;
    /// What was agreed about paying for a vault.
    OrderId      = Order,      "order",      false;
    /// A group of users.
    GroupId      = Group,      "group",      true;
    /// A policy of an account, for all its projects.
    OrganizationPolicyId = OrganizationPolicy, "organization policy", false;
    /// A schedule with its retention.
    PolicyId     = Policy,     "policy",     false;
    /// An occurrence of a policy for a vault.
    PolicyRunId  = PolicyRun,  "policy run", false;
    /// A tenant's project.
    ProjectId    = Project,    "project",    true;
    /// A protected or protectable thing.
    ResourceId   = Resource,   "resource",   false;
    /// What users may do: a policy of identity and access.
    RoleId       = Role,       "role",       true;
    /// Somebody who is told what is sent to a topic.
    SubscriptionId = Subscription, "subscription", false;
    /// A task; the API shows it as an operation log.
    TaskId       = Task,       "task",       false;
    /// Something that messages are sent to.
    TopicId      = Topic,      "topic",      false;
    /// A record of a change.
    TraceId      = Trace,      "trace",      false;
    /// When a policy runs.
    TriggerId    = Trigger,    "trigger",    false;
    /// A person or programme of an account.
    UserId       = User,       "user",       true;
    /// A vault.
    VaultId      = Vault,      "vault",      false;
}

#[cfg(test)]
mod tests {
    use cbr_env::SeededRandom;

    use super::*;

    #[test]
    fn both_written_forms_are_read_and_each_kind_shows_its_own() {
        let vault: VaultId = "a1c7f6de0d0f4c3a9d5e0c7e3f1b2a01".parse().unwrap();
        assert_eq!(vault.to_string(), "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01");
        let project: ProjectId = "0605767b-5780-d576-2fc5-c0118072a564".parse().unwrap();
        assert_eq!(project.to_string(), "0605767b5780d5762fc5c0118072a564");
        assert_eq!(
            serde_json::to_string(&project).unwrap(),
            "\"0605767b5780d5762fc5c0118072a564\""
        );
    }

    #[test]
    fn bad_text_says_what_it_should_have_been() {
        let error = "x".parse::<VaultId>().unwrap_err();
        assert_eq!(error.to_string(), "`x` is not a vault id");
        assert!("{a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01}".parse::<VaultId>().is_err());
        assert!("urn:uuid:a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse::<VaultId>().is_err());
    }

    #[test]
    fn debug_output_names_the_kind() {
        let id = TaskId::random(&SeededRandom::new(1));
        assert_eq!(format!("{id:?}"), format!("task:{id}"));
    }
}
