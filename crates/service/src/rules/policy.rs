//! What a policy may be, and how it may change (POL-01 … POL-22, Y.4, contract C40, C43).

use cbr_model::policy::definition::OperationDefinition;
use cbr_model::policy::retention::{Base, Retention};
use cbr_model::policy::schedule::Schedule;
use cbr_model::policy::zone::PolicyZone;
use cbr_model::policy::{Policy, PolicyOperation, PolicyOrigin, START_WINDOW_MINUTES, Trigger};
use cbr_model::{PolicyId, ProjectId, Timestamp, TriggerId};

use super::vault::check_name;
use crate::policies::PolicyRefusal;
use crate::policies::{NewPolicy, NewTrigger, PolicyChange, TriggerChange, WindowChange};
use crate::{Error, Result};

/// The policy that `wanted` describes, if all its values keep their rules.
pub(crate) fn build(
    wanted: &NewPolicy,
    (id, trigger_id): (PolicyId, TriggerId),
    project: ProjectId,
    now: Timestamp,
) -> Result<Policy> {
    let name = check_name("name", &wanted.name)?;
    let trigger = new_trigger(&wanted.trigger)?;
    check(wanted.operation, &trigger, &wanted.definition, now)?;
    Ok(Policy {
        id,
        project,
        name,
        enabled: wanted.enabled,
        operation: wanted.operation,
        origin: PolicyOrigin::Custom,
        organization: None,
        trigger_id,
        trigger,
        definition: wanted.definition.clone(),
        created_at: now,
        updated_at: now,
        vaults: Vec::new(),
    })
}

/// The policy after `change`, if the rules allow it.
pub(crate) fn changed(mut policy: Policy, change: &PolicyChange, now: Timestamp) -> Result<Policy> {
    check_own(&policy)?;
    if let Some(name) = &change.name {
        policy.name = check_name("name", name)?;
    }
    if let Some(trigger) = &change.trigger {
        policy.trigger = changed_trigger(&policy.trigger, trigger)?;
    }
    if let Some(definition) = &change.definition {
        if !policy.vaults.is_empty() {
            check_same_destination(policy.id, policy.operation, &policy.definition, definition)?;
        }
        policy.definition = definition.clone();
    }
    // Together: new times may make the old interval of full backups impossible.
    check(policy.operation, &policy.trigger, &policy.definition, policy.created_at)?;
    policy.enabled = change.enabled.unwrap_or(policy.enabled);
    policy.updated_at = now;
    Ok(policy)
}

/// A copy of an organization policy is changed there only, for all projects.
pub(crate) fn check_own(policy: &Policy) -> Result<()> {
    match policy.organization {
        Some(organization) => {
            Err(PolicyRefusal::Managed { policy: policy.id, organization }.into())
        }
        None => Ok(()),
    }
}

/// POL-01, QUO-05: whether there may be one more, of the most there are of an operation.
pub(crate) fn check_quota(existing: u64, limit: usize, operation: PolicyOperation) -> Result<()> {
    if existing < limit as u64 {
        Ok(())
    } else {
        Err(PolicyRefusal::TooMany { limit, operation: operation.as_str() }.into())
    }
}

/// The trigger that was asked for. Its patterns are looked at by [`check`].
pub(crate) fn new_trigger(wanted: &NewTrigger) -> Result<Trigger> {
    let window = wanted.start_window_minutes.map(check_window).transpose()?;
    let zone = wanted.zone.as_deref().map(check_zone).transpose()?.unwrap_or_default();
    Ok(Trigger { patterns: wanted.patterns.clone(), start_window_minutes: window, zone })
}

/// The trigger after a change.
pub(crate) fn changed_trigger(before: &Trigger, change: &TriggerChange) -> Result<Trigger> {
    let window = match change.start_window {
        WindowChange::Keep => before.start_window_minutes,
        WindowChange::Off => None,
        WindowChange::Minutes(minutes) => Some(check_window(minutes)?),
    };
    let zone = change.zone.as_deref().map(check_zone).transpose()?.unwrap_or(before.zone);
    Ok(Trigger { patterns: change.patterns.clone(), start_window_minutes: window, zone })
}

/// Whether trigger and definition are possible, each and together.
pub(crate) fn check(
    operation: PolicyOperation,
    trigger: &Trigger,
    definition: &OperationDefinition,
    created_at: Timestamp,
) -> Result<()> {
    let schedule = Schedule::new(trigger, created_at)?;
    definition.check(operation, &schedule)?;
    Retention::read(definition)?;
    Ok(())
}

