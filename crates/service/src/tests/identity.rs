//! Accounts, tokens, keys, and who may enter which project.

use std::time::Duration;

use cbr_db::{FailedLogins, KeptTrace, Token};
use cbr_model::audit::Event;
use cbr_model::identity::{
    Agency, Caller, Credential, Domain, Grant, GrantScope, Grantee, Project,
};
use cbr_model::permission::SYSTEM_ROLES;
use cbr_model::query::{Page, VaultFilter};
use cbr_model::vault::VaultKind;
use cbr_model::{AgencyId, DomainId, ProjectId, Timestamp};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::world::{VOLUME, World, enter, id};
use crate::Request;

use crate::identity::{
    AgencyRef, DomainRef, FirstAccount, Login, NewUser, Scope, TemporaryWish, UserRef,
};
use crate::{Error, Result};

/// A login that can be recorded.
fn asked() -> Request {
    Request { event: Some(Event::new("login", "user")), ..Request::default() }
}

fn login(password: &str, scope: Scope) -> Login {
    Login {
        user: UserRef::Name { domain: DomainRef::Name("acme".into()), name: "admin".into() },
        password: Zeroizing::new(password.to_owned()),
        passcode: None,
        scope,
    }
}

#[tokio::test]
async fn the_first_account_is_made_once_and_its_key_works() {
    let world = World::new().await;
    let again = FirstAccount {
        domain_name: "other".into(),
        project_name: "p".into(),
        user_name: "u".into(),
    };
    let told = |_: &_| -> std::io::Result<()> { panic!("there is nothing to tell") };
    assert!(world.services.identity.bootstrap(&again, told).await.unwrap().is_none());
    let key = world.services.identity.signing_key(&world.account.access_key, None).await.unwrap();
    assert_eq!(*key.secret, *world.account.secret_key);
    let unknown = world.services.identity.signing_key("AKNOBODY", None).await;
    assert!(matches!(unknown, Err(Error::CredentialRefused)));
}

