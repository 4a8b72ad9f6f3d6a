//! The same images as Glance shows them (contract F.2).

use axum::Json;
use axum::extract::State;
use axum::routing::on;

use super::list;
use super::wire::Image;
use crate::error::ApiError;
use crate::extract::{Authorised, ImageInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const LIST: Operation = Operation {
    name: "GlanceListImages",
    path: "/v2/images",
    mount: |filter| on(filter, list::handle),
    ..list::OPERATION
};

pub(crate) const SHOW: Operation = Operation {
    name: "GlanceShowImage",
    verb: Verb::Get,
    path: "/v2/images/{image_id}",
    group: "Images",
    summary: "Shows an image.",
    admission: Admission::OwnProject,
    action: Some("ims:images:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Image>()),
    mount: |filter| on(filter, handle),
};

/// `GET /v2/images/{image_id}`
#[tracing::instrument(name = "api.images.show", skip_all, fields(image.id = %image))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(image): PathId<ImageInPath>,
) -> Result<Json<Image>, ApiError> {
    Ok(Json(api.services.images.show(&access, image).await?.into()))
}
