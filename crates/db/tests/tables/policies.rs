//! Policies, the vaults they work for, and the policies of whole accounts.

use std::time::Duration;

use cbr_db::DbError;
use cbr_model::ProjectId;
use cbr_model::identity::Domain;
use cbr_model::name::Name;
use cbr_model::policy::definition::{AdvancedRule, AdvancedRules, OperationDefinition};
use cbr_model::policy::organization::{OrganizationPolicy, OrganizationPolicyStatus};
use cbr_model::policy::zone::PolicyZone;
use cbr_model::policy::{AssociatedVault, Policy, PolicyOperation, PolicyOrigin, Trigger};
use cbr_model::query::{Page, PolicyFilter, VaultFilter};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    a_policy_comes_back_as_it_was,
    an_update_writes_everything_that_can_change,
    policies_are_found_by_each_filter_and_paged,
    a_vault_has_one_policy_of_each_operation,
    a_policy_goes_with_its_bindings_and_a_binding_with_its_vault,
    organization_policies_come_back_and_hold_their_copies,
}

fn policy(world: &World, name: &str) -> Policy {
    Policy {
        id: world.id(),
        project: world.project,
        name: Name::new(name).unwrap(),
        enabled: true,
        operation: PolicyOperation::Backup,
        origin: PolicyOrigin::Custom,
        organization: None,
        trigger_id: world.id(),
        trigger: Trigger {
            patterns: vec!["FREQ=DAILY;BYHOUR=06;BYMINUTE=00".into(), "as it \"was\"".into()],
            start_window_minutes: Some(60),
            zone: "Asia/Kathmandu".parse().unwrap(),
        },
        definition: OperationDefinition {
            max_backups: Some(-1),
            timezone: Some("UTC+08:00".into()),
            enable_acceleration: Some(false),
            advanced_retention_rules: Some(AdvancedRules {
                weekly_retention_rules: Some(AdvancedRule {
                    days_of_week: Some(vec!["MO".into()]),
                    ..AdvancedRule::default()
                }),
                ..AdvancedRules::default()
            }),
            ..OperationDefinition::default()
        },
        created_at: world.now(),
        updated_at: world.now(),
        vaults: Vec::new(),
    }
}

pub(crate) async fn stored(world: &World, name: &str) -> Policy {
    let policy = policy(world, name);
    let mut tx = world.begin().await;
    tx.policies().insert(&policy).await.unwrap();
    tx.commit().await.unwrap();
    policy
}

/// Contract C40: patterns byte for byte, the definition key for key.
async fn a_policy_comes_back_as_it_was(database: TestDatabase) {
    let world = World::on(database).await;
    let policy = stored(&world, "日-daily").await;
    let stranger: ProjectId = world.id();
    let mut tx = world.read().await;
    assert_eq!(tx.policies().find(world.project, policy.id).await.unwrap(), Some(policy.clone()));
    assert_eq!(tx.policies().find(stranger, policy.id).await.unwrap(), None);
    drop(tx);
    let mut tx = world.begin().await;
    assert!(!tx.policies().delete(stranger, policy.id).await.unwrap());
    assert!(tx.policies().delete(world.project, policy.id).await.unwrap());
    assert!(!tx.policies().delete(world.project, policy.id).await.unwrap());
}

async fn an_update_writes_everything_that_can_change(database: TestDatabase) {
    let world = World::on(database).await;
    let mut policy = stored(&world, "a").await;
    policy.name = Name::new("b").unwrap();
    policy.enabled = false;
    let zone = PolicyZone::default();
    policy.trigger = Trigger { patterns: vec!["x".into()], start_window_minutes: None, zone };
    policy.definition = OperationDefinition::default();
    policy.origin = PolicyOrigin::OrganizationRemoved;
    world.clock.advance(Duration::from_secs(1));
    let mut tx = world.begin().await;
    assert!(tx.policies().update(&policy).await.unwrap());
    policy.updated_at = tx.now();
    let found = tx.policies().find(world.project, policy.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&policy));
    policy.project = world.id();
    assert!(!tx.policies().update(&policy).await.unwrap());
}

