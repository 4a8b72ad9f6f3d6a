//! `ShowMembersDetail` (contract C36).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::member::MemberStatus;
use cbr_service::sharing::{MemberFilter, MemberSort, MemberSortKey};
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Member;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowMembersDetail",
    verb: Verb::Get,
    path: "/v3/{project_id}/backups/{backup_id}/members",
    group: "Backup sharing",
    summary: "Lists the projects a backup is shared with; a recipient sees itself.",
    admission: Admission::Project,
    action: Some("cbr:member:list"),
    event: None,
    success: 200,
    query: &[
        parameter("dest_project_id", Form::Text, "This project."),
        parameter("image_id", Form::Text, "Who made this image of it."),
        parameter("status", Form::Texts, "pending, accepted or rejected."),
        parameter("vault_id", Form::Text, "Accepted into this vault."),
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
#[schema(as = ShowMembersDetailResponse)]
struct Response {
    members: Vec<Member>,
    /// How many match without paging.
    count: u64,
}

/// `GET /v3/{project_id}/backups/{backup_id}/members`
#[tracing::instrument(name = "api.members.list", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let filter = MemberFilter {
        recipient: query.value("dest_project_id")?,
        image: query.text("image_id").map(str::to_owned),
        statuses: query.words("status", MemberStatus::from_str_exact)?,
        vault: query.value("vault_id")?,
        sort: query.sort("sort", key)?.into_iter().map(sorted).collect(),
    };
    let found = api.services.sharing.list(&access, backup, &filter, query.page()?).await?;
    let members = found.rows.into_iter().map(Member::from).collect();
    Ok(Json(Response { members, count: found.total }))
}

fn key(word: &str) -> Option<MemberSortKey> {
    match word {
        "created_at" => Some(MemberSortKey::CreatedAt),
        "updated_at" => Some(MemberSortKey::UpdatedAt),
        "status" => Some(MemberSortKey::Status),
        "dest_project_id" => Some(MemberSortKey::Recipient),
        "id" => Some(MemberSortKey::Id),
        _ => None,
    }
}

const fn sorted((key, ascending): (MemberSortKey, bool)) -> MemberSort {
    MemberSort { key, ascending }
}
