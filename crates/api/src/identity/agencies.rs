//! Agencies: what an account lets another one do in its name (IAM-13, `/v3.0/OS-AGENCY`).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::identity::Agency;
use cbr_service::identity::{AgencyText, DomainRef, Duration};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::row::account;
use super::users::refuse_other_account;
use crate::error::ApiError;
use crate::extract::{AgencyInPath, JsonBody, OverAccount, PathId};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

const AGENCIES: &str = "/v3.0/OS-AGENCY/agencies";
const AGENCY: &str = "/v3.0/OS-AGENCY/agencies/{agency_id}";
const FOREVER: &str = "FOREVER";
const ONE_DAY: &str = "ONEDAY";

pub(crate) const LIST: Operation = account(
    "ListAgencies",
    (Verb::Get, AGENCIES),
    "Lists the agencies of the account.",
    "iam:agencies:listAgencies",
    |filter| on(filter, list),
)
.reads(&[
    parameter("domain_id", Form::Text, "Of this account."),
    parameter("name", Form::Text, "The name is exactly this."),
    parameter("trust_domain_id", Form::Text, "Trusts this account."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const CREATE: Operation = account(
    "CreateAgency",
    (Verb::Post, AGENCIES),
    "Lets another account act in this one's name, for what the agency is granted.",
    "iam:agencies:createAgency",
    |filter| on(filter, create),
)
.records("createAgency", "agency")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<Response>());

pub(crate) const SHOW: Operation = account(
    "ShowAgency",
    (Verb::Get, AGENCY),
    "Shows an agency.",
    "iam:agencies:getAgency",
    |filter| on(filter, show),
)
.gives(schema_of::<Response>());

pub(crate) const UPDATE: Operation = account(
    "UpdateAgency",
    (Verb::Put, AGENCY),
    "Changes what the body names, at once for all who act through the agency.",
    "iam:agencies:updateAgency",
    |filter| on(filter, update),
)
.records("updateAgency", "agency")
.takes(schema_of::<UpdateRequest>())
.gives(schema_of::<Response>());

pub(crate) const DELETE: Operation = account(
    "DeleteAgency",
    (Verb::Delete, AGENCY),
    "Removes an agency with all that was issued through it.",
    "iam:agencies:deleteAgency",
    |filter| on(filter, delete),
)
.records("deleteAgency", "agency")
.succeeds_with(204);

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgencyResponse)]
struct Response {
    agency: WireAgency,
}

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListAgenciesResponse)]
struct ListResponse {
    agencies: Vec<WireAgency>,
}

/// An agency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agency)]
struct WireAgency {
    id: String,
    name: String,
    domain_id: String,
    trust_domain_id: String,
    trust_domain_name: String,
    description: String,
    /// `FOREVER`, or hours.
    duration: String,
    create_time: String,
    /// Null: never.
    expire_time: Option<String>,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateAgencyRequest)]
struct CreateRequest {
    agency: Text,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateAgencyText)]
struct Text {
    name: String,
    /// One's own account.
    domain_id: Option<String>,
    #[serde(flatten)]
    patch: Patch,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateAgencyRequest)]
struct UpdateRequest {
    agency: Patch,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = AgencyPatch)]
struct Patch {
    /// The account that is trusted, by id or by name.
    trust_domain_id: Option<String>,
    trust_domain_name: Option<String>,
    description: Option<String>,
    /// `FOREVER`, `ONEDAY`, or a number of days.
    #[schema(value_type = Option<String>)]
    duration: Option<Value>,
}

/// `GET /v3.0/OS-AGENCY/agencies`
#[tracing::instrument(name = "api.identity.list_agencies", skip_all)]
async fn list(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let own = access.domain().to_string();
    let agencies = api.services.identity.agencies(&access).await?;
    let is_meant = |agency: &&Agency| {
        query.text("domain_id").is_none_or(|id| id == own)
            && query.text("name").is_none_or(|name| agency.name == name)
            && query.text("trust_domain_id").is_none_or(|id| agency.trusted.id.to_string() == id)
    };
    let agencies = agencies.iter().filter(is_meant).map(WireAgency::of).collect();
    Ok(Json(ListResponse { agencies }))
}

