//! Access keys that last and that end, agencies, and enterprise projects (contract F.1, IAM-13, RGN-03).

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{App, DOMAIN_NAME, vault_body};
use crate::client::{Answer, Call, send};
use crate::people::{Office, PASSWORD, call, id_of, log_in, token_of};

const KEYS: &str = "/v3.0/OS-CREDENTIAL/credentials";
const TEMPORARY: &str = "/v3.0/OS-CREDENTIAL/securitytokens";

/// A signed request; a second later than the one before, so that it is no replay.
async fn signed(app: &App, key: (&str, &str), token: Option<&str>, call: Call) -> Answer {
    app.clock.advance(Duration::from_secs(1));
    let mut call = call.signed(key.0, key.1, &app.date(0));
    if let Some(token) = token {
        call = call.header("x-security-token", token);
    }
    send(&app.router, call.build()).await
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

fn list(app: &App) -> Call {
    Call::new("GET", format!("/v3/{}/vaults", app.project()))
}

/// Contract F.1: two keys at most, so that one follows the other; the secret is told once.
#[tokio::test]
async fn permanent_keys_are_made_rotated_switched_off_and_removed() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.person("alice", &["CBR ReadOnlyAccess"]).await;
    let whole = office.whole_token("alice").await;
    let own = |method: &'static str, path: String, body: Option<Value>| {
        let (app, token) = (&app, &whole);
        async move { call(app, token, method, &path, body).await }
    };
    let wanted = json!({"credential": {"user_id": person.id, "description": "laptop"}});
    // What is good for one project makes nothing that is good for all.
    call(&app, &person.token, "POST", KEYS, Some(wanted.clone())).await.expect(403);
    let first = own("POST", KEYS.into(), Some(wanted.clone())).await.expect(201);
    let first = &first.body["credential"];
    let key = (text(first, "access"), text(first, "secret"));
    assert_eq!(first["status"], "active");
    signed(&app, key, None, list(&app)).await.expect(200);
    let path = format!("{KEYS}/{}", key.0);
    let shown = own("GET", path.clone(), None).await.expect(200);
    assert!(shown.body["credential"]["last_use_time"].is_string(), "{}", shown.body);
    assert!(!shown.body.to_string().contains(key.1), "the secret is told once");

    let second = own("POST", KEYS.into(), Some(wanted.clone())).await.expect(201);
    let third = own("POST", KEYS.into(), Some(wanted.clone())).await.expect(409);
    assert_eq!(third.code(), "IAM.0008");
    let off = json!({"credential": {"status": "inactive"}});
    own("PUT", path.clone(), Some(off)).await.expect(200);
    signed(&app, key, None, list(&app)).await.expect(401);
    let odd = json!({"credential": {"status": "perhaps"}});
    own("PUT", path.clone(), Some(odd)).await.expect(400);
    own("DELETE", path.clone(), None).await.expect(204);
    own("GET", path, None).await.expect(404);
    own("POST", KEYS.into(), Some(wanted)).await.expect(201);
    let listed = own("GET", KEYS.into(), None).await.expect(200);
    assert_eq!(listed.body["credentials"].as_array().unwrap().len(), 2);

    // Others' keys are nobody's business, unless it is granted.
    let access = text(&second.body["credential"], "access").to_owned();
    let bob = office.person("bob", &["CBR FullAccess"]).await;
    call(&app, &bob.token, "GET", &format!("{KEYS}/{access}"), None).await.expect(404);
    let of_alice = format!("{KEYS}?user_id={}", person.id);
    call(&app, &bob.token, "GET", &of_alice, None).await.expect(403);
    let for_alice = json!({"credential": {"user_id": person.id}});
    call(&app, &bob.token, "POST", KEYS, Some(for_alice)).await.expect(403);
    office.call("DELETE", &format!("{KEYS}/{access}"), None).await.expect(204);
    let all = office.get(KEYS).await.expect(200).body["credentials"].as_array().unwrap().len();
    assert_eq!(all, 2, "one of alice and the administrator's");
    // Who manages users gets no key of the administrator's.
    let officer = office.officer("officer", &["Security Administrator"]).await;
    let admin = id_of(&office.get("/v3/users?name=admin").await.body["users"][0]);
    let for_admin = json!({"credential": {"user_id": admin}});
    call(&app, &officer.token, "POST", KEYS, Some(for_admin)).await.expect(403);
}

