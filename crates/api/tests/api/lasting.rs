//! What is denied, narrow, borrowed or about to end does not become whole and lasting (IAM-11, IAM-13, P27).

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::{App, DOMAIN_NAME};
use crate::client::{Answer, Call, send};
use crate::people::{Office, PASSWORD, call, id_of, log_in};

const KEYS: &str = "/v3.0/OS-CREDENTIAL/credentials";

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// IAM-11: a denial holds also for what everybody may do to itself.
#[tokio::test]
async fn a_denial_holds_for_oneself_too() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let alice = office.user("alice").await;
    let token = office.whole_token("alice").await;
    let wish = || Some(json!({"credential": {"user_id": alice, "description": ""}}));
    let made = call(&app, &token, "POST", KEYS, wish()).await.expect(201).body;
    let denial = json!([{"Effect": "Deny", "Action": ["iam:credentials:*"]}]);
    let policy = json!({"Version": "1.1", "Statement": denial});
    let role = json!({"role": {"display_name": "no keys", "type": "AX", "policy": policy}});
    let role = id_of(&office.post("/v3.0/OS-ROLE/roles", role).await.expect(201).body["role"]);
    let group = office.group("contractors").await;
    office.grant_in_account(&group, &role).await;
    office.join(&group, &alice).await;
    let key = format!("{KEYS}/{}", text(&made["credential"], "access"));
    for (method, path, body) in
        [("POST", KEYS, wish()), ("GET", KEYS, None), ("DELETE", key.as_str(), None)]
    {
        let denied = call(&app, &token, method, path, body).await.expect(403);
        assert!(denied.body.to_string().contains("iam:credentials:"), "{method} {}", denied.body);
    }
    let path = format!("/v3/users/{alice}");
    call(&app, &token, "GET", &path, None).await.expect(200);
}

/// P27: a token for one project switches no key on again and binds no second factor; a key that ends makes no
/// user who can log in.
#[tokio::test]
async fn what_ends_makes_nothing_that_lasts() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let officer = office.officer("officer", &["Security Administrator"]).await;
    let wish = json!({"credential": {"user_id": officer.id, "description": ""}});
    let made = call(&app, &officer.token, "POST", KEYS, Some(wish)).await.expect(201).body;
    let key = format!("{KEYS}/{}", text(&made["credential"], "access"));
    let status = |word: &str| Some(json!({"credential": {"status": word}}));
    call(&app, &officer.token, "PUT", &key, status("inactive")).await.expect(200);
    let scope = json!({"project": {"id": app.project()}});
    let group = office.group("of the project").await;
    office.grant(&group, &office.role("CBR ReadOnlyAccess").await).await;
    office.join(&group, &officer.id).await;
    let narrow = log_in(&app, "officer", PASSWORD, &scope).await.expect(201);
    let narrow = crate::people::token_of(&narrow);
    call(&app, &narrow, "PUT", &key, status("active")).await.expect(403);
    call(&app, &narrow, "DELETE", &key, None).await.expect(403);
    let device = json!({"virtual_mfa_device": {"name": "phone", "user_id": officer.id}});
    let devices = "/v3.0/OS-MFA/virtual-mfa-devices";
    call(&app, &narrow, "POST", devices, Some(device)).await.expect(403);

    let temporary = temporary_key(&app, &officer.token).await;
    let user = |password: Option<&str>| match password {
        Some(password) => json!({"user": {"name": "ghost", "password": password}}),
        None => json!({"user": {"name": "ghost"}}),
    };
    signed(&app, &temporary, "/v3/users", &user(Some(PASSWORD))).await.expect(403);
    signed(&app, &temporary, "/v3/users", &user(None)).await.expect(201);
}

/// IAM-11: a denial in the project being used holds also for what changes all projects.
#[tokio::test]
async fn a_denial_in_one_project_holds_for_policies_of_all() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.person("alice", &["CBR FullAccess"]).await;
    let (group, role) = (office.group("all").await, office.role("CBR FullAccess").await);
    office.join(&group, &person.id).await;
    let of_all = format!(
        "/v3/OS-INHERIT/domains/{}/groups/{group}/roles/{role}/inherited_to_projects",
        office.domain
    );
    office.call("PUT", &of_all, None).await.expect(204);
    let list = || person.call(&app, "GET", "/organization-policies?operation_type=backup", None);
    list().await.expect(200);
    let denial = json!([{"Effect": "Deny", "Action": ["cbr:organizationPolicies:*"]}]);
    let denied = office.policy("none of those", denial).await;
    let here = office.group("here").await;
    office.join(&here, &person.id).await;
    office.grant(&here, &denied).await;
    list().await.expect(403);
}

/// Records call the service itself `system`: nobody else is called so.
#[tokio::test]
async fn nobody_takes_the_services_name() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    office.post("/v3/users", json!({"user": {"name": "System"}})).await.expect(400);
    let alice = office.user("alice").await;
    let renamed = json!({"user": {"name": "system"}});
    office.call("PATCH", &format!("/v3/users/{alice}"), Some(renamed)).await.expect(400);
}

/// P26, contract A.2: without a date that is right, nothing is told of a key.
#[tokio::test]
async fn whether_a_key_is_there_is_not_told_by_the_order_of_checks() {
    let app = App::start().await;
    let asked = |key: &str| {
        let claim = format!("SDK-HMAC-SHA256 Access={key}, SignedHeaders=host, Signature=00");
        let path = format!("/v3/{}/vaults", app.project());
        send_claim(&app, Call::new("GET", path).header("authorization", &claim))
    };
    let (there, absent) = (asked(app.access_key()).await, asked("AKNOBODY").await);
    for field in ["error_code", "error_msg"] {
        assert_eq!(there.body[field], absent.body[field]);
    }
    assert_eq!((there.status, absent.status), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
}

async fn send_claim(app: &App, call: Call) -> Answer {
    send(&app.router, call.build()).await
}

async fn temporary_key(app: &App, token: &str) -> Value {
    let body = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token,
        "duration_seconds": 900}}, "scope": {"domain": {"name": DOMAIN_NAME}}}});
    let path = "/v3.0/OS-CREDENTIAL/securitytokens";
    call(app, token, "POST", path, Some(body)).await.expect(201).body["credential"].clone()
}

async fn signed(app: &App, key: &Value, path: &str, body: &Value) -> Answer {
    app.clock.advance(Duration::from_secs(1));
    let call = Call::new("POST", path)
        .json(body)
        .signed(text(key, "access"), text(key, "secret"), &app.date(0))
        .header("x-security-token", text(key, "securitytoken"));
    send(&app.router, call.build()).await
}
