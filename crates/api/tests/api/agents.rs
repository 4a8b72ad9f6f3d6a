//! Agents as records (contract C55, C57 to C63).

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Call, send};

const ID: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
const OTHER: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a02";

fn agent(id: &str) -> Value {
    json!({"agent": {"agent_id": id, "agent_type": "native", "agent_version": "1.22.333",
        "host_ip": "192.0.2.7", "host_name": "host-1", "host_nickname": "one",
        "host_os": "CentOS 7"}})
}

/// FIL-05, FIL-11, FIL-26: registered, silent, back, taken off its host, forgotten.
#[tokio::test]
async fn an_agent_registers_goes_silent_and_is_forgotten() {
    let app = App::start().await;
    app.create_file_vault("files").await;
    let path = format!("/agents/{ID}");
    assert_eq!(app.get(&path).await.expect(404).code(), "BackupService.7410");
    let made = app.post("/agents", &agent(ID)).await.expect(200).body;
    assert_eq!(made["agent"]["status"], "normal");
    assert_eq!(made["agent"]["agent_version"], "1.22.333");
    assert_eq!(made["agent"]["paths"], json!([]));
    assert_eq!(app.get(&path).await.expect(200).body, made);

    app.clock.advance(Duration::from_secs(30 * 60 + 1));
    assert_eq!(app.get(&path).await.expect(200).body["agent"]["status"], "abnormal");
    app.post("/agents", &agent(OTHER)).await.expect(200);
    for (query, ids) in [
        ("", vec![OTHER, ID]),
        ("?limit=1", vec![OTHER]),
        ("?offset=1", vec![ID]),
        ("?status=abnormal", vec![ID]),
        ("?status=normal,uninstall", vec![OTHER]),
        (&format!("?agent_id={ID}&agent_id={OTHER}"), vec![OTHER, ID]),
        (&format!("?agent_id={ID}"), vec![ID]),
    ] {
        let found = app.get(&format!("/agents{query}")).await.expect(200).body;
        let agents = found["agents"].as_array().unwrap();
        let found: Vec<&str> = agents.iter().map(|it| it["agent_id"].as_str().unwrap()).collect();
        assert_eq!(found, ids, "{query}");
    }
    // It says again that it is there, and keeps its day of birth.
    let again = app.post("/agents", &agent(ID)).await.expect(200).body;
    assert_eq!(again["agent"]["status"], "normal");
    assert_eq!(again["agent"]["created_at"], made["agent"]["created_at"]);
    assert_ne!(again["agent"]["last_active_time"], made["agent"]["last_active_time"]);

    let gone = json!({"agent": {"status": "uninstall"}});
    let shown = app.put(&path, &gone).await.expect(200).body;
    assert_eq!(shown["agent"]["status"], "uninstall");
    let refused = app.put(&path, &json!({"agent": {"status": "normal"}})).await.expect(400);
    assert_eq!(refused.code(), "BackupService.9900");
    let add = json!({"add_path": ["/data"]});
    let refused = app.post(&format!("{path}/add-path"), &add).await.expect(400);
    assert_eq!(refused.code(), "BackupService.7403");

    // 200 without a body, not 204 (contract C61).
    assert!(app.delete(&path).await.expect(200).bytes.is_empty());
    assert_eq!(app.delete(&path).await.expect(404).code(), "BackupService.7410");
    assert_eq!(app.put(&path, &gone).await.expect(404).code(), "BackupService.7410");
}

