//! Groups, policies, grants, agencies, temporary keys, second factors, enterprise projects.

use std::time::Duration;

use cbr_db::{AccessKey, DbError, FailedLogins, MfaDevice, TemporaryKey, Token, Tx};
use cbr_model::identity::{
    Agency, Credential, CustomRole, Domain, EnterpriseProject, Grant, GrantScope, Grantee, Group,
    Project, User,
};
use cbr_model::permission::{Document, SYSTEM_ROLES};
use cbr_model::{DomainId, Timestamp, UserId};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    what_access_stores_comes_back_as_it_was,
    roles_reach_a_user_through_its_groups_of_its_account_where_they_were_granted,
    a_user_goes_with_all_that_is_its_own,
    an_agency_goes_with_what_was_issued_through_it,
    temporary_keys_are_void_from_the_moment_they_expire,
    a_credential_ends_with_what_it_was_made_with,
    a_chain_of_tokens_is_bounded,
}

async fn account(world: &World, name: &str) -> Domain {
    let domain = Domain { id: world.id(), name: name.into() };
    let mut tx = world.begin().await;
    tx.domains().insert(&domain).await.unwrap();
    tx.commit().await.unwrap();
    domain
}

async fn user(world: &World, domain: DomainId, name: &str) -> User {
    let user = User {
        id: world.id(),
        domain,
        name: name.into(),
        enabled: true,
        is_admin: false,
        description: String::new(),
        email: String::new(),
        created_at: Timestamp(1),
    };
    let mut tx = world.begin().await;
    tx.users().insert(&user, None).await.unwrap();
    tx.commit().await.unwrap();
    user
}

async fn group(world: &World, domain: DomainId, name: &str) -> Group {
    let group = Group {
        id: world.id(),
        domain,
        name: name.into(),
        description: "d".into(),
        created_at: Timestamp(2),
    };
    let mut tx = world.begin().await;
    tx.groups().insert(&group).await.unwrap();
    tx.commit().await.unwrap();
    group
}

fn role(world: &World, domain: DomainId, name: &str) -> CustomRole {
    let text = r#"{"Version":"1.1","Statement":[{"Effect":"Deny","Action":["cbr:*:delete"]}]}"#;
    CustomRole {
        id: world.id(),
        domain,
        name: name.into(),
        description: "d".into(),
        description_cn: "描述".into(),
        is_for_projects: true,
        document: Document::parse(text).unwrap(),
        created_at: Timestamp(3),
        updated_at: Timestamp(4),
    }
}

fn taken(result: Result<(), DbError>) -> bool {
    matches!(result, Err(DbError::Taken { .. }))
}

/// Remembers failed logins of a user, from anywhere and from one network; says what of that one.
async fn fail_logins(tx: &mut Tx, user: UserId, failed: FailedLogins) -> FailedLogins {
    assert_eq!(tx.login_failures().anywhere(user).await.unwrap(), FailedLogins::NONE);
    assert!(tx.login_failures().set_anywhere(user, failed).await.unwrap());
    tx.login_failures().set_from(user, "192.0.2.1", failed).await.unwrap();
    let again = FailedLogins { count: 4, ..failed };
    tx.login_failures().set_from(user, "192.0.2.1", again).await.unwrap();
    again
}

