//! `ListBackups` (contract C27).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::member::MemberStatus;
use cbr_model::query::{BackupFilter, BackupSort, BackupSortKey, Ownership};
use cbr_model::resource::ResourceKind;
use serde::Serialize;
use utoipa::ToSchema;

use super::shown::shown;
use super::wire::Backup;
use crate::error::ApiError;
use crate::extract::{Authorised, Extensions};
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::{Query, enterprise_project};
use crate::state::Api;

/// The statuses the contract knows (B.4), also those no backup here ever has.
const STATUSES: [&str; 8] = [
    "available",
    "protecting",
    "deleting",
    "restoring",
    "error",
    "waiting_protect",
    "waiting_delete",
    "waiting_restore",
];

pub(crate) const OPERATION: Operation = Operation {
    name: "ListBackups",
    verb: Verb::Get,
    path: "/v3/{project_id}/backups",
    group: "Backups",
    summary: "Lists backups, newest first.",
    admission: Admission::Project,
    action: Some("cbr:backups:list"),
    event: None,
    success: 200,
    query: &[
        parameter("id", Form::Texts, "One of these ids."),
        parameter("name", Form::Text, "The name contains this."),
        parameter("vault_id", Form::Text, "Held by this vault."),
        parameter("checkpoint_id", Form::Text, "Made by this run."),
        parameter("parent_id", Form::Text, "Disks of this server backup."),
        parameter("resource_id", Form::Text, "Of this resource."),
        parameter("resource_name", Form::Text, "The resource's name contains this."),
        parameter("resource_type", Form::Text, "Of this type of resource."),
        parameter("resource_az", Form::Text, "Of a resource in this availability zone."),
        parameter("status", Form::Texts, "One of these statuses."),
        parameter("incremental", Form::Flag, "Whether it builds on an earlier one."),
        parameter("start_time", Form::Time, "Made at this time or later."),
        parameter("end_time", Form::Time, "Made at this time or earlier."),
        parameter("used_percent", Form::Integer, "Its vault is at least so full."),
        parameter("image_type", Form::Text, "backup or replication."),
        parameter("own_type", Form::Text, "private (default), shared or all_granted."),
        parameter("member_status", Form::Text, "Shared ones: pending, accepted or rejected."),
        parameter("enterprise_project_id", Form::Text, "Of its vault; all_granted_eps: any."),
        parameter(
            "existed_quantity_based_retention_backups",
            Form::Flag,
            "Automatic ones kept by number or for ever; false: until a time.",
        ),
        parameter("show_replication", Form::Flag, "With its copies elsewhere; there are none."),
        parameter("sort", Form::Text, "key[:asc|desc], separated by commas."),
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
#[schema(as = ListBackupsResponse)]
struct Response {
    backups: Vec<Backup>,
    /// How many match without paging.
    count: u64,
    limit: u32,
    offset: u64,
}

/// `GET /v3/{project_id}/backups`
#[tracing::instrument(name = "api.backups.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    extensions: Extensions,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let page = query.page()?;
    let (backups, count) = match filter(&query)? {
        None => (vec![], 0),
        Some(filter) => {
            let found = api.services.backups.list(&access, &filter, page).await?;
            (found.rows, found.total)
        }
    };
    let backups = shown(&api, &access, extensions, backups).await?;
    Ok(Json(Response { backups, count, limit: page.limit, offset: page.offset }))
}

/// What is asked for; `None`: something this service never has, so nothing matches.
fn filter(query: &Query) -> Result<Option<BackupFilter>, ApiError> {
    let resource_kind = match query.text("resource_type") {
        None => None,
        Some(word) => match ResourceKind::from_str_exact(word) {
            None => return Ok(None),
            kind => kind,
        },
    };
    let is_copy = match query.text("image_type") {
        None | Some("backup") => false,
        Some("replication") => true,
        Some(_) => return Err(ApiError::invalid("image_type", "backup or replication")),
    };
    if is_copy {
        return Ok(None);
    }
    // There is nothing that it could show.
    let _: Option<bool> = query.value("show_replication")?;
    let status = |word: &str| STATUSES.contains(&word).then(|| word.to_owned());
    Ok(Some(BackupFilter {
        ids: query.values("id")?,
        parent: query.value("parent_id")?,
        checkpoint: query.value("checkpoint_id")?,
        vault: query.value("vault_id")?,
        name: query.text("name").map(str::to_owned),
        resource: query.value("resource_id")?,
        resource_name: query.text("resource_name").map(str::to_owned),
        resource_kind,
        resource_az: query.text("resource_az").map(str::to_owned),
        statuses: query.words("status", status)?,
        incremental: query.value("incremental")?,
        created_from: query.time("start_time")?,
        created_until: query.time("end_time")?,
        vault_used_percent: used_percent(query)?,
        enterprise_project: enterprise_project(query),
        kept_by_number: query.value("existed_quantity_based_retention_backups")?,
        ownership: query.word("own_type", ownership)?.unwrap_or_default(),
        member_status: query.word("member_status", MemberStatus::from_str_exact)?,
        sort: query.sort("sort", sort_key)?.into_iter().map(sorted).collect(),
    }))
}

fn ownership(word: &str) -> Option<Ownership> {
    match word {
        "private" => Some(Ownership::Private),
        "shared" => Some(Ownership::Shared),
        "all_granted" => Some(Ownership::All),
        _ => None,
    }
}

fn used_percent(query: &Query) -> Result<Option<u8>, ApiError> {
    match query.value::<u8>("used_percent")? {
        Some(0 | 101..) => Err(ApiError::invalid("used_percent", "1 to 100")),
        percent => Ok(percent),
    }
}

fn sort_key(word: &str) -> Option<BackupSortKey> {
    match word {
        "created_at" => Some(BackupSortKey::CreatedAt),
        "updated_at" => Some(BackupSortKey::UpdatedAt),
        "name" => Some(BackupSortKey::Name),
        "status" => Some(BackupSortKey::Status),
        "protected_at" => Some(BackupSortKey::ProtectedAt),
        "id" => Some(BackupSortKey::Id),
        _ => None,
    }
}

const fn sorted((key, ascending): (BackupSortKey, bool)) -> BackupSort {
    BackupSort { key, ascending }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract A.4; reliability 10.3: no sorting by other columns.
    #[test]
    fn sorting_takes_the_contracts_keys_only() {
        let sort = |text: &str| {
            filter(&Query::parse(&format!("sort={text}"))).map(|found| found.unwrap().sort)
        };
        let found = sort("name:asc,created_at").unwrap();
        let expected = [
            BackupSort { key: BackupSortKey::Name, ascending: true },
            BackupSort { key: BackupSortKey::CreatedAt, ascending: false },
        ];
        assert_eq!(found, expected);
        for bad in ["state", "name:up", ",", "name;drop", &"id,".repeat(100)] {
            assert!(sort(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn filters_for_what_we_never_have_match_nothing_and_fail_nothing() {
        for nothing in ["image_type=replication", "resource_type=OS::Sfs::Turbo"] {
            assert_eq!(filter(&Query::parse(nothing)).unwrap(), None, "{nothing}");
        }
        let private = filter(&Query::parse("own_type=private&image_type=backup&dec=true"));
        assert_eq!(private.unwrap(), Some(BackupFilter::default()));
        let any = filter(&Query::parse("enterprise_project_id=all_granted_eps"));
        assert_eq!(any.unwrap(), Some(BackupFilter::default()));
    }

    /// Contract C27: `status` may be repeated; Terraform omits `incremental` unless true.
    #[test]
    fn filters_are_read() {
        let text = "status=available&status=error&incremental=true&used_percent=90";
        let found = filter(&Query::parse(text)).unwrap().unwrap();
        assert_eq!(found.statuses, ["available", "error"]);
        assert_eq!(found.incremental, Some(true));
        assert_eq!(found.vault_used_percent, Some(90));
        let shared = filter(&Query::parse("own_type=shared&member_status=pending")).unwrap();
        let shared = shared.unwrap();
        assert_eq!(shared.ownership, Ownership::Shared);
        assert_eq!(shared.member_status, Some(MemberStatus::Pending));
        for bad in [
            "own_type=mine",
            "member_status=maybe",
            "image_type=x",
            "status=gone",
            "used_percent=101",
            "used_percent=0",
            "start_time=now",
        ] {
            assert!(filter(&Query::parse(bad)).is_err(), "{bad}");
        }
    }
}
