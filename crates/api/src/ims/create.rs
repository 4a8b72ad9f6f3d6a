//! Making an image of a server's backup, or of a server (contract F.2, IMG-01, IMG-12).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::tag::Tag;
use cbr_service::images::{ImageSource, NewImage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateWholeImage",
    verb: Verb::Post,
    path: "/v1/cloudimages/wholeimages/action",
    group: "Images",
    summary: "Makes an image of a whole server from a backup of it, or backs the server up first; a job tells when it can be used.",
    admission: Admission::OwnProject,
    action: Some("ims:wholeImages:create"),
    event: Some(Event::new("createWholeImage", "image")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request: `backup_id`, or `instance_id` and `vault_id`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateWholeImageRequest)]
struct Request {
    /// 1 to 128 characters.
    name: String,
    description: Option<String>,
    /// A backup of a whole server.
    backup_id: Option<String>,
    /// `CBR`.
    whole_image_type: Option<String>,
    /// A server that is backed up first.
    instance_id: Option<String>,
    /// The vault that protects that server.
    vault_id: Option<String>,
    enterprise_project_id: Option<String>,
    /// MB.
    min_ram: Option<u64>,
    /// MB; 0: any.
    max_ram: Option<u64>,
    image_tags: Option<Vec<Tagging>>,
    /// The older form of tags: `key.value`.
    tags: Option<Vec<String>>,
}

/// A tag.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = ImageTag)]
pub(super) struct Tagging {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateWholeImageResponse)]
struct Response {
    job_id: String,
}

/// `POST /v1/cloudimages/wholeimages/action`
#[tracing::instrument(name = "api.images.create", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let started = api.services.images.create(&access, request.read()?).await?;
    Ok(Json(Response { job_id: started.job.to_string() }))
}

impl Request {
    fn read(self) -> Result<NewImage, ApiError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(other) = given(self.whole_image_type).filter(|kind| kind != "CBR") {
            let reason = format!("`{other}` is not offered; it must be CBR");
            return Err(ApiError::invalid("whole_image_type", reason));
        }
        let source = match (given(self.backup_id), given(self.instance_id), given(self.vault_id)) {
            (Some(backup), None, _) => {
                ImageSource::Backup(id_of(&backup, ErrorCode::BackupNotFound)?)
            }
            (None, Some(server), Some(vault)) => ImageSource::Server {
                server: id_of(&server, ErrorCode::ServerNotFound)?,
                vault: id_of(&vault, ErrorCode::VaultNotFound)?,
            },
            (None, Some(_), None) => {
                return Err(ApiError::invalid("vault_id", "it is required with instance_id"));
            }
            (Some(_), Some(_), _) => {
                return Err(ApiError::invalid("instance_id", "give either it or backup_id"));
            }
            (None, None, _) => {
                return Err(ApiError::invalid("backup_id", "it or instance_id is required"));
            }
        };
        let mut tags: Vec<Tag> =
            self.image_tags.unwrap_or_default().into_iter().map(Tag::from).collect();
        tags.extend(self.tags.unwrap_or_default().iter().map(|text| split(text)));
        Ok(NewImage {
            name: self.name,
            description: self.description.unwrap_or_default(),
            enterprise_project: given(self.enterprise_project_id),
            source,
            min_ram_mib: self.min_ram.unwrap_or(0),
            max_ram_mib: self.max_ram,
            tags,
        })
    }
}

impl From<Tagging> for Tag {
    fn from(tag: Tagging) -> Self {
        Self { key: tag.key, value: tag.value.unwrap_or_default() }
    }
}

/// `key.value`; a key has no dot.
fn split(text: &str) -> Tag {
    let (key, value) = text.split_once('.').unwrap_or((text, ""));
    Tag { key: key.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_names_a_backup_or_a_server_with_its_vault() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let read = |body| serde_json::from_value::<Request>(body).unwrap().read();
        for body in [
            json!({"name": "a"}),
            json!({"name": "a", "instance_id": id}),
            json!({"name": "a", "instance_id": id, "vault_id": id, "backup_id": id}),
            json!({"name": "a", "backup_id": id, "whole_image_type": "CSBS"}),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().code, ErrorCode::InvalidParameter, "{body}");
        }
        let image = read(json!({"name": "a", "backup_id": id, "vault_id": id,
            "image_tags": [{"key": "k"}], "tags": ["a.b.c"]}));
        let image = image.unwrap();
        assert!(matches!(image.source, ImageSource::Backup(_)));
        let tags: Vec<_> = image.tags.iter().map(|tag| (&*tag.key, &*tag.value)).collect();
        assert_eq!(tags, [("k", ""), ("a", "b.c")]);
    }
}