async fn what_access_stores_comes_back_as_it_was(database: TestDatabase) {
    let world = World::on(database).await;
    let domain = account(&world, "acme").await;
    let alice = user(&world, domain.id, "alice").await;
    let mut readers = group(&world, domain.id, "readers").await;
    let again = Group { id: world.id(), ..readers.clone() };
    assert!(taken(world.begin().await.groups().insert(&again).await));
    let mut no_deleting = role(&world, domain.id, "no deleting");
    let mut finance = EnterpriseProject {
        id: "5b0c7f6e-0d0f-4c3a-9d5e-00000000000c".into(),
        name: "finance".into(),
        description: String::new(),
        enabled: true,
        created_at: Timestamp(5),
        updated_at: Timestamp(5),
    };
    let failed = FailedLogins { count: 3, since: Timestamp(7), locked_until: Timestamp(8) };
    let changed = User { enabled: false, email: "a@b.c".into(), ..alice.clone() };
    let mut tx = world.begin().await;
    tx.groups().add_member(readers.id, alice.id).await.unwrap();
    tx.groups().add_member(readers.id, alice.id).await.unwrap();
    readers.name = "crew".into();
    assert!(tx.groups().update(&readers).await.unwrap());
    tx.custom_roles().insert(&no_deleting).await.unwrap();
    no_deleting.description_cn = "改".into();
    assert!(tx.custom_roles().update(&no_deleting).await.unwrap());
    tx.enterprise_projects().insert(domain.id, &finance).await.unwrap();
    finance.enabled = false;
    assert!(tx.enterprise_projects().update(domain.id, &finance).await.unwrap());
    let again = fail_logins(&mut tx, alice.id, failed).await;
    assert!(tx.users().update(&changed).await.unwrap());
    tx.commit().await.unwrap();

    let mut tx = world.read().await;
    assert_eq!(tx.groups().find(domain.id, readers.id).await.unwrap().as_ref(), Some(&readers));
    assert_eq!(tx.groups().find(world.id(), readers.id).await.unwrap(), None);
    assert_eq!(tx.groups().list(domain.id).await.unwrap(), std::slice::from_ref(&readers));
    assert_eq!(tx.groups().members(readers.id).await.unwrap(), std::slice::from_ref(&changed));
    assert_eq!(tx.groups().of_user(alice.id).await.unwrap(), std::slice::from_ref(&readers));
    assert!(tx.groups().has_member(readers.id, alice.id).await.unwrap());
    assert_eq!(tx.users().list(domain.id).await.unwrap(), [changed]);
    assert_eq!(tx.login_failures().anywhere(alice.id).await.unwrap(), failed);
    assert_eq!(tx.login_failures().from(alice.id, "192.0.2.1").await.unwrap(), again);
    assert_eq!(tx.login_failures().from(alice.id, "").await.unwrap(), FailedLogins::NONE);
    let found = tx.custom_roles().find(domain.id, no_deleting.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&no_deleting));
    assert_eq!(
        tx.custom_roles().list(domain.id).await.unwrap(),
        std::slice::from_ref(&no_deleting)
    );
    let ids = [no_deleting.id, world.id()];
    let documents = tx.custom_roles().documents(domain.id, &ids).await.unwrap();
    assert_eq!(documents, std::slice::from_ref(&no_deleting.document));
    assert!(tx.custom_roles().documents(world.id(), &ids).await.unwrap().is_empty());
    let found = tx.enterprise_projects().find(domain.id, &finance.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&finance));
    assert_eq!(tx.enterprise_projects().list(domain.id).await.unwrap(), [finance]);
    drop(tx);

    let mut tx = world.begin().await;
    assert!(tx.groups().remove_member(readers.id, alice.id).await.unwrap());
    assert!(!tx.groups().remove_member(readers.id, alice.id).await.unwrap());
    assert!(!tx.custom_roles().delete(world.id(), no_deleting.id).await.unwrap());
    assert!(tx.custom_roles().delete(domain.id, no_deleting.id).await.unwrap());
    assert!(tx.groups().delete(domain.id, readers.id).await.unwrap());
    assert!(!tx.groups().delete(domain.id, readers.id).await.unwrap());
}