#[tokio::test]
async fn a_token_is_good_for_a_day_and_until_it_is_revoked() {
    let world = World::new().await;
    let password = world.account.password.to_string();
    let identity = &world.services.identity;
    let scope = || Scope::ProjectName { domain: None, name: "lab".into() };
    let token = identity.login(login(&password, scope()), asked()).await.unwrap();
    let caller = identity.verify_token(&token.secret).await.unwrap().caller;
    assert_eq!(caller.project.as_ref().map(|p| p.id), Some(world.account.project));
    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert!(identity.verify_token(&token.secret).await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    let over = identity.verify_token(&token.secret).await;
    assert!(matches!(over, Err(Error::CredentialRefused)));
    let late = identity.access(caller, world.account.project, None, Request::default()).await;
    assert!(matches!(late, Err(Error::CredentialRefused)));
    assert_eq!(world.services.sweeps.tokens().await.unwrap(), 1);

    let token = identity.login(login(&password, scope()), asked()).await.unwrap();
    let caller = identity.verify_token(&token.secret).await.unwrap().caller;
    let user = caller.user.clone();
    identity.revoke_token((caller, asked()), &user, &token.secret).await.unwrap();
    let revoked = identity.verify_token(&token.secret).await;
    assert!(matches!(revoked, Err(Error::CredentialRefused)));
}

#[tokio::test]
async fn wrong_credentials_look_alike() {
    let world = World::new().await;
    let password = world.account.password.to_string();
    let identity = &world.services.identity;
    let nobody = Login {
        user: UserRef::Name { domain: DomainRef::Name("acme".into()), name: "nobody".into() },
        ..login(&password, Scope::Unscoped)
    };
    let nowhere = Login {
        user: UserRef::Name { domain: DomainRef::Name("nowhere".into()), name: "admin".into() },
        ..login(&password, Scope::Unscoped)
    };
    let foreign = Scope::Project(ProjectId::from_uuid(Uuid::from_u128(5)));
    for bad in [nobody, nowhere, login("wrong", Scope::Unscoped), login(&password, foreign)] {
        assert!(matches!(identity.login(bad, asked()).await, Err(Error::CredentialRefused)));
    }
}

/// Design 7: another project's things look like absent ones; its door stays shut.
#[tokio::test]
async fn a_caller_enters_only_projects_of_its_account() {
    let world = World::new().await;
    let uuid = Uuid::from_u128;
    let mine = DomainId::from_uuid(world.account.domain.as_uuid());
    let (other, theirs) = (DomainId::from_uuid(uuid(1)), ProjectId::from_uuid(uuid(2)));
    let second = ProjectId::from_uuid(uuid(3));
    let mut tx = world.db.begin().await.unwrap();
    tx.domains().insert(&Domain { id: other, name: "theirs".into() }).await.unwrap();
    for (id, domain, name) in [(theirs, other, "lab"), (second, mine, "second")] {
        let project = Project { id, domain, name: name.into(), enabled: true };
        tx.projects().insert(&project).await.unwrap();
    }
    tx.commit().await.unwrap();

    let identity = &world.services.identity;
    let caller = identity.signing_key(&world.account.access_key, None).await.unwrap().caller;
    let access = |project| identity.access(caller.clone(), project, None, Request::default());
    assert!(matches!(access(theirs).await, Err(Error::Forbidden)));
    let absent = ProjectId::from_uuid(uuid(9));
    assert!(matches!(access(absent).await, Err(Error::Forbidden)));
    let names: Vec<String> = identity
        .projects(&caller, None)
        .await
        .unwrap()
        .into_iter()
        .map(|project| project.name)
        .collect();
    assert_eq!(names, ["lab", "second"]);

    // The second project of the account sees neither the first one's vaults nor its disks.
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let inside = access(second).await.unwrap();
    let shown = world.services.vaults.show(&inside, vault.id).await;
    assert!(matches!(shown, Err(Error::VaultNotFound(_))));
    let filter = VaultFilter::default();
    let listed = world.services.vaults.list(&inside, &filter, Page::default()).await.unwrap();
    assert_eq!(listed.total, 0);
    let disk = world.services.volumes.show(&inside, id(VOLUME)).await;
    assert!(matches!(disk, Err(Error::VolumeNotFound(_))));

    // A token of one project does not open another.
    let scoped = login(&world.account.password, Scope::Project(second));
    let token = identity.login(scoped, asked()).await.unwrap();
    let entered: Result<_> =
        identity.access(token.caller, world.account.project, None, Request::default()).await;
    assert!(matches!(entered, Err(Error::Forbidden)));
    assert!(enter(&world.services, &world.account).await.is_ok());
}

/// P31: changing the master key loses no access key, also if it is repeated.
#[tokio::test]
async fn secrets_open_with_the_new_key_after_they_were_sealed_anew() {
    use crate::identity::{SealingKey, reseal};
    let world = World::new().await;
    let key = |byte: u8| SealingKey::new(&Zeroizing::new([byte; 32]));
    let (db, random) = (world.db.as_ref(), cbr_env::SeededRandom::new(5));
    // The world's services seal with a key of nines.
    let strangers = reseal(db, &key(1), &key(2), &random).await;
    assert!(strangers.is_err(), "what opens with neither is not touched");
    assert_eq!(reseal(db, &key(9), &key(2), &random).await.unwrap(), 1);
    let seen = world.services.identity.signing_key(&world.account.access_key, None).await;
    assert!(seen.is_err(), "the old key opens nothing any more");
    assert_eq!(reseal(db, &key(9), &key(2), &random).await.unwrap(), 0);
    assert_eq!(reseal(db, &key(2), &key(9), &random).await.unwrap(), 1);
    let seen = world.services.identity.signing_key(&world.account.access_key, None).await.unwrap();
    assert_eq!(*seen.secret, *world.account.secret_key);
}

/// P31: also the secrets of temporary keys and the seeds of second factors follow the master key.
#[tokio::test]
async fn every_sealed_secret_follows_the_master_key() {
    use crate::identity::{SealingKey, reseal};
    let world = World::new().await;
    let identity = &world.services.identity;
    let key = identity.signing_key(&world.account.access_key, None).await.unwrap();
    let asked = |name, kind| Request { event: Some(Event::new(name, kind)), ..Request::default() };
    let wish = TemporaryWish { agency: None, seconds: 900, document: None };
    let request = asked("createTemporaryAccessKey", "credential");
    let made = identity.create_temporary_key(key.caller.clone(), wish, request).await.unwrap();
    let request = asked("createMfaDevice", "user");
    let own = identity.own(key.caller, "iam:mfa:createVirtualMFADevice", request).await.unwrap();
    identity.create_device(&own, world.account.user, "phone".into()).await.unwrap();
    let sealing = |byte: u8| SealingKey::new(&Zeroizing::new([byte; 32]));
    let (db, random) = (world.db.as_ref(), cbr_env::SeededRandom::new(5));
    assert_eq!(reseal(db, &sealing(9), &sealing(2), &random).await.unwrap(), 3);
    assert!(identity.signing_key(&made.ak, Some(&made.security_token)).await.is_err());
    assert_eq!(reseal(db, &sealing(2), &sealing(9), &random).await.unwrap(), 3);
    let seen = identity.signing_key(&made.ak, Some(&made.security_token)).await.unwrap();
    assert_eq!(*seen.secret, *made.secret);
}

/// P27, IAM-13: what a caller still holds in its hand after its credential was taken back, as a request
/// does that waits for its turn, makes no other credential.
#[tokio::test]
async fn what_was_taken_back_makes_no_other_credential() {
    let world = World::new().await;
    let identity = &world.services.identity;
    let (user, uuid) = (world.account.user, Uuid::from_u128);
    // Another account that trusts this one.
    let theirs = Domain { id: DomainId::from_uuid(uuid(1)), name: "theirs".into() };
    let mut tx = world.db.begin().await.unwrap();
    tx.domains().insert(&theirs).await.unwrap();
    let agency = Agency {
        id: AgencyId::from_uuid(uuid(2)),
        domain: theirs.id,
        name: "help".into(),
        trusted: Domain { id: world.account.domain, name: "acme".into() },
        description: String::new(),
        created_at: tx.now(),
        expires_at: None,
    };
    tx.agencies().insert(&agency).await.unwrap();
    tx.commit().await.unwrap();

    let password = world.account.password.to_string();
    let other = identity.login(login(&password, Scope::Unscoped), asked()).await.unwrap();
    let with_token = identity.verify_token(&other.secret).await.unwrap().caller;
    let with_key = identity.signing_key(&world.account.access_key, None).await.unwrap().caller;
    for caller in [&with_token, &with_key] {
        assert!(made_with(&world, caller).await.iter().all(Result::is_ok), "still good");
    }
    // IAM-13, AUD-01: both accounts know who acted through which agency.
    let mut tx = world.db.read().await.unwrap();
    let there = tx.audit().last(theirs.id).await.unwrap().unwrap().record;
    assert!(there.contains(&format!("\"agency\":\"{}\"", agency.id)), "{there}");
    assert!(there.contains(&format!("\"home\":\"{}\"", world.account.domain)), "{there}");
    let all = tx.audit().chain(world.account.domain, 0, 1000).await.unwrap();
    let about = |kept: &KeptTrace| kept.columns.resource_id == agency.id.to_string();
    assert!(all.iter().any(about), "at home as well");
    drop(tx);
    let access = |caller: &Caller| identity.own(caller.clone(), "iam:x:y", asked());
    let own = access(&with_token).await.unwrap();
    identity.delete_key(&own, &world.account.access_key).await.unwrap();
    for refused in made_with(&world, &with_key).await {
        assert!(matches!(refused, Err(Error::CredentialRefused)), "{refused:?}");
    }
    let (before, after) = (Zeroizing::new(password), Zeroizing::new("Other-pass-9x".to_owned()));
    identity.change_password(&own, user, before, after).await.unwrap();
    for refused in made_with(&world, &with_token).await {
        assert!(matches!(refused, Err(Error::CredentialRefused)), "{refused:?}");
    }
    let again = identity.rescope(&other.secret, &Scope::Unscoped, asked()).await;
    assert!(matches!(again, Err(Error::CredentialRefused)), "{again:?}");
}

/// P27: a chain of tokens has an end. Who would get one that goes with the oldest of its chain is told to log in
/// anew, and nothing has changed.
#[tokio::test]
async fn a_token_whose_chain_is_full_is_refused() {
    let world = World::new().await;
    let identity = &world.services.identity;
    let password = world.account.password.to_string();
    let root = identity.login(login(&password, Scope::Unscoped), asked()).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let mut tx = world.db.begin().await.unwrap();
    // With the root and what is made below: four times the thousand that a user may have.
    for n in 0..3998_u128 {
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&n.to_be_bytes());
        let token = Token {
            digest,
            user: world.account.user,
            project: None,
            agency: None,
            methods: "password".into(),
            made_with: Credential::Password,
            issued_at: tx.now(),
            expires_at: tx.now().plus_seconds(3600),
        };
        tx.tokens().insert(&token).await.unwrap();
    }
    tx.commit().await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let made = identity.rescope(&root.secret, &Scope::Unscoped, asked()).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let refused = identity.rescope(&root.secret, &Scope::Unscoped, asked()).await;
    assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
    for token in [&root, &made] {
        assert!(identity.verify_token(&token.secret).await.is_ok(), "it was there before");
    }
    assert!(identity.login(login(&password, Scope::Unscoped), asked()).await.is_ok());
    assert!(identity.verify_token(&root.secret).await.is_err(), "the oldest went for it");
}

