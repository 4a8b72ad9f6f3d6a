//! List of disks (contract F.3).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::ResourceId;
use cbr_service::volumes::VolumeFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Volume;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListVolumes",
    verb: Verb::Get,
    path: "/v2/{project_id}/cloudvolumes/detail",
    group: "Disks",
    summary: "Lists disks in order of their ids.",
    admission: Admission::Project,
    action: Some("evs:volumes:list"),
    event: None,
    success: 200,
    query: &[
        parameter("id", Form::Text, "This disk."),
        parameter("ids", Form::Texts, "One of these disks; brackets and quotes are ignored."),
        parameter("name", Form::Text, "The name contains this."),
        parameter("status", Form::Text, "In this status."),
        parameter("availability_zone", Form::Text, "In this availability zone."),
        parameter("server_id", Form::Text, "At this server."),
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "So many are skipped."),
        parameter("marker", Form::Text, "Only those after the one with this id."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer. Links between pages are absent: clients would follow them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListVolumesResponse)]
struct Response {
    /// How many match without paging.
    count: u64,
    volumes: Vec<Volume>,
}

/// `GET /v2/{project_id}/cloudvolumes/detail`
#[tracing::instrument(name = "api.volumes.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let filter = filter(&query)?;
    let found = api.services.volumes.list(&access, &filter, query.page()?).await?;
    let volumes =
        found.rows.into_iter().map(|volume| Volume::of(volume, access.project())).collect();
    Ok(Json(Response { count: found.total, volumes }))
}

fn filter(query: &Query) -> Result<VolumeFilter, ApiError> {
    let mut ids: Vec<ResourceId> = query.values("id")?;
    for text in query.texts("ids")? {
        // The documentation writes ids=['a','b'].
        let bare =
            text.trim_matches(|c: char| matches!(c, '[' | ']' | '\'' | '"') || c.is_whitespace());
        ids.push(bare.parse().map_err(|why| ApiError::invalid("ids", why))?);
    }
    Ok(VolumeFilter {
        ids,
        name: query.text("name").map(str::to_owned),
        status: query.text("status").map(str::to_owned),
        availability_zone: query.text("availability_zone").map(str::to_owned),
        server: query.value("server_id")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_with_and_without_brackets() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let text = format!("ids=['{id}',%20'{id}']&id={id}");
        assert_eq!(filter(&Query::parse(&text)).unwrap().ids.len(), 3);
        assert!(filter(&Query::parse("ids=[x]")).is_err());
    }
}
