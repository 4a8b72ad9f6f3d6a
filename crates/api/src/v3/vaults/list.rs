//! `ListVault` (contract C3).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::ResourceId;
use cbr_model::query::{TagFilter, VaultFilter};
use cbr_model::vault::{VaultKind, VaultStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{Vault, cloud_type, protect_type};
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListVault",
    verb: Verb::Get,
    path: "/v3/{project_id}/vaults",
    group: "Vaults",
    summary: "Lists vaults, newest first.",
    admission: Admission::Project,
    action: Some("cbr:vaults:list"),
    event: None,
    success: 200,
    query: &[
        parameter("id", Form::Texts, "One of these ids."),
        parameter("name", Form::Text, "The name contains this."),
        parameter("object_type", Form::Text, "What the vault holds."),
        parameter("status", Form::Texts, "One of these statuses."),
        parameter("resource_ids", Form::Texts, "Holds one of these resources."),
        parameter("enterprise_project_id", Form::Text, "An id, or all_granted_eps."),
        parameter("protect_type", Form::Text, "backup, replication or hybrid."),
        parameter("cloud_type", Form::Text, "public or hybrid."),
        parameter("policy_id", Form::Text, "Has this policy."),
        parameter("availability_zone", Form::Text, "Was asked to be there."),
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "So many are skipped."),
        parameter("marker", Form::Text, "Only those after the one with this id."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListVaultResponse)]
struct Response {
    vaults: Vec<Vault>,
    /// How many match without paging.
    count: u64,
    limit: u32,
    offset: u64,
}

/// `GET /v3/{project_id}/vaults`
#[tracing::instrument(name = "api.vaults.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let page = query.page()?;
    let (vaults, count) = match filter(&query)? {
        None => (vec![], 0),
        Some(filter) => {
            let found = api.services.vaults.list(&access, &filter, page).await?;
            (found.rows, found.total)
        }
    };
    let vaults = vaults.into_iter().map(Vault::from).collect();
    Ok(Json(Response { vaults, count, limit: page.limit, offset: page.offset }))
}

/// What is asked for; `None`: something this service never has, so nothing matches.
pub(super) fn filter(query: &Query) -> Result<Option<VaultFilter>, ApiError> {
    // The command line misspells one key (contract E.2), an SDK another (E.5 number 15).
    let mut resources = query.values("resource_ids")?;
    resources.extend(query.values::<ResourceId>("resources_ids")?);
    let object = query.text("object_type").or_else(|| query.text("objcet_type"));
    let Some(kinds) = kinds(object, query.text("protect_type"), query.text("cloud_type"))? else {
        return Ok(None);
    };
    Ok(Some(VaultFilter {
        ids: query.values("id")?,
        name: query.text("name").map(str::to_owned),
        kinds,
        statuses: query.words("status", VaultStatus::from_str_exact)?,
        resources,
        enterprise_projects: query
            .text("enterprise_project_id")
            .filter(|id| *id != "all_granted_eps")
            .map(|id| vec![id.to_owned()])
            .unwrap_or_default(),
        availability_zone: query.text("availability_zone").map(str::to_owned),
        tags: TagFilter::default(),
        policy: query.value("policy_id")?,
    }))
}

/// The kinds of vaults that are meant; empty: all; `None`: one that this service never has.
pub(crate) fn kinds(
    object: Option<&str>,
    protect: Option<&str>,
    cloud: Option<&str>,
) -> Result<Option<Vec<VaultKind>>, ApiError> {
    let one_of = |key: &str, word: Option<&str>, words: &[&str]| match word {
        Some(word) if !words.contains(&word) => {
            Err(ApiError::invalid(key, format_args!("one of {}", words.join(", "))))
        }
        _ => Ok(()),
    };
    one_of("protect_type", protect, &["backup", "replication", "hybrid"])?;
    one_of("cloud_type", cloud, &["public", "hybrid"])?;
    let is_meant = |kind: &VaultKind| {
        object.is_none_or(|word| word == kind.as_str())
            && protect.is_none_or(|word| word == protect_type(*kind))
            && cloud.is_none_or(|word| word == cloud_type(*kind))
    };
    let kinds: Vec<VaultKind> = VaultKind::ALL.into_iter().filter(is_meant).collect();
    Ok(match kinds.len() {
        0 => None,
        all if all == VaultKind::ALL.len() => Some(Vec::new()),
        _ => Some(kinds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<VaultFilter> {
        filter(&Query::parse(text)).unwrap()
    }

    /// E.2: `resources_ids` is what the command line sends.
    #[test]
    fn both_spellings_of_the_resource_filter_are_read() {
        let (a, b) =
            ("5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01", "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a02");
        let found = read(&format!("resource_ids={a},{b}&resources_ids={a}")).unwrap();
        assert_eq!(found.resources.len(), 3);
    }

    /// Contract C3: hybrid and the literal all_granted_eps are accepted.
    #[test]
    fn filters_for_what_we_never_have_match_nothing_and_fail_nothing() {
        for nothing in [
            "protect_type=replication",
            "object_type=vmware",
            "object_type=disk&protect_type=hybrid",
            "object_type=file&cloud_type=public",
        ] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
        assert_eq!(read("enterprise_project_id=all_granted_eps"), Some(VaultFilter::default()));
        assert!(filter(&Query::parse("status=odd")).is_err());
        assert!(filter(&Query::parse("id=odd")).is_err());
        assert!(filter(&Query::parse("policy_id=odd")).is_err());
        assert!(filter(&Query::parse("cloud_type=odd")).is_err());
        assert!(filter(&Query::parse("protect_type=odd")).is_err());
        let kinds = |text: &str| read(text).unwrap().kinds;
        let public = [VaultKind::Server, VaultKind::Disk, VaultKind::Turbo];
        assert_eq!(kinds("protect_type=backup&cloud_type=public"), public);
        for hybrid in ["protect_type=hybrid", "cloud_type=hybrid", "object_type=file"] {
            assert_eq!(kinds(hybrid), [VaultKind::File], "{hybrid}");
        }
        assert_eq!(kinds("object_type=turbo&protect_type=backup"), [VaultKind::Turbo]);
        assert_eq!(kinds(""), []);
        let zone = read("availability_zone=az1").unwrap().availability_zone;
        assert_eq!(zone.as_deref(), Some("az1"));
    }
}
