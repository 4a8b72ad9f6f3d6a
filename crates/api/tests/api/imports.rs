//! Backups that lie in buckets as images (contract C26, C33).

use serde_json::{Value, json};

use crate::app::{App, BUCKET};
use crate::client::{Call, send};

const BACKUP: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
const RESOURCE: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a02";

fn one() -> Value {
    json!({"backup_id": BACKUP, "backup_name": "from-afar", "bucket_name": BUCKET,
        "created_at": 1_500_000_000, "image_path": "vm/disk.raw", "resource_id": RESOURCE,
        "resource_name": "vm", "resource_type": "OS::Native::Server"})
}

fn import(items: &[Value]) -> Value {
    json!({ "sync": items })
}

fn sync(vault: &str) -> Value {
    json!({"sync": {"vault_id": vault, "auto_trigger": false}})
}

impl App {
    fn put_image(&self) {
        std::fs::create_dir_all(self.bucket.join("vm")).unwrap();
        std::fs::write(self.bucket.join("vm/disk.raw"), vec![7; 100_000]).unwrap();
    }
}

/// Contract C33, C28, B.5, B.6, B.7.
#[tokio::test]
async fn an_image_is_taken_in_as_a_backup() {
    let app = App::start().await;
    let vault = app.create_file_vault("files").await;
    app.put_image();
    let begun = app.post("/backups/sync", &import(&[one()])).await.expect(200).body;
    assert_eq!(begun["sync"][0]["backup_id"], BACKUP);
    let log = begun["sync"][0]["operation_log_id"].as_str().unwrap();
    app.settle().await;
    let log = app.get(&format!("/operation-logs/{log}")).await.expect(200).body;
    let log = &log["operation_log"];
    assert_eq!((&log["status"], &log["operation_type"]), (&json!("success"), &json!("sync")));
    assert_eq!(log["vault_id"], vault);
    let counts = json!({"sync_backup_num": 1, "err_sync_backup_num": 0, "delete_backup_num": 0});
    assert_eq!(log["extra_info"]["sync"], counts);
    assert_eq!(log["extra_info"]["backup"]["backup_id"], BACKUP);
    assert_eq!(log["extra_info"]["resource"]["type"], "OS::Native::Server");

    let backup = app.get(&format!("/backups/{BACKUP}")).await.expect(200).body["backup"].clone();
    for (field, value) in [
        ("status", "available"),
        ("name", "from-afar"),
        ("resource_type", "OS::Native::Server"),
        ("resource_id", RESOURCE),
        ("resource_name", "vm"),
        ("vault_id", &vault),
        ("created_at", "2017-07-14T02:40:00.000000"),
        ("provider_id", "a13639de-00be-4e94-af30-26912d75e4a2"),
    ] {
        assert_eq!(backup[field], value, "{field}");
    }
    let listed = app.get("/backups?resource_type=OS::Native::Server").await.expect(200).body;
    assert_eq!(listed["count"], 1);
    let again = app.post("/backups/sync", &import(&[one()])).await.expect(200).body;
    assert_eq!(again["sync"][0]["backup_id"], BACKUP);

    let restore = json!({"restore": {"resource_id": RESOURCE}});
    let refused = app.post(&format!("/backups/{BACKUP}/restore"), &restore).await.expect(400);
    assert!(refused.body["error_msg"].as_str().unwrap().contains("cbr backup export"));
    app.delete(&format!("/backups/{BACKUP}")).await.expect(204);
    app.settle().await;
    app.get(&format!("/backups/{BACKUP}")).await.expect(404);
}

