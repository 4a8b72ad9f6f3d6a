//! Deleted backups over HTTP: listed, taken back, given up (extension).

use serde_json::{Value, json};

use crate::app::{App, VOLUMES};

/// VLT-85: deleted, gone for the contract's operations, in the trash, and back with the same facts.
#[tokio::test]
async fn a_deleted_backup_is_listed_taken_back_and_purged() {
    let app = App::start().await;
    let vault = app.create_vault("vault-a").await;
    let body = json!({"resources": [{"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]});
    app.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
    let run = json!({"checkpoint": {"vault_id": vault, "parameters": {"name": "b"}}});
    app.post("/checkpoints", &run).await.expect(200);
    app.settle().await;
    let backups = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
    let before = backups["backups"][0].clone();
    let backup = before["id"].as_str().unwrap().to_owned();
    let asked = json!({"backup_ids": [backup]});
    let what_if = app.post("/x/backups/what-if", &asked).await.expect(200).body;
    assert_eq!(what_if["what_if"]["undo_days"], 3);
    let none = app.post(&format!("/x/trash/{backup}/undelete"), &json!({})).await;
    assert_eq!(none.expect(404).code(), "CBRX.0020", "it is not deleted");

    app.delete(&format!("/backups/{backup}")).await.expect(204);
    app.settle().await;
    app.get(&format!("/backups/{backup}")).await.expect(404);
    let trash = app.get("/x/trash").await.expect(200).body;
    assert_eq!((&trash["count"], &trash["undo_days"]), (&json!(1), &json!(3)));
    let facts = |backup: &Value| {
        ["id", "name", "checkpoint_id", "vault_id", "created_at", "incremental"]
            .map(|key| backup[key].clone())
    };
    assert_eq!(facts(&trash["trash"][0]["backup"]), facts(&before));
    let (deleted, until) = (&trash["trash"][0]["deleted_at"], &trash["trash"][0]["purged_from"]);
    assert!(deleted.as_str().unwrap() < until.as_str().unwrap(), "{deleted} {until}");

    let path = format!("/x/trash/{backup}/undelete");
    let misspelt = app.post(&path, &json!({"vault": vault})).await;
    assert_eq!(misspelt.expect(400).code(), "BackupService.9900");
    let nowhere = app.post(&path, &json!({"vault_id": backup})).await;
    nowhere.expect(404);
    let started = app.post(&path, &json!({})).await.expect(202).body;
    app.settle().await;
    let task = started["job_id"].as_str().unwrap();
    let log = app.get(&format!("/operation-logs/{task}")).await.expect(200).body;
    assert_eq!(log["operation_log"]["operation_type"], "undelete");
    let after = app.get(&format!("/backups/{backup}")).await.expect(200).body;
    assert_eq!(facts(&after["backup"]), facts(&before));

    app.delete(&format!("/backups/{backup}")).await.expect(204);
    app.settle().await;
    app.delete(&format!("/x/trash/{backup}")).await.expect(202);
    app.settle().await;
    assert_eq!(app.get("/x/trash").await.expect(200).body["count"], 0);
    let gone = app.post(&path, &json!({})).await;
    assert_eq!(gone.expect(404).code(), "CBRX.0020");
}
