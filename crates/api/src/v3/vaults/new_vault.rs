//! The body that describes a vault to be made: by use (contract C1) or on order (contract C2).

use cbr_model::order::{Period, PeriodUnit};
use cbr_model::size::Gib;
use cbr_model::vault::{CAPACITY_MAX, ChargingMode, Consistency, VaultKind};
use cbr_service::vaults::{NewVault, Prepaid};
use serde::Deserialize;
use utoipa::ToSchema;

use super::wire::{BindRules, ResourceCreate, Tag, into_tags, wanted};
use crate::error::{ApiError, ErrorCode};
use crate::extract::id_of;

/// A vault to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct VaultCreate {
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
    /// Bound at once; a backup policy.
    backup_policy_id: Option<String>,
    /// Prepaid vaults only: backups go on when the vault is full.
    demand_billing: Option<bool>,
    /// Put in front of the names of automatic backups; at most 32 characters.
    backup_name_prefix: Option<String>,
    availability_zone: Option<String>,
    /// `SMB`, or empty.
    sys_lock_source_service: Option<String>,
}

/// Capacity, specification and payment of a vault to be made. `console_url` is read by nobody.
#[derive(Debug, Deserialize, ToSchema)]
struct BillingCreate {
    /// `server`, `disk`, `turbo` or `file`.
    object_type: String,
    /// `backup`.
    protect_type: String,
    /// `crash_consistent` (default) or `app_consistent`.
    consistent_level: Option<String>,
    /// 1 to 10485760 GB; of a file vault a multiple of 1024.
    size: i64,
    /// `post_paid` or `pre_paid`.
    charging_mode: Option<String>,
    /// A file vault is one of a hybrid cloud, whether this says `hybrid` or not; others are `public`.
    cloud_type: Option<String>,
    /// `month` or `year`; needed for `pre_paid`.
    period_type: Option<String>,
    /// 1 to 9 months or 1 to 5 years; needed for `pre_paid`.
    period_num: Option<i64>,
    is_auto_renew: Option<bool>,
    /// Whether an order is paid at once, where orders are charged; otherwise it waits to be paid.
    is_auto_pay: Option<bool>,
    is_multi_az: Option<bool>,
}

impl VaultCreate {
    /// The same in the words of the service, with the contract's defaults. `mode`: where the body
    /// does not say how it is charged for.
    pub(super) fn read(self, mode: ChargingMode) -> Result<NewVault, ApiError> {
        let policy = self.backup_policy_id.as_deref().filter(|id| !id.is_empty());
        let policy = policy.map(|id| id_of(id, ErrorCode::PolicyNotFound)).transpose()?;
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
            prepaid: self.billing.prepaid(mode)?,
            demand_billing: self.demand_billing.unwrap_or(false),
            availability_zone: self.availability_zone,
            backup_name_prefix: self.backup_name_prefix.unwrap_or_default(),
            lock_source: self.sys_lock_source_service.unwrap_or_default(),
            backup_policy: policy,
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
        // `public` is what clients send with everything (contract E.2).
        let is_hybrid = self.kind()?.is_hybrid();
        match self.cloud_type.as_deref() {
            None | Some("public") => {}
            Some("hybrid") if is_hybrid => {}
            Some(cloud) => return Err(unsupported("cloud_type", cloud)),
        }
        // What is stored in one place is not to be called stored in several.
        if self.is_multi_az == Some(true) {
            return Err(unsupported("is_multi_az", "true"));
        }
        Ok(())
    }

    fn kind(&self) -> Result<VaultKind, ApiError> {
        VaultKind::from_str_exact(&self.object_type)
            .ok_or_else(|| unsupported("object_type", &self.object_type))
    }

    fn consistency(&self) -> Result<Consistency, ApiError> {
        consistency(self.consistent_level.as_deref().unwrap_or("crash_consistent"))
    }

    /// Clients send what belongs to prepaid vaults with others too (contract C1, E.2): not read there.
    fn prepaid(&self, mode: ChargingMode) -> Result<Option<Prepaid>, ApiError> {
        let mode = match self.charging_mode.as_deref() {
            None => mode,
            Some(word) => ChargingMode::from_str_exact(word)
                .ok_or_else(|| ApiError::invalid("charging_mode", "post_paid or pre_paid"))?,
        };
        if mode == ChargingMode::PostPaid {
            return Ok(None);
        }
        let period = period(self.period_type.as_deref(), self.period_num)?;
        Ok(Some(Prepaid {
            period,
            auto_renew: self.is_auto_renew.unwrap_or(false),
            auto_pay: self.is_auto_pay.unwrap_or(false),
        }))
    }
}