/// IAM-01, IAM-02.
async fn roles_reach_a_user_through_its_groups_of_its_account_where_they_were_granted(
    database: TestDatabase,
) {
    let world = World::on(database).await;
    let (ours, theirs) = (account(&world, "ours").await, account(&world, "theirs").await);
    let alice = user(&world, ours.id, "alice").await;
    let readers = group(&world, ours.id, "readers").await;
    let foreign = group(&world, theirs.id, "foreign").await;
    let idle = group(&world, ours.id, "idle").await;
    let [here, everywhere, managing, other, unused] = [0, 1, 2, 3, 4].map(|i| SYSTEM_ROLES[i].id());
    let (project, elsewhere) = (world.project, world.id());
    let grant = |group: &Group, role, scope| Grant { to: Grantee::Group(group.id), role, scope };
    let mut tx = world.begin().await;
    for group in [&readers, &foreign] {
        tx.groups().add_member(group.id, alice.id).await.unwrap();
    }
    let grants = [
        grant(&readers, here, GrantScope::Project(project)),
        grant(&readers, everywhere, GrantScope::AllProjects),
        grant(&readers, managing, GrantScope::Account),
        // Through a group of another account, and one it is not in: nothing.
        grant(&foreign, other, GrantScope::AllProjects),
        grant(&idle, unused, GrantScope::AllProjects),
    ];
    for grant in &grants {
        tx.grants().insert(grant).await.unwrap();
        tx.grants().insert(grant).await.unwrap();
    }
    let mut at = async |place| {
        let mut roles = tx.grants().roles_of_user(ours.id, alice.id, place).await.unwrap();
        roles.sort();
        roles
    };
    assert_eq!(at(GrantScope::Project(project)).await, [here, everywhere]);
    assert_eq!(at(GrantScope::Project(elsewhere)).await, [everywhere]);
    assert_eq!(at(GrantScope::Account).await, [managing]);
    assert_eq!(tx.grants().count(here).await.unwrap(), 1);
    assert_eq!(tx.grants().of(Grantee::Group(readers.id)).await.unwrap().len(), 3);
    assert!(tx.grants().delete(&grants[0]).await.unwrap());
    assert!(!tx.grants().delete(&grants[0]).await.unwrap());
    tx.groups().delete(ours.id, readers.id).await.unwrap();
    assert_eq!(tx.grants().count(everywhere).await.unwrap(), 0);
    let none = tx.grants().roles_of_user(ours.id, alice.id, GrantScope::Account).await.unwrap();
    assert!(none.is_empty());
}

fn temporary(world: &World, user: &User) -> TemporaryKey {
    let text = r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["cbr:*:list*"]}]}"#;
    TemporaryKey {
        ak: "TEMP".into(),
        user: user.id,
        agency: None,
        project: Some(world.project),
        sealed_secret: vec![0, 255],
        token_digest: [7; 32],
        document: Some(Document::parse(text).unwrap()),
        made_with: Credential::Password,
        created_at: Timestamp(1_000_000),
        expires_at: Timestamp(3_000_000),
    }
}

async fn project(world: &World, domain: DomainId) {
    let project = Project { id: world.project, domain, name: "p".into(), enabled: true };
    let mut tx = world.begin().await;
    tx.projects().insert(&project).await.unwrap();
    assert!(tx.projects().update(&project, "said").await.unwrap());
    assert_eq!(tx.projects().descriptions(domain).await.unwrap()[&project.id], "said");
    tx.commit().await.unwrap();
}

/// P27: nothing of a removed user is good for anything.
async fn a_user_goes_with_all_that_is_its_own(database: TestDatabase) {
    let world = World::on(database).await;
    let domain = account(&world, "acme").await;
    project(&world, domain.id).await;
    let alice = user(&world, domain.id, "alice").await;
    let readers = group(&world, domain.id, "readers").await;
    let device = MfaDevice {
        user: alice.id,
        name: "phone".into(),
        sealed_seed: vec![1, 2, 3],
        is_bound: true,
        is_required: true,
        last_step: 77,
        created_at: Timestamp(5),
    };
    let mut key = AccessKey {
        ak: "AK".into(),
        user: alice.id,
        sealed_secret: vec![9],
        enabled: true,
        description: String::new(),
        created_at: Timestamp(6),
        last_used_at: None,
    };
    let token = Token {
        digest: [1; 32],
        user: alice.id,
        project: None,
        agency: None,
        methods: "password,totp".into(),
        made_with: Credential::Password,
        issued_at: Timestamp(1_000_000),
        expires_at: Timestamp(9_000_000),
    };
    let mut tx = world.begin().await;
    tx.groups().add_member(readers.id, alice.id).await.unwrap();
    tx.mfa_devices().insert(&device).await.unwrap();
    tx.access_keys().insert(&key).await.unwrap();
    key.enabled = false;
    assert!(tx.access_keys().update(&key).await.unwrap());
    assert!(tx.access_keys().note_use("AK").await.unwrap());
    tx.temporary_keys().insert(&temporary(&world, &alice)).await.unwrap();
    tx.tokens().insert(&token).await.unwrap();
    assert_eq!(tx.mfa_devices().find(alice.id).await.unwrap().as_ref(), Some(&device));
    assert_eq!(
        tx.mfa_devices().list(domain.id).await.unwrap(),
        tx.mfa_devices().all().await.unwrap()
    );
    let found = tx.access_keys().find("AK").await.unwrap().unwrap();
    assert_eq!((found.enabled, found.last_used_at), (false, Some(Timestamp(1_000_000))));
    assert_eq!(tx.tokens().find([1; 32]).await.unwrap(), Some(token));
    tx.commit().await.unwrap();
    assert!(taken(world.begin().await.mfa_devices().insert(&device).await));

    let mut tx = world.begin().await;
    assert!(!tx.users().delete(world.id(), alice.id).await.unwrap());
    assert!(tx.users().delete(domain.id, alice.id).await.unwrap());
    assert_eq!(tx.mfa_devices().find(alice.id).await.unwrap(), None);
    assert_eq!(tx.access_keys().find("AK").await.unwrap(), None);
    assert_eq!(tx.temporary_keys().find("TEMP").await.unwrap(), None);
    assert_eq!(tx.tokens().find([1; 32]).await.unwrap(), None);
    assert!(tx.groups().members(readers.id).await.unwrap().is_empty());
}