/// Contract F.1, P27: a temporary key needs its token, ends by itself, and does what its policy says.
#[tokio::test]
async fn temporary_keys_need_their_token_end_and_can_be_narrowed() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let wanted = |policy: Value| {
        json!({"auth": {"identity": {"methods": ["token"], "token": {"duration_seconds": 900},
            "policy": policy}}})
    };
    let made = office.post(TEMPORARY, wanted(Value::Null)).await.expect(201);
    let made = &made.body["credential"];
    let (key, token) = ((text(made, "access"), text(made, "secret")), text(made, "securitytoken"));
    signed(&app, key, Some(token), list(&app)).await.expect(200);
    signed(&app, key, None, list(&app)).await.expect(401);
    signed(&app, key, Some("another"), list(&app)).await.expect(401);
    signed(&app, (app.access_key(), app.secret_key()), Some(token), list(&app)).await.expect(401);
    // It makes nothing that lasts, and nothing that lasts longer.
    let lasting = Call::new("POST", KEYS).json(&json!({"credential": {}}));
    signed(&app, key, Some(token), lasting).await.expect(403);
    let longer = Call::new("POST", TEMPORARY).json(&wanted(Value::Null));
    signed(&app, key, Some(token), longer).await.expect(403);

    let read_only = json!({"Version": "1.1", "Statement": [
        {"Effect": "Allow", "Action": ["cbr:*:list*"]}]});
    let narrow = office.post(TEMPORARY, wanted(read_only)).await.expect(201);
    let narrow = &narrow.body["credential"];
    let narrow_key = (text(narrow, "access"), text(narrow, "secret"));
    let narrow_token = text(narrow, "securitytoken");
    signed(&app, narrow_key, Some(narrow_token), list(&app)).await.expect(200);
    let create = Call::new("POST", format!("/v3/{}/vaults", app.project())).json(&vault_body("v"));
    signed(&app, narrow_key, Some(narrow_token), create).await.expect(403);
    let users = Call::new("GET", "/v3/users");
    signed(&app, narrow_key, Some(narrow_token), users).await.expect(403);

    for seconds in [899, 86_401] {
        let body = json!({"auth": {"identity": {"methods": ["token"],
            "token": {"duration_seconds": seconds}}}});
        office.post(TEMPORARY, body).await.expect(400);
    }
    app.clock.advance(Duration::from_mins(15));
    signed(&app, key, Some(token), list(&app)).await.expect(401);
}

/// P27: what is stolen, narrow or ends by itself does not become whole and lasting: it sets no password
/// of its own user, changes no lasting key and no second factor, and ends with the key it came from.
#[tokio::test]
async fn what_ends_by_itself_leaves_nothing_that_lasts() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let admin = id_of(&office.get("/v3/users?name=admin").await.body["users"][0]);
    let password = json!({"user": {"password": "Another-7-Storm"}});
    let own = format!("/v3/users/{admin}");
    office.call("PATCH", &own, Some(password.clone())).await.expect(403);

    let key_path = format!("{KEYS}/{}", app.access_key());
    let off = json!({"credential": {"status": "inactive"}});
    let device = json!({"virtual_mfa_device": {"name": "d", "user_id": admin}});
    let everything = json!({"Version": "1.1", "Statement": [
        {"Effect": "Allow", "Action": ["*:*:*"]}]});
    let lists = json!({"Version": "1.1", "Statement": [
        {"Effect": "Allow", "Action": ["cbr:*:list*"]}]});
    let mut made = Vec::new();
    for policy in [everything, lists] {
        let body = json!({"auth": {"identity": {"methods": ["token"], "policy": policy,
            "token": {"duration_seconds": 900}}}});
        let body = office.post(TEMPORARY, body).await.expect(201).body;
        let (ak, sk) = (text(&body["credential"], "access"), text(&body["credential"], "secret"));
        let token = text(&body["credential"], "securitytoken");
        for wrong in [
            Call::new("PATCH", own.clone()).json(&password),
            Call::new("PUT", key_path.clone()).json(&off),
            Call::new("DELETE", key_path.clone()),
            Call::new("POST", "/v3.0/OS-MFA/virtual-mfa-devices").json(&device),
        ] {
            signed(&app, (ak, sk), Some(token), wrong).await.expect(403);
        }
        signed(&app, (ak, sk), Some(token), list(&app)).await.expect(200);
        made.push((ak.to_owned(), sk.to_owned(), token.to_owned()));
    }
    // What was made with a key ends with that, what was made with a token with that.
    let body = json!({"auth": {"identity": {"methods": ["token"],
        "token": {"duration_seconds": 900}}}});
    let own = Call::new("POST", TEMPORARY).json(&body);
    let own = signed(&app, (app.access_key(), app.secret_key()), None, own).await.expect(201).body;
    let of_key = ["access", "secret", "securitytoken"]
        .map(|field| text(&own["credential"], field).to_owned());
    let [ak, sk, token] = &of_key;
    signed(&app, (ak, sk), Some(token), list(&app)).await.expect(200);
    office.call("DELETE", &key_path, None).await.expect(204);
    signed(&app, (ak, sk), Some(token), list(&app)).await.expect(401);
    for (ak, sk, token) in &made {
        signed(&app, (ak, sk), Some(token), list(&app)).await.expect(200);
    }
    let revoke = Call::new("DELETE", "/v3/auth/tokens").token(app.token());
    send(&app.router, revoke.header("x-subject-token", &*office.token).build()).await.expect(204);
    for (ak, sk, token) in made {
        signed(&app, (&ak, &sk), Some(&token), list(&app)).await.expect(401);
    }
}