/// IAM-01: what somebody was let in for before its grant was taken back, as a request does that waits
/// for its turn, does not undo that.
#[tokio::test]
async fn who_was_demoted_does_not_undo_it() {
    let world = World::new().await;
    let identity = &world.services.identity;
    let key = identity.signing_key(&world.account.access_key, None).await.unwrap();
    let boss = identity.account(key.caller, "iam:groups:create", asked()).await.unwrap();
    let wanted = |name: &str| NewUser {
        name: name.into(),
        password: Some(Zeroizing::new("Some-pass-9x".to_owned())),
        enabled: true,
        description: String::new(),
        email: String::new(),
    };
    let mallory = identity.create_user(&boss, wanted("mallory")).await.unwrap();
    let group = identity.create_group(&boss, "officers".into(), String::new()).await.unwrap();
    let role = SYSTEM_ROLES.iter().find(|role| role.name == "Security Administrator").unwrap().id();
    let grant = Grant { to: Grantee::Group(group.id), role, scope: GrantScope::Account };
    identity.grant(&boss, grant).await.unwrap();
    identity.add_to_group(&boss, group.id, mallory.id).await.unwrap();
    let known = Login { user: UserRef::Id(mallory.id), ..login("Some-pass-9x", Scope::Unscoped) };
    let token = identity.login(known, asked()).await.unwrap();
    let caller = identity.verify_token(&token.secret).await.unwrap().caller;
    let let_in = identity.account(caller, "iam:groups:addUser", asked()).await.unwrap();
    identity.remove_from_group(&boss, group.id, mallory.id).await.unwrap();
    let undone = identity.add_to_group(&let_in, group.id, mallory.id).await;
    assert!(matches!(undone, Err(Error::ActionDenied { .. })), "{undone:?}");
}

