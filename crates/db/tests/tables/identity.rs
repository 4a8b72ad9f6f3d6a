//! Accounts, projects, users, keys, tokens and settings.

use std::time::Duration;

use cbr_db::{AccessKey, DbError, Token};
use cbr_model::Timestamp;
use cbr_model::identity::{Credential, Domain, Project, User};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    what_identity_stores_comes_back_as_it_was,
    names_are_unique_where_they_identify,
    a_token_is_void_from_the_moment_it_expires,
    of_many_tokens_the_newest_stay,
    settings_keep_the_last_value,
}

async fn stored_user(world: &World) -> (Domain, Project, User) {
    let domain = Domain { id: world.id(), name: "acme".into() };
    let project =
        Project { id: world.project, domain: domain.id, name: "region-1".into(), enabled: true };
    let user = User {
        id: world.id(),
        domain: domain.id,
        name: "admin".into(),
        enabled: true,
        is_admin: true,
        description: "who made it".into(),
        email: "admin@example.org".into(),
        created_at: Timestamp(9),
    };
    let mut tx = world.begin().await;
    tx.domains().insert(&domain).await.unwrap();
    tx.projects().insert(&project).await.unwrap();
    tx.users().insert(&user, Some("$argon2id$x")).await.unwrap();
    tx.commit().await.unwrap();
    (domain, project, user)
}

async fn what_identity_stores_comes_back_as_it_was(database: TestDatabase) {
    let world = World::on(database).await;
    assert_eq!(world.read().await.domains().count().await.unwrap(), 0);
    let (domain, project, user) = stored_user(&world).await;
    let key = AccessKey {
        ak: "AK1".into(),
        user: user.id,
        sealed_secret: vec![0, 1, 255, 39],
        enabled: true,
        description: "laptop".into(),
        created_at: Timestamp(3),
        last_used_at: None,
    };
    let mut tx = world.begin().await;
    tx.access_keys().insert(&key).await.unwrap();
    assert!(tx.users().set_password(user.id, "$argon2id$y").await.unwrap());
    tx.commit().await.unwrap();

    let mut tx = world.read().await;
    assert_eq!(tx.domains().count().await.unwrap(), 1);
    assert_eq!(tx.domains().find(domain.id).await.unwrap().as_ref(), Some(&domain));
    assert_eq!(tx.domains().find_by_name("acme").await.unwrap().as_ref(), Some(&domain));
    assert_eq!(tx.domains().find_by_name("ACME").await.unwrap(), None);
    assert_eq!(tx.projects().find(project.id).await.unwrap().as_ref(), Some(&project));
    let by_name = tx.projects().find_by_name(domain.id, "region-1").await.unwrap();
    assert_eq!(by_name.as_ref(), Some(&project));
    assert_eq!(tx.projects().list(domain.id).await.unwrap(), [project]);
    assert_eq!(tx.users().find(user.id).await.unwrap().as_ref(), Some(&user));
    let by_name = tx.users().find_by_name(domain.id, "admin").await.unwrap();
    assert_eq!(by_name.as_ref(), Some(&user));
    assert_eq!(tx.users().password(user.id).await.unwrap().as_deref(), Some("$argon2id$y"));
    assert_eq!(tx.access_keys().find("AK1").await.unwrap().as_ref(), Some(&key));
    assert_eq!(
        tx.access_keys().list(user.id).await.unwrap().as_slice(),
        std::slice::from_ref(&key)
    );
    assert_eq!(tx.access_keys().find("ak1").await.unwrap(), None);
    drop(tx);

    let mut tx = world.begin().await;
    assert!(!tx.access_keys().delete(world.id(), "AK1").await.unwrap());
    assert!(tx.access_keys().delete(user.id, "AK1").await.unwrap());
    assert_eq!(tx.access_keys().find("AK1").await.unwrap(), None);
    assert!(!format!("{key:?}").contains("255"), "sealed secrets are not printed either");
}

