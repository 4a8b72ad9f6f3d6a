//! What the caller's account has, and what the operator asks for vaults (extension; BIL-01, BIL-09).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::billing::Prices;
use cbr_service::billing::AccountState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::time;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowBillingAccount",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/billing/account",
    group: "Extensions",
    summary: "Shows what the account has, what vaults cost, and what follows when nobody pays.",
    admission: Admission::Project,
    action: Some("cbr:vaults:list"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowBillingAccountResponse)]
struct Response {
    account: Account,
    /// `showback`: nothing is charged; `balance`: hours and orders are taken from the balance.
    driver: &'static str,
    currency: String,
    prices: PriceList,
    /// Whether vaults that are not paid for freeze.
    freezes: bool,
    grace_hours: u32,
    /// For so many days they are frozen before they may be deleted.
    retention_days: u32,
    metering: Metering,
}

/// What an account has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingAccount)]
pub(super) struct Account {
    domain_id: String,
    /// Minor units of the currency; negative: owed.
    balance: i64,
    is_in_arrears: bool,
}

/// What vaults cost.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingPriceList)]
struct PriceList {
    server: Price,
    database: Price,
    disk: Price,
    turbo: Price,
    file: Price,
    /// Of one GB that the backup of an image holds, for an hour.
    image_hour: String,
}

/// One GB, in minor units with six decimals.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingPrice)]
struct Price {
    hour: String,
    month: String,
    year: String,
}

/// How far metering has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingMetering)]
struct Metering {
    /// The first moment that is not metered yet.
    until: Option<String>,
    /// Whether it waits for a person, because the clock is far from there.
    is_held: bool,
    /// Before that the project's hours are exported, as somebody said.
    exported_until: Option<String>,
}

/// `GET /v3/{project_id}/x/billing/account`
#[tracing::instrument(name = "api.x.billing.account", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
) -> Result<Json<Response>, ApiError> {
    let billing = &api.services.billing;
    let account = billing.account(&access).await?.into();
    let metering = billing.metering_state().await?;
    let exported = billing.exported_until(&access).await?;
    let settings = billing.settings();
    Ok(Json(Response {
        account,
        driver: settings.driver.name(),
        currency: settings.prices.currency.clone(),
        prices: PriceList {
            server: settings.prices.server.into(),
            database: settings.prices.database.into(),
            disk: settings.prices.disk.into(),
            turbo: settings.prices.turbo.into(),
            file: settings.prices.file.into(),
            image_hour: settings.prices.image.to_string(),
        },
        freezes: settings.freezes,
        grace_hours: settings.grace_hours,
        retention_days: settings.retention_days,
        metering: Metering {
            until: metering.until.map(time::format),
            is_held: metering.is_held,
            exported_until: exported.map(time::format),
        },
    }))
}

impl From<AccountState> for Account {
    fn from(state: AccountState) -> Self {
        Self {
            domain_id: state.domain.to_string(),
            balance: state.balance.0,
            is_in_arrears: state.is_in_arrears,
        }
    }
}

impl From<Prices> for Price {
    fn from(prices: Prices) -> Self {
        Self {
            hour: prices.hour.to_string(),
            month: prices.month.to_string(),
            year: prices.year.to_string(),
        }
    }
}
