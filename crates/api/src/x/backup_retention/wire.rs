//! The retention of a backup on the wire.

use cbr_model::retention::Hold;
use cbr_service::retention::RetentionOf;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;
use crate::x::retention_preview::words;

/// Body of the answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupRetentionResponse)]
pub(super) struct Response {
    retention: Retention,
}

/// What retention does with a backup.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupRetention)]
struct Retention {
    backup_id: String,
    /// The policy that works for its vault.
    policy_id: Option<String>,
    /// `keep` or `remove`.
    action: &'static str,
    /// One word for why; see docs/operations/policies.md.
    reason: &'static str,
    /// What keeps it whatever its policy says.
    holds: Vec<HoldView>,
    /// When it goes if its policy runs as planned; null: not within 400 days.
    goes_at: Option<String>,
    /// By which rule it goes then.
    goes_by: Option<&'static str>,
}

/// What keeps a backup.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupHold)]
struct HoldView {
    /// `person`, `taken_back` (from the trash), `image` or `rebuilt` (found after the database was lost).
    kind: &'static str,
    note: String,
    since: String,
}

impl From<RetentionOf> for Response {
    fn from(of: RetentionOf) -> Self {
        let (action, reason) = words(of.verdict);
        let hold = |hold: Hold| HoldView {
            kind: hold.kind.as_str(),
            note: hold.note,
            since: time::format(hold.since),
        };
        let retention = Retention {
            backup_id: of.backup.to_string(),
            policy_id: of.policy.map(|id| id.to_string()),
            action,
            reason,
            holds: of.holds.into_iter().map(hold).collect(),
            goes_at: of.goes.map(|(at, _)| time::format(at)),
            goes_by: of.goes.map(|(_, rule)| rule.as_str()),
        };
        Self { retention }
    }
}
