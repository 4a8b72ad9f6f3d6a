//! `AssociateVaultPolicy` (contract C12).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::{PolicyId, VaultId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::VaultPolicy;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

/// The most policies one request names.
const POLICIES_MAX: usize = 10;

pub(crate) const OPERATION: Operation = Operation {
    name: "AssociateVaultPolicy",
    verb: Verb::Post,
    path: "/v3/{project_id}/vaults/{vault_id}/associatepolicy",
    group: "Vaults",
    summary: "Binds a policy to a vault, in place of the one of its type.",
    admission: Admission::Project,
    action: Some("cbr:vaults:associatePolicy"),
    event: Some(Event::new("associatePolicy", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request: one of `policy_id` and `add_policy_ids`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AssociateVaultPolicyRequest)]
struct Request {
    policy_id: Option<String>,
    /// 1 to 10, at most one of each type.
    add_policy_ids: Option<Vec<String>>,
    /// Needed by replication policies, and by no others.
    destination_vault_id: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AssociateVaultPolicyResponse)]
struct Response {
    associate_policy: VaultPolicy,
}

/// `POST /v3/{project_id}/vaults/{vault_id}/associatepolicy`
#[tracing::instrument(name = "api.vaults.associate_policy", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let (policies, destination) = request.read()?;
    api.services.policies.bind(&access, vault, &policies, destination).await?;
    let associate_policy = VaultPolicy::new(vault, policies[0], destination);
    Ok(Json(Response { associate_policy }))
}

impl Request {
    /// The policies, at least one, and the destination.
    fn read(&self) -> Result<(Vec<PolicyId>, Option<VaultId>), ApiError> {
        let one = self.policy_id.as_deref().filter(|id| !id.is_empty());
        let texts = match (one, self.add_policy_ids.as_deref().unwrap_or_default()) {
            (Some(one), []) => vec![one],
            (None, several @ [_, ..]) if several.len() <= POLICIES_MAX => {
                several.iter().map(String::as_str).collect()
            }
            (None, [_, ..]) => {
                let reason = format!("at most {POLICIES_MAX} are possible");
                return Err(ApiError::invalid("add_policy_ids", reason));
            }
            _ => {
                let reason = "exactly one of policy_id and add_policy_ids is needed";
                return Err(ApiError::invalid("policy_id", reason));
            }
        };
        let policy = |text| id_of(text, ErrorCode::PolicyNotFound);
        let policies = texts.into_iter().map(policy).collect::<Result<Vec<_>, _>>()?;
        let destination = self.destination_vault_id.as_deref().filter(|id| !id.is_empty());
        let vault = |text| id_of(text, ErrorCode::DestinationVaultAbsent);
        Ok((policies, destination.map(vault).transpose()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract C12: exactly one of the two; text that is no id is the id of nothing.
    #[test]
    fn a_request_names_policies_in_one_way() {
        let id = "7075c397-25a0-43e2-a83a-bb16eaca3ee5";
        let read = |json: &str| {
            let request: Request = serde_json::from_str(json).unwrap();
            request.read().map(|(policies, _)| policies.len()).map_err(|error| error.code)
        };
        let many = |count| format!(r#"{{"add_policy_ids":{:?}}}"#, vec![id; count]);
        assert_eq!(read(&format!(r#"{{"policy_id":"{id}","add_policy_ids":[]}}"#)), Ok(1));
        assert_eq!(read(&many(10)), Ok(10));
        assert_eq!(read(&many(11)), Err(ErrorCode::InvalidParameter));
        assert_eq!(read("{}"), Err(ErrorCode::InvalidParameter));
        let both = format!(r#"{{"policy_id":"{id}","add_policy_ids":["{id}"]}}"#);
        assert_eq!(read(&both), Err(ErrorCode::InvalidParameter));
        assert_eq!(read(r#"{"policy_id":"daily"}"#), Err(ErrorCode::PolicyNotFound));
        let nowhere = format!(r#"{{"policy_id":"{id}","destination_vault_id":"x"}}"#);
        assert_eq!(read(&nowhere), Err(ErrorCode::DestinationVaultAbsent));
    }
}