/// A period that is ordered.
pub(crate) fn period(unit: Option<&str>, count: Option<i64>) -> Result<Period, ApiError> {
    let unit = unit
        .and_then(PeriodUnit::from_str_exact)
        .ok_or_else(|| ApiError::invalid("period_type", "month or year"))?;
    count
        .and_then(|count| Period::new(unit, count))
        .ok_or_else(|| ApiError::invalid("period_num", "1 to 9 months or 1 to 5 years"))
}

/// The consistency the contract's word means.
pub(super) fn consistency(word: &str) -> Result<Consistency, ApiError> {
    Consistency::from_str_exact(word)
        .ok_or_else(|| ApiError::invalid("consistent_level", "crash_consistent or app_consistent"))
}

/// A capacity; what is no size at all is refused like one out of range.
pub(crate) fn size(gib: i64) -> Result<Gib, ApiError> {
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
        let vault: VaultCreate =
            serde_json::from_value(body["vault"].take()).expect("the body is well-formed");
        vault.read(ChargingMode::PostPaid).map_err(|error| error.code)
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
        let table: [(&str, serde_json::Value, ErrorCode); 6] = [
            ("/billing/protect_type", json!("replication"), ErrorCode::VaultTypeUnsupported),
            ("/billing/object_type", json!("vmware"), ErrorCode::VaultTypeUnsupported),
            ("/billing/consistent_level", json!("maybe"), ErrorCode::InvalidParameter),
            ("/billing/size", json!(-1), ErrorCode::VaultSizeInvalid),
            ("/billing/charging_mode", json!("free"), ErrorCode::InvalidParameter),
            ("/name", json!("a"), ErrorCode::PolicyNotFound),
        ];
        for (pointer, value, want) in table {
            let got = read(|vault| {
                vault["billing"]["charging_mode"] = json!("post_paid");
                *vault.pointer_mut(pointer).unwrap() = value;
                if want == ErrorCode::PolicyNotFound {
                    vault["backup_policy_id"] = json!("daily");
                }
            });
            assert_eq!(got, Err(want), "{pointer}");
        }
        let multi = read(|vault| vault["billing"]["is_multi_az"] = json!(true));
        assert_eq!(multi, Err(ErrorCode::VaultTypeUnsupported));
        assert!(read(|vault| vault["billing"]["is_multi_az"] = json!(false)).is_ok());
    }

    /// VLT-01, Z-28: a file vault is one of a hybrid cloud, whether the request says so or not; no other is.
    #[test]
    fn only_file_vaults_are_of_a_hybrid_cloud() {
        let asked = |object: &str, cloud: Option<&str>| {
            read(|vault| {
                vault["billing"]["object_type"] = json!(object);
                vault["billing"]["cloud_type"] = json!(cloud);
            })
            .map(|vault| vault.kind)
        };
        for cloud in [None, Some("public"), Some("hybrid")] {
            assert_eq!(asked("file", cloud), Ok(VaultKind::File), "{cloud:?}");
        }
        assert_eq!(asked("turbo", Some("public")), Ok(VaultKind::Turbo));
        for object in ["server", "disk", "turbo"] {
            assert_eq!(asked(object, Some("hybrid")), Err(ErrorCode::VaultTypeUnsupported));
        }
        assert_eq!(asked("file", Some("private")), Err(ErrorCode::VaultTypeUnsupported));
    }

    /// BIL-02, contract C1: a prepaid vault needs a period; without `pre_paid` it is not looked at.
    #[test]
    fn a_prepaid_vault_has_a_period() {
        let ordered = |mode: &str, unit: &str, count: i64| {
            read(|vault| {
                vault["billing"]["charging_mode"] = json!(mode);
                vault["billing"]["period_type"] = json!(unit);
                vault["billing"]["period_num"] = json!(count);
            })
            .map(|vault| vault.prepaid.map(|prepaid| prepaid.period.count()))
        };
        assert_eq!(ordered("pre_paid", "month", 9), Ok(Some(9)));
        assert_eq!(ordered("pre_paid", "year", 6), Err(ErrorCode::InvalidParameter));
        assert_eq!(ordered("pre_paid", "week", 1), Err(ErrorCode::InvalidParameter));
        assert_eq!(ordered("post_paid", "week", 0), Ok(None));
        let without = read(|vault| vault["billing"]["charging_mode"] = json!("pre_paid"));
        assert_eq!(without, Err(ErrorCode::InvalidParameter));
    }
}
