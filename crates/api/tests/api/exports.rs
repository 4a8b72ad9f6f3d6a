//! Backups given out as disks, over HTTP (extension).

use serde_json::json;

use crate::app::{App, VOLUMES};

#[tokio::test]
async fn a_backup_is_exported_listed_and_kept_until_the_export_ends() {
    let app = App::start().await;
    let vault = app.create_vault("vault-a").await;
    let body = json!({"resources": [{"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]});
    app.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
    let run = json!({"checkpoint": {"vault_id": vault, "parameters": {"name": "b"}}});
    app.post("/checkpoints", &run).await.expect(200);
    app.settle().await;
    let backups = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
    let backup = backups["backups"][0]["id"].as_str().unwrap().to_owned();

    let exports = format!("/x/backups/{backup}/exports");
    let unknown = app.post(&exports, &json!({"export": {"writeable": true}})).await;
    assert_eq!(unknown.expect(400).code(), "BackupService.9900", "a misspelt key");
    let made = app.post(&exports, &json!({"export": {}})).await.expect(201).body;
    let export = &made["export"];
    assert_eq!((&export["status"], &export["writable"]), (&json!("open"), &json!(false)));
    let socket = export["socket"].as_str().unwrap();
    assert_eq!(export["uri"], format!("nbd+unix:///?socket={socket}"));
    for path in [exports.as_str(), "/x/exports"] {
        let listed = app.get(path).await.expect(200).body;
        assert_eq!((&listed["count"], &listed["exports"][0]), (&json!(1), export));
    }
    let kept = app.delete(&format!("/backups/{backup}")).await;
    assert_eq!(kept.expect(409).code(), "CBRX.0013");

    let id = export["id"].as_str().unwrap();
    app.delete(&format!("{exports}/{id}")).await.expect(204);
    let gone = app.delete(&format!("{exports}/{id}")).await;
    assert_eq!(gone.expect(404).code(), "CBRX.0012");
    app.delete(&format!("/backups/{backup}")).await.expect(204);
}
