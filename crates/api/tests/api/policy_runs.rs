//! What policies did, over HTTP (extension).

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{App, VOLUMES};

/// 2026-01-15 08:00 is when an app's clock begins.
async fn bound_policy(app: &App, vault: &str) -> String {
    let body = json!({"policy": {"name": "hourly", "operation_type": "backup",
        "trigger": {"properties": {"x-time-zone": "Europe/Berlin",
            "pattern": ["FREQ=DAILY;INTERVAL=1;BYHOUR=10,11,12;BYMINUTE=00"]}},
        "operation_definition": {"max_backups": 5}}});
    let policy = app.post("/policies", &body).await.expect(200).body;
    let properties = &policy["policy"]["trigger"]["properties"];
    assert_eq!(properties["x-time-zone"], "Europe/Berlin", "POL-10: kept and shown");
    let id = policy["policy"]["id"].as_str().unwrap().to_owned();
    app.post(&format!("/vaults/{vault}/associatepolicy"), &json!({"policy_id": id}))
        .await
        .expect(200);
    id
}

/// POL-05, POL-10, POL-29, POL-57, P16: the policy of a vault; the run at its time, the marks of its backups and tasks, and the list.
#[tokio::test]
async fn what_a_policy_did_is_listed() {
    let app = App::start().await;
    let vault = app.create_vault("vault-a").await;
    let disks = VOLUMES.map(|id| json!({"id": id, "type": "OS::Cinder::Volume"}));
    let body = json!({"resources": disks});
    app.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
    let policy = bound_policy(&app, &vault).await;
    let shown = app.get(&format!("/policies?vault_id={vault}")).await.expect(200).body;
    assert_eq!((&shown["count"], &shown["policies"][0]["id"]), (&json!(1), &json!(policy)));
    assert_eq!(app.sweep_policies().await, 0, "nothing is due");
    app.clock.advance(Duration::from_hours(1));
    assert_eq!(app.sweep_policies().await, 1);
    app.settle().await;
    let runs = app.get(&format!("/x/policy-runs?policy_id={policy}")).await.expect(200).body;
    assert_eq!(runs["count"], 1);
    let run = &runs["policy_runs"][0];
    assert_eq!(run["scheduled_at"], "2026-01-15T09:00:00.000000", "10:00 in Berlin");
    assert_eq!((&run["state"], &run["reason"]), (&json!("started"), &json!("none")));
    assert_eq!(run["started_count"], VOLUMES.len());
    let checkpoint = run["checkpoint_id"].as_str().unwrap();
    let backups = app.get(&format!("/backups?checkpoint_id={checkpoint}")).await.expect(200).body;
    let made = backups["backups"].as_array().unwrap();
    assert_eq!(made.len(), VOLUMES.len());
    for backup in made {
        assert_eq!(backup["status"], "available");
        assert_eq!(backup["extend_info"]["auto_trigger"], true);
        assert!(backup["name"].as_str().unwrap().starts_with("autobk_"), "contract A.7");
    }
    let logs = app.get(&format!("/operation-logs?policy_id={policy}")).await.expect(200).body;
    assert_eq!(logs["count"], VOLUMES.len());
}

#[tokio::test]
async fn the_list_is_filtered_and_what_is_no_filter_is_refused() {
    let app = App::start().await;
    let vault = app.create_vault("vault-a").await;
    let policy = bound_policy(&app, &vault).await;
    app.clock.advance(Duration::from_hours(3));
    app.sweep_policies().await;
    let count = async |filter: &str| {
        let answer = app.get(&format!("/x/policy-runs?{filter}")).await.expect(200).body;
        answer["count"].as_u64().unwrap()
    };
    assert_eq!(count(&format!("vault_id={vault}")).await, 3);
    assert_eq!(count(&format!("policy_id={policy}&state=missed")).await, 2);
    assert_eq!(count("state=skipped&start_time=2026-01-15T11:00:00Z").await, 1, "an empty vault");
    assert_eq!(count("end_time=2026-01-15T08:59:00Z").await, 0);
    assert_eq!(count("policy_id=00000000-0000-4000-8000-000000000000").await, 0);
    let all = app.get("/x/policy-runs?limit=1").await.expect(200).body;
    let runs = all["policy_runs"].as_array().unwrap();
    assert_eq!((runs.len(), &all["count"]), (1, &json!(3)));
    let next = format!("/x/policy-runs?marker={}", runs[0]["id"].as_str().unwrap());
    let rest = app.get(&next).await.expect(200).body;
    let times: Vec<&Value> =
        rest["policy_runs"].as_array().unwrap().iter().map(|run| &run["scheduled_at"]).collect();
    assert_eq!(times, ["2026-01-15T10:00:00.000000", "2026-01-15T09:00:00.000000"]);
    for bad in ["state=odd", "policy_id=x", "start_time=x"] {
        app.get(&format!("/x/policy-runs?{bad}")).await.expect(400);
    }
    let body = json!({"policy": {"trigger": {"properties": {
        "pattern": ["FREQ=DAILY;BYHOUR=1;BYMINUTE=0"], "x-time-zone": "Mars/Olympus"}}}});
    let refused = app.put(&format!("/policies/{policy}"), &body).await.expect(400);
    assert!(refused.body.to_string().contains("tz database"), "{}", refused.body);
}