/// A temporary key is not more than the credential it was made with, and goes with its user.
#[tokio::test]
async fn a_temporary_key_is_no_more_than_its_user_and_its_project() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.person("alice", &["CBR ReadOnlyAccess"]).await;
    let body = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": person.token,
        "duration_seconds": 86_400}}}});
    let made = call(&app, &person.token, "POST", TEMPORARY, Some(body.clone())).await.expect(201);
    let made = &made.body["credential"];
    let (key, token) = ((text(made, "access"), text(made, "secret")), text(made, "securitytoken"));
    signed(&app, key, Some(token), list(&app)).await.expect(200);
    let create = Call::new("POST", format!("/v3/{}/vaults", app.project())).json(&vault_body("v"));
    signed(&app, key, Some(token), create).await.expect(403);
    // Somebody else's token in the body is no credential.
    office.post(TEMPORARY, body).await.expect(403);
    let barred = json!({"user": {"enabled": false}});
    office.call("PATCH", &format!("/v3/users/{}", person.id), Some(barred)).await.expect(200);
    signed(&app, key, Some(token), list(&app)).await.expect(401);
}

/// A token for the account becomes one for a project; one for a project becomes nothing wider.
#[tokio::test]
async fn tokens_get_narrower_and_never_wider() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let with = |id: &str, scope: Value| json!({"auth": {"identity": {"methods": ["token"], "token": {"id": id}}, "scope": scope}});
    let project = json!({"project": {"id": app.project()}});
    let post = |body: Value| {
        let router = &app.router;
        async move { send(router, Call::new("POST", "/v3/auth/tokens").json(&body).build()).await }
    };
    app.clock.advance(Duration::from_mins(1));
    let narrow = post(with(&office.token, project.clone())).await.expect(201);
    let first = log_in(&app, "admin", app.password(), &project).await.expect(201);
    assert!(
        text(&narrow.body["token"], "expires_at") < text(&first.body["token"], "expires_at"),
        "it ends with the token it was made of"
    );
    let narrow = token_of(&narrow);
    send(&app.router, list(&app).token(&narrow).build()).await.expect(200);
    post(with(&narrow, project)).await.expect(201);
    post(with(&narrow, json!({"domain": {"name": DOMAIN_NAME}}))).await.expect(401);
    post(with("garbage", json!(null))).await.expect(401);
}

