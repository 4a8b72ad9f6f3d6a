//! What an organization policy may be, and which copies of it are missing (contract C45 to C50).

use cbr_model::name::{NAME_CHARS_MAX, check_description};
use cbr_model::policy::organization::{
    OrganizationPolicy, OrganizationPolicyStatus, SCOPE_CHARS_MAX,
};
use cbr_model::policy::{Policy, PolicyOrigin};
use cbr_model::{DomainId, OrganizationPolicyId, ProjectId, Timestamp};

use super::policy::{changed_trigger, check, new_trigger};
use super::vault::check_name;
use crate::organization_policies::{NewOrganizationPolicy, OrganizationPolicyChange};
use crate::{Error, Result};

/// The organization policy that `wanted` describes, if all its values keep their rules.
pub(crate) fn build(
    wanted: &NewOrganizationPolicy,
    id: OrganizationPolicyId,
    domain: DomainId,
    now: Timestamp,
) -> Result<OrganizationPolicy> {
    let policy = OrganizationPolicy {
        id,
        domain,
        name: wanted.name.clone(),
        description: wanted.description.clone(),
        effective_scope: wanted.effective_scope.clone(),
        operation: wanted.operation,
        policy_enabled: wanted.policy_enabled,
        policy_name: check_name("policy_name", &wanted.policy_name)?,
        trigger: new_trigger(&wanted.trigger)?,
        definition: wanted.definition.clone(),
        status: OrganizationPolicyStatus::Syncing,
        created_at: now,
        updated_at: now,
    };
    checked(policy)
}

/// The organization policy after `change`, if the rules allow it. Its copies are to be changed.
pub(crate) fn changed(
    mut policy: OrganizationPolicy,
    change: &OrganizationPolicyChange,
    now: Timestamp,
) -> Result<OrganizationPolicy> {
    if let Some(name) = &change.name {
        policy.name.clone_from(name);
    }
    if let Some(name) = &change.policy_name {
        policy.policy_name = check_name("policy_name", name)?;
    }
    if let Some(trigger) = &change.trigger {
        policy.trigger = changed_trigger(&policy.trigger, trigger)?;
    }
    if let Some(definition) = &change.definition {
        policy.definition = definition.clone();
    }
    policy.policy_enabled = change.policy_enabled.unwrap_or(policy.policy_enabled);
    policy.description = change.description.clone().or(policy.description);
    policy.effective_scope = change.effective_scope.clone().or(policy.effective_scope);
    policy.status = OrganizationPolicyStatus::Syncing;
    policy.updated_at = now;
    checked(policy)
}

fn checked(policy: OrganizationPolicy) -> Result<OrganizationPolicy> {
    let name = policy.name.chars();
    if !(1..=NAME_CHARS_MAX).contains(&name.clone().count()) || name.clone().any(char::is_control) {
        let reason = format!("it has 1 to {NAME_CHARS_MAX} characters");
        return Err(Error::invalid("name", reason));
    }
    if let Some(text) = &policy.description {
        check_description(text).map_err(|why| Error::invalid("description", why))?;
    }
    if policy.effective_scope.as_ref().is_some_and(|s| s.chars().count() > SCOPE_CHARS_MAX) {
        let reason = format!("it has at most {SCOPE_CHARS_MAX} characters");
        return Err(Error::invalid("effective_scope", reason));
    }
    check(policy.operation, &policy.trigger, &policy.definition, policy.created_at)?;
    Ok(policy)
}

/// What has to be done in a project.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// It has no copy.
    Make(Policy),
    /// Its copy is an old one.
    Change(Policy),
}

/// What has to be done so that each of these projects has the present form.
pub(crate) fn steps(
    policy: &OrganizationPolicy,
    projects: &[ProjectId],
    copies: &[Policy],
) -> Vec<Step> {
    let step = |project: &ProjectId| {
        let wanted = policy.copy_in(*project);
        match copies.iter().find(|copy| copy.id == wanted.id) {
            None => Some(Step::Make(wanted)),
            Some(copy) if is_current(copy, &wanted) => None,
            Some(_) => Some(Step::Change(wanted)),
        }
    };
    projects.iter().filter_map(step).collect()
}

/// Whether a copy is what is wanted, apart from what it works for and when it was written.
pub(crate) fn is_current(copy: &Policy, wanted: &Policy) -> bool {
    copy.id == wanted.id
        && copy.name == wanted.name
        && copy.enabled == wanted.enabled
        && copy.trigger == wanted.trigger
        && copy.definition == wanted.definition
}

