//! `UpdateMemberStatus` (contract C38): the recipient accepts or rejects.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::sharing::Decision;
use serde::Deserialize;
use utoipa::ToSchema;

use super::show::Response;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, BackupInPath, JsonBody, MemberInPath, PathId, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "UpdateMemberStatus",
    verb: Verb::Put,
    path: "/v3/{project_id}/backups/{backup_id}/members/{member_id}",
    group: "Backup sharing",
    summary: "Accepts or rejects a backup that is shared with the project.",
    admission: Admission::Project,
    action: Some("cbr:member:update"),
    event: Some(Event::new("updateBackupMember", "backup")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateMemberStatusRequest)]
struct Request {
    /// `accepted` or `rejected`.
    status: String,
    /// The vault it goes into; only with `accepted`.
    vault_id: Option<String>,
}

/// `PUT /v3/{project_id}/backups/{backup_id}/members/{member_id}`
#[tracing::instrument(name = "api.members.update", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
    PathId(member): PathId<MemberInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let decision = request.read()?;
    let member = api.services.sharing.decide(&access, backup, member, decision).await?.into();
    Ok(Json(Response { member }))
}

impl Request {
    fn read(self) -> Result<Decision, ApiError> {
        let refused = |message: &str| Err(ApiError::new(ErrorCode::MemberValueInvalid, message));
        match (self.status.as_str(), self.vault_id.filter(|id| !id.is_empty())) {
            ("accepted", Some(vault)) => {
                Ok(Decision::Accept(id_of(&vault, ErrorCode::VaultNotFound)?))
            }
            ("accepted", None) => refused("The vault it goes into is missing: vault_id."),
            ("rejected", _) => Ok(Decision::Reject),
            ("pending", _) => refused("A share cannot become pending again."),
            _ => refused("The status is accepted or rejected."),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Contract C38: `vault_id` is needed to accept and ignored to reject.
    #[test]
    fn accepting_needs_a_vault_and_nothing_becomes_pending() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let read = |body: serde_json::Value| {
            let request: Request = serde_json::from_value(body).unwrap();
            request.read().map_err(|error| error.code)
        };
        let accepted = Decision::Accept(id.parse().unwrap());
        assert_eq!(read(json!({"status": "accepted", "vault_id": id})), Ok(accepted));
        assert_eq!(read(json!({"status": "rejected", "vault_id": "x"})), Ok(Decision::Reject));
        for bad in [
            json!({"status": "accepted"}),
            json!({"status": "accepted", "vault_id": ""}),
            json!({"status": "pending"}),
            json!({"status": "yes"}),
        ] {
            assert_eq!(read(bad.clone()), Err(ErrorCode::MemberValueInvalid), "{bad}");
        }
        let nowhere = json!({"status": "accepted", "vault_id": "x"});
        assert_eq!(read(nowhere), Err(ErrorCode::VaultNotFound));
    }
}
