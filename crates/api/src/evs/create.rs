//! Making a disk, empty or from a backup (contract F.3, NEW-01).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::size::Gib;
use cbr_service::volumes::NewVolumeRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateVolume",
    verb: Verb::Post,
    path: "/v2.1/{project_id}/cloudvolumes",
    group: "Disks",
    summary: "Makes a disk, empty or from a backup; a job does it.",
    admission: Admission::Project,
    action: Some("evs:volumes:create"),
    event: Some(Event::new("createVolume", "volume")),
    success: 202,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// The older path of the same.
pub(crate) const OPERATION_V2: Operation =
    Operation { name: "CreateVolumeV2", path: "/v2/{project_id}/cloudvolumes", ..OPERATION };

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateVolumeRequest)]
struct Request {
    volume: VolumeCreate,
    /// Attaching at once is not offered.
    server_id: Option<String>,
}

/// The disk to be made.
#[derive(Debug, Deserialize, ToSchema)]
struct VolumeCreate {
    name: Option<String>,
    description: Option<String>,
    /// GB; may be absent with `backup_id`.
    size: Option<u64>,
    /// The pool.
    volume_type: Option<String>,
    availability_zone: Option<String>,
    /// Its first content.
    backup_id: Option<String>,
    /// 1.
    count: Option<i64>,
    /// Not offered.
    snapshot_id: Option<String>,
    /// Not offered.
    #[serde(rename = "imageRef")]
    image: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateVolumeResponse)]
struct Response {
    job_id: String,
    volume_ids: Vec<String>,
}

/// `POST /v2.1/{project_id}/cloudvolumes`
#[tracing::instrument(name = "api.volumes.create", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let started = api.services.volumes.create(&access, request.read()?).await?;
    Ok(Json(Response {
        job_id: started.job.to_string(),
        volume_ids: vec![started.volume.to_string()],
    }))
}

impl Request {
    fn read(self) -> Result<NewVolumeRequest, ApiError> {
        let volume = self.volume;
        let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let not_offered = [
            ("server_id", is_given(&self.server_id)),
            ("snapshot_id", is_given(&volume.snapshot_id)),
            ("imageRef", is_given(&volume.image)),
            ("count", !matches!(volume.count, None | Some(1))),
        ];
        if let Some((field, _)) = not_offered.into_iter().find(|(_, given)| *given) {
            return Err(ApiError::invalid(field, "it is not offered"));
        }
        let backup = volume
            .backup_id
            .filter(|id| !id.is_empty())
            .map(|id| id_of(&id, ErrorCode::BackupNotFound))
            .transpose()?;
        Ok(NewVolumeRequest {
            name: volume.name.filter(|name| !name.is_empty()),
            description: volume.description.unwrap_or_default(),
            size: volume.size.map(Gib),
            volume_type: volume.volume_type.filter(|pool| !pool.is_empty()),
            availability_zone: volume.availability_zone.filter(|zone| !zone.is_empty()),
            backup,
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
        let read = |body| serde_json::from_value::<Request>(body).unwrap().read();
        for body in [
            json!({"volume": {"size": 1, "count": 2}}),
            json!({"volume": {"size": 1, "snapshot_id": id}}),
            json!({"volume": {"size": 1, "imageRef": id}}),
            json!({"volume": {"size": 1}, "server_id": id}),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().code, ErrorCode::InvalidParameter, "{body}");
        }
        let volume = read(json!({"volume": {"backup_id": id, "count": 1}})).unwrap();
        assert_eq!((volume.size, volume.backup.is_some()), (None, true));
    }
}
