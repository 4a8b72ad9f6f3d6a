//! Codes of an authenticator beside the password.

use std::time::Duration;

use cbr_env::Clock as _;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::app::{App, DOMAIN_NAME};
use crate::client::{Answer, Call, send};
use crate::people::{Office, PASSWORD, call, id_of, log_in, token_of};

const DEVICES: &str = "/v3.0/OS-MFA/virtual-mfa-devices";
const STEP: Duration = Duration::from_secs(30);

/// The authenticator of a user, as any programme would have it.
struct Authenticator {
    totp: Totp,
    serial: String,
    user: String,
}

impl Authenticator {
    async fn made(app: &App, token: &str, user: &str) -> Self {
        let wanted = json!({"virtual_mfa_device": {"name": "phone", "user_id": user}});
        let made = call(app, token, "POST", DEVICES, Some(wanted)).await.expect(201);
        let device = &made.body["virtual_mfa_device"];
        assert!(device["otpauth_url"].as_str().unwrap().starts_with("otpauth://totp/"));
        let seed = Secret::try_from_base32(device["base32_string_seed"].as_str().unwrap()).unwrap();
        let totp = Builder::new().with_secret(seed).with_account_name("x").build().unwrap();
        let serial = device["serial_number"].as_str().unwrap().to_owned();
        Self { totp, serial, user: user.to_owned() }
    }

    /// The code of `steps` after now.
    fn code(&self, app: &App, steps: i64) -> String {
        let at = app.clock.now().seconds() + 30 * steps;
        self.totp.generate(u64::try_from(at).unwrap()).to_string()
    }

    fn bind(&self, first: String, second: String) -> Value {
        json!({"user_id": self.user, "serial_number": self.serial,
            "authentication_code_first": first, "authentication_code_second": second})
    }
}

async fn log_in_with(app: &App, user: &str, password: &str, code: &str) -> Answer {
    let named = json!({"name": user, "password": password, "domain": {"name": DOMAIN_NAME}});
    let identity = json!({"methods": ["password", "totp"], "password": {"user": named},
        "totp": {"user": {"id": "x", "passcode": code}}});
    let body = json!({"auth": {"identity": identity,
        "scope": {"project": {"id": app.project()}}}});
    send(&app.router, Call::new("POST", "/v3/auth/tokens").json(&body).build()).await
}

/// A bound device is asked for; each of its codes is taken once.
#[tokio::test]
async fn a_bound_device_is_needed_and_each_code_is_taken_once() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.officer("alice", &[]).await;
    let device = Authenticator::made(&app, &person.token, &person.id).await;
    let bind = |body: Value| {
        let (app, token) = (&app, &person.token);
        async move { call(app, token, "PUT", "/v3.0/OS-MFA/mfa-devices/bind", Some(body)).await }
    };
    let (before, now) = (device.code(&app, -1), device.code(&app, 0));
    bind(device.bind("000000".into(), now.clone())).await.expect(400);
    bind(device.bind(now.clone(), before.clone())).await.expect(400);
    log_in(&app, "alice", PASSWORD, &json!(null)).await.expect(201);
    bind(device.bind(before, now.clone())).await.expect(204);

    let refused = log_in(&app, "alice", PASSWORD, &json!(null)).await.expect(401);
    assert!(refused.body.to_string().contains("totp"), "{}", refused.body);
    let wrong = log_in(&app, "alice", "Wrong-0-Guess", &json!(null)).await.expect(401);
    assert!(!wrong.body.to_string().contains("totp"), "only who has the password is told");
    log_in_with(&app, "alice", PASSWORD, &now).await.expect(401);
    app.clock.advance(STEP);
    let code = device.code(&app, 0);
    let answer = log_in_with(&app, "alice", PASSWORD, &code).await.expect(201);
    assert_eq!(answer.body["token"]["methods"], json!(["password", "totp"]));
    log_in_with(&app, "alice", PASSWORD, &code).await.expect(401);
    // A code does not stand in for the password, and nobody is let in by one without a device.
    app.clock.advance(STEP);
    log_in_with(&app, "alice", "Wrong-0-Guess", &device.code(&app, 0)).await.expect(401);
    log_in_with(&app, "admin", app.password(), "123456").await.expect(401);
    let at = format!("/v3.0/OS-MFA/users/{}/virtual-mfa-device", person.id);
    let shown = call(&app, &person.token, "GET", &at, None).await;
    assert_eq!(shown.expect(200).body["virtual_mfa_device"]["is_bound"], true);
    let listed = office.get(DEVICES).await.expect(200);
    assert_eq!(listed.body["virtual_mfa_devices"].as_array().unwrap().len(), 1);
}

