//! `CreateCheckpoint` (contract C23): a backup of a vault.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::checkpoints::{NewCheckpoint, ResourceChoice};
use serde::Deserialize;
use utoipa::ToSchema;

use super::show::Response;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::vaults::wire::ResourceExtra;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateCheckpoint",
    verb: Verb::Post,
    path: "/v3/{project_id}/checkpoints",
    group: "Restore points",
    summary: "Backs up a vault, or some of its resources; one task for each.",
    admission: Admission::Project,
    action: Some("cbr:vaults:backup"),
    event: Some(Event::new("createVaultBackup", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateCheckpointRequest)]
struct Request {
    checkpoint: CheckpointCreate,
}

/// The run that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
struct CheckpointCreate {
    vault_id: String,
    parameters: Option<CheckpointParameters>,
}

/// How the run shall be.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct CheckpointParameters {
    /// Default `manualbk_` and four hexadecimal digits.
    name: Option<String>,
    description: Option<String>,
    /// Default true; false makes full backups.
    incremental: Option<bool>,
    /// Whether a schedule asks.
    auto_trigger: Option<bool>,
    /// Only these resources; absent or empty: all.
    resources: Option<Vec<String>>,
    /// Only these resources, with particulars.
    resource_details: Option<Vec<ResourceDetails>>,
    /// 1 to 36500, or -1 for ever.
    retention_duration_days: Option<i64>,
}

/// A resource the run shall take.
#[derive(Debug, Deserialize, ToSchema)]
struct ResourceDetails {
    id: String,
    extra_info: Option<ResourceExtra>,
}

/// `POST /v3/{project_id}/checkpoints`
#[tracing::instrument(name = "api.checkpoints.create", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let wanted = request.checkpoint.read()?;
    let checkpoint = api.services.checkpoints.create(&access, wanted).await?.into();
    Ok(Json(Response { checkpoint }))
}

impl CheckpointCreate {
    fn read(self) -> Result<NewCheckpoint, ApiError> {
        let parameters = self.parameters.unwrap_or_default();
        let vault = id_of(&self.vault_id, ErrorCode::VaultNotFound)?;
        let mut resources = Vec::new();
        for id in parameters.resources.unwrap_or_default() {
            resources.push(ResourceChoice {
                id: id_of(&id, ErrorCode::ResourceNotInVault)?,
                exclude_volumes: vec![],
            });
        }
        for details in parameters.resource_details.unwrap_or_default() {
            let exclude_volumes = details.extra_info.unwrap_or_default().exclude_volumes()?;
            resources.push(ResourceChoice {
                id: id_of(&details.id, ErrorCode::ResourceNotInVault)?,
                exclude_volumes,
            });
        }
        Ok(NewCheckpoint {
            vault,
            name: parameters.name.filter(|name| !name.is_empty()),
            description: parameters.description.unwrap_or_default(),
            resources,
            incremental: parameters.incremental.unwrap_or(true),
            auto_trigger: parameters.auto_trigger.unwrap_or(false),
            retention_days: parameters.retention_duration_days,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

    fn read(parameters: serde_json::Value) -> Result<NewCheckpoint, ErrorCode> {
        let body = json!({"checkpoint": {"vault_id": ID, "parameters": parameters}});
        let request: Request = serde_json::from_value(body).expect("the body is well-formed");
        request.checkpoint.read().map_err(|error| error.code)
    }

    /// Contract C23.
    #[test]
    fn a_run_is_incremental_manual_and_over_everything_by_default() {
        for parameters in [json!(null), json!({}), json!({"resources": [], "name": ""})] {
            let run = read(parameters).unwrap();
            assert_eq!((run.incremental, run.auto_trigger), (true, false));
            assert_eq!((run.name, run.resources.len(), run.retention_days), (None, 0, None));
        }
    }

    #[test]
    fn resources_are_chosen_by_id_or_with_particulars() {
        let run = read(json!({
            "resources": [ID],
            "resource_details": [{"id": ID, "type": "OS::Nova::Server",
                                  "extra_info": {"exclude_volumes": [ID]}}],
        }))
        .unwrap();
        assert_eq!(run.resources.len(), 2);
        assert_eq!(run.resources[1].exclude_volumes.len(), 1);
        assert_eq!(read(json!({"resources": ["x"]})), Err(ErrorCode::ResourceNotInVault));
    }
}
