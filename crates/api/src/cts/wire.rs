//! Traces and trackers on the wire (contract F.7).

use cbr_model::Timestamp;
use cbr_model::audit;
use cbr_service::Access;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;

/// The only tracker there is, and its type.
pub(super) const SYSTEM: &str = "system";

/// A record of a change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Trace {
    trace_id: String,
    trace_name: String,
    /// `normal`: it was done; `warning`: it was refused.
    trace_rating: &'static str,
    /// `ApiCall`, or `SystemAction`: the service did it by itself.
    trace_type: &'static str,
    service_type: String,
    resource_type: String,
    resource_id: String,
    resource_name: String,
    source_ip: Option<String>,
    user: User,
    /// The body of the request as text, unless it could hold a secret or was long.
    request: Option<String>,
    /// Status of the answer.
    code: String,
    /// Milliseconds since 1970.
    time: i64,
    /// The same: a change is recorded as it is made.
    record_time: i64,
    request_id: String,
    project_id: Option<String>,
    /// Place in the account's chain of records.
    record_number: u64,
}

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TraceUser)]
struct User {
    id: String,
    name: String,
    domain: Domain,
    /// The agency it was done through, if any: the user is one of another account.
    #[serde(skip_serializing_if = "Option::is_none")]
    agency_id: Option<String>,
    /// That other account.
    #[serde(skip_serializing_if = "Option::is_none")]
    home_domain_id: Option<String>,
}

/// That user's account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TraceDomain)]
struct Domain {
    id: String,
    name: String,
}

const fn millis(at: Timestamp) -> i64 {
    at.0.div_euclid(1000)
}

impl From<audit::Trace> for Trace {
    fn from(trace: audit::Trace) -> Self {
        let is_by_system = trace.is_by_system();
        Self {
            trace_id: trace.id.to_string(),
            trace_name: trace.name,
            trace_rating: if trace.refused.is_some() { "warning" } else { "normal" },
            trace_type: if is_by_system { "SystemAction" } else { "ApiCall" },
            service_type: trace.service,
            resource_type: trace.resource_type,
            resource_id: trace.resource_id,
            resource_name: trace.resource_name,
            source_ip: trace.source_ip,
            user: User {
                id: trace.user.to_string(),
                name: trace.user_name,
                domain: Domain { id: trace.domain.to_string(), name: trace.domain_name },
                agency_id: trace.agency.map(|id| id.to_string()),
                home_domain_id: trace.home.map(|id| id.to_string()),
            },
            request: trace.request,
            code: trace.refused.unwrap_or(200).to_string(),
            time: millis(trace.at),
            record_time: millis(trace.at),
            request_id: trace.request_id,
            project_id: trace.project.map(|project| project.to_string()),
            record_number: trace.number,
        }
    }
}

/// Whether changes are recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tracker {
    /// The project's id: it has one tracker.
    id: String,
    tracker_name: &'static str,
    tracker_type: &'static str,
    /// `enabled` or `disabled`
    status: &'static str,
    project_id: String,
    domain_id: String,
    /// When it was last switched, milliseconds since 1970; 0: never.
    create_time: i64,
    /// Always: `cbr audit verify` looks at the chain of records.
    is_support_validate: bool,
    is_support_trace_files_encryption: bool,
    lts: Lts,
    obs_info: ObsInfo,
}

/// Records go to no log service.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = TrackerLts)]
struct Lts {
    is_lts_enabled: bool,
    log_group_name: Option<String>,
    log_topic_name: Option<String>,
}

/// Records go to no bucket.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = TrackerObsInfo)]
struct ObsInfo {
    bucket_name: String,
    file_prefix_name: String,
    is_obs_created: bool,
    is_authorized_bucket: bool,
}

impl Tracker {
    pub(super) fn of(tracker: audit::Tracker, access: &Access) -> Self {
        Self {
            id: access.project().to_string(),
            tracker_name: SYSTEM,
            tracker_type: SYSTEM,
            status: if tracker.enabled { "enabled" } else { "disabled" },
            project_id: access.project().to_string(),
            domain_id: access.caller().domain.id.to_string(),
            create_time: tracker.changed_at.map_or(0, millis),
            is_support_validate: true,
            is_support_trace_files_encryption: false,
            lts: Lts::default(),
            obs_info: ObsInfo::default(),
        }
    }
}

/// A wanted tracker: the one there is, without deliveries that this server does not make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = WantedTracker)]
pub(super) struct Wanted {
    /// `system`
    tracker_type: Option<String>,
    /// `system`
    tracker_name: Option<String>,
    /// `enabled` or `disabled`; absent: as it is, or enabled where it is made.
    pub(super) status: Option<String>,
    is_lts_enabled: Option<bool>,
    obs_info: Option<WantedObsInfo>,
}

/// Where traces should be delivered to.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct WantedObsInfo {
    bucket_name: Option<String>,
}

impl Wanted {
    /// Refuses whatever would not happen.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        check_system("tracker_type", self.tracker_type.as_deref())?;
        check_system("tracker_name", self.tracker_name.as_deref())?;
        if self.is_lts_enabled == Some(true) {
            return Err(ApiError::invalid("is_lts_enabled", "records go to no log service"));
        }
        let bucket = self.obs_info.as_ref().and_then(|obs| obs.bucket_name.as_deref());
        if bucket.is_some_and(|bucket| !bucket.is_empty()) {
            let why = "records are not delivered to buckets; read them here";
            return Err(ApiError::invalid("obs_info.bucket_name", why));
        }
        Ok(())
    }
}

/// Refuses every tracker but the one there is.
pub(super) fn check_system(key: &str, value: Option<&str>) -> Result<(), ApiError> {
    match value {
        None | Some("" | SYSTEM) => Ok(()),
        Some(_) => Err(ApiError::invalid(key, "there is one tracker, `system`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_happen_is_refused() {
        let check = |text: &str| serde_json::from_str::<Wanted>(text).unwrap().check();
        check(r#"{"tracker_type":"system","status":"enabled","obs_info":{"bucket_name":""}}"#)
            .unwrap();
        for bad in [
            r#"{"tracker_type":"data"}"#,
            r#"{"tracker_name":"mine"}"#,
            r#"{"is_lts_enabled":true}"#,
            r#"{"obs_info":{"bucket_name":"b"}}"#,
        ] {
            assert_eq!(check(bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
