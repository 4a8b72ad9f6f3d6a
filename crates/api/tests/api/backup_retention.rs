//! Why a backup is still here, and holding it, over HTTP (extension).

use serde_json::{Value, json};

use crate::app::{App, VOLUMES};

async fn one_backup(app: &App) -> (String, String) {
    let vault = app.create_vault("vault-a").await;
    let body = json!({"resources": [{"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]});
    app.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
    let policy = json!({"policy": {"name": "daily", "operation_type": "backup",
        "trigger": {"properties": {"pattern": ["FREQ=DAILY;BYHOUR=9;BYMINUTE=00"]}},
        "operation_definition": {"max_backups": 1}}});
    let policy = app.post("/policies", &policy).await.expect(200).body;
    let bound = json!({"policy_id": policy["policy"]["id"]});
    app.post(&format!("/vaults/{vault}/associatepolicy"), &bound).await.expect(200);
    app.clock.advance(std::time::Duration::from_hours(1));
    assert_eq!(app.sweep_policies().await, 1);
    app.settle().await;
    let backups = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
    (vault, backups["backups"][0]["id"].as_str().unwrap().to_owned())
}

/// TRB-14, RET-18: the reason, the end that is to come, a hold and its release.
#[tokio::test]
async fn a_backup_says_why_it_is_here_and_can_be_held() {
    let app = App::start().await;
    let (vault, backup) = one_backup(&app).await;
    let path = format!("/x/backups/{backup}");
    let why = app.get(&format!("{path}/retention")).await.expect(200).body;
    let why = &why["retention"];
    assert_eq!((&why["action"], &why["reason"]), (&json!("keep"), &json!("newest")));
    assert_eq!(why["goes_at"], "2026-01-16T09:00:00.000000", "when the next one is complete");
    assert_eq!((&why["goes_by"], &why["holds"]), (&json!("too_many"), &json!([])));
    let ahead = app.get(&format!("/x/vaults/{vault}/retention-preview?days=2")).await.expect(200);
    let fate = &ahead.body["retention_preview"]["backups"][0];
    assert_eq!((&fate["goes_at"], &fate["goes_by"]), (&why["goes_at"], &why["goes_by"]));

    let held = app.post(&format!("{path}/hold"), &json!({"note": "audit"})).await.expect(200).body;
    let held = &held["retention"];
    assert_eq!((&held["reason"], &held["goes_at"]), (&json!("held"), &Value::Null));
    assert_eq!(
        (&held["holds"][0]["kind"], &held["holds"][0]["note"]),
        (&json!("person"), &json!("audit"))
    );
    let free = app.post(&format!("{path}/release"), &json!({})).await.expect(200).body;
    assert_eq!(free["retention"]["holds"], json!([]));
}

#[tokio::test]
async fn what_is_not_there_or_misspelt_is_refused() {
    let app = App::start().await;
    let (vault, backup) = one_backup(&app).await;
    let absent = "/x/backups/00000000-0000-4000-8000-000000000000";
    let code = "BackupService.6200";
    assert_eq!(app.get(&format!("{absent}/retention")).await.expect(404).code(), code);
    assert_eq!(app.post(&format!("{absent}/hold"), &json!({})).await.expect(404).code(), code);
    assert_eq!(app.post(&format!("{absent}/release"), &json!({})).await.expect(404).code(), code);
    let hold = format!("/x/backups/{backup}/hold");
    app.post(&hold, &json!({"why": "x"})).await.expect(400);
    app.post(&hold, &json!({"note": "a\nb"})).await.expect(400);
    for bad in ["days=401", "days=x", "limit=101", "after=x"] {
        app.get(&format!("/x/vaults/{vault}/retention-preview?{bad}")).await.expect(400);
    }
}
