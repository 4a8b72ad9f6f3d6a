//! For which hours the project's vaults and images are charged by use (extension; BIL-01, BIL-07).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::Timestamp;
use cbr_service::billing::{Charged, MeteredHour, MeteredThing, MeteringFilter, hour_of};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;
use crate::v3::vaults::wire::spec_code;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListMeteredHours",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/billing/metering",
    group: "Extensions",
    summary: "Lists the hours for which vaults and images of the project are charged by use, oldest first.",
    admission: Admission::Project,
    action: Some("cbr:vaults:list"),
    event: None,
    success: 200,
    query: &[
        parameter("from", Form::Time, "Hours that begin then or later; default: all."),
        parameter("until", Form::Time, "Hours that begin before; default: all."),
        parameter("vault_id", Form::Text, "Only this vault; it may be gone."),
        parameter("offset", Form::Integer, "So many are left out."),
        parameter("limit", Form::Integer, "At most so many; default and maximum 1000."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListMeteredHoursResponse)]
struct Response {
    hours: Vec<Hour>,
    /// Without paging.
    count: u64,
    /// What all of them cost together, without paging: millionths of a minor unit.
    amount_millionths: u64,
}

/// What an image is charged as.
const IMAGE: &str = "image";

/// An hour of a vault or of an image.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MeteredHour)]
struct Hour {
    /// Null: of an image.
    vault_id: Option<String>,
    /// Null: of a vault.
    image_id: Option<String>,
    /// Its begin.
    hour: String,
    /// That of the vault; `image` for an image.
    spec_code: String,
    /// The largest capacity the vault had in it, GB; of an image, what its backup holds.
    size: u64,
    /// Of one GB, in minor units with six decimals.
    price: String,
    /// Millionths of a minor unit.
    amount_millionths: u64,
    currency: String,
}

/// `GET /v3/{project_id}/x/billing/metering`
#[tracing::instrument(name = "api.x.billing.metering", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let filter = filter(&query)?;
    let listed = api.services.billing.metered(&access, filter, query.page()?).await?;
    let (hours, count, amount_millionths) = listed;
    let hours = hours.into_iter().map(Hour::from).collect();
    Ok(Json(Response { hours, count, amount_millionths }))
}

fn filter(query: &Query) -> Result<MeteringFilter, ApiError> {
    // The first hour that begins then or later.
    let first = |at: Timestamp| hour_of(at.plus_seconds(60 * 60 - 1));
    Ok(MeteringFilter {
        from: query.time("from")?.map_or(i64::MIN, first),
        until: query.time("until")?.map_or(i64::MAX, first),
        vault: query.value("vault_id")?,
    })
}

impl From<MeteredHour> for Hour {
    fn from(hour: MeteredHour) -> Self {
        let spec_code = match hour.charged {
            Charged::Vault(kind, consistency) => spec_code(kind, consistency),
            Charged::Image => IMAGE,
        };
        let (vault_id, image_id) = match hour.of {
            MeteredThing::Vault(id) => (Some(id.to_string()), None),
            MeteredThing::Image(id) => (None, Some(id.to_string())),
        };
        Self {
            vault_id,
            image_id,
            hour: time::format(Timestamp(0).plus_seconds(hour.hour.saturating_mul(60 * 60))),
            spec_code: spec_code.to_owned(),
            size: hour.size.0,
            price: hour.price.to_string(),
            amount_millionths: hour.amount,
            currency: hour.currency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_that_begin_in_the_time_asked_for() {
        let read = |text: &str| filter(&Query::parse(text)).unwrap();
        let part = read("from=1970-01-01T01:00:00Z&until=1970-01-01T02:00:01Z");
        assert_eq!((part.from, part.until), (1, 3), "01:00 and 02:00");
        assert_eq!((read("").from, read("").until), (i64::MIN, i64::MAX));
        assert!(filter(&Query::parse("from=yesterday")).is_err());
    }
}
