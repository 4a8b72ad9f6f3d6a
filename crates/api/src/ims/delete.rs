//! Deleting an image (contract F.2).

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, ImageInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "GlanceDeleteImage",
    verb: Verb::Delete,
    path: "/v2/images/{image_id}",
    group: "Images",
    summary: "Deletes an image; its backup can be deleted then, or goes with it.",
    admission: Admission::OwnProject,
    action: Some("ims:images:delete"),
    event: Some(Event::new("deleteImage", "image")),
    success: 204,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: None,
    mount: |filter| on(filter, handle),
};

/// Body of the request; it may be absent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = GlanceDeleteImageRequest)]
struct Request {
    /// Whether the backup is deleted as well.
    #[serde(default)]
    delete_backup: bool,
}

/// `DELETE /v2/images/{image_id}`
#[tracing::instrument(name = "api.images.delete", skip_all, fields(image.id = %image))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(image): PathId<ImageInPath>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let request: Request = if body.iter().all(u8::is_ascii_whitespace) {
        Request::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| ApiError::invalid("body", error))?
    };
    api.services.images.delete(&access, image, request.delete_backup).await?;
    Ok(StatusCode::NO_CONTENT)
}
