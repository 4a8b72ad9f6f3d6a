//! The policy that every project can have without describing it (POL-04).

use cbr_model::policy::definition::OperationDefinition;
use cbr_model::policy::{Policy, PolicyOperation};

use super::requests::{NewPolicy, NewTrigger};
use super::service::Policies;
use crate::{Access, Result};

/// What it is called.
const NAME: &str = "default";
/// Every day, when most people have gone home.
const PATTERN: &str = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=22;BYMINUTE=00";
/// A month.
const DAYS: i64 = 30;

impl Policies {
    /// The project's default policy, which is made unless there is a backup policy of that name: every
    /// day at 22:00 in `zone`, kept for 30 days, enabled. It may be changed and deleted like any other.
    pub async fn standard(&self, access: &Access, zone: Option<String>) -> Result<Policy> {
        let trigger =
            NewTrigger { patterns: vec![PATTERN.to_owned()], start_window_minutes: None, zone };
        let definition = OperationDefinition {
            retention_duration_days: Some(DAYS),
            ..OperationDefinition::default()
        };
        let wanted = NewPolicy {
            name: NAME.to_owned(),
            enabled: true,
            operation: PolicyOperation::Backup,
            trigger,
            definition,
        };
        self.make(access, wanted, true).await
    }
}
