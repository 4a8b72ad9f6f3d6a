//! The authorisation matrix, generated from the operation table (reliability 10.2, P26, P27):
//! every operation × every bad credential is refused, alike for what is another's and
//! what does not exist, and nothing changes by it.

use cbr_api::OPERATIONS;
use cbr_api::operation::{Admission, Operation};
use serde_json::json;

use crate::app::{App, VOLUMES, vault_body};
use crate::client::{Answer, Call, send};

/// A path of the operation with plausible ids.
fn path(operation: &Operation, project: &str) -> String {
    operation
        .path
        .split('/')
        .map(|segment| match segment {
            "{project_id}" => project,
            "{protectable_type}" => "disk",
            other if other.starts_with('{') => "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01",
            other => other,
        })
        .collect::<Vec<_>>()
        .join("/")
}

fn call(operation: &Operation, project: &str) -> Call {
    let call = Call::new(operation.verb.as_str(), path(operation, project));
    if operation.is_mutating() { call.json(&json!({})) } else { call }
}

fn guarded() -> impl Iterator<Item = &'static Operation> {
    let is_open = |of: Admission| matches!(of, Admission::Anyone | Admission::Optional);
    OPERATIONS.iter().filter(move |operation| !is_open(operation.admission))
}

/// Every credential that must not open anything, by name.
async fn bad_credentials(app: &App, call: &Call) -> Vec<(&'static str, Call)> {
    let (ak, sk) = (app.access_key(), app.secret_key());
    let now = app.date(0);
    let revoked = app.revoked_token().await;
    let altered = {
        let mut signed = call.clone().signed(ak, sk, &now);
        signed.body.push(b' ');
        signed
    };
    vec![
        ("none", call.clone()),
        ("empty token", call.clone().token("")),
        ("garbage token", call.clone().token("garbage")),
        ("revoked token", call.clone().token(&revoked)),
        ("expired token", call.clone().token(&app.expired_token().await)),
        ("wrong secret", call.clone().signed(ak, "wrong", &now)),
        ("unknown key", call.clone().signed("UNKNOWN", sk, &now)),
        ("16 minutes old", call.clone().signed(ak, sk, &app.date(-16 * 60))),
        ("16 minutes early", call.clone().signed(ak, sk, &app.date(16 * 60))),
        ("altered body", altered),
        ("basic", call.clone().header("authorization", "Basic YTpi")),
        ("broken", call.clone().header("authorization", "SDK-HMAC-SHA256 Access=a")),
    ]
}

fn is_unauthenticated(answer: &Answer) -> bool {
    // An answer to HEAD has no body.
    answer.status == 401
        && (answer.body.is_null()
            || answer.code() == "APIG.0301"
            || answer.body["error"]["code"] == 401)
        && answer.headers.contains_key("x-request-id")
}

#[tokio::test]
async fn no_operation_is_reachable_with_a_bad_credential() {
    let app = App::start().await;
    let mut cells = 0;
    for operation in guarded() {
        let call = call(operation, &app.project());
        for (credential, call) in bad_credentials(&app, &call).await {
            let answer = send(&app.router, call.build()).await;
            assert!(is_unauthenticated(&answer), "{} × {credential}: {answer:?}", operation.name);
            cells += 1;
        }
    }
    assert!(cells >= 33 * 12, "{cells} cells");
    assert_eq!(app.get("/vaults").await.body["count"], 0, "nothing was made");
    assert_eq!(app.get("/operation-logs").await.body["count"], 0, "nothing was begun");
}

/// P26: another's project, a project of nobody, and one's own token there: all the same answer.
#[tokio::test]
async fn anothers_project_looks_like_one_that_does_not_exist() {
    let app = App::start().await;
    let (stranger_token, stranger_project) = app.stranger().await;
    let nobodys = "0605767b5780d5762fc5c0118072a564";
    for operation in guarded().filter(|operation| operation.admission == Admission::Project) {
        let own = app.project();
        let cells = [
            ("stranger in ours", call(operation, &own).token(&stranger_token)),
            ("we in the stranger's", call(operation, &stranger_project).token(app.token())),
            ("we in nobody's", call(operation, nobodys).token(app.token())),
        ];
        let mut seen = Vec::new();
        for (cell, call) in cells {
            let answer = send(&app.router, call.build()).await.expect(403);
            // A refusal about features is a bare text (contract C68).
            let is_told = answer.code() == "BackupService.0403" || answer.body.is_string();
            assert!(is_told, "{} × {cell}: {}", operation.name, answer.body);
            seen.push(answer.body);
        }
        assert!(seen.iter().all(|body| *body == seen[0]), "{}: {seen:?}", operation.name);
    }
}

