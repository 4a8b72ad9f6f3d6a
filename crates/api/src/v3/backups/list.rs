//! `ListBackups` (contract C27).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::query::{BackupFilter, BackupSort, BackupSortKey};
use cbr_model::resource::ResourceKind;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Backup;
use crate::error::ApiError;
use crate::extract::{Authorised, Extensions};
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

/// The longest `sort` (contract A.4).
const SORT_CHARS_MAX: usize = 255;

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
    let extras = if extensions.are_hidden() {
        BTreeMap::new()
    } else {
        api.services.backups.extras(&access, &backups).await?
    };
    let backups = backups.into_iter().map(|backup| Backup::with(backup, &extras)).collect();
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
    let is_never = query.text("image_type").is_some_and(|word| word != "backup")
        || query.text("own_type") == Some("shared")
        || query.text("member_status").is_some();
    if is_never {
        return Ok(None);
    }
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
        sort: query.text("sort").map_or(Ok(vec![]), sort)?,
    }))
}

fn used_percent(query: &Query) -> Result<Option<u8>, ApiError> {
    match query.value::<u8>("used_percent")? {
        Some(0 | 101..) => Err(ApiError::invalid("used_percent", "1 to 100")),
        percent => Ok(percent),
    }
}

/// Contract A.4: a missing direction is descending.
fn sort(text: &str) -> Result<Vec<BackupSort>, ApiError> {
    if text.chars().count() > SORT_CHARS_MAX {
        return Err(ApiError::invalid("sort", format_args!("at most {SORT_CHARS_MAX} characters")));
    }
    text.split(',')
        .map(|criterion| {
            let (key, direction) = criterion.split_once(':').unwrap_or((criterion, "desc"));
            let key = match key.trim() {
                "created_at" => BackupSortKey::CreatedAt,
                "updated_at" => BackupSortKey::UpdatedAt,
                "name" => BackupSortKey::Name,
                "status" => BackupSortKey::Status,
                "protected_at" => BackupSortKey::ProtectedAt,
                "id" => BackupSortKey::Id,
                _ => return Err(ApiError::invalid("sort", "unknown key")),
            };
            match direction.trim() {
                "asc" => Ok(BackupSort { key, ascending: true }),
                "desc" => Ok(BackupSort { key, ascending: false }),
                _ => Err(ApiError::invalid("sort", "a direction is asc or desc")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract A.4; reliability 10.3: no sorting by other columns.
    #[test]
    fn sorting_takes_the_contracts_keys_only() {
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
        for nothing in ["image_type=replication", "own_type=shared", "resource_type=OS::Sfs::Turbo"]
        {
            assert_eq!(filter(&Query::parse(nothing)).unwrap(), None, "{nothing}");
        }
        let private = filter(&Query::parse("own_type=private&image_type=backup&dec=true"));
        assert_eq!(private.unwrap(), Some(BackupFilter::default()));
    }

    /// Contract C27: `status` may be repeated; Terraform omits `incremental` unless true.
    #[test]
    fn filters_are_read() {
        let text = "status=available&status=error&incremental=true&used_percent=90";
        let found = filter(&Query::parse(text)).unwrap().unwrap();
        assert_eq!(found.statuses, ["available", "error"]);
        assert_eq!(found.incremental, Some(true));
        assert_eq!(found.vault_used_percent, Some(90));
        for bad in ["status=gone", "used_percent=101", "used_percent=0", "start_time=now"] {
            assert!(filter(&Query::parse(bad)).is_err(), "{bad}");
        }
    }
}