async fn names_are_unique_where_they_identify(database: TestDatabase) {
    let world = World::on(database).await;
    let (domain, project, user) = stored_user(&world).await;
    let taken = |result: Result<(), DbError>| matches!(result, Err(DbError::Taken { .. }));
    // PostgreSQL wants a new transaction after each refusal.
    let again = Domain { id: world.id(), name: domain.name.clone() };
    assert!(taken(world.begin().await.domains().insert(&again).await));
    let again = Project { id: world.id(), ..project };
    assert!(taken(world.begin().await.projects().insert(&again).await));
    let again = User { id: world.id(), ..user };
    assert!(taken(world.begin().await.users().insert(&again, None).await));
    let stranger = Project { id: world.id(), domain: world.id(), name: "p".into(), enabled: true };
    let refused = world.begin().await.projects().insert(&stranger).await;
    assert!(matches!(refused, Err(DbError::StillReferenced { .. })), "{refused:?}");
}

/// A user's tokens are bounded: with one more the oldest ends, and nobody else's.
async fn of_many_tokens_the_newest_stay(database: TestDatabase) {
    let world = World::on(database).await;
    let (_, _, user) = stored_user(&world).await;
    let mut tx = world.begin().await;
    for number in 1..=4_u8 {
        let issued_at = Timestamp(i64::from(number));
        let expires_at = tx.now().plus_seconds(60);
        let (project, agency, methods) = (None, None, "password".into());
        let digest = [number; 32];
        let (user, made_with) = (user.id, Credential::Password);
        let token =
            Token { digest, user, project, agency, methods, made_with, issued_at, expires_at };
        tx.tokens().insert(&token).await.unwrap();
        tx.tokens().keep_newest(user, 3).await.unwrap();
    }
    for (number, is_kept) in [(1, false), (2, true), (3, true), (4, true)] {
        assert_eq!(tx.tokens().find([number; 32]).await.unwrap().is_some(), is_kept, "{number}");
    }
    assert_eq!(tx.tokens().keep_newest(world.id(), 1).await.unwrap(), 0);
}

async fn a_token_is_void_from_the_moment_it_expires(database: TestDatabase) {
    let world = World::on(database).await;
    let (_, project, user) = stored_user(&world).await;
    let token = Token {
        digest: [0xab; 32],
        user: user.id,
        project: Some(project.id),
        agency: None,
        methods: "password,totp".into(),
        made_with: Credential::Password,
        issued_at: Timestamp(1_000_000),
        expires_at: Timestamp(3_000_000),
    };
    let unscoped = Token { digest: [0xcd; 32], project: None, ..token.clone() };
    let mut tx = world.begin().await;
    tx.tokens().insert(&token).await.unwrap();
    tx.tokens().insert(&unscoped).await.unwrap();
    assert_eq!(tx.tokens().find([0xab; 32]).await.unwrap(), Some(token));
    assert_eq!(tx.tokens().find([0xcd; 32]).await.unwrap(), Some(unscoped));
    assert!(tx.tokens().delete([0xcd; 32]).await.unwrap());
    assert_eq!(tx.tokens().find([0xcd; 32]).await.unwrap(), None);
    assert_eq!(tx.tokens().delete_expired().await.unwrap(), 0);
    tx.commit().await.unwrap();
    world.clock.advance(Duration::from_secs(2));
    let mut tx = world.begin().await;
    assert_eq!(tx.tokens().find([0xab; 32]).await.unwrap(), None);
    assert_eq!(tx.tokens().delete_expired().await.unwrap(), 1);
}

async fn settings_keep_the_last_value(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    assert_eq!(tx.settings().find("node").await.unwrap(), None);
    tx.settings().set("node", "a").await.unwrap();
    tx.settings().set("node", "b").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.read().await.settings().find("node").await.unwrap().as_deref(), Some("b"));
}