/// IAM-13: another account acts in this one, as far as it was trusted and no longer.
#[tokio::test]
async fn another_account_acts_through_an_agency_as_far_as_it_is_trusted() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let (stranger, theirs) = app.stranger_for_account().await;
    let wanted = json!({"agency": {"name": "backup-by-other", "domain_id": office.domain,
        "trust_domain_name": "other", "description": "they look after it", "duration": "ONEDAY"}});
    let agency = office.post("/v3.0/OS-AGENCY/agencies", wanted.clone()).await.expect(201);
    let agency = agency.body["agency"].clone();
    assert_eq!(
        (&agency["duration"], &agency["trust_domain_name"]),
        (&json!("24"), &json!("other"))
    );
    office.post("/v3.0/OS-AGENCY/agencies", wanted).await.expect(409);
    for trusted in ["nowhere", DOMAIN_NAME] {
        let body = json!({"agency": {"name": "x", "trust_domain_name": trusted}});
        office.post("/v3.0/OS-AGENCY/agencies", body).await.expect(400);
    }
    let id = id_of(&agency);
    let role = office.role("CBR ReadOnlyAccess").await;
    let at = format!("/v3.0/OS-AGENCY/projects/{}/agencies/{id}/roles", app.project());
    let grant = format!("{at}/{role}");
    let ask = |agency: &str| {
        json!({"auth": {"identity": {"methods": ["assume_role"],
            "assume_role": {"domain_name": DOMAIN_NAME, "agency_name": agency}},
            "scope": {"project": {"id": app.project()}}}})
    };
    let assume = |token: String, agency: &'static str| {
        let (app, body) = (&app, ask(agency));
        async move { call(app, &token, "POST", "/v3/auth/tokens", Some(body)).await }
    };
    let acting = token_of(&assume(stranger.clone(), "backup-by-other").await.expect(201));
    let answer = send(&app.router, list(&app).token(&acting).build()).await.expect(403);
    assert!(answer.body.to_string().contains("o policy allows"), "nothing is granted yet");
    office.call("PUT", &grant, None).await.expect(204);
    send(&app.router, list(&app).token(&acting).build()).await.expect(200);
    let granted = office.get(&at).await.expect(200);
    assert_eq!(id_of(&granted.body["roles"][0]), role);
    let create = Call::new("POST", format!("/v3/{}/vaults", app.project())).json(&vault_body("v"));
    send(&app.router, create.token(&acting).build()).await.expect(403);
    // The stranger's own project is not reached with it, nor the account's users.
    let own = Call::new("GET", format!("/v3/{theirs}/vaults")).token(&acting);
    send(&app.router, own.build()).await.expect(403);
    call(&app, &acting, "GET", "/v3/users", None).await.expect(403);
    call(&app, &acting, "POST", KEYS, Some(json!({"credential": {}}))).await.expect(403);

    // Keys through the agency; without a credential, and for those not trusted, there is none.
    let body = json!({"auth": {"identity": {"methods": ["assume_role"], "assume_role":
        {"domain_name": DOMAIN_NAME, "agency_name": "backup-by-other", "duration_seconds": 900}}}});
    let made = call(&app, &stranger, "POST", TEMPORARY, Some(body)).await.expect(201);
    let made = &made.body["credential"];
    let (key, token) = ((text(made, "access"), text(made, "secret")), text(made, "securitytoken"));
    signed(&app, key, Some(token), list(&app)).await.expect(200);
    assume("garbage".into(), "backup-by-other").await.expect(401);
    assume(stranger.clone(), "another").await.expect(404);
    assume(office.token.clone(), "backup-by-other").await.expect(404);
    let alice = office.person("alice", &["CBR FullAccess"]).await;
    assume(alice.token, "backup-by-other").await.expect(403);

    // It ends by itself, and at once when the account says so.
    let forever = json!({"agency": {"duration": "FOREVER"}});
    let path = format!("/v3.0/OS-AGENCY/agencies/{id}");
    office.call("PUT", &path, Some(forever)).await.expect(200);
    assert_eq!(office.get(&path).await.expect(200).body["agency"]["expire_time"], Value::Null);
    office.call("DELETE", &path, None).await.expect(204);
    send(&app.router, list(&app).token(&acting).build()).await.expect(401);
    signed(&app, key, Some(token), list(&app)).await.expect(401);
    assume(stranger, "backup-by-other").await.expect(404);
}