/// Contract C41, C3.
async fn policies_are_found_by_each_filter_and_paged(database: TestDatabase) {
    let world = World::on(database).await;
    let (vault, other) = (world.stored_vault("v").await, world.stored_vault("w").await);
    let mut policies = Vec::new();
    for name in ["a", "b", "c"] {
        world.clock.advance(Duration::from_secs(1));
        let mut policy = policy(&world, name);
        if name == "c" {
            policy.operation = PolicyOperation::Replication;
        }
        let mut tx = world.begin().await;
        tx.policies().insert(&policy).await.unwrap();
        tx.policies().bind(vault.id, policy.id, policy.operation, None).await.unwrap();
        tx.commit().await.unwrap();
        policies.push(policy.id);
    }
    let mut tx = world.read().await;
    let all = PolicyFilter::default;
    let backup = Some(PolicyOperation::Backup);
    for (filter, expected) in [
        (all(), &[2, 1, 0][..]),
        (PolicyFilter { operation: backup, ..all() }, &[1, 0]),
        (PolicyFilter { vault: Some(vault.id), ..all() }, &[2, 1]),
        (PolicyFilter { vault: Some(vault.id), operation: backup }, &[1]),
        (PolicyFilter { vault: Some(other.id), ..all() }, &[]),
    ] {
        let found = tx.policies().list(world.project, &filter, &Page::default()).await.unwrap();
        let ids: Vec<_> = found.rows.iter().map(|policy| policy.id).collect();
        let expected: Vec<_> = expected.iter().map(|i| policies[*i]).collect();
        assert_eq!(found.total, expected.len() as u64, "{filter:?}");
        assert_eq!(ids, expected, "{filter:?}");
    }
    let page = Page { limit: 1, marker: Some(policies[2].as_uuid()), ..Page::default() };
    let found = tx.policies().list(world.project, &all(), &page).await.unwrap();
    assert_eq!((found.rows[0].id, found.total), (policies[1], 3));
    let count = tx.policies().count_own(world.project, PolicyOperation::Backup).await.unwrap();
    assert_eq!(count, 2);
    for (policy, total) in [(policies[0], 0), (policies[1], 1)] {
        let filter = VaultFilter { policy: Some(policy), ..VaultFilter::default() };
        let found = tx.vaults().list(world.project, &filter, &Page::default()).await.unwrap();
        assert_eq!(found.total, total);
    }
}

/// POL-02, REP-07.
async fn a_vault_has_one_policy_of_each_operation(database: TestDatabase) {
    let world = World::on(database).await;
    let (vault, target) = (world.stored_vault("v").await, world.stored_vault("t").await);
    let (first, second) = (stored(&world, "a").await, stored(&world, "b").await);
    let mut copies = policy(&world, "c");
    copies.operation = PolicyOperation::Replication;
    let mut tx = world.begin().await;
    tx.policies().insert(&copies).await.unwrap();
    let (backup, replication) = (PolicyOperation::Backup, PolicyOperation::Replication);
    tx.policies().bind(vault.id, first.id, backup, None).await.unwrap();
    tx.policies().bind(vault.id, copies.id, replication, Some(target.id)).await.unwrap();
    tx.policies().bind(vault.id, second.id, backup, None).await.unwrap();
    let vaults = |policy: Option<Policy>| policy.unwrap().vaults;
    let found = tx.policies().find(world.project, first.id).await.unwrap();
    assert_eq!(vaults(found), []);
    let found = tx.policies().find(world.project, second.id).await.unwrap();
    assert_eq!(vaults(found), [AssociatedVault { vault: vault.id, destination: None }]);
    let found = tx.policies().find(world.project, copies.id).await.unwrap();
    assert_eq!(vaults(found), [AssociatedVault { vault: vault.id, destination: Some(target.id) }]);
    assert!(!tx.policies().unbind(vault.id, first.id).await.unwrap());
    assert!(tx.policies().unbind(vault.id, second.id).await.unwrap());
    let odd = tx.policies().bind(vault.id, first.id, replication, None).await;
    assert!(matches!(odd, Err(DbError::StillReferenced { .. })), "not its operation: {odd:?}");
}

