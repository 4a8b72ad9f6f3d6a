//! `DeleteMember` (contract C39): the owner takes a share back.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;

use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, MemberInPath, PathId};
use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;
use cbr_model::audit::Event;

pub(crate) const OPERATION: Operation = Operation {
    name: "DeleteMember",
    verb: Verb::Delete,
    path: "/v3/{project_id}/backups/{backup_id}/members/{member_id}",
    group: "Backup sharing",
    summary: "Takes a share back, accepted or not.",
    admission: Admission::Project,
    action: Some("cbr:member:delete"),
    event: Some(Event::new("deleteBackupMember", "backup")),
    success: 204,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `DELETE /v3/{project_id}/backups/{backup_id}/members/{member_id}`
#[tracing::instrument(name = "api.members.delete", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
    PathId(member): PathId<MemberInPath>,
) -> Result<StatusCode, ApiError> {
    api.services.sharing.remove(&access, backup, member).await?;
    Ok(StatusCode::NO_CONTENT)
}