/// P27: guessed codes lock the login like guessed passwords, even with the password known.
#[tokio::test]
async fn guessed_codes_lock_the_login() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.officer("alice", &[]).await;
    let device = Authenticator::made(&app, &person.token, &person.id).await;
    let body = device.bind(device.code(&app, -1), device.code(&app, 0));
    call(&app, &person.token, "PUT", "/v3.0/OS-MFA/mfa-devices/bind", Some(body)).await.expect(204);
    for _ in 0..5 {
        log_in_with(&app, "alice", PASSWORD, "000000").await.expect(401);
    }
    app.clock.advance(STEP);
    log_in_with(&app, "alice", PASSWORD, &device.code(&app, 0)).await.expect(401);
    app.clock.advance(Duration::from_mins(15));
    log_in_with(&app, "alice", PASSWORD, &device.code(&app, 0)).await.expect(201);
}

/// A stolen token is not enough to take a second factor away; a lost phone is no end.
#[tokio::test]
async fn a_device_is_taken_away_with_a_code_or_by_who_manages_users() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.officer("alice", &[]).await;
    let device = Authenticator::made(&app, &person.token, &person.id).await;
    let unbind = |code: String| json!({"user_id": person.id, "serial_number": device.serial, "authentication_code": code});
    let put = |token: String, path: &'static str, body: Value| {
        let app = &app;
        async move { call(app, &token, "PUT", path, Some(body)).await }
    };
    let (bind_at, unbind_at) = ("/v3.0/OS-MFA/mfa-devices/bind", "/v3.0/OS-MFA/mfa-devices/unbind");
    let body = device.bind(device.code(&app, -1), device.code(&app, 0));
    put(person.token.clone(), bind_at, body).await.expect(204);
    put(person.token.clone(), unbind_at, unbind("000000".into())).await.expect(400);
    let away = format!("{DEVICES}?user_id={}&serial_number={}", person.id, device.serial);
    call(&app, &person.token, "DELETE", &away, None).await.expect(409);
    let again = json!({"virtual_mfa_device": {"name": "second", "user_id": person.id}});
    call(&app, &person.token, "POST", DEVICES, Some(again)).await.expect(409);
    let protection = format!("/v3.0/OS-USER/users/{}/login-protect", person.id);
    let off = json!({"login_protect": {"enabled": false, "verification_method": "vmfa"}});
    call(&app, &person.token, "PUT", &protection, Some(off.clone())).await.expect(403);
    let stranger = office.person("bob", &[]).await;
    put(stranger.token.clone(), unbind_at, unbind("000000".into())).await.expect(403);

    office.call("PUT", &protection, Some(off)).await.expect(200);
    log_in(&app, "alice", PASSWORD, &json!(null)).await.expect(201);
    let on = json!({"login_protect": {"enabled": true, "verification_method": "vmfa"}});
    let shown = call(&app, &person.token, "PUT", &protection, Some(on)).await.expect(200);
    assert_eq!(shown.body["login_protect"]["enabled"], true);
    log_in(&app, "alice", PASSWORD, &json!(null)).await.expect(401);
    app.clock.advance(STEP);
    put(person.token.clone(), unbind_at, unbind(device.code(&app, 0))).await.expect(204);
    log_in(&app, "alice", PASSWORD, &json!(null)).await.expect(201);

    // Lost: who manages users takes it away without a code.
    let lost = Authenticator::made(&app, &person.token, &person.id).await;
    let body = lost.bind(lost.code(&app, -1), lost.code(&app, 0));
    put(person.token.clone(), bind_at, body).await.expect(204);
    let body = json!({"user_id": person.id, "serial_number": lost.serial,
        "authentication_code": "000000"});
    put(office.token.clone(), unbind_at, body).await.expect(204);
    let scope = json!({"project": {"id": app.project()}});
    token_of(&log_in(&app, "alice", PASSWORD, &scope).await.expect(201));
    // One that is not bound yet may be forgotten by its user.
    let unbound = Authenticator::made(&app, &person.token, &person.id).await;
    let away = format!("{DEVICES}?user_id={}&serial_number={}", person.id, unbound.serial);
    call(&app, &person.token, "DELETE", &away, None).await.expect(204);
}

