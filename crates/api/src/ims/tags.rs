//! Tags of an image (contract F.2).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::tag::Tag;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::create::Tagging;
use crate::error::ApiError;
use crate::extract::{Authorised, ImageInPath, JsonBody, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const ACT: Operation = Operation {
    name: "BatchAddOrDeleteImageTags",
    verb: Verb::Post,
    path: "/v2/{project_id}/images/{image_id}/tags/action",
    group: "Images",
    summary: "Sets tags of an image, or takes them off.",
    admission: Admission::Project,
    action: Some("ims:images:update"),
    event: Some(Event::new("updateImageTags", "image")),
    success: 204,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: None,
    mount: |filter| on(filter, act),
};

pub(crate) const LIST: Operation = Operation {
    name: "ListImageTags",
    verb: Verb::Get,
    path: "/v2/{project_id}/images/{image_id}/tags",
    group: "Images",
    summary: "Lists the tags of an image.",
    admission: Admission::Project,
    action: Some("ims:images:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, list),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BatchAddOrDeleteImageTagsRequest)]
struct Request {
    /// create or delete.
    action: String,
    tags: Vec<Tagging>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListImageTagsResponse)]
struct Response {
    tags: Vec<Tagging>,
}

/// `POST /v2/{project_id}/images/{image_id}/tags/action`
#[tracing::instrument(name = "api.images.tags.act", skip_all, fields(image.id = %image))]
async fn act(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(image): PathId<ImageInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<StatusCode, ApiError> {
    let images = &api.services.images;
    match request.action.as_str() {
        "create" => {
            let tags = request.tags.into_iter().map(Tag::from).collect();
            images.add_tags(&access, image, tags).await?;
        }
        "delete" => {
            let keys: Vec<String> = request.tags.into_iter().map(|tag| tag.key).collect();
            images.remove_tags(&access, image, &keys).await?;
        }
        _ => return Err(ApiError::invalid("action", "create or delete")),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v2/{project_id}/images/{image_id}/tags`
#[tracing::instrument(name = "api.images.tags.list", skip_all, fields(image.id = %image))]
async fn list(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(image): PathId<ImageInPath>,
) -> Result<Json<Response>, ApiError> {
    let tags = api.services.images.show(&access, image).await?.image.tags;
    let tags = tags.into_iter().map(|tag| Tagging { key: tag.key, value: Some(tag.value) });
    Ok(Json(Response { tags: tags.collect() }))
}
