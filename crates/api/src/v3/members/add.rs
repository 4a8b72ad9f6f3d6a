//! `AddMember` (contract C35): offers a backup to other projects.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::sharing::Recipients;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::Member;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, BackupInPath, JsonBody, PathId, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

/// Most of each list in one request (contract C35).
const ITEMS_MAX: usize = 10;

pub(crate) const OPERATION: Operation = Operation {
    name: "AddMember",
    verb: Verb::Post,
    path: "/v3/{project_id}/backups/{backup_id}/members",
    group: "Backup sharing",
    summary: "Offers a backup to other projects, all or none.",
    admission: Admission::Project,
    action: Some("cbr:member:create"),
    event: Some(Event::new("createBackupMember", "backup")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request: at least one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AddMemberRequest)]
struct Request {
    /// 1 to 10 project ids.
    members: Option<Vec<String>>,
    /// Account ids: all projects of each.
    domains: Option<Vec<String>>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddMemberResponse)]
struct Response {
    members: Vec<Member>,
}

/// `POST /v3/{project_id}/backups/{backup_id}/members`
#[tracing::instrument(name = "api.members.add", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let recipients = request.read()?;
    let added = api.services.sharing.add(&access, backup, &recipients).await?;
    Ok(Json(Response { members: added.into_iter().map(Member::from).collect() }))
}

impl Request {
    fn read(self) -> Result<Recipients, ApiError> {
        let (members, domains) =
            (self.members.unwrap_or_default(), self.domains.unwrap_or_default());
        if members.is_empty() && domains.is_empty() {
            return Err(ApiError::invalid("members", format_args!("1 to {ITEMS_MAX} projects")));
        }
        if members.len() > ITEMS_MAX || domains.len() > ITEMS_MAX {
            let message = format!("A backup is shared with at most {ITEMS_MAX} projects.");
            return Err(ApiError::new(ErrorCode::TooManyMembers, message));
        }
        let project = |id: &String| id_of(id, ErrorCode::RecipientInvalid);
        let domain = |id: &String| id.parse().map_err(|why| ApiError::invalid("domains", why));
        Ok(Recipients {
            projects: members.iter().map(project).collect::<Result<_, _>>()?,
            domains: domains.iter().map(domain).collect::<Result<_, ApiError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "0605767b5780d5762fc5c0118072a564";

    fn read(body: serde_json::Value) -> Result<Recipients, ErrorCode> {
        let request: Request = serde_json::from_value(body).unwrap();
        request.read().map_err(|error| error.code)
    }

    /// Contract C35, SHR-04.
    #[test]
    fn one_to_ten_projects_or_accounts_are_named() {
        assert_eq!(read(json!({"members": [ID]})).unwrap().projects.len(), 1);
        assert_eq!(read(json!({"domains": [ID]})).unwrap().domains.len(), 1);
        assert_eq!(read(json!({})), Err(ErrorCode::InvalidParameter));
        assert_eq!(read(json!({"members": []})), Err(ErrorCode::InvalidParameter));
        assert_eq!(read(json!({"members": vec![ID; 11]})), Err(ErrorCode::TooManyMembers));
        assert_eq!(read(json!({"members": ["x"]})), Err(ErrorCode::RecipientInvalid));
        assert_eq!(read(json!({"domains": ["x"]})), Err(ErrorCode::InvalidParameter));
    }
}