/// IAM-13.
async fn an_agency_goes_with_what_was_issued_through_it(database: TestDatabase) {
    let world = World::on(database).await;
    let (ours, theirs) = (account(&world, "ours").await, account(&world, "theirs").await);
    project(&world, ours.id).await;
    let bob = user(&world, theirs.id, "bob").await;
    let mut agency = Agency {
        id: world.id(),
        domain: ours.id,
        name: "trusting".into(),
        trusted: theirs.clone(),
        description: String::new(),
        created_at: Timestamp(5),
        expires_at: Some(Timestamp(6)),
    };
    let grant = Grant {
        to: Grantee::Agency(agency.id),
        role: SYSTEM_ROLES[0].id(),
        scope: GrantScope::Project(world.project),
    };
    let mut tx = world.begin().await;
    tx.agencies().insert(&agency).await.unwrap();
    agency.expires_at = None;
    assert!(tx.agencies().update(&agency).await.unwrap());
    assert_eq!(tx.agencies().find(agency.id).await.unwrap().as_ref(), Some(&agency));
    assert_eq!(tx.agencies().list(ours.id).await.unwrap(), std::slice::from_ref(&agency));
    tx.grants().insert(&grant).await.unwrap();
    assert_eq!(tx.grants().roles_of_agency(agency.id, grant.scope).await.unwrap(), [grant.role]);
    let elsewhere = tx.grants().roles_of_agency(agency.id, GrantScope::Account).await.unwrap();
    assert!(elsewhere.is_empty());
    let key = TemporaryKey { agency: Some(agency.id), ..temporary(&world, &bob) };
    tx.temporary_keys().insert(&key).await.unwrap();
    assert_eq!(tx.temporary_keys().all().await.unwrap(), [key]);
    assert!(tx.agencies().delete(ours.id, agency.id).await.unwrap());
    assert_eq!(tx.temporary_keys().find("TEMP").await.unwrap(), None);
    assert_eq!(tx.grants().count(grant.role).await.unwrap(), 0);
}

async fn temporary_keys_are_void_from_the_moment_they_expire(database: TestDatabase) {
    let world = World::on(database).await;
    let domain = account(&world, "acme").await;
    project(&world, domain.id).await;
    let alice = user(&world, domain.id, "alice").await;
    let key = temporary(&world, &alice);
    let mut tx = world.begin().await;
    tx.temporary_keys().insert(&key).await.unwrap();
    assert_eq!(tx.temporary_keys().find("TEMP").await.unwrap(), Some(key));
    assert!(tx.temporary_keys().reseal("TEMP", &[4]).await.unwrap());
    assert_eq!(tx.temporary_keys().delete_expired().await.unwrap(), 0);
    tx.commit().await.unwrap();
    world.clock.advance(Duration::from_secs(2));
    let mut tx = world.begin().await;
    assert_eq!(tx.temporary_keys().find("TEMP").await.unwrap(), None);
    assert_eq!(tx.temporary_keys().delete_expired().await.unwrap(), 1);
    assert_eq!(tx.temporary_keys().delete_of_user(alice.id).await.unwrap(), 0);
}

