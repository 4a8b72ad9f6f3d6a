//! Making a server from an image (contract F.4, IMG-01).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::size::Gib;
use cbr_service::servers::NewServerRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateServers",
    verb: Verb::Post,
    path: "/v1.1/{project_id}/cloudservers",
    group: "Servers",
    summary: "Makes a server with all disks of an image. It is off; a job tells when it is there.",
    admission: Admission::Project,
    action: Some("ecs:cloudServers:create"),
    event: Some(Event::new("createServer", "server")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// The older path of the same.
pub(crate) const OPERATION_V1: Operation =
    Operation { name: "CreatePostPaidServers", path: "/v1/{project_id}/cloudservers", ..OPERATION };

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateServersRequest)]
struct Request {
    server: ServerCreate,
    /// Not offered.
    #[serde(default)]
    dry_run: bool,
}

/// The server to be made. What it computes with and which networks it is in is decided by the operator's
/// commands; `flavorRef`, `vpcid`, `nics` and `security_groups` are there for clients that must name them.
#[derive(Debug, Deserialize, ToSchema)]
struct ServerCreate {
    name: String,
    /// The image.
    #[serde(rename = "imageRef")]
    image: String,
    root_volume: Option<RootVolume>,
    availability_zone: Option<String>,
    /// 1.
    count: Option<i64>,
    /// Not offered: the disks are those of the image.
    data_volumes: Option<Vec<serde_json::Value>>,
    /// Not offered: who may log in is what the image says.
    #[serde(rename = "adminPass")]
    password: Option<String>,
    /// Not offered, as `adminPass`.
    key_name: Option<String>,
    /// Not offered.
    user_data: Option<String>,
    /// Not offered: servers have no tags here.
    server_tags: Option<Vec<serde_json::Value>>,
    /// Not offered.
    publicip: Option<serde_json::Value>,
    extendparam: Option<ExtendParam>,
}

/// The system disk. The pool is that of all disks.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = ServerRootVolume)]
struct RootVolume {
    /// The pool.
    volumetype: Option<String>,
    /// GB; at least as in the image.
    size: Option<u64>,
}

/// What else is said of the server.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = ServerExtendParam)]
struct ExtendParam {
    /// Not offered: a server is put into a vault by the vault.
    #[serde(rename = "CB_CSBS_BACKUP")]
    backup: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateServersResponse)]
struct Response {
    job_id: String,
    /// The ids the servers will have.
    #[serde(rename = "serverIds")]
    server_ids: Vec<String>,
}

/// `POST /v1.1/{project_id}/cloudservers`
#[tracing::instrument(name = "api.servers.create", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    if request.dry_run {
        return Err(ApiError::invalid("dry_run", "it is not offered"));
    }
    let started = api.services.servers.create(&access, request.server.read()?).await?;
    Ok(Json(Response {
        job_id: started.job.to_string(),
        server_ids: vec![started.server.to_string()],
    }))
}

impl ServerCreate {
    fn read(self) -> Result<NewServerRequest, ApiError> {
        let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let extend = self.extendparam.unwrap_or_default();
        let not_offered = [
            ("count", !matches!(self.count, None | Some(1))),
            ("data_volumes", self.data_volumes.is_some_and(|disks| !disks.is_empty())),
            ("adminPass", is_given(&self.password)),
            ("key_name", is_given(&self.key_name)),
            ("user_data", is_given(&self.user_data)),
            ("server_tags", self.server_tags.is_some_and(|tags| !tags.is_empty())),
            ("publicip", self.publicip.is_some()),
            ("CB_CSBS_BACKUP", is_given(&extend.backup)),
        ];
        if let Some((field, _)) = not_offered.into_iter().find(|(_, given)| *given) {
            return Err(ApiError::invalid(field, "it is not offered"));
        }
        let root = self.root_volume.unwrap_or_default();
        Ok(NewServerRequest {
            name: self.name,
            image: id_of(&self.image, ErrorCode::ImageNotFound)?,
            root_size: root.size.map(Gib),
            volume_type: root.volumetype.filter(|pool| !pool.is_empty()),
            availability_zone: self.availability_zone.filter(|zone| !zone.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_offered_is_refused_and_not_ignored() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let read = |more: serde_json::Value| {
            let mut server = json!({"name": "web", "imageRef": id, "flavorRef": "s6.small.1",
                "vpcid": id, "nics": [{"subnet_id": id}], "root_volume": {"volumetype": "SSD"}});
            server.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value::<ServerCreate>(server).unwrap().read()
        };
        for more in [
            json!({"count": 2}),
            json!({"data_volumes": [{"volumetype": "SSD", "size": 10}]}),
            json!({"adminPass": "x"}),
            json!({"key_name": "x"}),
            json!({"user_data": "x"}),
            json!({"server_tags": [{"key": "a", "value": "b"}]}),
            json!({"publicip": {"id": id}}),
            json!({"extendparam": {"CB_CSBS_BACKUP": "x"}}),
        ] {
            assert_eq!(read(more.clone()).unwrap_err().code, ErrorCode::InvalidParameter, "{more}");
        }
        let absent = read(json!({"imageRef": "x"})).unwrap_err();
        assert_eq!(absent.code, ErrorCode::ImageNotFound);
        let good = read(json!({"root_volume": {"size": 40}, "data_volumes": []})).unwrap();
        assert_eq!((good.root_size, good.volume_type), (Some(Gib(40)), None));
    }
}