/// P27: whoever guesses locks out its own network only, a crowd everybody; a new password begins anew.
#[tokio::test]
async fn a_stranger_locks_itself_out() {
    let world = World::new().await;
    let identity = &world.services.identity;
    let (password, user) = (world.account.password.to_string(), world.account.user);
    let from = |ip: &str| Request { source_ip: Some(ip.parse().unwrap()), ..asked() };
    let tried = async |password: &str, ip: &str| {
        identity.login(login(password, Scope::Unscoped), from(ip)).await.is_ok()
    };
    let records = async || {
        let last = world.db.read().await.unwrap().audit().last(world.account.domain).await;
        last.unwrap().map(|last| last.columns.number)
    };
    for _ in 0..5 {
        assert!(!tried("Wrong-0-Guess", "203.0.113.9").await);
    }
    let before = records().await;
    assert!(!tried(&password, "203.0.113.9").await);
    assert_eq!(records().await, before, "that it is locked was recorded once");
    assert!(tried(&password, "192.0.2.1").await);

    let mut tx = world.db.begin().await.unwrap();
    let many = FailedLogins { count: 99, since: tx.now(), locked_until: Timestamp(0) };
    tx.login_failures().set_anywhere(user, many).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!tried("Wrong-0-Guess", "198.51.100.7").await);
    assert!(!tried(&password, "192.0.2.1").await);
    world.clock.advance(Duration::from_mins(15));
    assert!(tried(&password, "192.0.2.1").await && tried(&password, "203.0.113.9").await);

    // A day later nothing is remembered of any of it.
    world.clock.advance(Duration::from_hours(25));
    identity.sweep_tokens().await.unwrap();
    let mut tx = world.db.read().await.unwrap();
    let left = tx.login_failures().from(user, "198.51.100.7").await.unwrap();
    assert_eq!(left, FailedLogins::NONE);
}