/// P27: what was made with a credential ends with it, and what was made with that; nothing else does.
async fn a_credential_ends_with_what_it_was_made_with(database: TestDatabase) {
    let world = World::on(database).await;
    let domain = account(&world, "acme").await;
    project(&world, domain.id).await;
    let alice = user(&world, domain.id, "alice").await;
    let token = |number: u8, made_with: Credential| Token {
        digest: [number; 32],
        user: alice.id,
        project: None,
        agency: None,
        methods: "password".into(),
        made_with,
        issued_at: Timestamp(i64::from(number)),
        expires_at: Timestamp(9_000_000),
    };
    let of = |number: u8| Credential::Token([number; 32]);
    let key = |ak: &str, made_with: Credential| TemporaryKey {
        ak: ak.into(),
        made_with,
        ..temporary(&world, &alice)
    };
    let mut tx = world.begin().await;
    // 1 ─ 2 ─ 3 and A; 4 and B of an access key, 5 of 4; 6 alone.
    for token in [
        token(1, Credential::Password),
        token(2, of(1)),
        token(3, of(2)),
        token(4, Credential::AccessKey("AK".into())),
        token(5, of(4)),
        token(6, Credential::Password),
    ] {
        tx.tokens().insert(&token).await.unwrap();
        assert_eq!(tx.tokens().find(token.digest).await.unwrap(), Some(token));
    }
    for key in [key("A", of(3)), key("B", Credential::AccessKey("AK".into())), key("C", of(6))] {
        tx.temporary_keys().insert(&key).await.unwrap();
        assert_eq!(tx.temporary_keys().find(&key.ak).await.unwrap(), Some(key));
    }
    tx.commit().await.unwrap();
    assert_eq!(good(&world).await, "123456ABC");

    let mut tx = world.begin().await;
    assert!(tx.tokens().delete([2; 32]).await.unwrap());
    assert!(!tx.tokens().delete([2; 32]).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(good(&world).await, "1456BC");
    let mut tx = world.begin().await;
    assert_eq!(tx.tokens().delete_of_key("OTHER").await.unwrap(), 0);
    assert_eq!(tx.tokens().delete_of_key("AK").await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(good(&world).await, "16C");
    // The oldest ends to make room, with its keys, unless a token was made with it.
    let mut tx = world.begin().await;
    tx.tokens().insert(&token(7, of(1))).await.unwrap();
    assert_eq!(tx.tokens().keep_newest(alice.id, 2).await.unwrap(), 0);
    assert_eq!(tx.tokens().keep_newest(alice.id, 1).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_eq!(good(&world).await, "17");
}

/// The token just issued does not end with the oldest it was made with, but a chain of them has an end too.
async fn a_chain_of_tokens_is_bounded(database: TestDatabase) {
    let world = World::on(database).await;
    let domain = account(&world, "acme").await;
    project(&world, domain.id).await;
    let alice = user(&world, domain.id, "alice").await;
    let mut tx = world.begin().await;
    for (number, ended) in [(1_u8, 0), (2, 0), (3, 0), (4, 0), (5, 5)] {
        let made_with = match number {
            1 => Credential::Password,
            _ => Credential::Token([number - 1; 32]),
        };
        let token = Token {
            digest: [number; 32],
            user: alice.id,
            project: None,
            agency: None,
            methods: "password".into(),
            made_with,
            issued_at: Timestamp(i64::from(number)),
            expires_at: Timestamp(9_000_000),
        };
        tx.tokens().insert(&token).await.unwrap();
        assert_eq!(tx.tokens().keep_newest(alice.id, 1).await.unwrap(), ended, "{number}");
    }
    tx.commit().await.unwrap();
    assert_eq!(good(&world).await, "");
}

/// Which tokens and temporary keys are good.
async fn good(world: &World) -> String {
    let mut tx = world.begin().await;
    let mut found = String::new();
    for number in 1..=7_u8 {
        if tx.tokens().find([number; 32]).await.unwrap().is_some() {
            found.push_str(&number.to_string());
        }
    }
    for ak in ["A", "B", "C"] {
        if tx.temporary_keys().find(ak).await.unwrap().is_some() {
            found.push_str(ak);
        }
    }
    found
}