/// Contract C43, code 6003: where the replicas of a policy that works for vaults go is settled.
pub(crate) fn check_same_destination(
    policy: PolicyId,
    operation: PolicyOperation,
    before: &OperationDefinition,
    after: &OperationDefinition,
) -> Result<()> {
    let is_same = before.destination_region == after.destination_region
        && before.destination_project_id == after.destination_project_id;
    if operation == PolicyOperation::Replication && !is_same {
        return Err(PolicyRefusal::DestinationFixed { policy }.into());
    }
    Ok(())
}

/// What is possible and will not do what it seems to (POL-22).
pub(crate) fn warnings(definition: &OperationDefinition) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    if let (Some(interval), Base::Newest(count)) =
        (definition.full_interval()?, Retention::read(definition)?.base)
        && interval >= count
    {
        warnings.push(format!(
            "no full backups will be made: with {count} backups kept, the interval of {interval} \
             is never reached; use an interval below {count}, or keep more than {interval}"
        ));
    }
    Ok(warnings)
}

fn check_zone(text: &str) -> Result<PolicyZone> {
    text.parse().map_err(|error| Error::invalid("x-time-zone", error))
}

fn check_window(minutes: i64) -> Result<u32> {
    let field = "start_window_minutes";
    u32::try_from(minutes).ok().filter(|_| START_WINDOW_MINUTES.contains(&minutes)).ok_or_else(
        || {
            let (from, to) = (START_WINDOW_MINUTES.start(), START_WINDOW_MINUTES.end());
            Error::invalid(field, format!("{minutes} is not {from} to {to}"))
        },
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use cbr_model::VaultId;
    use cbr_model::policy::AssociatedVault;
    use uuid::Uuid;

    use super::*;
    use cbr_model::policy::POLICIES_MAX;

    pub(crate) fn wanted() -> NewPolicy {
        NewPolicy {
            name: "daily".into(),
            enabled: true,
            operation: PolicyOperation::Backup,
            trigger: NewTrigger {
                patterns: vec!["FREQ=DAILY;INTERVAL=1;BYHOUR=06;BYMINUTE=00".into()],
                start_window_minutes: None,
                zone: None,
            },
            definition: OperationDefinition { max_backups: Some(5), ..Default::default() },
        }
    }

    pub(crate) fn policy(wanted: &NewPolicy) -> Result<Policy> {
        let id = Uuid::from_u128(1);
        let ids = (PolicyId::from_uuid(id), TriggerId::from_uuid(id));
        build(wanted, ids, ProjectId::from_uuid(id), Timestamp(0))
    }

    pub(crate) fn replication() -> NewPolicy {
        let definition = OperationDefinition {
            destination_region: Some("eu".into()),
            destination_project_id: Some("0605767b5780d5762fc5c0118072a564".into()),
            ..Default::default()
        };
        NewPolicy { operation: PolicyOperation::Replication, definition, ..wanted() }
    }

    /// POL-08, Y.4, contract C40: one wrong value each.
    #[test]
    fn a_new_policy_keeps_every_rule() {
        type Spoil = fn(&mut NewPolicy);
        let table: [(&str, Spoil, Option<&str>); 10] = [
            ("as it is", |_| (), None),
            ("name with a blank", |p| p.name = "a b".into(), Some("name")),
            ("no pattern", |p| p.trigger.patterns.clear(), Some("pattern")),
            (
                "window 59",
                |p| p.trigger.start_window_minutes = Some(59),
                Some("start_window_minutes"),
            ),
            ("window 60", |p| p.trigger.start_window_minutes = Some(60), None),
            (
                "window 481",
                |p| p.trigger.start_window_minutes = Some(481),
                Some("start_window_minutes"),
            ),
            ("nothing about keeping", |p| p.definition = OperationDefinition::default(), None),
            ("keep -5", |p| p.definition.max_backups = Some(-5), Some("max_backups")),
            (
                "full 101",
                |p| p.definition.full_backup_interval = Some(101),
                Some("full_backup_interval"),
            ),
            (
                "no destination",
                |p| p.operation = PolicyOperation::Replication,
                Some("destination_region"),
            ),
        ];
        for (what, spoil, expected) in table {
            let mut wanted = wanted();
            spoil(&mut wanted);
            let field = match policy(&wanted) {
                Ok(_) => None,
                Err(Error::Invalid { field, .. }) => Some(field),
                Err(other) => panic!("{what}: {other}"),
            };
            assert_eq!(field, expected, "{what}");
        }
    }

    /// Contract C43: only what is named changes; the definition changes as a whole.
    #[test]
    fn a_change_touches_only_what_it_names() {
        let mut wanted = wanted();
        wanted.trigger.start_window_minutes = Some(60);
        let before = policy(&wanted).unwrap();
        let now = Timestamp(9);
        let after = changed(before.clone(), &PolicyChange::default(), now).unwrap();
        assert_eq!(Policy { updated_at: Timestamp(0), ..after }, before);
        let patterns = vec!["FREQ=DAILY;BYHOUR=7;BYMINUTE=0".to_owned()];
        let trigger = |window| PolicyChange {
            trigger: Some(TriggerChange {
                patterns: patterns.clone(),
                start_window: window,
                zone: None,
            }),
            ..Default::default()
        };
        let window = |change: &PolicyChange| {
            let after = changed(before.clone(), change, now).unwrap().trigger;
            assert_eq!(after.patterns, patterns);
            after.start_window_minutes
        };
        assert_eq!(window(&trigger(WindowChange::Keep)), Some(60), "absent leaves");
        assert_eq!(window(&trigger(WindowChange::Off)), None, "null switches off");
        assert_eq!(window(&trigger(WindowChange::Minutes(120))), Some(120));
        let definition =
            OperationDefinition { retention_duration_days: Some(30), ..Default::default() };
        let change = PolicyChange { definition: Some(definition.clone()), ..Default::default() };
        assert_eq!(changed(before, &change, now).unwrap().definition, definition);
    }

    /// POL-20: what is left as it is must go with what is new.
    #[test]
    fn new_times_that_the_old_definition_does_not_allow_are_refused() {
        let mut wanted = wanted();
        wanted.definition.full_backup_interval = Some(0);
        let before = policy(&wanted).unwrap();
        let patterns = vec!["FREQ=DAILY;BYHOUR=7,19;BYMINUTE=0".to_owned()];
        let trigger = Some(TriggerChange { patterns, ..TriggerChange::default() });
        let change = PolicyChange { trigger, ..Default::default() };
        let refused = changed(before, &change, Timestamp(1));
        assert!(matches!(refused, Err(Error::Invalid { field: "full_backup_interval", .. })));
    }

    /// Contract D 6003.
    #[test]
    fn a_policy_in_use_keeps_its_destination() {
        let mut used = policy(&replication()).unwrap();
        let change = |region: &str| {
            let definition = OperationDefinition {
                destination_region: Some(region.into()),
                max_backups: Some(2),
                ..replication().definition
            };
            PolicyChange { definition: Some(definition), ..Default::default() }
        };
        assert!(changed(used.clone(), &change("us"), Timestamp(1)).is_ok());
        let vault = VaultId::from_uuid(Uuid::from_u128(3));
        used.vaults.push(AssociatedVault { vault, destination: Some(vault) });
        assert!(changed(used.clone(), &change("eu"), Timestamp(1)).is_ok());
        let refused = changed(used, &change("us"), Timestamp(1));
        assert!(matches!(refused, Err(Error::Policy(PolicyRefusal::DestinationFixed { .. }))));
    }

    /// POL-01, QUO-05.
    #[test]
    fn there_are_32_of_each_operation() {
        assert!(check_quota(31, POLICIES_MAX, PolicyOperation::Backup).is_ok());
        let refused = check_quota(32, POLICIES_MAX, PolicyOperation::Backup);
        assert!(matches!(refused, Err(Error::Policy(PolicyRefusal::TooMany { limit: 32, .. }))));
    }

    /// POL-22.
    #[test]
    fn an_interval_that_retention_never_reaches_is_warned_of() {
        let definition = |count, interval| OperationDefinition {
            max_backups: Some(count),
            full_backup_interval: Some(interval),
            ..Default::default()
        };
        assert!(warnings(&definition(8, 7)).unwrap().is_empty());
        assert_eq!(warnings(&definition(7, 7)).unwrap().len(), 1);
        assert!(warnings(&definition(-1, 7)).unwrap().is_empty());
        assert!(warnings(&definition(7, -1)).unwrap().is_empty());
    }
}