/// P26: the stranger sees nothing of ours by id, in its own project.
#[tokio::test]
async fn anothers_ids_look_like_ids_that_do_not_exist() {
    let app = App::start().await;
    let vault = app.create_vault("ours").await;
    let (token, project) = app.stranger().await;
    for id in [vault.as_str(), "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01"] {
        for (method, suffix, body) in [
            ("GET", "", None),
            ("PUT", "", Some(json!({"vault": {"name": "theirs"}}))),
            ("DELETE", "", None),
            (
                "POST",
                "/addresources",
                Some(json!({"resources": [
                {"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]})),
            ),
            ("POST", "/removeresources", Some(json!({"resource_ids": [VOLUMES[0]]}))),
        ] {
            let mut call =
                Call::new(method, format!("/v3/{project}/vaults/{id}{suffix}")).token(&token);
            if let Some(body) = body {
                call = call.json(&body);
            }
            let answer = send(&app.router, call.build()).await.expect(404);
            assert_eq!(answer.code(), "BackupService.6105", "{method} {suffix}");
            assert_eq!(answer.body["error_msg"], format!("Vault {id} does not exist."));
        }
    }
    let listed =
        send(&app.router, Call::new("GET", format!("/v3/{project}/vaults")).token(&token).build());
    assert_eq!(listed.await.body["count"], 0);
    assert_eq!(
        app.get(&format!("/vaults/{vault}")).await.expect(200).body["vault"]["name"],
        "ours"
    );
}

/// P27: neither another node nor a restart makes a used signature good again.
#[tokio::test]
async fn a_signed_change_cannot_be_replayed_elsewhere() {
    let app = App::start().await;
    let (ak, sk) = (app.access_key(), app.secret_key());
    let create = Call::new("POST", format!("/v3/{}/vaults", app.project()))
        .json(&vault_body("once"))
        .signed(ak, sk, &app.date(0));
    send(&app.router, create.clone().build()).await.expect(200);
    let other = app.another_router();
    let replayed = send(&other, create.clone().build()).await.expect(401);
    assert!(replayed.body["error_msg"].as_str().unwrap().contains("used already"));
    // Also after the sweep, as long as its date is good.
    app.clock.advance(std::time::Duration::from_secs(890));
    app.sweep_tokens().await;
    send(&app.another_router(), create.build()).await.expect(401);
    let vaults = app.get("/vaults").await.expect(200);
    assert_eq!(vaults.body["count"], 1);
}

/// P27: a signature is good for one change; a read may come again at once, not later.
#[tokio::test]
async fn a_signed_request_cannot_be_replayed() {
    let app = App::start().await;
    let (ak, sk) = (app.access_key(), app.secret_key());
    let body = vault_body("once");
    let create = Call::new("POST", format!("/v3/{}/vaults", app.project())).json(&body).signed(
        ak,
        sk,
        &app.date(0),
    );
    send(&app.router, create.clone().build()).await.expect(200);
    let replayed = send(&app.router, create.build()).await;
    assert!(is_unauthenticated(&replayed), "{replayed:?}");

    let list =
        Call::new("GET", format!("/v3/{}/vaults", app.project())).signed(ak, sk, &app.date(0));
    assert_eq!(send(&app.router, list.clone().build()).await.expect(200).body["count"], 1);
    send(&app.router, list.clone().build()).await.expect(200);
    app.clock.advance(std::time::Duration::from_secs(11));
    let late = send(&app.router, list.build()).await;
    assert!(is_unauthenticated(&late), "{late:?}");
}
