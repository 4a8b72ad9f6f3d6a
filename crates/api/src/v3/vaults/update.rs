//! `UpdateVault` (contract C5): only keys that are present are changed.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::vaults::VaultChange;
use serde::Deserialize;
use utoipa::ToSchema;

use super::new_vault::{consistency, size};
use super::show::Response;
use super::wire::BindRules;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "UpdateVault",
    verb: Verb::Put,
    path: "/v3/{project_id}/vaults/{vault_id}",
    group: "Vaults",
    summary: "Changes what the body names.",
    admission: Admission::Project,
    action: Some("cbr:vaults:update"),
    event: Some(Event::new("updateVault", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateVaultRequest)]
struct Request {
    vault: VaultUpdate,
}

/// What shall be different.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct VaultUpdate {
    name: Option<String>,
    billing: Option<BillingUpdate>,
    auto_bind: Option<bool>,
    /// An empty list of tags clears the rules.
    bind_rules: Option<BindRules>,
    auto_expand: Option<bool>,
    smn_notify: Option<bool>,
    /// 1 to 100 per cent.
    threshold: Option<i64>,
    locked: Option<bool>,
}

/// What shall be different about capacity and specification.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct BillingUpdate {
    /// GB, the new total.
    size: Option<i64>,
    consistent_level: Option<String>,
}

/// `PUT /v3/{project_id}/vaults/{vault_id}`
#[tracing::instrument(name = "api.vaults.update", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let change = request.vault.read()?;
    let vault = api.services.vaults.update(&access, vault, change).await?.into();
    Ok(Json(Response { vault }))
}

impl VaultUpdate {
    fn read(self) -> Result<VaultChange, ApiError> {
        let billing = self.billing.unwrap_or_default();
        Ok(VaultChange {
            name: self.name,
            size: billing.size.map(size).transpose()?,
            consistency: billing.consistent_level.as_deref().map(consistency).transpose()?,
            auto_bind: self.auto_bind,
            bind_rules: self.bind_rules.map(BindRules::into_tags),
            auto_expand: self.auto_expand,
            smn_notify: self.smn_notify,
            threshold: self.threshold,
            locked: self.locked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract C5: the command line always sends `billing`, possibly empty.
    #[test]
    fn what_is_absent_stays_as_it_is() {
        let request: Request = serde_json::from_str(r#"{"vault":{"billing":{}}}"#).unwrap();
        assert_eq!(request.vault.read().unwrap(), VaultChange::default());
    }

    #[test]
    fn an_empty_list_of_rules_clears_them() {
        let request: Request =
            serde_json::from_str(r#"{"vault":{"bind_rules":{"tags":[]}}}"#).unwrap();
        assert_eq!(request.vault.read().unwrap().bind_rules, Some(vec![]));
    }
}
