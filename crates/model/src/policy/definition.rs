//! What a policy does in particular (contract `operation_definition`), as it was sent.
//!
//! Exactly the keys that were sent are given back, `-1` included (contract C40); so nothing is
//! normalised here. What the values mean is [`super::retention::Retention`]'s affair.

use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use super::{InvalidPolicy, PolicyOperation};
use crate::id::ProjectId;

/// The longest time and the largest number of backups kept (RET-02, RET-03).
pub const RETENTION_MAX: i64 = 99_999;
/// The largest number of days, weeks, months or years of which one backup is kept (RET-05).
pub const LONG_TERM_MAX: i64 = 100;
/// The largest number of incremental backups between two full ones (POL-18).
pub const FULL_INTERVAL_MAX: i64 = 100;
/// The contract's "not used".
pub const UNUSED: i64 = -1;

/// What a policy does in particular. `None`: the key was not sent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OperationDefinition {
    /// Keep so many; -1 or 0: not by count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_backups: Option<i64>,
    /// Keep for so many days; -1 or 0: not by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_duration_days: Option<i64>,
    /// Keep the newest backup of so many days as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_backups: Option<i64>,
    /// Of so many weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week_backups: Option<i64>,
    /// Of so many months.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month_backups: Option<i64>,
    /// Of so many years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year_backups: Option<i64>,
    /// Where days, weeks, months and years begin: `UTC+08:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// A full backup after so many incremental ones; -1: never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_backup_interval: Option<i64>,
    /// Replication: where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_region: Option<String>,
    /// Replication: the project there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_project_id: Option<String>,
    /// Replication: whether it shall be faster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_acceleration: Option<bool>,
    /// Replication: as another account's agency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_account_urn: Option<String>,
    /// Keep backups of certain days longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advanced_retention_rules: Option<AdvancedRules>,
}

/// Keep the backups of certain days longer (contract `PolicyAdvancedRetentionRules`).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AdvancedRules {
    /// For weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekly_retention_rules: Option<AdvancedRule>,
    /// For months.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_retention_rules: Option<AdvancedRule>,
    /// For years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yearly_retention_rules: Option<AdvancedRule>,
}

/// Which days, and for how long. Weekly rules know days of the week only, monthly ones no months.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AdvancedRule {
    /// For so many weeks, months or years; -1 or 0: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_duration_periods: Option<i64>,
    /// `WEEKLY`: by weeks and days of the week. `MONTHLY`: by days of the month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_type: Option<String>,
    /// `MO` … `SU`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_of_week: Option<Vec<String>>,
    /// `FIRST` … `FOURTH`, `LAST`: which of the month's days of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_weeks: Option<Vec<String>>,
    /// 1 to 28; -1 is the last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_of_month: Option<Vec<i64>>,
    /// `JANUARY` … `DECEMBER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_months: Option<Vec<String>>,
}

/// Where the replicas of a replication policy go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicationTarget {
    /// The region.
    pub region: String,
    /// The project there.
    pub project: ProjectId,
}

impl OperationDefinition {
    /// Checks everything but retention, which [`super::retention::Retention::read`] checks.
    pub fn check(
        &self,
        operation: PolicyOperation,
        schedule: &Schedule,
    ) -> Result<(), InvalidPolicy> {
        match operation {
            PolicyOperation::Backup => self.refuse_replication_keys()?,
            PolicyOperation::Replication => drop(self.replication_target()?),
        }
        let Some(interval) = self.full_interval()? else { return Ok(()) };
        let field = "full_backup_interval";
        if operation == PolicyOperation::Replication {
            return Err(InvalidPolicy::new(field, "replicas are copies; nothing is backed up"));
        }
        schedule.check_full_interval(interval).map_err(|most| {
            let reason = format!(
                "there are {most} runs within 24 hours, and a full backup every {} of them would \
                 be less than a day after the last one; take times away or use at least {}",
                interval + 1,
                most - 1
            );
            InvalidPolicy::new(field, reason)
        })
    }

    /// After how many incremental backups a full one is made; none: never again (POL-18).
    pub fn full_interval(&self) -> Result<Option<u32>, InvalidPolicy> {
        match self.full_backup_interval {
            None | Some(UNUSED) => Ok(None),
            Some(interval) => u32::try_from(interval)
                .ok()
                .filter(|_| interval <= FULL_INTERVAL_MAX)
                .map(Some)
                .ok_or_else(|| {
                    let reason = format!("{interval} is not {UNUSED} to {FULL_INTERVAL_MAX}");
                    InvalidPolicy::new("full_backup_interval", reason)
                }),
        }
    }

