//! `CreateVault` (contract C1).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::size::Gib;
use cbr_model::vault::{CAPACITY_MAX, Consistency, VaultKind};
use cbr_service::vaults::NewVault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{BindRules, ResourceCreate, Tag, Vault, into_tags, wanted};
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateVault",
    verb: Verb::Post,
    path: "/v3/{project_id}/vaults",
    group: "Vaults",
    summary: "Creates a vault.",
    admission: Admission::Project,
    action: Some("cbr:vaults:create"),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateVaultRequest)]
struct Request {
    vault: VaultCreate,
}

/// A vault to be made.
#[derive(Debug, Deserialize, ToSchema)]
struct VaultCreate {
    name: String,
    description: Option<String>,
    billing: BillingCreate,
    /// May be empty, must be there.
    resources: Vec<ResourceCreate>,
    enterprise_project_id: Option<String>,
    tags: Option<Vec<Tag>>,
    auto_bind: Option<bool>,
    bind_rules: Option<BindRules>,
    auto_expand: Option<bool>,
    smn_notify: Option<bool>,
    /// 1 to 100 per cent; default 80.
    threshold: Option<i64>,
    locked: Option<bool>,
    backup_policy_id: Option<String>,
}

/// Capacity and specification of a vault to be made.
#[derive(Debug, Deserialize, ToSchema)]
struct BillingCreate {
    /// `server` or `disk`.
    object_type: String,
    /// `backup`.
    protect_type: String,
    /// `crash_consistent` (default) or `app_consistent`.
    consistent_level: Option<String>,
    /// 1 to 10485760 GB.
    size: i64,
    /// `post_paid` (default).
    charging_mode: Option<String>,
    /// `public` (default).
    cloud_type: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateVaultResponse)]
struct Response {
    vault: Vault,
}

/// `POST /v3/{project_id}/vaults`
#[tracing::instrument(name = "api.vaults.create", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let vault = api.services.vaults.create(&access, request.vault.read()?).await?;
    Ok(Json(Response { vault: vault.into() }))
}

impl VaultCreate {
    /// The same in the words of the service, with the contract's defaults.
    fn read(self) -> Result<NewVault, ApiError> {
        if self.backup_policy_id.is_some_and(|id| !id.is_empty()) {
            return Err(ApiError::new(ErrorCode::PolicyNotFound, "The policy does not exist."));
        }
        self.billing.check_offered()?;
        Ok(NewVault {
            name: self.name,
            description: self.description,
            kind: self.billing.kind()?,
            consistency: self.billing.consistency()?,
            size: size(self.billing.size)?,
            enterprise_project: self.enterprise_project_id.unwrap_or_else(|| "0".to_owned()),
            tags: into_tags(self.tags.unwrap_or_default()),
            auto_bind: self.auto_bind.unwrap_or(false),
            bind_rules: self.bind_rules.unwrap_or_default().into_tags(),
            auto_expand: self.auto_expand.unwrap_or(false),
            smn_notify: self.smn_notify.unwrap_or(true),
            threshold: self.threshold.unwrap_or(80),
            locked: self.locked.unwrap_or(false),
            resources: wanted(self.resources)?,
        })
    }
}

impl BillingCreate {
    /// Refuses what the contract knows and this service does not offer.
    fn check_offered(&self) -> Result<(), ApiError> {
        if self.protect_type != "backup" {
            return Err(unsupported("protect_type", &self.protect_type));
        }
        if let Some(cloud) = self.cloud_type.as_deref().filter(|cloud| *cloud != "public") {
            return Err(unsupported("cloud_type", cloud));
        }
        match self.charging_mode.as_deref() {
            None | Some("post_paid") => Ok(()),
            Some(_) => Err(ApiError::invalid("charging_mode", "only post_paid is offered")),
        }
    }

