//! Which backups of a vault a policy would remove now, and why the others stay (extension, TRB-14).
//!
//! Of the vault's own policy; of another one; or of one that does not exist yet, whose definition is
//! in the query. Nothing is removed by asking.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::policy::definition::OperationDefinition;
use cbr_model::policy::retention::CalendarPeriod;
use cbr_service::policies::{
    Governed, KeepReason, PreviewRequest, Previewed, RetentionPreview, Verdict,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, VaultInPath};
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

pub(crate) const OPERATION: Operation = Operation {
    name: "PreviewRetention",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/vaults/{vault_id}/retention-preview",
    group: "Extensions",
    summary: "Shows which backups a policy would remove now, and why; removes nothing.",
    admission: Admission::Project,
    action: Some("cbr:policies:get"),
    event: None,
    success: 200,
    query: &[
        parameter("policy_id", Form::Text, "As if this policy were bound to the vault."),
        parameter("resource_id", Form::Text, "Only backups of this resource."),
        parameter("max_backups", Form::Integer, "As if the policy kept so many."),
        parameter("retention_duration_days", Form::Integer, "As if it kept new ones so long."),
        parameter("day_backups", Form::Integer, "As if it kept the last of so many days."),
        parameter("week_backups", Form::Integer, "As if it kept the last of so many weeks."),
        parameter("month_backups", Form::Integer, "As if it kept the last of so many months."),
        parameter("year_backups", Form::Integer, "As if it kept the last of so many years."),
        parameter("timezone", Form::Text, "Where days begin: UTC+08:00."),
        parameter(
            "days",
            Form::Integer,
            "Look ahead, as if all runs took place: 0 to 400; default 0.",
        ),
        parameter("limit", Form::Integer, "Backups of so many resources: 1 to 100; default 100."),
        parameter("after", Form::Text, "Only resources after the one with this id."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreviewRetentionResponse)]
struct Response {
    retention_preview: Preview,
}

/// What would happen now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetentionPreview)]
struct Preview {
    vault_id: String,
    /// Whose rule it is; null: nobody's.
    policy_id: Option<String>,
    /// `policy`; `disabled_policy`: it is switched off and removes nothing; `nothing`: there is none,
    /// and only ends stamped earlier count.
    governed_by: &'static str,
    /// What is possible and will not do what it seems to.
    warnings: Vec<String>,
    removed_count: u64,
    kept_count: u64,
    /// Of the page's resources; newest first.
    backups: Vec<Fate>,
    /// The next page is `after` this resource; null: there is none.
    more_after: Option<String>,
}

/// What happens to a backup.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetentionPreviewBackup)]
struct Fate {
    id: String,
    name: String,
    resource_id: String,
    resource_name: String,
    created_at: String,
    /// The end stamped on it when it was made, if any.
    expired_at: Option<String>,
    /// Whether a policy made it.
    auto_trigger: bool,
    /// `remove` or `keep`.
    action: &'static str,
    /// One word for why; see docs/operations/policies.md.
    reason: &'static str,
    /// Until when it is kept, where that is known.
    kept_until: Option<String>,
    /// When it goes within the days that were looked ahead; null: it does not. It is deleted in the window
    /// of deletions after that.
    goes_at: Option<String>,
    /// By which rule it goes then.
    goes_by: Option<&'static str>,
}

/// `GET /v3/{project_id}/x/vaults/{vault_id}/retention-preview`
#[tracing::instrument(name = "api.x.retention_preview", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let request = request(&query)?;
    let preview = api.services.policies.preview(&access, vault, &request).await?;
    let retention_preview = Preview { vault_id: vault.to_string(), ..Preview::from(preview) };
    Ok(Json(Response { retention_preview }))
}