    /// Where replicas go; a replication policy needs both keys (contract C40).
    pub fn replication_target(&self) -> Result<ReplicationTarget, InvalidPolicy> {
        let field = "destination_region";
        let region = self.destination_region.as_deref().filter(|region| !region.is_empty());
        let region =
            region.ok_or_else(|| InvalidPolicy::new(field, "a replication policy needs it"))?;
        if !region.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            return Err(InvalidPolicy::new(field, "letters, digits, `.`, `_` and `-`"));
        }
        let field = "destination_project_id";
        let project = self.destination_project_id.as_deref().filter(|id| !id.is_empty());
        let project = project
            .ok_or_else(|| InvalidPolicy::new(field, "a replication policy needs it"))?
            .parse()
            .map_err(|why| InvalidPolicy::new(field, why))?;
        Ok(ReplicationTarget { region: region.to_owned(), project })
    }

    fn refuse_replication_keys(&self) -> Result<(), InvalidPolicy> {
        let texts = [
            ("destination_region", &self.destination_region),
            ("destination_project_id", &self.destination_project_id),
            ("cross_account_urn", &self.cross_account_urn),
        ];
        let given = texts
            .into_iter()
            .find(|(_, text)| text.as_ref().is_some_and(|text| !text.is_empty()))
            .map(|(field, _)| field)
            .or_else(|| self.enable_acceleration.unwrap_or(false).then_some("enable_acceleration"));
        match given {
            Some(field) => Err(InvalidPolicy::new(field, "it belongs to replication policies")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Trigger;
    use super::super::zone::PolicyZone;
    use super::*;
    use crate::Timestamp;

    fn schedule(hours: &str) -> Schedule {
        let pattern = format!("FREQ=DAILY;INTERVAL=1;BYHOUR={hours};BYMINUTE=00");
        let zone = PolicyZone::default();
        let trigger = Trigger { patterns: vec![pattern], start_window_minutes: None, zone };
        Schedule::new(&trigger, Timestamp(0)).unwrap()
    }

    fn read(json: &str) -> OperationDefinition {
        serde_json::from_str(json).unwrap()
    }

    /// Contract C40: echoed key for key, -1 included; no key comes to it.
    #[test]
    fn exactly_the_keys_that_were_sent_come_back() {
        for text in [
            "{}",
            r#"{"max_backups":-1,"retention_duration_days":30}"#,
            r#"{"max_backups":5,"day_backups":0,"timezone":"UTC+08:00"}"#,
            r#"{"advanced_retention_rules":{"weekly_retention_rules":{"retention_duration_periods":-1,"days_of_week":[]}}}"#,
        ] {
            assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
        }
    }

    /// POL-18 to POL-21, Z-20.
    #[test]
    fn full_backups_that_cannot_be_a_day_apart_are_refused_with_a_way_out() {
        let table = [
            (r#"{"full_backup_interval":-1}"#, "2,14", None),
            (r#"{"full_backup_interval":0}"#, "2", None),
            (r#"{"full_backup_interval":0}"#, "2,14", Some("use at least 1")),
            (r#"{"full_backup_interval":1}"#, "2,14", None),
            (r#"{"full_backup_interval":100}"#, "2", None),
            (r#"{"full_backup_interval":101}"#, "2", Some("-1 to 100")),
            (r#"{"full_backup_interval":-2}"#, "2", Some("-1 to 100")),
        ];
        for (json, hours, why) in table {
            let checked = read(json).check(PolicyOperation::Backup, &schedule(hours));
            match why {
                None => assert_eq!(checked, Ok(()), "{json}"),
                Some(why) => assert!(checked.unwrap_err().reason.contains(why), "{json}"),
            }
        }
        let json = r#"{"full_backup_interval":7,"destination_region":"r","destination_project_id":"0605767b5780d5762fc5c0118072a564"}"#;
        let refused = read(json).check(PolicyOperation::Replication, &schedule("2")).unwrap_err();
        assert_eq!(refused.field, "full_backup_interval");
    }

    /// Contract C40: both destination keys with replication, none without.
    #[test]
    fn replication_needs_its_destination_and_backup_has_none() {
        let good = r#"{"destination_region":"eu-de.1","destination_project_id":"0605767b5780d5762fc5c0118072a564"}"#;
        let target = read(good).replication_target().unwrap();
        assert_eq!(target.region, "eu-de.1");
        assert_eq!(target.project.to_string(), "0605767b5780d5762fc5c0118072a564");
        for (json, field) in [
            ("{}", "destination_region"),
            (r#"{"destination_region":""}"#, "destination_region"),
            (r#"{"destination_region":"eu de"}"#, "destination_region"),
            (r#"{"destination_region":"eu"}"#, "destination_project_id"),
            (
                r#"{"destination_region":"eu","destination_project_id":"x"}"#,
                "destination_project_id",
            ),
        ] {
            assert_eq!(read(json).replication_target().unwrap_err().field, field, "{json}");
        }
        for (json, field) in [
            (good, "destination_region"),
            (r#"{"enable_acceleration":true}"#, "enable_acceleration"),
            (r#"{"cross_account_urn":"x"}"#, "cross_account_urn"),
        ] {
            let refused = read(json).check(PolicyOperation::Backup, &schedule("2")).unwrap_err();
            assert_eq!(refused.field, field, "{json}");
        }
        let harmless = r#"{"destination_region":"","enable_acceleration":false}"#;
        assert_eq!(read(harmless).check(PolicyOperation::Backup, &schedule("2")), Ok(()));
    }
}