    fn kind(&self) -> Result<VaultKind, ApiError> {
        VaultKind::from_str_exact(&self.object_type)
            .ok_or_else(|| unsupported("object_type", &self.object_type))
    }

    fn consistency(&self) -> Result<Consistency, ApiError> {
        consistency(self.consistent_level.as_deref().unwrap_or("crash_consistent"))
    }
}

/// The consistency the contract's word means.
pub(super) fn consistency(word: &str) -> Result<Consistency, ApiError> {
    Consistency::from_str_exact(word)
        .ok_or_else(|| ApiError::invalid("consistent_level", "crash_consistent or app_consistent"))
}

/// A capacity; what is no size at all is refused like one out of range.
pub(super) fn size(gib: i64) -> Result<Gib, ApiError> {
    u64::try_from(gib).map(Gib).map_err(|_| {
        let message =
            format!("Size of vault invalid: {gib} GB; 1 to {} are possible.", CAPACITY_MAX.0);
        ApiError::new(ErrorCode::VaultSizeInvalid, message)
    })
}

fn unsupported(field: &str, value: &str) -> ApiError {
    let shown: String = value.chars().take(64).filter(|c| !c.is_control()).collect();
    let message = format!("Vaults with {field} `{shown}` are not offered.");
    ApiError::new(ErrorCode::VaultTypeUnsupported, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: impl FnOnce(&mut serde_json::Value)) -> Result<NewVault, ErrorCode> {
        let mut body = json!({"vault": {"name": "a", "resources": [], "billing": {
            "consistent_level": "crash_consistent", "object_type": "disk",
            "protect_type": "backup", "size": 100}}});
        change(&mut body["vault"]);
        let request: Request = serde_json::from_value(body).expect("the body is well-formed");
        request.vault.read().map_err(|error| error.code)
    }

    /// Contract C1: the defaults of what is omitted.
    #[test]
    fn omitted_keys_get_the_contracts_defaults() {
        let vault = read(|_| ()).unwrap();
        assert_eq!(vault.enterprise_project, "0");
        assert_eq!((vault.auto_bind, vault.auto_expand, vault.locked), (false, false, false));
        assert_eq!((vault.smn_notify, vault.threshold), (true, 80));
        assert_eq!(vault.description, None);
    }

    /// E.2: what the OpenStack command line always sends is accepted.
    #[test]
    fn the_command_lines_extra_keys_are_accepted() {
        let vault = read(|vault| {
            vault["bind_rules"] = json!({"tags": []});
            vault["billing"]["charging_mode"] = json!("post_paid");
            vault["billing"]["cloud_type"] = json!("public");
            vault["billing"]["is_auto_renew"] = json!(true);
            vault["billing"]["is_auto_pay"] = json!(true);
        });
        assert!(vault.is_ok());
    }

    #[test]
    fn what_is_not_offered_is_refused_and_not_ignored() {
        let table: [(&str, serde_json::Value, ErrorCode); 5] = [
            ("/billing/protect_type", json!("replication"), ErrorCode::VaultTypeUnsupported),
            ("/billing/object_type", json!("turbo"), ErrorCode::VaultTypeUnsupported),
            ("/billing/consistent_level", json!("maybe"), ErrorCode::InvalidParameter),
            ("/billing/size", json!(-1), ErrorCode::VaultSizeInvalid),
            ("/name", json!("a"), ErrorCode::PolicyNotFound),
        ];
        for (pointer, value, want) in table {
            let got = read(|vault| {
                *vault.pointer_mut(pointer).unwrap() = value;
                if want == ErrorCode::PolicyNotFound {
                    vault["backup_policy_id"] = json!("0f9d3a3e-0000-4000-8000-000000000000");
                }
            });
            assert_eq!(got, Err(want), "{pointer}");
        }
        let prepaid = read(|vault| vault["billing"]["charging_mode"] = json!("pre_paid"));
        assert_eq!(prepaid, Err(ErrorCode::InvalidParameter));
    }
}