/// POL-33.
async fn a_policy_goes_with_its_bindings_and_a_binding_with_its_vault(database: TestDatabase) {
    let world = World::on(database).await;
    let (vault, other) = (world.stored_vault("v").await, world.stored_vault("w").await);
    let policy = stored(&world, "a").await;
    let mut tx = world.begin().await;
    for vault in [&vault, &other] {
        tx.policies().bind(vault.id, policy.id, policy.operation, None).await.unwrap();
    }
    assert!(tx.vaults().delete(world.project, other.id).await.unwrap());
    let found = tx.policies().find(world.project, policy.id).await.unwrap().unwrap();
    assert_eq!(found.vaults.len(), 1);
    assert!(tx.policies().delete(world.project, policy.id).await.unwrap());
    assert!(!tx.policies().unbind(vault.id, policy.id).await.unwrap());
    assert!(tx.vaults().find(world.project, vault.id).await.unwrap().is_some());
}

/// Contract C45 to C50.
async fn organization_policies_come_back_and_hold_their_copies(database: TestDatabase) {
    let world = World::on(database).await;
    let domain = Domain { id: world.id(), name: "acme".into() };
    let Policy { trigger, definition, created_at, .. } = policy(&world, "x");
    let mut organization = OrganizationPolicy {
        id: world.id(),
        domain: domain.id,
        name: "for all".into(),
        description: None,
        effective_scope: Some("everybody".into()),
        operation: PolicyOperation::Backup,
        policy_enabled: true,
        policy_name: Name::new("from-above").unwrap(),
        trigger,
        definition,
        status: OrganizationPolicyStatus::Syncing,
        created_at,
        updated_at: created_at,
    };
    let mut tx = world.begin().await;
    tx.domains().insert(&domain).await.unwrap();
    tx.organization_policies().insert(&organization).await.unwrap();
    let mut policies = tx.organization_policies();
    let found = policies.find(domain.id, organization.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&organization));
    assert_eq!(policies.find(world.id(), organization.id).await.unwrap(), None);
    assert_eq!(policies.list_all().await.unwrap(), [organization.clone()]);
    let backup = policies.list(domain.id, PolicyOperation::Backup).await.unwrap();
    assert_eq!(backup, [organization.clone()]);
    assert_eq!(policies.list(domain.id, PolicyOperation::Replication).await.unwrap(), []);

    organization.name = "for more".into();
    organization.description = Some("text".into());
    organization.policy_enabled = false;
    assert!(policies.update(&organization).await.unwrap());
    assert!(policies.set_available(organization.id).await.unwrap());
    organization.status = OrganizationPolicyStatus::Available;
    organization.updated_at = tx.now();
    let found = tx.organization_policies().find(domain.id, organization.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&organization));

    let mut copy = organization.copy_in(world.project);
    tx.policies().insert(&copy).await.unwrap();
    assert_eq!(tx.policies().copies(organization.id).await.unwrap(), [copy.clone()]);
    let own = tx.policies().count_own(world.project, PolicyOperation::Backup).await.unwrap();
    assert_eq!(own, 0, "copies are not counted");
    tx.commit().await.unwrap();
    let mut tx = world.begin().await;
    let held = tx.organization_policies().delete(domain.id, organization.id).await;
    assert!(matches!(held, Err(DbError::StillReferenced { .. })), "{held:?}");
    drop(tx);
    let mut tx = world.begin().await;
    (copy.origin, copy.organization) = (PolicyOrigin::OrganizationRemoved, None);
    assert!(tx.policies().update(&copy).await.unwrap());
    assert!(tx.organization_policies().delete(domain.id, organization.id).await.unwrap());
}
