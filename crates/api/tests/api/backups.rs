//! The main job over HTTP: back up, look, restore, delete (contract C23 to C31, C51, C52).

use serde_json::{Value, json};

use cbr_api::Settings;

use crate::app::{App, VOLUMES};
use crate::client::{Call, send};

/// A vault with the app's first disk in it, backed up once: vault, restore point, backup.
async fn backed_up(app: &App) -> (String, Value, Value) {
    let vault = app.create_vault("vault-a").await;
    let body = json!({"resources": [{"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]});
    app.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
    let run = json!({"checkpoint": {"vault_id": vault, "parameters": {
        "name": "before-upgrade", "description": "d", "auto_trigger": false}}});
    let checkpoint = app.post("/checkpoints", &run).await.expect(200).body["checkpoint"].clone();
    app.settle().await;
    let listed = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
    assert_eq!(listed["count"], 1, "{listed}");
    (vault, checkpoint, listed["backups"][0].clone())
}

/// BAK-09, IAM-15: with nothing but the account itself, the whole job.
#[tokio::test]
async fn a_disk_is_backed_up_restored_and_its_backup_deleted() {
    let app = App::start().await;
    let before = app.content(0);
    let (vault, checkpoint, backup) = backed_up(&app).await;
    // E.4: read from the immediate answer.
    assert_eq!(checkpoint["extra_info"]["name"], "before-upgrade");
    assert_eq!(checkpoint["extra_info"]["description"], "d");
    assert_eq!(checkpoint["vault"]["resources"][0]["type"], "OS::Cinder::Volume");
    assert_eq!(checkpoint["vault"]["resources"][0]["resource_size"], "1");
    assert_eq!(checkpoint["vault"]["skipped_resources"], json!([]));

    assert_eq!(backup["status"], "available");
    assert!(backup["protected_at"].is_string());
    let id = backup["id"].as_str().unwrap();
    let point = checkpoint["id"].as_str().unwrap();
    let shown = app.get(&format!("/checkpoints/{point}")).await.expect(200).body;
    assert_eq!(shown["checkpoint"]["status"], "available");
    assert_eq!(shown["checkpoint"]["vault"]["resources"][0]["protect_status"], "available");

    app.damage(0);
    assert_ne!(app.content(0), before);
    let body = json!({"restore": {"volume_id": VOLUMES[0], "mappings": []}});
    let started = app.post(&format!("/backups/{id}/restore"), &body).await.expect(202).body;
    let job = started["job_id"].as_str().unwrap().to_owned();
    app.settle().await;
    let log = app.get(&format!("/operation-logs/{job}")).await.expect(200).body;
    assert_eq!(log["operation_log"]["status"], "success", "{log}");
    assert_eq!(log["operation_log"]["extra_info"]["common"]["progress"], 100);
    assert_eq!(log["operation_log"]["vault_id"], vault.as_str());
    assert!(app.content(0) == before, "the disk is what it was");

    let sizes = app.get(&format!("/x/backups/{id}/sizes")).await.expect(200).body;
    assert!(sizes["sizes"]["logical_bytes"].as_u64().unwrap() > 0, "{sizes}");
    // BAK-31: of a first backup all that was in use has changed. VLT-85: alone, it shares nothing.
    let sizes = &sizes["sizes"];
    assert_eq!(sizes["changed_bytes"], sizes["used_bytes"]);
    assert_eq!(sizes["unique_bytes"], sizes["deletion"]["stored_bytes"]);
    assert_eq!(sizes["unique_bytes"], sizes["stored_bytes"], "all of it would go");
    assert_eq!(sizes["shared_bytes"], 0);
    let asked = json!({"backup_ids": [id, id]});
    let what_if = app.post("/x/backups/what-if", &asked).await.expect(200).body;
    assert_eq!(what_if["what_if"]["freed_bytes"], sizes["unique_bytes"]);
    assert_eq!(what_if["what_if"]["logical_bytes"], sizes["logical_bytes"]);
    assert_eq!(what_if["what_if"]["backups"], json!([sizes]));
    let absent = json!({"backup_ids": ["5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01"]});
    let absent = app.post("/x/backups/what-if", &absent).await.expect(404);
    assert_eq!(absent.code(), "BackupService.6200");
    app.delete(&format!("/backups/{id}")).await.expect(204);
    app.settle().await;
    assert_eq!(app.get(&format!("/backups/{id}")).await.expect(404).code(), "BackupService.6200");
    // E.5 number 3: gone with its last backup.
    assert_eq!(
        app.get(&format!("/checkpoints/{point}")).await.expect(404).code(),
        "BackupService.6217"
    );
}

#[tokio::test]
async fn a_backup_is_renamed_and_its_tasks_are_listed() {
    let app = App::start().await;
    let (vault, checkpoint, backup) = backed_up(&app).await;
    let id = backup["id"].as_str().unwrap();
    let renamed = app.put(&format!("/backups/{id}"), &json!({"backup": {"name": "new"}})).await;
    assert_eq!(renamed.expect(200).body["backup"]["name"], "new");
    let bad = app.put(&format!("/backups/{id}"), &json!({"backup": {"name": "a b"}})).await;
    assert_eq!(bad.expect(400).code(), "BackupService.9900");

    let logs = app.get(&format!("/operation-logs?vault_id={vault}&operation_type=backup")).await;
    let logs = logs.expect(200).body;
    assert_eq!(logs["count"], 1, "{logs}");
    let log = &logs["operation_logs"][0];
    assert_eq!(log["checkpoint_id"], checkpoint["id"]);
    assert_eq!(log["extra_info"]["backup"]["backup_id"], id);
    assert!(log["extra_info"]["common"]["request_id"].as_str().unwrap().starts_with("req-"));
    assert_eq!(log["error_info"], json!({"code": "", "message": ""}));
    let none = app.get("/operation-logs?operation_type=restore").await.expect(200).body;
    assert_eq!(none["operation_logs"], json!([]));
    let absent = app.get("/operation-logs/5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01").await.expect(404);
    assert_eq!(absent.code(), "BackupService.6500");
}

#[tokio::test]
async fn a_finished_task_cannot_be_cancelled() {
    let app = App::start().await;
    backed_up(&app).await;
    let logs = app.get("/operation-logs").await.body;
    let task = logs["operation_logs"][0]["id"].as_str().unwrap();
    let refused = app.post(&format!("/x/operation-logs/{task}/cancel"), &json!({})).await;
    assert_eq!(refused.expect(409).code(), "CBRX.0003");
}

/// Contract C23: nothing to back up, absent vault.
#[tokio::test]
async fn a_run_over_nothing_is_refused() {
    let app = App::start().await;
    let vault = app.create_vault("empty").await;
    let run = |vault: &str| json!({"checkpoint": {"vault_id": vault}});
    let refused = app.post("/checkpoints", &run(&vault)).await.expect(400);
    assert_eq!(refused.code(), "BackupService.0001");
    let absent = app.post("/checkpoints", &run("my-vault")).await.expect(404);
    assert_eq!(absent.code(), "BackupService.6105");
}

/// Contract F.3, NEW-01, NEW-07, NEW-10: a disk made from a backup, in the zone of the source, is found in the list
/// and has its content.
#[tokio::test]
async fn disks_are_listed_created_from_a_backup_and_deleted() {
    let app = App::start().await;
    let (_, _, backup) = backed_up(&app).await;
    let path = |suffix: &str| format!("/v2/{}/cloudvolumes{suffix}", app.project());
    let source = path(&format!("/{}", VOLUMES[0]));
    let source = app.call("GET", &source, None).await.expect(200).body["volume"].clone();
    let zone = &source["availability_zone"];
    let body = json!({"volume": {"backup_id": backup["id"], "name": "copy", "count": 1,
        "availability_zone": zone}});
    let started = app.call("POST", &path(""), Some(&body)).await.expect(202).body;
    let (job, volume) =
        (started["job_id"].as_str().unwrap(), started["volume_ids"][0].as_str().unwrap());
    app.settle().await;
    let shown = app.call("GET", &format!("/v1/{}/jobs/{job}", app.project()), None).await;
    let shown = shown.expect(200).body;
    assert_eq!(shown["status"], "SUCCESS", "{shown}");
    assert_eq!(shown["entities"]["volume_id"], volume);
    let made = app.call("GET", &path(&format!("/{volume}")), None).await.expect(200).body;
    assert_eq!(made["volume"]["status"], "available");
    assert_eq!(made["volume"]["availability_zone"], *zone);
    let content = app.content(0);
    let copy = app.provider.part(volume.parse().unwrap(), 0, content.len());
    assert!(copy == content, "the copy differs");
    assert_eq!(made["volume"]["bootable"], "false");
    let listed = app.call("GET", &path("/detail?name=copy"), None).await.expect(200).body;
    assert_eq!(listed["count"], 1);
    assert!(listed.get("volumes_links").is_none());

    app.call("DELETE", &path(&format!("/{volume}")), None).await.expect(200);
    app.settle().await;
    let gone = app.call("GET", &path(&format!("/{volume}")), None).await.expect(404);
    assert_eq!(gone.code(), "BackupService.7000");
}

/// RGN-12, NEW-05: the new disk may be in another zone than the one that was backed up, or in the same; there is no disk
/// in a zone that there is not.
#[tokio::test]
async fn a_disk_is_made_in_the_same_zone_or_in_another() {
    let app = App::start().await;
    app.provider.add_pool("distant", "far-away");
    let (_, _, backup) = backed_up(&app).await;
    let path = |suffix: &str| format!("/v2/{}/cloudvolumes{suffix}", app.project());
    let wanted = |zone: &str| {
        json!({"volume": {"backup_id": backup["id"], "name": "copy", "count": 1,
            "availability_zone": zone}})
    };
    let source = app.content(0);
    for zone in ["local", "far-away"] {
        let started = app.call("POST", &path(""), Some(&wanted(zone))).await.expect(202).body;
        app.settle().await;
        let volume = started["volume_ids"][0].as_str().unwrap();
        let made = app.call("GET", &path(&format!("/{volume}")), None).await.expect(200).body;
        assert_eq!(made["volume"]["status"], "available");
        assert_eq!(made["volume"]["availability_zone"], zone);
        let copy = app.provider.part(volume.parse().unwrap(), 0, source.len());
        assert!(copy == source, "{zone}: the copy differs");
    }
    let nowhere = app.call("POST", &path(""), Some(&wanted("moon"))).await.expect(400);
    assert_eq!(nowhere.code(), "BackupService.9900");
}

/// VLT-85, P35: a list says what each backup costs and whether it is whole; in strict mode, by the
/// client's header or the operator's setting, there is nothing but the contract.
#[tokio::test]
async fn a_list_says_what_backups_cost_unless_it_is_strict() {
    let app = App::start().await;
    let (_, _, backup) = backed_up(&app).await;
    let id = backup["id"].as_str().unwrap().to_owned();
    // Not counted yet: what is not known is null, never old.
    assert!(backup["x-sizes"]["stored_bytes"].as_u64().unwrap() > 0, "{backup}");
    assert_eq!(backup["x-sizes"]["unique_bytes"], Value::Null);
    assert_eq!(app.count_sizes().await, 1);
    assert_eq!(app.count_sizes().await, 0, "only what is due is counted");
    let listed = app.get("/backups").await.expect(200).body;
    let sizes = &listed["backups"][0]["x-sizes"];
    let exact = app.get(&format!("/x/backups/{id}/sizes")).await.expect(200).body;
    for name in ["disk", "used", "logical", "changed", "stored", "unique", "shared"]
        .map(|it| it.to_owned() + "_bytes")
    {
        assert_eq!(sizes[&name], exact["sizes"][&name], "{name}");
    }
    let unknown =
        json!({"state": "unknown", "level": null, "verified_at": null, "affected_ranges": 0});
    assert_eq!(listed["backups"][0]["x-integrity"], unknown);
    app.post(&format!("/x/backups/{id}/verify"), &json!({})).await.expect(202);
    app.settle().await;
    let shown = app.get(&format!("/backups/{id}")).await.expect(200).body;
    let known = &shown["backup"]["x-integrity"];
    assert_eq!((&known["state"], &known["level"]), (&json!("ok"), &json!("full")), "{shown}");
    assert!(known["verified_at"].is_string());
    assert_eq!(shown["backup"]["x-sizes"], *sizes);

    for path in ["/backups".to_owned(), format!("/backups/{id}")] {
        let uri = format!("/v3/{}{path}", app.project());
        let call = Call::new("GET", uri).token(app.token()).header("X-Cbr-Compatibility", "strict");
        let strict = send(&app.router, call.build()).await.expect(200);
        assert_eq!(extensions(&strict.body), 0, "{}", strict.body);
        assert!(extensions(&app.get(&path).await.body) >= 2);
    }
}

/// The operator's setting hides operations too.
#[tokio::test]
async fn a_strict_service_has_no_extensions() {
    let app = App::start_with(Settings { is_strict: true, ..Settings::default() }).await;
    let (_, _, backup) = backed_up(&app).await;
    assert_eq!(extensions(&backup), 0, "{backup}");
    let id = backup["id"].as_str().unwrap();
    let gone = app.get(&format!("/x/backups/{id}/sizes")).await.expect(404);
    assert_eq!(gone.code(), "APIG.0101");
}

/// How many fields, at any depth, the contract does not have.
fn extensions(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| usize::from(name.starts_with("x-")) + extensions(value))
            .sum(),
        Value::Array(items) => items.iter().map(extensions).sum(),
        _ => 0,
    }
}
