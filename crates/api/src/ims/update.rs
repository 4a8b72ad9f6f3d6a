//! Changing an image by a JSON patch (contract F.2).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::images::ImageChange;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::wire::Image;
use crate::error::ApiError;
use crate::extract::{Authorised, ImageInPath, JsonBody, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "UpdateImage",
    verb: Verb::Patch,
    path: "/v2/cloudimages/{image_id}",
    group: "Images",
    summary: "Changes name, description, memory limits or protection of an image.",
    admission: Admission::OwnProject,
    action: Some("ims:images:update"),
    event: Some(Event::new("updateImage", "image")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Vec<Change>>()),
    response: Some(schema_of::<Image>()),
    mount: |filter| on(filter, handle),
};

/// One change.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateImageChange)]
struct Change {
    /// add, replace or remove.
    op: String,
    /// /name, /__description, /min_ram, /max_ram or /protected.
    path: String,
    #[schema(value_type = Object)]
    #[serde(default)]
    value: Value,
}

/// `PATCH /v2/cloudimages/{image_id}`
#[tracing::instrument(name = "api.images.update", skip_all, fields(image.id = %image))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(image): PathId<ImageInPath>,
    JsonBody(changes): JsonBody<Vec<Change>>,
) -> Result<Json<Image>, ApiError> {
    let change = read(changes)?;
    Ok(Json(api.services.images.update(&access, image, change).await?.into()))
}

fn read(changes: Vec<Change>) -> Result<ImageChange, ApiError> {
    let mut read = ImageChange::default();
    for Change { op, path, value } in changes {
        let value = match op.as_str() {
            "add" | "replace" => value,
            // Back to what it is without it.
            "remove" => match path.as_str() {
                "/__description" => Value::from(""),
                "/min_ram" | "/max_ram" => Value::from(0),
                _ => return Err(ApiError::invalid("path", format!("{path} cannot be removed"))),
            },
            _ => return Err(ApiError::invalid("op", "add, replace or remove")),
        };
        match path.as_str() {
            "/name" => read.name = Some(text(&path, &value)?),
            "/__description" | "/description" => read.description = Some(text(&path, &value)?),
            "/min_ram" => read.min_ram_mib = Some(number(&path, &value)?),
            "/max_ram" => read.max_ram_mib = Some(number(&path, &value)?),
            "/protected" => read.protected = Some(flag(&path, &value)?),
            other => {
                return Err(ApiError::invalid("path", format!("{other} cannot be changed")));
            }
        }
    }
    Ok(read)
}

fn text(path: &str, value: &Value) -> Result<String, ApiError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| ApiError::invalid("value", format!("{path} is a text")))
}

/// Clients send numbers as texts as well.
fn number(path: &str, value: &Value) -> Result<u64, ApiError> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| ApiError::invalid("value", format!("{path} is a number of MB")))
}

fn flag(path: &str, value: &Value) -> Result<bool, ApiError> {
    let flag = value.as_bool().or_else(|| value.as_str()?.parse().ok());
    flag.ok_or_else(|| ApiError::invalid("value", format!("{path} is true or false")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_change_is_refused_and_not_ignored() {
        let parse = |body| read(serde_json::from_value(body).unwrap());
        let good = parse(json!([
            {"op": "replace", "path": "/name", "value": "n"},
            {"op": "add", "path": "/min_ram", "value": "2048"},
            {"op": "remove", "path": "/__description"},
            {"op": "replace", "path": "/protected", "value": true}
        ]));
        let expected = ImageChange {
            name: Some("n".into()),
            description: Some(String::new()),
            min_ram_mib: Some(2048),
            max_ram_mib: None,
            protected: Some(true),
        };
        assert_eq!(good.unwrap(), expected);
        for bad in [
            json!([{"op": "replace", "path": "/__os_version", "value": "x"}]),
            json!([{"op": "move", "path": "/name", "value": "x"}]),
            json!([{"op": "remove", "path": "/name"}]),
            json!([{"op": "replace", "path": "/name", "value": 1}]),
            json!([{"op": "replace", "path": "/min_ram", "value": -1}]),
            json!([{"op": "replace", "path": "/protected", "value": "maybe"}]),
        ] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
    }
}
