//! Records of changes: who changed what (AUD-01).

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{AgencyId, DomainId, ProjectId, TraceId, UserId};

/// What kind of change it was, in the words of the trace service (AUD-02, AUD-03, contract F.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Event {
    /// What was done, e.g. `createVault`.
    pub name: &'static str,
    /// To what kind of thing, e.g. `vault`.
    pub resource_type: &'static str,
}

impl Event {
    /// `name` done to a `resource_type`.
    pub const fn new(name: &'static str, resource_type: &'static str) -> Self {
        Self { name, resource_type }
    }

    /// The service that kind of thing belongs to, as the trace service abbreviates it.
    pub fn service(&self) -> &'static str {
        match self.resource_type {
            "volume" => "EVS",
            "server" => "ECS",
            "image" => "IMS",
            "share" => "SFSTurbo",
            "alarm" => "CES",
            "tracker" => "CTS",
            "account" | "user" | "group" | "role" | "agency" | "credential" | "project"
            | "enterpriseProject" => "IAM",
            _ => "CBR",
        }
    }
}

/// The record of one change. Its JSON is what the chain of digests is over, so a field that is added
/// is optional, and the order of the fields stays.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// The account.
    pub domain: DomainId,
    /// Place in the account's chain, from 1 on without gaps.
    pub number: u64,
    /// The project it happened in; none: it concerns the account.
    pub project: Option<ProjectId>,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub user: UserId,
    /// That user's name then.
    pub user_name: String,
    /// The account's name then.
    pub domain_name: String,
    /// In which service ([`Event::service`]).
    pub service: String,
    /// What was done ([`Event::name`]).
    pub name: String,
    /// To what kind of thing ([`Event::resource_type`]).
    pub resource_type: String,
    /// To which thing; empty where there is none.
    pub resource_id: String,
    /// That thing's name then.
    pub resource_name: String,
    /// Id of the request, as answers and operation logs show it.
    pub request_id: String,
    /// Where the request came from.
    pub source_ip: Option<String>,
    /// The request's body, if it can hold no secret and is short enough.
    pub request: Option<String>,
    /// Status of the answer, where it was refused; none: it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u16>,
    /// The agency it was done through; none: by a user of the account itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agency: Option<AgencyId>,
    /// The account of the user who did it through an agency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<DomainId>,
}

/// The name of who does what the service does by itself, in records.
pub const SYSTEM_NAME: &str = "system";
/// Its id. No user has it: ids of users are random.
pub const SYSTEM_USER: UserId = UserId::from_uuid(uuid::Uuid::nil());

impl Trace {
    /// Whether the service did it by itself: a schedule, a deadline, an upkeep.
    pub fn is_by_system(&self) -> bool {
        self.user == SYSTEM_USER
    }
}

/// Which records (contract F.7). `None` does not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TraceFilter {
    /// Only this one.
    pub id: Option<TraceId>,
    /// In which service.
    pub service: Option<String>,
    /// What was done.
    pub name: Option<String>,
    /// To what kind of thing.
    pub resource_type: Option<String>,
    /// To which thing.
    pub resource_id: Option<String>,
    /// To a thing of this name.
    pub resource_name: Option<String>,
    /// Only what was refused, or only what was done.
    pub is_refused: Option<bool>,
    /// By the user of this name.
    pub user_name: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
}

/// Whether a project's changes are recorded (AUD-04).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tracker {
    /// Whether they are.
    pub enabled: bool,
    /// Since when; none: ever since.
    pub changed_at: Option<Timestamp>,
}
