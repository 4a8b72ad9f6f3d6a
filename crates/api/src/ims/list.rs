//! List of images (contract F.2).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::query::ImageFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Image;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Parameter, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

/// What both lists read.
pub(super) const QUERY: &[Parameter] = &[
    parameter("id", Form::Texts, "These images."),
    parameter("name", Form::Text, "The name is this."),
    parameter("status", Form::Text, "queued, saving, active, killed or deleted."),
    parameter("protected", Form::Flag, "Whether it is protected from deletion."),
    parameter("owner", Form::Text, "Made by this project; others' are not seen."),
    parameter("visibility", Form::Text, "Only private ones exist here."),
    parameter("__imagetype", Form::Text, "Only private ones exist here."),
    parameter("__isregistered", Form::Text, "All are."),
    parameter("tag", Form::Text, "Carries this key; what follows a dot is not looked at."),
    parameter("enterprise_project_id", Form::Text, "Of this enterprise project."),
    parameter("limit", Form::Integer, "1 to 1000; default 1000."),
    parameter("offset", Form::Integer, "So many are skipped."),
    parameter("marker", Form::Text, "Only those after the one with this id."),
];

pub(crate) const OPERATION: Operation = Operation {
    name: "ListImages",
    verb: Verb::Get,
    path: "/v2/cloudimages",
    group: "Images",
    summary: "Lists the project's images, newest first.",
    admission: Admission::OwnProject,
    action: Some("ims:images:list"),
    event: None,
    success: 200,
    query: QUERY,
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListImagesResponse)]
pub(super) struct Response {
    images: Vec<Image>,
}

/// `GET /v2/cloudimages`
#[tracing::instrument(name = "api.images.list", skip_all)]
pub(super) async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let project = access.project().to_string();
    let page = query.page()?;
    let Some(filter) = filter(&query, &project)? else {
        return Ok(Json(Response { images: Vec::new() }));
    };
    let found = api.services.images.list(&access, &filter, page).await?;
    Ok(Json(Response { images: found.rows.into_iter().map(Image::from).collect() }))
}

/// None: nothing can match.
fn filter(query: &Query, project: &str) -> Result<Option<ImageFilter>, ApiError> {
    let only = |name: &str, word: &str| query.text(name).is_none_or(|text| text == word);
    let can_match = only("visibility", "private")
        && only("__imagetype", "private")
        && only("__isregistered", "true")
        && only("owner", project);
    let backup_statuses = match query.text("status") {
        None => vec![],
        Some("active") => vec!["available", "restoring"],
        Some("saving") => vec!["protecting"],
        Some("killed") => vec!["error"],
        Some("queued" | "deleted") => return Ok(None),
        Some(_) => {
            let words = "queued, saving, active, killed or deleted";
            return Err(ApiError::invalid("status", words));
        }
    };
    let is_any = |text: &&str| !text.is_empty() && *text != "all_granted_eps";
    let filter = ImageFilter {
        ids: query.values("id")?,
        backup: None,
        name: query.text("name").map(str::to_owned),
        tag_key: query
            .text("tag")
            .map(|tag| tag.split(['.', '=']).next().unwrap_or(tag).to_owned()),
        protected: query.value("protected")?,
        enterprise_project: query.text("enterprise_project_id").filter(is_any).map(str::to_owned),
        backup_statuses,
    };
    Ok(can_match.then_some(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_image_here_is_matches_nothing_and_is_no_error() {
        let read = |text: &str| filter(&Query::parse(text), "p");
        for nothing in [
            "__imagetype=gold",
            "visibility=public",
            "owner=q",
            "status=queued",
            "__isregistered=false",
        ] {
            assert_eq!(read(nothing).unwrap(), None, "{nothing}");
        }
        let all =
            "__imagetype=private&__isregistered=true&owner=p&enterprise_project_id=all_granted_eps";
        assert_eq!(read(all).unwrap(), Some(ImageFilter::default()));
        assert!(read("status=x").is_err());
        let tagged = read("tag=env.prod&status=active").unwrap().unwrap();
        assert_eq!(tagged.tag_key.as_deref(), Some("env"));
        assert_eq!(tagged.backup_statuses, ["available", "restoring"]);
    }
}
