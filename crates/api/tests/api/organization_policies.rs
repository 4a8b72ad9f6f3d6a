//! Policies of whole accounts (contract C45 to C50).

use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Call, send};

const PATTERN: &str = "FREQ=DAILY;INTERVAL=2;BYHOUR=06;BYMINUTE=00";

fn body(name: &str) -> Value {
    json!({"policy": {"name": name, "operation_type": "backup", "policy_name": "from-above",
        "policy_enabled": true, "effective_scope": "everybody",
        "policy_trigger": {"properties": {"pattern": [PATTERN]}},
        "policy_operation_definition": {"max_backups": 5, "retention_duration_days": -1}}})
}

async fn create(app: &App, name: &str) -> String {
    let answer = app.post("/organization-policies", &body(name)).await.expect(200).body;
    answer["policy"]["id"].as_str().unwrap().to_owned()
}

/// The policies of the first project.
async fn policies(app: &App) -> Vec<Value> {
    app.get("/policies").await.expect(200).body["policies"].as_array().unwrap().clone()
}

/// Contract C45 to C50: it becomes a policy of every project, changes with it, and goes with it.
#[tokio::test]
async fn an_organization_policy_becomes_a_policy_of_every_project() {
    let app = App::start().await;
    let answer = app.post("/organization-policies", &body("for all")).await.expect(200).body;
    let policy = &answer["policy"];
    let path = format!("/organization-policies/{}", policy["id"].as_str().unwrap());
    assert_eq!((&policy["status"], &policy["name"]), (&json!("syncing"), &json!("for all")));
    assert_eq!(policy["policy_trigger"], json!({"properties": {"pattern": [PATTERN]}}));
    let definition = json!({"max_backups": 5, "retention_duration_days": -1});
    assert_eq!(policy["policy_operation_definition"], definition);
    assert_eq!(policy["domain_name"], "acme");
    let before = app.get(&format!("{path}/policy-detail")).await.expect(200).body;
    assert_eq!(
        (&before["count"], &before["policies"][0]["status"]),
        (&json!(1), &json!("syncing"))
    );
    assert_eq!(policies(&app).await, [] as [Value; 0], "not before it is copied");

    assert_eq!(app.sync_organization_policies().await, 1);
    assert_eq!(app.sync_organization_policies().await, 0, "a sweep may run twice");
    assert_eq!(app.get(&path).await.expect(200).body["policy"]["status"], "available");
    let copy = policies(&app).await.remove(0);
    assert_eq!(copy["policy_type"], "organization_policy_v1");
    assert_eq!((&copy["name"], &copy["operation_definition"]), (&json!("from-above"), &definition));
    let detail = app.get(&format!("{path}/policy-detail")).await.expect(200).body;
    let row = &detail["policies"][0];
    assert_eq!((&row["policy_id"], &row["status"]), (&copy["id"], &json!("available")));
    assert_eq!(
        (&row["project_id"], &row["domain_id"]),
        (&json!(app.project()), &policy["domain_id"])
    );

    // A project that comes later gets its copy too.
    let (second, token) = app.add_project("second").await;
    assert_eq!(app.sync_organization_policies().await, 1);
    let listed = Call::new("GET", format!("/v3/{second}/policies")).token(&token).build();
    let listed = send(&app.router, listed).await.expect(200).body;
    assert_eq!(listed["policies"][0]["name"], "from-above");
    assert_ne!(listed["policies"][0]["id"], copy["id"]);

    let change = json!({"policy": {"policy_enabled": false, "description": "why"}});
    let changed = app.put(&path, &change).await.expect(200).body;
    assert_eq!(
        (&changed["policy"]["status"], &changed["policy"]["description"]),
        (&json!("syncing"), &json!("why"))
    );
    assert_eq!(policies(&app).await[0]["enabled"], true);
    assert_eq!(app.sync_organization_policies().await, 2);
    assert_eq!(policies(&app).await[0]["enabled"], false);
    assert_eq!(policies(&app).await[0]["trigger"]["id"], copy["trigger"]["id"]);

    assert!(app.delete(&path).await.expect(204).bytes.is_empty());
    assert_eq!(policies(&app).await, [] as [Value; 0]);
    for (method, path) in
        [("GET", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/policy-detail"))]
    {
        let path = format!("/v3/{}{path}", app.project());
        let gone = app.call(method, &path, None).await.expect(404);
        assert_eq!(gone.code(), "BackupService.6000", "{method} {path}");
    }
}

/// Contract C49, B.8: a copy in use stays when its organization policy goes, and is the project's own.
#[tokio::test]
async fn a_copy_changes_with_its_organization_policy_only_until_that_is_gone() {
    let app = App::start().await;
    let id = create(&app, "a").await;
    app.sync_organization_policies().await;
    let copy = policies(&app).await.remove(0)["id"].as_str().unwrap().to_owned();
    let path = format!("/policies/{copy}");
    let rename = json!({"policy": {"name": "mine"}});
    assert_eq!(app.put(&path, &rename).await.expect(409).code(), "CBRX.0030");
    assert_eq!(app.delete(&path).await.expect(409).code(), "CBRX.0030");
    let vault = app.create_vault("v").await;
    let bind = json!({"policy_id": copy});
    app.post(&format!("/vaults/{vault}/associatepolicy"), &bind).await.expect(200);
    // A change of the organization policy leaves the binding alone.
    let change = json!({"policy": {"policy_name": "renamed"}});
    app.put(&format!("/organization-policies/{id}"), &change).await.expect(200);
    app.sync_organization_policies().await;
    assert_eq!(policies(&app).await[0]["associated_vaults"][0]["vault_id"], vault.as_str());

    app.delete(&format!("/organization-policies/{id}")).await.expect(204);
    app.sync_organization_policies().await;
    let left = policies(&app).await.remove(0);
    assert_eq!(left["policy_type"], "organization_policy_removed");
    assert_eq!(left["associated_vaults"][0]["vault_id"], vault.as_str());
    app.put(&path, &rename).await.expect(200);
    app.delete(&path).await.expect(204);
}

/// Contract C45, C46, POL-01: 32 of each type; `operation_type` is needed; pages.
#[tokio::test]
async fn organization_policies_are_listed_by_type_and_limited() {
    let app = App::start().await;
    for i in 0..32 {
        app.clock.advance(std::time::Duration::from_secs(1));
        create(&app, &format!("p{i}")).await;
    }
    let refused = app.post("/organization-policies", &body("more")).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6001");
    let listed = app.get("/organization-policies?operation_type=backup&limit=2&offset=1").await;
    let listed = listed.expect(200).body;
    let echoed = json!([32, 2, 1]);
    assert_eq!(json!([listed["count"], listed["limit"], listed["offset"]]), echoed);
    let names: Vec<&Value> =
        listed["policies"].as_array().unwrap().iter().map(|row| &row["name"]).collect();
    assert_eq!(names, [&json!("p30"), &json!("p29")]);
    let none = app.get("/organization-policies?operation_type=replication").await.expect(200);
    assert_eq!(none.body["policies"], json!([]));
    for bad in ["", "?operation_type=odd"] {
        let refused = app.get(&format!("/organization-policies{bad}")).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900");
    }
    // Copies do not use up what a project may make itself.
    app.sync_organization_policies().await;
    let own = json!({"policy": {"name": "own", "operation_type": "backup",
        "trigger": {"properties": {"pattern": [PATTERN]}}, "operation_definition": {}}});
    app.post("/policies", &own).await.expect(200);
}

/// Contract C45: one wrong value each.
#[tokio::test]
async fn what_breaks_a_rule_is_refused() {
    let app = App::start().await;
    for (pointer, value, code) in [
        ("/policy/name", json!(""), "BackupService.9900"),
        ("/policy/policy_name", json!("a b"), "BackupService.9900"),
        ("/policy/effective_scope", json!("x".repeat(256)), "BackupService.9900"),
        ("/policy/policy_trigger/properties/pattern", json!(["FREQ=ODD"]), "BackupService.9900"),
        ("/policy/policy_operation_definition", json!({"max_backups": -9}), "BackupService.9900"),
        ("/policy/operation_type", json!("delete"), "BackupService.6117"),
    ] {
        let mut body = body("a");
        *body.pointer_mut(pointer).unwrap() = value;
        let refused = app.post("/organization-policies", &body).await.expect(400);
        assert_eq!(refused.code(), code, "{pointer}");
    }
    let id = create(&app, "a").await;
    let change = json!({"policy": {"policy_trigger": {"properties": {"pattern": []}}}});
    app.put(&format!("/organization-policies/{id}"), &change).await.expect(400);
}

/// P26: another account sees nothing of ours, and gets no copies.
#[tokio::test]
async fn anothers_organization_policies_look_absent() {
    let app = App::start().await;
    let (token, project) = app.stranger().await;
    let id = create(&app, "ours").await;
    assert_eq!(app.sync_organization_policies().await, 1);
    let call = |method: &str, path: &str| {
        let call = Call::new(method, format!("/v3/{project}{path}")).token(&token);
        if method == "PUT" { call.json(&json!({"policy": {"name": "theirs"}})) } else { call }
            .build()
    };
    let own = format!("/organization-policies/{id}");
    let detail = format!("{own}/policy-detail");
    for (method, path) in [("GET", &own), ("PUT", &own), ("DELETE", &own), ("GET", &detail)] {
        let refused = send(&app.router, call(method, path)).await.expect(404);
        assert_eq!(refused.code(), "BackupService.6000", "{method} {path}");
    }
    let listed = send(&app.router, call("GET", "/organization-policies?operation_type=backup"));
    assert_eq!(listed.await.expect(200).body["count"], 0);
    assert_eq!(send(&app.router, call("GET", "/policies")).await.body["count"], 0);
    assert_eq!(app.get(&own).await.expect(200).body["policy"]["name"], "ours");
}
