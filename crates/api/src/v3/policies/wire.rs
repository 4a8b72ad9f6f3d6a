//! A policy and its parts on the wire (contract C.0, C.M `Policy`).

use cbr_model::policy::zone::PolicyZone;
use cbr_model::policy::{self, PolicyOperation};
use cbr_service::policies::{NewTrigger, TriggerChange, WindowChange};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::definition::Definition;
use crate::error::{ApiError, ErrorCode};
use crate::time;

/// A policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Policy {
    id: String,
    name: String,
    enabled: bool,
    /// `backup` or `replication`.
    operation_type: &'static str,
    /// `custom_policy`, `organization_policy_v1` or `organization_policy_removed`.
    policy_type: &'static str,
    associated_vaults: Vec<AssociatedVault>,
    trigger: Trigger,
    operation_definition: Definition,
}

/// A vault a policy works for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = PolicyAssociateVault)]
pub(crate) struct AssociatedVault {
    vault_id: String,
    destination_vault_id: Option<String>,
}

/// When a policy runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = PolicyTrigger)]
pub(crate) struct Trigger {
    id: String,
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    properties: TriggerProperties,
}

/// When a policy runs, in particular.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = PolicyTriggerProperties)]
pub(crate) struct TriggerProperties {
    /// Byte for byte as they were sent; UTC.
    pattern: Vec<String>,
    /// When the policy was created: `2026-01-15 08:00:00`, UTC. Intervals of days count from that day.
    start_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_window_minutes: Option<u32>,
    /// Extension: the zone in which the times are told; absent: UTC.
    #[serde(rename = "x-time-zone", skip_serializing_if = "Option::is_none")]
    time_zone: Option<&'static str>,
}

/// When a policy to be made runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyTriggerCreate)]
pub(crate) struct TriggerCreate {
    properties: TriggerPropertiesCreate,
}

/// When a policy to be made runs, in particular.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyTriggerPropertiesCreate)]
pub(crate) struct TriggerPropertiesCreate {
    /// 1 to 24 of `FREQ=DAILY;INTERVAL=1;BYHOUR=06;BYMINUTE=00` or
    /// `FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=06;BYMINUTE=00`; UTC; all runs an hour apart or more.
    pattern: Vec<String>,
    /// 60 to 480: starts are spread over so many minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_window_minutes: Option<i64>,
    /// Extension: the zone of the tz database in which the times are told, `Europe/Berlin`; absent: UTC.
    #[serde(rename = "x-time-zone", skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
}

/// A change of when a policy runs.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, ToSchema)]
#[schema(as = PolicyTriggerUpdate)]
pub(crate) struct TriggerUpdate {
    properties: TriggerPropertiesUpdate,
}

/// A change of when a policy runs, in particular.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, ToSchema)]
#[schema(as = PolicyTriggerPropertiesUpdate)]
pub(crate) struct TriggerPropertiesUpdate {
    pattern: Vec<String>,
    /// null switches the window off; absent leaves it as it is.
    #[serde(default, deserialize_with = "window")]
    #[schema(value_type = Option<i64>)]
    start_window_minutes: WindowChange,
    /// Extension: the zone in which the times are told; absent leaves it as it is.
    #[serde(rename = "x-time-zone")]
    time_zone: Option<String>,
}

impl From<policy::Policy> for Policy {
    fn from(policy: policy::Policy) -> Self {
        Self {
            id: policy.id.to_string(),
            name: policy.name.to_string(),
            enabled: policy.enabled,
            operation_type: policy.operation.as_str(),
            policy_type: policy.origin.as_str(),
            associated_vaults: policy.vaults.into_iter().map(AssociatedVault::from).collect(),
            trigger: Trigger {
                id: policy.trigger_id.to_string(),
                name: "default",
                kind: "time",
                properties: TriggerProperties {
                    pattern: policy.trigger.patterns,
                    start_time: time::format_blank(policy.created_at),
                    start_window_minutes: policy.trigger.start_window_minutes,
                    time_zone: shown(policy.trigger.zone),
                },
            },
            operation_definition: policy.definition.into(),
        }
    }
}

impl From<policy::AssociatedVault> for AssociatedVault {
    fn from(vault: policy::AssociatedVault) -> Self {
        Self {
            vault_id: vault.vault.to_string(),
            destination_vault_id: vault.destination.map(|id| id.to_string()),
        }
    }
}