/// P27: who binds its own device shows its password, so that a stolen token or key keeps nobody out.
#[tokio::test]
async fn a_password_is_shown_before_the_first_device_is_bound() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.officer("alice", &[]).await;
    let device = Authenticator::made(&app, &person.token, &person.id).await;
    let bind_at = "/v3.0/OS-MFA/mfa-devices/bind";
    // Ten minutes later the token says nothing of the password any more, and neither does one made with it.
    app.clock.advance(Duration::from_mins(10));
    let body = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": person.token}},
        "scope": {"project": {"id": app.project()}}}});
    let made = send(&app.router, Call::new("POST", "/v3/auth/tokens").json(&body).build()).await;
    let made = token_of(&made.expect(201));
    let body = |password: Value| {
        let mut body = device.bind(device.code(&app, -1), device.code(&app, 0));
        body["password"] = password;
        body
    };
    for token in [&person.token, &made] {
        let refused = call(&app, token, "PUT", bind_at, Some(body(json!(null)))).await.expect(400);
        assert!(refused.body.to_string().contains("password"), "{}", refused.body);
    }
    let wrong = body(json!("Wrong-0-Guess"));
    call(&app, &person.token, "PUT", bind_at, Some(wrong)).await.expect(400);
    log_in(&app, "alice", PASSWORD, &json!(null)).await.expect(201);
    call(&app, &person.token, "PUT", bind_at, Some(body(json!(PASSWORD)))).await.expect(204);
    log_in(&app, "alice", PASSWORD, &json!(null)).await.expect(401);

    // A key is no password either; who manages users needs none of theirs.
    let users = office.get("/v3/users?name=admin").await.expect(200).body;
    let admin = id_of(&users["users"][0]);
    let own = Authenticator::made(&app, &office.token, &admin).await;
    let codes = own.bind(own.code(&app, -1), own.code(&app, 0));
    let signed = Call::new("PUT", bind_at).json(&codes);
    let signed = signed.signed(app.access_key(), app.secret_key(), &app.date(0));
    send(&app.router, signed.build()).await.expect(400);
    let bob = office.user("bob").await;
    let his = Authenticator::made(&app, &office.token, &bob).await;
    let codes = his.bind(his.code(&app, -1), his.code(&app, 0));
    call(&app, &office.token, "PUT", bind_at, Some(codes)).await.expect(204);

    // Guessed passwords lock it like those of logins.
    for _ in 0..5 {
        let codes = own.bind(own.code(&app, -1), own.code(&app, 0));
        let mut body = codes;
        body["password"] = json!("Wrong-0-Guess");
        call(&app, &office.token, "PUT", bind_at, Some(body)).await.expect(400);
    }
    log_in(&app, "admin", app.password(), &json!(null)).await.expect(401);
}

/// P27: a token that was made with another ends with it; what was made apart stays.
#[tokio::test]
async fn a_token_ends_with_the_one_it_was_made_with() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.person("alice", &["CBR ReadOnlyAccess"]).await;
    let whole = office.whole_token("alice").await;
    let rescope = async |token: &str| {
        let body = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}},
            "scope": {"project": {"id": app.project()}}}});
        let made = Call::new("POST", "/v3/auth/tokens").json(&body).build();
        token_of(&send(&app.router, made).await.expect(201))
    };
    let child = rescope(&whole).await;
    let grandchild = rescope(&child).await;
    let list = format!("/v3/{}/vaults", app.project());
    for token in [&child, &grandchild, &person.token] {
        call(&app, token, "GET", &list, None).await.expect(200);
    }
    let revoke = Call::new("DELETE", "/v3/auth/tokens").token(&person.token);
    send(&app.router, revoke.header("x-subject-token", &*whole).build()).await.expect(204);
    for token in [&child, &grandchild] {
        call(&app, token, "GET", &list, None).await.expect(401);
    }
    call(&app, &person.token, "GET", &list, None).await.expect(200);
}