/// AUD-01: what is wrong with a login that has the right password is recorded as well.
#[tokio::test]
async fn a_right_password_that_is_not_enough_is_recorded() {
    let world = World::new().await;
    let password = world.account.password.to_string();
    let foreign = Scope::Project(ProjectId::from_uuid(Uuid::from_u128(9)));
    let refused = world.services.identity.login(login(&password, foreign), asked()).await;
    assert!(matches!(refused, Err(Error::CredentialRefused)), "{refused:?}");
    let mut tx = world.db.read().await.unwrap();
    let last = tx.audit().last(world.account.domain).await.unwrap().unwrap();
    assert_eq!((last.columns.refused, last.columns.name.as_str()), (Some(401), "login"));
}

/// P24: whoever may make credentials does not fill the database with them.
#[tokio::test]
async fn credentials_are_made_within_a_limit() {
    let world = World::new().await;
    let identity = &world.services.identity;
    let key = identity.signing_key(&world.account.access_key, None).await.unwrap();
    let wish = TemporaryWish { agency: None, seconds: 900, document: None };
    let make = || identity.create_temporary_key(key.caller.clone(), wish.clone(), asked());
    for _ in 0..120 {
        make().await.unwrap();
    }
    assert!(matches!(make().await, Err(Error::Busy)));
    world.clock.advance(Duration::from_mins(1));
    make().await.unwrap();
}

/// What can be made of a credential: a temporary key, a token through an agency, and a lasting key.
async fn made_with(world: &World, caller: &Caller) -> [Result<()>; 3] {
    let identity = &world.services.identity;
    let wish = TemporaryWish { agency: None, seconds: 86_400, document: None };
    let agency = AgencyRef { domain: DomainRef::Name("theirs".into()), name: "help".into() };
    let own = identity.own(caller.clone(), "iam:x:y", asked()).await.unwrap();
    let temporary = identity.create_temporary_key(caller.clone(), wish, asked()).await;
    let assumed = identity.assume_role(caller.clone(), &agency, &Scope::Unscoped, asked()).await;
    let lasting = identity.create_key(&own, caller.user.id, String::new()).await;
    if let Ok(made) = &lasting {
        identity.delete_key(&own, &made.key.ak).await.unwrap();
    }
    [temporary.map(drop), assumed.map(drop), lasting.map(drop)]
}

/// IAM-15: an administrator whose authenticator is lost is let in again from the machine itself, and the account's
/// chain says so; nothing else is done by it.
#[tokio::test]
async fn a_lost_second_factor_is_taken_away_on_the_machine_and_recorded() {
    use crate::identity::{NotReset, reset_second_factor};
    let world = World::new().await;
    let identity = &world.services.identity;
    let random = cbr_env::SeededRandom::new(5);
    let reset = async |account: &str, user: &str| {
        reset_second_factor((&world.db, &random), account, user).await.unwrap()
    };
    assert_eq!(reset("nobody", "admin").await, Err(NotReset::NoAccount));
    assert_eq!(reset("acme", "nobody").await, Err(NotReset::NoUser));
    assert_eq!(reset("acme", "admin").await, Err(NotReset::NoDevice));

    let device = cbr_db::MfaDevice {
        user: world.account.user,
        name: "phone".into(),
        sealed_seed: vec![1],
        is_bound: true,
        is_required: true,
        last_step: 0,
        created_at: cbr_env::Clock::now(&world.clock),
    };
    let mut tx = world.db.begin().await.unwrap();
    tx.mfa_devices().insert(&device).await.unwrap();
    tx.commit().await.unwrap();
    let password = world.account.password.to_string();
    let refused = identity.login(login(&password, Scope::Unscoped), asked()).await;
    assert!(matches!(refused, Err(Error::SecondFactorNeeded)), "{refused:?}");
    for _ in 0..5 {
        let wrong = identity.login(login("Wrong-0-Guess", Scope::Unscoped), asked()).await;
        assert!(matches!(wrong, Err(Error::CredentialRefused)), "{wrong:?}");
    }

    let records = async || {
        let mut tx = world.db.read().await.unwrap();
        tx.audit().chain(world.account.domain, 0, 1000).await.unwrap()
    };
    let before = records().await.len();
    assert_eq!(reset("acme", "admin").await, Ok(()));
    let after = records().await;
    assert_eq!(after.len(), before + 1);
    assert!(after[before].record.contains("resetMfaDevice"), "{}", after[before].record);
    identity.login(login(&password, Scope::Unscoped), asked()).await.unwrap();
}