/// Contract C33: every refusal has its code.
#[tokio::test]
async fn what_cannot_be_taken_in_is_refused() {
    let app = App::start().await;
    app.put_image();
    let refused = app.post("/backups/sync", &import(&[one()])).await.expect(404);
    assert_eq!(refused.code(), "BackupService.6105", "there is no vault for it");
    app.create_file_vault("files").await;
    for (field, value) in [
        ("backup_id", json!("x")),
        ("backup_name", json!("a b")),
        ("bucket_name", json!("")),
        ("bucket_name", json!("elsewhere")),
        ("image_path", json!("../disk.raw")),
        ("image_path", json!("/etc/passwd")),
        ("image_path", json!("vm/none.raw")),
        ("resource_id", json!("x")),
        ("resource_name", json!("")),
        ("resource_type", json!("OS::Nova::Server")),
        ("created_at", json!(-1)),
        ("created_at", json!(9_000_000_000_i64)),
        ("created_at", json!("yesterday")),
    ] {
        let mut bad = one();
        bad[field] = value;
        let refused = app.post("/backups/sync", &import(&[bad])).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{field}: {}", refused.body);
    }
    for count in [0, 51] {
        let refused = app.post("/backups/sync", &import(&vec![one(); count])).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{count} backups");
    }
    // An id that a backup of any project has is nobody else's.
    let (_, ordinary) = app.back_up_disk("disks").await;
    let mut taken = one();
    taken["backup_id"] = ordinary["id"].clone();
    let refused = app.post("/backups/sync", &import(&[taken])).await.expect(400);
    assert_eq!(refused.code(), "BackupService.9900");
    std::fs::remove_dir_all(&app.bucket).unwrap();
    let refused = app.post("/backups/sync", &import(&[one()])).await.expect(503);
    assert_eq!(refused.code(), "CBRX.0001");
}

/// A bucket that is another project's is one that does not exist.
#[tokio::test]
async fn a_bucket_of_another_project_does_not_exist() {
    let app = App::start().await;
    app.put_image();
    let (token, project) = app.stranger().await;
    let ask = async |path: &str, body: &Value| {
        let uri = format!("/v3/{project}{path}");
        send(&app.router, Call::new("POST", uri).token(&token).json(body).build()).await
    };
    let body = json!({"vault": {"name": "files", "resources": [], "billing": {
        "consistent_level": "crash_consistent", "object_type": "file",
        "protect_type": "backup", "size": 1024}}});
    let made = ask("/vaults", &body).await.expect(200);
    let vault = made.body["vault"]["id"].as_str().unwrap().to_owned();
    let refused = ask("/backups/sync", &import(&[one()])).await.expect(400);
    let mut other = one();
    other["bucket_name"] = json!("nobodys");
    let absent = ask("/backups/sync", &import(&[other])).await.expect(400);
    let text =
        |answer: &crate::client::Answer| answer.body["error_msg"].as_str().unwrap().to_owned();
    assert_eq!(text(&refused).replace(BUCKET, "nobodys"), text(&absent));
    let refused = ask("/checkpoints/sync", &sync(&vault)).await.expect(400);
    assert_eq!(refused.code(), "BackupService.7300", "it has no bucket");
}

/// Contract C26: everything that a sidecar describes, once.
#[tokio::test]
async fn a_vault_is_synchronised_with_the_buckets() {
    let app = App::start().await;
    let disks = app.create_vault("disks").await;
    let refused = app.post("/checkpoints/sync", &sync(&disks)).await.expect(400);
    assert_eq!(refused.code(), "BackupService.7300");
    let absent = app.post("/checkpoints/sync", &sync(BACKUP)).await.expect(404);
    assert_eq!(absent.code(), "BackupService.6105");
    let vault = app.create_file_vault("files").await;
    let incomplete = app.post("/checkpoints/sync", &json!({"sync": {"vault_id": vault}})).await;
    assert_eq!(incomplete.expect(400).code(), "BackupService.9900");

    app.put_image();
    std::fs::write(app.bucket.join("vm/disk.raw.cbr.json"), one().to_string()).unwrap();
    let begun = app.post("/checkpoints/sync", &sync(&vault)).await.expect(200).body;
    assert_eq!(begun["sync"]["vault_id"], vault);
    let busy = app.post("/checkpoints/sync", &sync(&vault)).await.expect(400);
    assert_eq!(busy.code(), "BackupService.7302");
    // It waits for the import that it began.
    for _ in 0..3 {
        app.settle().await;
        app.clock.advance(std::time::Duration::from_secs(2));
    }
    let log = begun["sync"]["operation_log_id"].as_str().unwrap();
    let log = app.get(&format!("/operation-logs/{log}")).await.expect(200).body;
    let log = &log["operation_log"];
    assert_eq!((&log["status"], &log["operation_type"]), (&json!("success"), &json!("sync")));
    assert_eq!(log["extra_info"]["sync"]["sync_backup_num"], 1);
    let backup = app.get(&format!("/backups/{BACKUP}")).await.expect(200).body;
    assert_eq!(backup["backup"]["status"], "available");
}