/// IAM-13, P26: who runs the installation makes accounts; nobody else does, and they see nothing of each other.
#[tokio::test]
async fn accounts_are_made_by_who_runs_the_installation() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let body = json!({"domain": {"name": "branch"}});
    let made = office.post("/v3/domains", body.clone()).await.expect(201);
    let admin = made.body["administrator"].clone();
    let key = (text(&admin, "access_key"), text(&admin, "secret_key"));
    let project = text(&admin, "project_id");
    let own = Call::new("GET", format!("/v3/{project}/vaults"));
    assert_eq!(signed(&app, key, None, own).await.expect(200).body["count"], 0);
    signed(&app, key, None, list(&app)).await.expect(403);
    let users = signed(&app, key, None, Call::new("GET", "/v3/users")).await.expect(200);
    assert_eq!(users.body["users"].as_array().unwrap().len(), 1);
    office.post("/v3/domains", body.clone()).await.expect(409);
    office.post("/v3/domains", json!({"domain": {"name": "a/b"}})).await.expect(400);
    // With a chosen password nothing is lost with an answer that does not arrive.
    let chosen = |password: &str| json!({"domain": {"name": "chosen", "password": password}});
    office.post("/v3/domains", chosen("weak")).await.expect(400);
    office.post("/v3/domains", chosen(PASSWORD)).await.expect(201);
    let user = json!({"name": "admin", "password": PASSWORD, "domain": {"name": "chosen"}});
    let log_in =
        json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}});
    let log_in = Call::new("POST", "/v3/auth/tokens").json(&log_in);
    send(&app.router, log_in.build()).await.expect(201);
    // Neither the new administrator nor who manages users of the first account.
    let again = Call::new("POST", "/v3/domains").json(&json!({"domain": {"name": "third"}}));
    signed(&app, key, None, again).await.expect(403);
    let officer = office.officer("officer", &["Security Administrator"]).await;
    let third = json!({"domain": {"name": "third"}});
    call(&app, &officer.token, "POST", "/v3/domains", Some(third)).await.expect(403);
    let records = app.records().await.concat();
    assert!(records.contains("createAccount") && !records.contains(key.1));
    assert!(!records.contains(text(&admin, "password")));
}

/// RGN-02, RGN-03: a vault names an enterprise project that exists and is enabled.
#[tokio::test]
async fn vaults_go_into_enterprise_projects_that_exist() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let path = "/v1.0/enterprise-projects";
    let wanted = json!({"name": "finance", "description": "books"});
    let made = office.post(path, wanted.clone()).await.expect(201);
    let id = id_of(&made.body["enterprise_project"]);
    office.post(path, wanted).await.expect(409);
    office.post(path, json!({"name": "default"})).await.expect(409);
    let all = office.get(path).await.expect(200);
    assert_eq!(all.body["total_count"], 2);
    assert_eq!(all.body["enterprise_projects"][0]["name"], "default");
    let vault = |project: &str| {
        let mut body = vault_body("v");
        body["vault"]["enterprise_project_id"] = json!(project);
        body
    };
    let made = app.post("/vaults", &vault(&id)).await.expect(200);
    assert_eq!(made.body["vault"]["enterprise_project_id"], id);
    app.post("/vaults", &vault("0")).await.expect(200);
    let absent = app.post("/vaults", &vault("5b0c7f6e-0d0f-4c3a-9d5e-00000000000c")).await;
    assert_eq!(absent.expect(400).code(), "BackupService.9900");
    let one = format!("{path}/{id}");
    let renamed = json!({"name": "accounting"});
    office.call("PUT", &one, Some(renamed)).await.expect(200);
    office.post(&format!("{one}/action"), json!({"action": "disable"})).await.expect(204);
    assert_eq!(office.get(&one).await.expect(200).body["enterprise_project"]["status"], 2);
    app.post("/vaults", &vault(&id)).await.expect(400);
    office.post(&format!("{one}/action"), json!({"action": "burn"})).await.expect(400);
    office.post(&format!("{path}/0/action"), json!({"action": "disable"})).await.expect(409);
    let (stranger, _) = app.stranger_for_account().await;
    call(&app, &stranger, "GET", &one, None).await.expect(404);
    let officer = office.officer("reader", &["IAM ReadOnlyAccess"]).await;
    call(&app, &officer.token, "GET", path, None).await.expect(200);
    call(&app, &officer.token, "POST", path, Some(json!({"name": "x"}))).await.expect(403);
    log_in(&app, "reader", PASSWORD, &json!(null)).await.expect(201);
}