fn request(query: &Query) -> Result<PreviewRequest, ApiError> {
    let definition = OperationDefinition {
        max_backups: query.value("max_backups")?,
        retention_duration_days: query.value("retention_duration_days")?,
        day_backups: query.value("day_backups")?,
        week_backups: query.value("week_backups")?,
        month_backups: query.value("month_backups")?,
        year_backups: query.value("year_backups")?,
        timezone: query.value("timezone")?,
        ..OperationDefinition::default()
    };
    let is_given = definition != OperationDefinition::default();
    Ok(PreviewRequest {
        resource: query.value("resource_id")?,
        policy: query.value("policy_id")?,
        definition: is_given.then_some(definition),
        days: query.value("days")?.unwrap_or(0),
        after: query.value("after")?,
        resources: query.value("limit")?.unwrap_or(0),
    })
}

impl From<RetentionPreview> for Preview {
    fn from(preview: RetentionPreview) -> Self {
        let (governed_by, policy) = match preview.governed {
            Governed::Policy(policy) => ("policy", policy),
            Governed::Disabled(policy) => ("disabled_policy", Some(policy)),
            Governed::Nothing => ("nothing", None),
        };
        let backups: Vec<Fate> = preview.backups.into_iter().map(Fate::from).collect();
        let removed = backups.iter().filter(|fate| fate.action == "remove").count() as u64;
        Self {
            vault_id: String::new(),
            policy_id: policy.map(|id| id.to_string()),
            governed_by,
            warnings: preview.warnings,
            removed_count: removed,
            kept_count: backups.len() as u64 - removed,
            more_after: preview.more_after.map(|id| id.to_string()),
            backups,
        }
    }
}

impl From<Previewed> for Fate {
    fn from(Previewed { backup, verdict, goes }: Previewed) -> Self {
        let (action, reason) = words(verdict);
        let kept_until = match verdict {
            Verdict::Keep(KeepReason::KeptLonger { until }) => Some(until),
            Verdict::Keep(KeepReason::NotExpired) => backup.expired_at,
            _ => None,
        };
        Self {
            id: backup.id.to_string(),
            name: backup.name,
            resource_id: backup.resource.to_string(),
            resource_name: backup.resource_name,
            created_at: time::format(backup.created_at),
            expired_at: backup.expired_at.map(time::format),
            auto_trigger: backup.auto_trigger,
            action,
            reason,
            kept_until: kept_until.map(time::format),
            goes_at: goes.map(|(at, _)| time::format(at)),
            goes_by: goes.map(|(_, rule)| rule.as_str()),
        }
    }
}

/// What happens to a backup and why, in words for programs.
pub(super) const fn words(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Keep(reason) => ("keep", kept(reason)),
        Verdict::Remove(rule) => ("remove", rule.as_str()),
    }
}

const fn kept(reason: KeepReason) -> &'static str {
    match reason {
        KeepReason::Manual => "manual",
        KeepReason::PolicyDisabled => "policy_disabled",
        KeepReason::NoPolicy => "no_policy",
        KeepReason::Busy => "busy",
        KeepReason::Image => "image",
        KeepReason::Held => "held",
        KeepReason::Suspected => "suspected",
        KeepReason::Locked => "locked",
        KeepReason::Failed => "failed",
        KeepReason::NotExpired => "not_expired",
        KeepReason::OtherRule => "other_rule",
        KeepReason::Forever => "forever",
        KeepReason::Newest => "newest",
        KeepReason::LastOf(CalendarPeriod::Day) => "last_of_day",
        KeepReason::LastOf(CalendarPeriod::Week) => "last_of_week",
        KeepReason::LastOf(CalendarPeriod::Month) => "last_of_month",
        KeepReason::LastOf(CalendarPeriod::Year) => "last_of_year",
        KeepReason::KeptLonger { .. } => "kept_longer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_looked_at_only_where_some_of_it_is_given() {
        let read = |text: &str| request(&Query::parse(text)).unwrap().definition;
        assert_eq!(read("policy_id=a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01"), None);
        assert_eq!(read("max_backups=3").unwrap().max_backups, Some(3));
        assert!(request(&Query::parse("day_backups=x")).is_err());
    }
}