/// FIL-13 … FIL-18.
#[tokio::test]
async fn an_agent_has_at_most_eight_directories() {
    let app = App::start().await;
    app.create_file_vault("files").await;
    app.post("/agents", &agent(ID)).await.expect(200);
    let add = format!("/agents/{ID}/add-path");
    let remove = format!("/agents/{ID}/remove-path");
    let body = json!({"add_path": ["/data/", "D:\\logs"], "exclude_path": [
        {"path_name": "/data/", "exclude_path_name": ["tmp", "cache"]}]});
    let added = app.post(&add, &body).await.expect(200).body;
    assert_eq!(added, json!({"added": ["/data", "D:\\logs"], "existed": []}));
    let again = app.post(&add, &json!({"add_path": ["/data", "/etc"]})).await.expect(200).body;
    assert_eq!(again, json!({"added": ["/etc"], "existed": ["/data"]}));
    let shown = app.get(&format!("/agents/{ID}")).await.expect(200).body;
    let path = &shown["agent"]["paths"][0];
    assert_eq!(path["dir_path"], "/data");
    assert_eq!(path["exclude_paths"], "tmp,cache");
    assert_eq!((&path["status"], &path["agent_id"]), (&json!("available"), &json!(ID)));

    let six: Vec<String> = (0..6).map(|n| format!("/more/{n}")).collect();
    let refused = app.post(&add, &json!({"add_path": six})).await.expect(400);
    assert_eq!(refused.code(), "BackupService.7407");
    let count = async || {
        let shown = app.get(&format!("/agents/{ID}")).await.expect(200).body;
        shown["agent"]["paths"].as_array().unwrap().len()
    };
    assert_eq!(count().await, 3, "all or none");
    app.post(&add, &json!({"add_path": &six[..5]})).await.expect(200);
    let removed = json!({"remove_path": ["/etc/", "/never"]});
    let removed = app.post(&remove, &removed).await.expect(200).body;
    assert_eq!(removed, json!({"removed": ["/etc"], "not_existed": ["/never"]}));
    app.post(&add, &json!({"add_path": ["/last"]})).await.expect(200);
    assert_eq!(count().await, 8, "a removed one frees its place (FIL-18)");
    // It survives that the agent registers again.
    app.post("/agents", &agent(ID)).await.expect(200);
    assert_eq!(count().await, 8);

    for bad in [
        json!({"add_path": []}),
        json!({"add_path": ["relative"]}),
        json!({"add_path": ["/a/../b"]}),
        json!({"add_path": ["/x"], "exclude_path": [{"path_name": "/y"}]}),
        json!({"add_path": ["/x"], "exclude_path": [
            {"path_name": "/x", "exclude_path_name": ["a,b"]}]}),
        json!({}),
    ] {
        let refused = app.post(&add, &bad).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{bad}");
    }
    for path in [add.replace(ID, OTHER), remove.replace(ID, OTHER)] {
        let body = json!({"add_path": ["/x"], "remove_path": ["/x"]});
        assert_eq!(app.post(&path, &body).await.expect(404).code(), "BackupService.7410");
    }
}

/// FIL-29, P26: an id that is none, or another project's, is refused.
#[tokio::test]
async fn an_illegal_agent_is_refused() {
    let app = App::start().await;
    app.create_file_vault("files").await;
    let refused = app.post("/agents", &agent("agent-1")).await.expect(400);
    assert_eq!(refused.code(), "BackupService.7403");
    for (field, value) in [
        ("agent_type", json!("odd")),
        ("agent_version", json!("1.2")),
        ("host_ip", json!("nowhere")),
        ("host_name", json!("")),
        ("host_os", json!("x".repeat(256))),
    ] {
        let mut bad = agent(ID);
        bad["agent"][field] = value;
        let refused = app.post("/agents", &bad).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{field}");
    }
    app.post("/agents", &agent(ID)).await.expect(200);
    let (token, project) = app.stranger().await;
    let call = Call::new("POST", format!("/v3/{project}/agents")).token(&token).json(&agent(ID));
    let refused = send(&app.router, call.build()).await.expect(400);
    assert_eq!(refused.code(), "BackupService.7403");
    let call = Call::new("GET", format!("/v3/{project}/agents/{ID}")).token(&token);
    let hidden = send(&app.router, call.build()).await.expect(404);
    assert_eq!(hidden.code(), "BackupService.7410");
}

/// Contract C55.
#[tokio::test]
async fn no_server_has_the_agent_for_databases() {
    let app = App::start().await;
    let ask = |id: &str, kind: &str| json!({"agent_status": [{"resource_id": id, "resource_type": kind, "resource_name": "s"}]});
    let body = ask(ID, "OS::Nova::Server");
    let known = app.post("/agent/check", &body).await.expect(200).body;
    assert_eq!(known["agent_status"][0]["installed"], false);
    assert_eq!(known["agent_status"][0]["resource_id"], ID);
    assert_eq!(known["agent_status"][0]["version"], Value::Null);
    for bad in
        [ask(ID, "OS::Cinder::Volume"), ask("x", "OS::Nova::Server"), json!({"agent_status": []})]
    {
        let refused = app.post("/agent/check", &bad).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{bad}");
    }
}

/// VLT-25, FIL-29: a client registers where there is a file vault, and nowhere else; one that is known goes on after
/// the last of these has gone.
#[tokio::test]
async fn an_agent_registers_only_where_there_is_a_file_vault() {
    let app = App::start().await;
    app.create_vault("disks").await;
    let refused = app.post("/agents", &agent(ID)).await.expect(400);
    assert_eq!(refused.code(), "BackupService.7403");
    let told = refused.body["error_msg"].as_str().unwrap();
    assert!(told.contains("illegal client") && told.contains("no file vault"), "{told}");
    assert_eq!(app.get(&format!("/agents/{ID}")).await.expect(404).code(), "BackupService.7410");

    let files = app.create_file_vault("files").await;
    app.post("/agents", &agent(ID)).await.expect(200);
    app.delete(&format!("/vaults/{files}")).await.expect(204);
    let refused = app.post("/agents", &agent(OTHER)).await.expect(400);
    assert_eq!(refused.code(), "BackupService.7403", "a vault that is being deleted is none");
    app.settle().await;
    let known = app.post("/agents", &agent(ID)).await.expect(200).body;
    assert_eq!(known["agent"]["status"], "normal");
    app.post("/agents", &agent(OTHER)).await.expect(400);
}
