//! `ShowMemberDetail` (contract C37).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Member;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, MemberInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowMemberDetail",
    verb: Verb::Get,
    path: "/v3/{project_id}/backups/{backup_id}/members/{member_id}",
    group: "Backup sharing",
    summary: "Shows a project a backup is shared with, to the owner and to that project.",
    admission: Admission::Project,
    action: Some("cbr:member:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowMemberDetailResponse)]
pub(super) struct Response {
    pub(super) member: Member,
}

/// `GET /v3/{project_id}/backups/{backup_id}/members/{member_id}`
#[tracing::instrument(name = "api.members.show", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
    PathId(member): PathId<MemberInPath>,
) -> Result<Json<Response>, ApiError> {
    let member = api.services.sharing.show(&access, backup, member).await?.into();
    Ok(Json(Response { member }))
}
