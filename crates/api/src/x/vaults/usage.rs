//! What a vault has, what is used of it, and for how long that will do (extension; VLT-31, VLT-37).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::vault::{Vault, VaultStatus, VaultUse};
use cbr_service::vaults::Forecast;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::time;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowVaultUsage",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/vaults/{vault_id}/usage",
    group: "Extensions",
    summary: "Shows what a vault has, what is used of it, and when it will be full.",
    admission: Admission::Project,
    action: Some("cbr:vaults:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowVaultUsageResponse)]
struct Response {
    usage: Usage,
}

/// How full a vault is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VaultUsage)]
struct Usage {
    vault_id: String,
    capacity_gb: u64,
    /// What the resources in it have together.
    bound_gb: u64,
    used_bytes: u64,
    /// As consoles show it: below 1 GB is 0, from there rounded half up.
    used_gb: u64,
    /// Of the capacity, in per cent with one decimal; more than 100 by one backup.
    used_percent: f64,
    /// Whether another backup may begin: not if more than the capacity is used.
    takes_backups: bool,
    auto_expand: bool,
    forecast: Prospect,
}

/// When it will be full, if things go on as they did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VaultForecast)]
struct Prospect {
    /// The mean is of so many days.
    window_days: u32,
    /// What backups take in a day.
    daily_bytes: u64,
    /// Null: not within a year.
    full_at: Option<String>,
}

/// `GET /v3/{project_id}/x/vaults/{vault_id}/usage`
#[tracing::instrument(name = "api.x.vaults.usage", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
) -> Result<Json<Response>, ApiError> {
    let (vault, forecast) = api.services.vaults.capacity(&access, vault).await?;
    Ok(Json(Response { usage: Usage::of(&vault, forecast) }))
}

impl Usage {
    fn of(vault: &Vault, forecast: Forecast) -> Self {
        let permille = u128::from(vault.used.0) * 1000 / u128::from(vault.size.bytes().0);
        let allows = |status: VaultStatus| status.allows(VaultUse::Backup);
        Self {
            vault_id: vault.id.to_string(),
            capacity_gb: vault.size.0,
            bound_gb: vault.allocated().0,
            used_bytes: vault.used.0,
            used_gb: vault.used.gib_displayed(),
            used_percent: permille as f64 / 10.0,
            takes_backups: vault.has_room() && allows(vault.status),
            auto_expand: vault.auto_expand,
            forecast: Prospect {
                window_days: forecast.window_days,
                daily_bytes: forecast.daily.0,
                full_at: forecast.full_at.map(time::format),
            },
        }
    }
}