/// A copy whose organization policy goes while it works for vaults (contract C49).
pub(crate) fn released(copy: Policy) -> Policy {
    Policy { origin: PolicyOrigin::OrganizationRemoved, organization: None, ..copy }
}

#[cfg(test)]
mod tests {
    use cbr_model::policy::PolicyOperation;
    use uuid::Uuid;

    use super::*;
    use crate::rules::policy::tests::wanted as wanted_policy;

    fn wanted() -> NewOrganizationPolicy {
        let policy = wanted_policy();
        NewOrganizationPolicy {
            name: "for all of us".into(),
            description: None,
            effective_scope: None,
            operation: PolicyOperation::Backup,
            policy_enabled: true,
            policy_name: policy.name,
            trigger: policy.trigger,
            definition: policy.definition,
        }
    }

    fn built(wanted: &NewOrganizationPolicy) -> Result<OrganizationPolicy> {
        let id = Uuid::from_u128(1);
        build(wanted, OrganizationPolicyId::from_uuid(id), DomainId::from_uuid(id), Timestamp(0))
    }

    fn project(n: u128) -> ProjectId {
        ProjectId::from_uuid(Uuid::from_u128(n))
    }

    /// Contract `OrganizationPolicyCreate`: one wrong value each.
    #[test]
    fn an_organization_policy_keeps_every_rule() {
        type Spoil = fn(&mut NewOrganizationPolicy);
        let table: [(&str, Spoil); 8] = [
            ("name", |p| p.name.clear()),
            ("name", |p| p.name = "x".repeat(65)),
            ("policy_name", |p| p.policy_name = "a b".into()),
            ("description", |p| p.description = Some("<b>".into())),
            ("effective_scope", |p| p.effective_scope = Some("x".repeat(256))),
            ("pattern", |p| p.trigger.patterns.clear()),
            ("max_backups", |p| p.definition.max_backups = Some(-3)),
            ("destination_region", |p| p.operation = PolicyOperation::Replication),
        ];
        for (expected, spoil) in table {
            let mut wanted = wanted();
            spoil(&mut wanted);
            let got = built(&wanted);
            assert!(
                matches!(got, Err(Error::Invalid { field, .. }) if field == expected),
                "{got:?}"
            );
        }
        assert_eq!(built(&wanted()).unwrap().status, OrganizationPolicyStatus::Syncing);
    }

    /// Contract C48: only what is named changes, and the copies have to follow.
    #[test]
    fn a_change_touches_only_what_it_names_and_has_to_be_copied() {
        let before = OrganizationPolicy {
            status: OrganizationPolicyStatus::Available,
            ..built(&wanted()).unwrap()
        };
        let nothing = OrganizationPolicyChange::default();
        let after = changed(before.clone(), &nothing, Timestamp(3)).unwrap();
        assert_eq!(after.status, OrganizationPolicyStatus::Syncing);
        assert_eq!((&after.trigger, &after.name), (&before.trigger, &before.name));
        let change = OrganizationPolicyChange {
            policy_name: Some("other".into()),
            policy_enabled: Some(false),
            ..nothing
        };
        let after = changed(before, &change, Timestamp(3)).unwrap();
        let copy = after.copy_in(project(5));
        assert_eq!((copy.name.as_str(), copy.enabled), ("other", false));
    }

    /// Contract C45, C50: a copy in each project, made once, changed when it is old; ids never change.
    #[test]
    fn each_project_gets_one_copy_and_its_changes() {
        let policy = built(&wanted()).unwrap();
        let projects = [project(1), project(2)];
        let made = steps(&policy, &projects, &[]);
        let copies: Vec<Policy> = made
            .into_iter()
            .map(|step| match step {
                Step::Make(copy) => copy,
                Step::Change(copy) => panic!("there was none: {copy:?}"),
            })
            .collect();
        assert_ne!(copies[0].id, copies[1].id);
        assert_ne!(copies[0].trigger_id.as_uuid(), copies[0].id.as_uuid());
        assert_eq!(steps(&policy, &projects, &copies), []);
        let mut newer = policy.clone();
        newer.policy_enabled = false;
        let changes = steps(&newer, &projects, &copies[..1]);
        assert_eq!(
            changes,
            [Step::Change(newer.copy_in(projects[0])), Step::Make(newer.copy_in(projects[1]))]
        );
    }
}
