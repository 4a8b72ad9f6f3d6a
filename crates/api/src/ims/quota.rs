//! How many images there are and may be (QUO-02).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowImageQuota",
    verb: Verb::Get,
    path: "/v1/cloudimages/quota",
    group: "Images",
    summary: "Shows how many images the project has; there is no limit.",
    admission: Admission::OwnProject,
    action: Some("ims:quotas:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowImageQuotaResponse)]
struct Response {
    quotas: Quotas,
}

/// Limits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImageQuotas)]
struct Quotas {
    resources: Vec<Quota>,
}

/// A limit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImageQuota)]
struct Quota {
    r#type: &'static str,
    used: u64,
    /// -1: no limit.
    quota: i64,
    min: i64,
    max: i64,
}

/// `GET /v1/cloudimages/quota`
#[tracing::instrument(name = "api.images.quota", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
) -> Result<Json<Response>, ApiError> {
    let used = api.services.images.count(&access).await?;
    let quota = Quota { r#type: "image", used, quota: -1, min: -1, max: -1 };
    Ok(Json(Response { quotas: Quotas { resources: vec![quota] } }))
}
