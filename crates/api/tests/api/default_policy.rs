//! The policy that a project can have without describing it.

use serde_json::json;

use crate::app::App;

const DEFAULT: &str = "/x/default-policy";

/// POL-04: it is there once, however often it is asked for, works like any other, and can be changed and
/// deleted.
#[tokio::test]
async fn the_default_policy_is_made_once() {
    let app = App::start().await;
    let wanted = json!({"x-time-zone": "Asia/Shanghai"});
    let policy = app.post(DEFAULT, &wanted).await.expect(200).body["policy"].take();
    assert_eq!((&policy["name"], &policy["enabled"]), (&json!("default"), &json!(true)));
    let properties = &policy["trigger"]["properties"];
    let every_day = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=22;BYMINUTE=00";
    assert_eq!(properties["pattern"], json!([every_day]));
    assert_eq!(properties["x-time-zone"], "Asia/Shanghai");
    assert_eq!(policy["operation_definition"]["retention_duration_days"], 30);
    let again = app.post(DEFAULT, &json!({})).await.expect(200).body["policy"].take();
    assert_eq!(again, policy);
    assert_eq!(app.get("/policies").await.expect(200).body["count"], 1);

    let id = policy["id"].as_str().unwrap();
    let vault = app.create_vault("vault-a").await;
    let body = json!({"policy_id": id});
    app.post(&format!("/vaults/{vault}/associatepolicy"), &body).await.expect(200);
    let keep = json!({"policy": {"operation_definition": {"retention_duration_days": 90}}});
    app.put(&format!("/policies/{id}"), &keep).await.expect(200);
    app.delete(&format!("/policies/{id}")).await.expect(204);
    let new = app.post(DEFAULT, &json!({})).await.expect(200).body["policy"].take();
    assert_ne!(new["id"], policy["id"]);
}

/// POL-04, POL-01: a zone that does not exist is refused, and so is one policy too many.
#[tokio::test]
async fn a_default_policy_that_cannot_be_is_refused() {
    let app = App::start().await;
    let wanted = json!({"x-time-zone": "Mars/Olympus"});
    assert_eq!(app.post(DEFAULT, &wanted).await.expect(400).code(), "BackupService.9900");
    app.put("/x/quotas", &json!({"quota": "backup_policies", "limit": 0})).await.expect(200);
    assert_eq!(app.post(DEFAULT, &json!({})).await.expect(400).code(), "BackupService.6001");
    assert_eq!(app.get("/policies").await.expect(200).body["count"], 0);
}