impl From<policy::Trigger> for TriggerCreate {
    fn from(trigger: policy::Trigger) -> Self {
        let properties = TriggerPropertiesCreate {
            pattern: trigger.patterns,
            start_window_minutes: trigger.start_window_minutes.map(i64::from),
            time_zone: shown(trigger.zone).map(str::to_owned),
        };
        Self { properties }
    }
}

impl From<TriggerCreate> for NewTrigger {
    fn from(trigger: TriggerCreate) -> Self {
        let TriggerPropertiesCreate { pattern, start_window_minutes, time_zone } =
            trigger.properties;
        Self { patterns: pattern, start_window_minutes, zone: time_zone }
    }
}

impl From<TriggerUpdate> for TriggerChange {
    fn from(trigger: TriggerUpdate) -> Self {
        let TriggerPropertiesUpdate { pattern, start_window_minutes, time_zone } =
            trigger.properties;
        Self { patterns: pattern, start_window: start_window_minutes, zone: time_zone }
    }
}

/// The contract has UTC only, and does not say so.
fn shown(zone: PolicyZone) -> Option<&'static str> {
    (!zone.is_utc()).then(|| zone.name())
}

/// What a policy does, in the contract's word.
pub(crate) fn operation(word: &str) -> Result<PolicyOperation, ApiError> {
    PolicyOperation::from_str_exact(word).ok_or_else(|| {
        let shown: String = word.chars().take(64).filter(|c| !c.is_control()).collect();
        let message = format!("Policies do not do `{shown}`; they do backup or replication.");
        ApiError::new(ErrorCode::PolicyTypeUnknown, message)
    })
}

/// Tells a key that is null from one that has a value; one that is absent is [`WindowChange::Keep`].
fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<WindowChange, D::Error> {
    let minutes = Option::deserialize(deserializer)?;
    Ok(minutes.map_or(WindowChange::Off, WindowChange::Minutes))
}

#[cfg(test)]
mod tests {
    use cbr_model::policy::PolicyOrigin;
    use cbr_model::policy::definition::OperationDefinition;
    use serde_json::json;

    use super::*;

    /// Contract C.0; E.5 number 9: `trigger.properties` and `operation_definition` are never null.
    #[test]
    fn a_policy_has_the_golden_shape() {
        let id = "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let at = time::parse("2026-01-15T08:00:00.999999").unwrap();
        let pattern = "FREQ=DAILY;INTERVAL=1;BYHOUR=06;BYMINUTE=00".to_owned();
        let policy = policy::Policy {
            id: id.parse().unwrap(),
            project: "0605767b5780d5762fc5c0118072a564".parse().unwrap(),
            name: "daily".to_owned().try_into().unwrap(),
            enabled: true,
            operation: PolicyOperation::Backup,
            origin: PolicyOrigin::Custom,
            organization: None,
            trigger_id: id.parse().unwrap(),
            trigger: policy::Trigger {
                patterns: vec![pattern],
                start_window_minutes: None,
                zone: PolicyZone::default(),
            },
            definition: OperationDefinition {
                max_backups: Some(5),
                retention_duration_days: Some(-1),
                ..OperationDefinition::default()
            },
            created_at: at,
            updated_at: at,
            vaults: vec![policy::AssociatedVault { vault: id.parse().unwrap(), destination: None }],
        };
        let golden = json!({
            "id": id, "name": "daily", "enabled": true, "operation_type": "backup",
            "policy_type": "custom_policy",
            "associated_vaults": [{"vault_id": id, "destination_vault_id": null}],
            "trigger": {"id": id, "name": "default", "type": "time", "properties": {
                "pattern": ["FREQ=DAILY;INTERVAL=1;BYHOUR=06;BYMINUTE=00"],
                "start_time": "2026-01-15 08:00:00"}},
            "operation_definition": {"max_backups": 5, "retention_duration_days": -1}
        });
        assert_eq!(serde_json::to_value(Policy::from(policy)).unwrap(), golden);
    }

    /// Contract C43.
    #[test]
    fn a_window_that_is_null_is_told_from_one_that_is_absent() {
        let read = |json: &str| {
            let update: TriggerPropertiesUpdate = serde_json::from_str(json).unwrap();
            update.start_window_minutes
        };
        assert_eq!(read(r#"{"pattern":[]}"#), WindowChange::Keep);
        assert_eq!(read(r#"{"pattern":[],"start_window_minutes":null}"#), WindowChange::Off);
        assert_eq!(read(r#"{"pattern":[],"start_window_minutes":60}"#), WindowChange::Minutes(60));
    }
}
