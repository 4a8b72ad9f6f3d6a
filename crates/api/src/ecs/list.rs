//! List of servers (contract F.4). Its `offset` is the number of a page, from 1.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::query::Page;
use cbr_service::servers::ServerFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Server;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

/// Rows of a page when the client does not say.
const LIMIT_DEFAULT: u32 = 25;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListServers",
    verb: Verb::Get,
    path: "/v1/{project_id}/cloudservers/detail",
    group: "Servers",
    summary: "Lists servers in order of their ids.",
    admission: Admission::Project,
    action: Some("ecs:cloudServers:list"),
    event: None,
    success: 200,
    query: &[
        parameter("server_id", Form::Texts, "One of these servers."),
        parameter("name", Form::Text, "The name contains this."),
        parameter("status", Form::Text, "In this status."),
        parameter("limit", Form::Integer, "1 to 1000; default 25."),
        parameter("offset", Form::Integer, "The number of the page, from 1."),
        parameter("marker", Form::Text, "Only those after the one with this id."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListServersResponse)]
struct Response {
    /// How many match without paging.
    count: u64,
    servers: Vec<Server>,
}

/// `GET /v1/{project_id}/cloudservers/detail`
#[tracing::instrument(name = "api.servers.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let filter = ServerFilter {
        ids: query.values("server_id")?,
        name: query.text("name").map(str::to_owned),
        status: query.text("status").map(str::to_owned),
    };
    let found = api.services.servers.list(&access, &filter, page(&query)?).await?;
    let servers =
        found.rows.into_iter().map(|server| Server::of(server, access.project())).collect();
    Ok(Json(Response { count: found.total, servers }))
}

fn page(query: &Query) -> Result<Page, ApiError> {
    let mut page = query.page()?;
    if query.text("limit").is_none() {
        page.limit = LIMIT_DEFAULT;
    }
    page.offset = page.offset.saturating_sub(1).saturating_mul(u64::from(page.limit));
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract F.4: `offset` counts pages from 1; 0 means the first as well.
    #[test]
    fn offset_is_the_number_of_the_page() {
        let at = |text: &str| {
            let page = page(&Query::parse(text)).unwrap();
            (page.limit, page.offset)
        };
        assert_eq!(at(""), (25, 0));
        assert_eq!(at("offset=0&limit=10"), (10, 0));
        assert_eq!(at("offset=1&limit=10"), (10, 0));
        assert_eq!(at("offset=3&limit=10"), (10, 20));
    }
}
