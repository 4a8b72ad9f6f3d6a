//! Starting, stopping and restarting servers (contract F.4).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::ResourceId;
use cbr_model::audit::Event;
use cbr_service::servers::PowerAction;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ActOnServers",
    verb: Verb::Post,
    path: "/v1/{project_id}/cloudservers/action",
    group: "Servers",
    summary: "Starts, stops or restarts servers by the operator's commands; a job does it.",
    admission: Admission::Project,
    action: Some("ecs:cloudServers:action"),
    event: Some(Event::new("actOnServer", "server")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request: exactly one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ActOnServersRequest)]
struct Request {
    #[serde(rename = "os-start")]
    start: Option<Servers>,
    #[serde(rename = "os-stop")]
    stop: Option<Servers>,
    reboot: Option<Servers>,
}

/// The servers that are meant.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ServersToActOn)]
struct Servers {
    servers: Vec<ServerRef>,
    /// SOFT. There is one way to stop a server: the operator's.
    r#type: Option<String>,
}

/// A server that is meant.
#[derive(Debug, Deserialize, ToSchema)]
struct ServerRef {
    id: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActOnServersResponse)]
struct Response {
    job_id: String,
}

/// `POST /v1/{project_id}/cloudservers/action`
#[tracing::instrument(name = "api.servers.act", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let (action, servers) = request.read()?;
    let job = api.services.servers.act(&access, action, &servers).await?;
    Ok(Json(Response { job_id: job.to_string() }))
}

impl Request {
    fn read(self) -> Result<(PowerAction, Vec<ResourceId>), ApiError> {
        let (action, servers) = match (self.start, self.stop, self.reboot) {
            (Some(servers), None, None) => (PowerAction::Start, servers),
            (None, Some(servers), None) => (PowerAction::Stop, servers),
            (None, None, Some(servers)) => (PowerAction::Reboot, servers),
            _ => {
                let one = "exactly one of os-start, os-stop and reboot";
                return Err(ApiError::invalid("body", one));
            }
        };
        if servers.r#type.is_some_and(|kind| kind != "SOFT") {
            let reason = "only SOFT is offered: a server is stopped by the operator's command";
            return Err(ApiError::invalid("type", reason));
        }
        let id = |server: &ServerRef| id_of(&server.id, ErrorCode::ServerNotFound);
        let ids = servers.servers.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        Ok((action, ids))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_thing_is_done_and_not_by_force() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let servers = json!({"servers": [{"id": id}], "type": "SOFT"});
        let read = |body| serde_json::from_value::<Request>(body).unwrap().read();
        for (key, action) in [
            ("os-start", PowerAction::Start),
            ("os-stop", PowerAction::Stop),
            ("reboot", PowerAction::Reboot),
        ] {
            assert_eq!(read(json!({key: servers})).unwrap(), (action, vec![id.parse().unwrap()]));
        }
        for bad in [
            json!({}),
            json!({"os-start": servers, "os-stop": servers}),
            json!({"os-stop": {"servers": [{"id": id}], "type": "HARD"}}),
        ] {
            assert_eq!(read(bad.clone()).unwrap_err().code, ErrorCode::InvalidParameter, "{bad}");
        }
        let absent = read(json!({"os-stop": {"servers": [{"id": "x"}]}}));
        assert_eq!(absent.unwrap_err().code, ErrorCode::ServerNotFound);
    }
}
