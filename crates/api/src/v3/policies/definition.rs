//! What a policy does in particular, on the wire (contract C.M `PolicyoODCreate`).
//!
//! It goes back key for key as it came; so what was not sent is not written, and -1 stays -1.

use cbr_model::policy::definition as model;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a policy does in particular. Only the keys that were sent come back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyOperationDefinition)]
#[serde(default)]
pub(crate) struct Definition {
    /// Keep the newest 1 to 99999 of each resource; -1 or 0: not by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_backups: Option<i64>,
    /// Keep for 1 to 99999 days; -1 or 0: not by time. With neither: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_duration_days: Option<i64>,
    /// With max_backups: keep the last backup of so many days as well, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    day_backups: Option<i64>,
    /// Of so many weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    week_backups: Option<i64>,
    /// Of so many months.
    #[serde(skip_serializing_if = "Option::is_none")]
    month_backups: Option<i64>,
    /// Of so many years.
    #[serde(skip_serializing_if = "Option::is_none")]
    year_backups: Option<i64>,
    /// `UTC+08:00`: where days, weeks, months and years begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    /// A full backup after so many incremental ones, 0 to 100; -1: never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_backup_interval: Option<i64>,
    /// Replication policies: where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_region: Option<String>,
    /// Replication policies: the project there.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_project_id: Option<String>,
    /// Replication policies: whether it shall be faster.
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_acceleration: Option<bool>,
    /// Replication policies: as another account's agency.
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_account_urn: Option<String>,
    /// With max_backups or retention_duration_days: keep backups of certain days longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    advanced_retention_rules: Option<AdvancedRules>,
}

/// Keep backups of certain days longer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyAdvancedRetentionRules)]
#[serde(default)]
struct AdvancedRules {
    /// For weeks: `days_of_week`.
    #[serde(skip_serializing_if = "Option::is_none")]
    weekly_retention_rules: Option<AdvancedRule>,
    /// For months: `days_of_week` with `retention_weeks`, or `days_of_month`.
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly_retention_rules: Option<AdvancedRule>,
    /// For years: as for months, in `retention_months`.
    #[serde(skip_serializing_if = "Option::is_none")]
    yearly_retention_rules: Option<AdvancedRule>,
}

/// Which days, and for how long.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyAdvancedRetentionRule)]
#[serde(default)]
struct AdvancedRule {
    /// So many weeks (to 5200), months (to 1200) or years (to 100); -1 or 0: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_duration_periods: Option<i64>,
    /// `WEEKLY` or `MONTHLY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_type: Option<String>,
    /// `MO` to `SU`.
    #[serde(skip_serializing_if = "Option::is_none")]
    days_of_week: Option<Vec<String>>,
    /// `FIRST` to `FOURTH`, `LAST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_weeks: Option<Vec<String>>,
    /// 1 to 28; -1 is the last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    days_of_month: Option<Vec<i64>>,
    /// `JANUARY` to `DECEMBER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_months: Option<Vec<String>>,
}

/// Writes the conversion to a struct of the model with the same fields, and back.
macro_rules! same_fields {
    ($wire:ident = $model:path { $($plain:ident),* ; $($nested:ident),* }) => {
        impl From<$wire> for $model {
            fn from(wire: $wire) -> Self {
                Self { $($plain: wire.$plain,)* $($nested: wire.$nested.map(Into::into),)* }
            }
        }

        impl From<$model> for $wire {
            fn from(model: $model) -> Self {
                Self { $($plain: model.$plain,)* $($nested: model.$nested.map(Into::into),)* }
            }
        }
    };
}

same_fields!(Definition = model::OperationDefinition {
    max_backups, retention_duration_days, day_backups, week_backups, month_backups, year_backups,
    timezone, full_backup_interval, destination_region, destination_project_id,
    enable_acceleration, cross_account_urn;
    advanced_retention_rules
});
same_fields!(AdvancedRules = model::AdvancedRules {
    ; weekly_retention_rules, monthly_retention_rules, yearly_retention_rules
});
same_fields!(AdvancedRule = model::AdvancedRule {
    retention_duration_periods, retention_type, days_of_week, retention_weeks, days_of_month,
    retention_months;
});

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract C40: echoed key for key; E.3: no null where a client decodes a number.
    #[test]
    fn exactly_the_keys_that_were_sent_go_back() {
        for text in [
            "{}",
            r#"{"max_backups":-1,"retention_duration_days":30,"full_backup_interval":-1}"#,
            r#"{"max_backups":5,"day_backups":0,"year_backups":1,"timezone":"UTC+08:00"}"#,
            r#"{"destination_region":"r","destination_project_id":"p","enable_acceleration":false,"cross_account_urn":"u"}"#,
            r#"{"advanced_retention_rules":{"yearly_retention_rules":{"retention_duration_periods":1,"retention_type":"WEEKLY","days_of_week":["MO"],"retention_weeks":["LAST"],"retention_months":["MAY"]}}}"#,
            r#"{"advanced_retention_rules":{"weekly_retention_rules":{},"monthly_retention_rules":{"days_of_month":[-1]}}}"#,
        ] {
            let read: Definition = serde_json::from_str(text).unwrap();
            let back = Definition::from(model::OperationDefinition::from(read));
            assert_eq!(serde_json::to_string(&back).unwrap(), text);
        }
        let null: Definition = serde_json::from_str(r#"{"max_backups":null}"#).unwrap();
        assert_eq!(serde_json::to_string(&null).unwrap(), "{}");
    }
}
