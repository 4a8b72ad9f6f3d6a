//! Disks that their owners encrypt: shown as such, kept as such, and shared with nobody.

use serde_json::{Value, json};

use crate::app::{App, VOLUMES};
use crate::things::{DATA_DISK, SYSTEM_DISK};

/// What a container of LUKS begins with.
const LUKS: &[u8] = b"LUKS\xba\xbe\x00\x02";

fn encrypted(backup: &Value) -> bool {
    backup["extend_info"]["encrypted"].as_bool().unwrap()
}

/// BAK-17, PRD-21: who chooses sees which disks are encrypted; a backup of one says so for good, whatever its
/// disk becomes; so is the disk that is made of it; and nothing of that can be changed by hand.
#[tokio::test]
async fn what_is_encrypted_stays_encrypted() {
    let app = App::start().await;
    let id = VOLUMES[0].parse().unwrap();
    app.provider.write(id, 0, LUKS);
    let listed = app.get("/protectables/disk/instances").await.expect(200).body;
    let told: Vec<_> = listed["instances"].as_array().unwrap().iter().collect();
    assert_eq!(told.iter().map(|it| &it["detail"]["encrypted"]).collect::<Vec<_>>(), [true, false]);

    let (_, backup) = app.back_up_disk("v").await;
    assert!(encrypted(&backup));
    let path = format!("/backups/{}", backup["id"].as_str().unwrap());
    app.provider.write(id, 0, &[0; 8]);
    let open = json!({"backup": {"name": "open", "encrypted": false,
        "extend_info": {"encrypted": false}}});
    app.put(&path, &open).await.expect(200);
    let shown = app.get(&path).await.expect(200).body;
    assert!(encrypted(&shown["backup"]));
    let described = app.get(&format!("{path}/metadata")).await.expect(200).body;
    let volume: Value =
        serde_json::from_str(described["volumes"][0].as_str().unwrap()).expect("a document");
    assert_eq!(volume["encrypted"], true);

    let wanted = json!({"volume": {"name": "copy", "backup_id": backup["id"], "count": 1}});
    let volumes = format!("/v2/{}/cloudvolumes", app.project());
    let made = app.call("POST", &volumes, Some(&wanted)).await.expect(202).body;
    app.settle().await;
    let job = format!("/v1/{}/jobs/{}", app.project(), made["job_id"].as_str().unwrap());
    let job = app.call("GET", &job, None).await.expect(200).body;
    let copy = job["entities"]["volume_id"].as_str().unwrap();
    let copy = app.call("GET", &format!("{volumes}/{copy}"), None).await.expect(200).body;
    assert_eq!(copy["volume"]["encrypted"], true);
}

/// SHR-03, contract D 6709: not shared, a server with one such disk neither; without that disk it is.
#[tokio::test]
async fn backups_of_encrypted_disks_are_not_shared() {
    let app = App::start().await;
    app.provider.write(VOLUMES[0].parse().unwrap(), 0, LUKS);
    let (_, friend) = app.stranger().await;
    let share = async |backup: &Value| {
        let path = format!("/backups/{}/members", backup["id"].as_str().unwrap());
        app.post(&path, &json!({"members": [friend]})).await
    };
    let (_, disk) = app.back_up_disk("disks").await;
    assert_eq!(share(&disk).await.expect(400).code(), "BackupService.6709");
    let (vault, open) = app.back_up_server("servers").await;
    assert!(!encrypted(&open));
    share(&open).await.expect(200);

    app.provider.write(DATA_DISK.parse().unwrap(), 0, LUKS);
    let server = app.back_up(&vault).await;
    let of_disk = |disk: &str| {
        let children = server["children"].as_array().unwrap();
        encrypted(children.iter().find(|child| child["resource_id"] == disk).expect("a child"))
    };
    assert_eq!((encrypted(&server), of_disk(DATA_DISK), of_disk(SYSTEM_DISK)), (true, true, false));
    assert_eq!(share(&server).await.expect(400).code(), "BackupService.6709");
    let id = server["id"].as_str().unwrap();
    // Deleted and taken back it is what it was.
    app.delete(&format!("/backups/{id}")).await.expect(204);
    app.settle().await;
    app.post(&format!("/x/trash/{id}/undelete"), &json!({})).await.expect(202);
    app.settle().await;
    let back = app.get(&format!("/backups/{id}")).await.expect(200).body;
    assert!(encrypted(&back["backup"]));
}