/// `POST /v3.0/OS-AGENCY/agencies`
#[tracing::instrument(name = "api.identity.create_agency", skip_all)]
async fn create(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Json<Response>, ApiError> {
    let Text { name, domain_id, patch } = request.agency;
    refuse_other_account(domain_id.as_deref(), &access.domain().to_string())?;
    let needed = || ApiError::invalid("trust_domain_name", "name the account that is trusted");
    let text = AgencyText {
        name,
        trusted: patch.trusted().ok_or_else(needed)?,
        duration: patch.duration()?.unwrap_or(Duration::Forever),
        description: patch.description.unwrap_or_default(),
    };
    let agency = api.services.identity.create_agency(&access, text).await?;
    Ok(Json(Response { agency: WireAgency::of(&agency) }))
}

/// `GET /v3.0/OS-AGENCY/agencies/{agency_id}`
#[tracing::instrument(name = "api.identity.show_agency", skip_all, fields(agency.id = %agency))]
async fn show(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(agency): PathId<AgencyInPath>,
) -> Result<Json<Response>, ApiError> {
    let agency = api.services.identity.agency(&access, agency).await?;
    Ok(Json(Response { agency: WireAgency::of(&agency) }))
}

/// `PUT /v3.0/OS-AGENCY/agencies/{agency_id}`
#[tracing::instrument(name = "api.identity.update_agency", skip_all, fields(agency.id = %agency))]
async fn update(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(agency): PathId<AgencyInPath>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<Json<Response>, ApiError> {
    let patch = request.agency;
    let (trusted, duration) = (patch.trusted(), patch.duration()?);
    let identity = &api.services.identity;
    let agency =
        identity.update_agency(&access, agency, trusted, patch.description, duration).await?;
    Ok(Json(Response { agency: WireAgency::of(&agency) }))
}

/// `DELETE /v3.0/OS-AGENCY/agencies/{agency_id}`
#[tracing::instrument(name = "api.identity.delete_agency", skip_all, fields(agency.id = %agency))]
async fn delete(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(agency): PathId<AgencyInPath>,
) -> Result<(), ApiError> {
    Ok(api.services.identity.delete_agency(&access, agency).await?)
}

impl Patch {
    fn trusted(&self) -> Option<DomainRef> {
        match (&self.trust_domain_id, &self.trust_domain_name) {
            (Some(id), _) if !id.is_empty() => {
                Some(id.parse().map_or_else(|_| DomainRef::Name(id.clone()), DomainRef::Id))
            }
            (_, Some(name)) => Some(DomainRef::Name(name.clone())),
            _ => None,
        }
    }

    fn duration(&self) -> Result<Option<Duration>, ApiError> {
        let Some(value) = &self.duration else { return Ok(None) };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let days = match text.as_str() {
            "null" => return Ok(None),
            FOREVER => return Ok(Some(Duration::Forever)),
            ONE_DAY => Some(1),
            number => number.parse().ok(),
        };
        days.map(|days| Some(Duration::Days(days)))
            .ok_or_else(|| ApiError::invalid("duration", "FOREVER, ONEDAY, or a number of days"))
    }
}

impl WireAgency {
    fn of(agency: &Agency) -> Self {
        let hours =
            |end: cbr_model::Timestamp| (end.seconds() - agency.created_at.seconds()) / 3600;
        Self {
            id: agency.id.to_string(),
            name: agency.name.clone(),
            domain_id: agency.domain.to_string(),
            trust_domain_id: agency.trusted.id.to_string(),
            trust_domain_name: agency.trusted.name.clone(),
            description: agency.description.clone(),
            duration: agency
                .expires_at
                .map_or_else(|| FOREVER.to_owned(), |end| hours(end).to_string()),
            create_time: time::format_zulu(agency.created_at),
            expire_time: agency.expires_at.map(time::format_zulu),
        }
    }
}
