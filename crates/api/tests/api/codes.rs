//! Refusals that depend on the state of things: each code of contract D that a state can produce.

use std::time::Duration;

use axum::body::Body;
use cbr_api::Settings;
use cbr_model::ResourceId;
use cbr_model::vault::VaultStatus;
use cbr_provider::ServerStatus;
use cbr_provider::fake::{Fault, Operation};
use serde_json::{Value, json};

use crate::app::{App, VOLUMES, vault_body};
use crate::client::{Answer, Call, send};
use crate::people::{Office, PASSWORD};
use crate::things::{DATA_DISK, SERVER, SYSTEM_DISK};

const ABSENT: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) {
    let answer = answer.expect(status);
    assert_eq!(answer.code(), code, "{}", answer.body);
}

/// A run that begins and does not go on until the app settles.
async fn begin(app: &App, vault: &str) {
    app.post("/checkpoints", &json!({"checkpoint": {"vault_id": vault}})).await.expect(200);
}

async fn freeze(app: &App, vault: &str) {
    let scene = json!({"scene": "ARREAR"});
    app.post(&format!("/x/vaults/{vault}/freeze"), &scene).await.expect(200);
}

fn to_disk(volume: &str) -> Value {
    json!({"restore": {"volume_id": volume}})
}

/// Y.2, RST-08, contract D 2002, 2005, 2010, 6216, 6702, CBRX.0010: what runs is in nobody's way.
#[tokio::test]
async fn what_is_at_work_is_not_disturbed() {
    let app = App::start().await;
    let (vault, backup) = app.back_up_disk("v").await;
    let path = format!("/backups/{}", text(&backup["id"]));
    let restore = format!("{path}/restore");
    begin(&app, &vault).await;
    refused(app.post(&restore, &to_disk(VOLUMES[0])).await, 400, "BackupService.2002");
    let listed = app.get(&format!("/backups?vault_id={vault}&status=protecting")).await.body;
    let running = format!("/backups/{}", text(&listed["backups"][0]["id"]));
    let (_, friend) = app.stranger().await;
    let share = app.post(&format!("{running}/members"), &json!({"members": [friend]})).await;
    refused(share, 400, "BackupService.6702");
    let export = format!("/x{running}/exports");
    refused(app.post(&export, &json!({"export": {}})).await, 400, "CBRX.0010");
    app.settle().await;

    app.post(&restore, &to_disk(VOLUMES[0])).await.expect(202);
    refused(app.post(&restore, &to_disk(VOLUMES[0])).await, 400, "BackupService.2010");
    refused(app.delete(&path).await, 400, "BackupService.6216");
    app.settle().await;
    app.delete(&path).await.expect(204);
    refused(app.post(&restore, &to_disk(VOLUMES[0])).await, 400, "BackupService.2005");
}

/// TSK-04: a task that has not begun is called off, and what it would have made is not there.
#[tokio::test]
async fn a_backup_that_has_not_begun_is_called_off() {
    let app = App::start().await;
    let (vault, _) = app.back_up_disk("v").await;
    begin(&app, &vault).await;
    let log = app.get("/operation-logs?operation_type=backup&status=waiting").await.body;
    let log = text(&log["operation_logs"][0]["id"]).to_owned();
    app.post(&format!("/x/operation-logs/{log}/cancel"), &json!({})).await.expect(200);
    app.settle().await;
    let ended = app.get(&format!("/operation-logs/{log}")).await.expect(200).body;
    assert_eq!(ended["operation_log"]["status"], "failed", "{ended}");
    refused(
        app.post(&format!("/x/operation-logs/{log}/cancel"), &json!({})).await,
        409,
        "CBRX.0003",
    );
}

/// VLT-54, Y.1, contract D 6113, 6202, 6712: a frozen vault takes no backup and gives none.
#[tokio::test]
async fn a_frozen_vault_neither_backs_up_nor_restores_nor_shares() {
    let app = App::start().await;
    let (vault, backup) = app.back_up_disk("v").await;
    freeze(&app, &vault).await;
    let run = json!({"checkpoint": {"vault_id": vault}});
    refused(app.post("/checkpoints", &run).await, 400, "BackupService.6113");
    let path = format!("/backups/{}", text(&backup["id"]));
    let restore = app.post(&format!("{path}/restore"), &to_disk(VOLUMES[0])).await;
    refused(restore, 400, "BackupService.6202");
    let (_, friend) = app.stranger().await;
    let share = app.post(&format!("{path}/members"), &json!({"members": [friend]})).await;
    refused(share, 400, "BackupService.6712");
}

/// VLT-41, contract D 6114: one backup more than fits, and then none.
#[tokio::test]
async fn a_full_vault_takes_no_further_backup() {
    let app = App::start().await;
    let (vault, backup) = app.back_up_disk("v").await;
    app.fill_vault_with(text(&backup["id"])).await;
    let run = json!({"checkpoint": {"vault_id": vault}});
    refused(app.post("/checkpoints", &run).await, 400, "BackupService.6114");
}

/// RST-02, RST-05, RST-10, RST-14, contract D 2001, 2008, 2011, 2013: where a backup does not go.
#[tokio::test]
async fn what_a_target_must_be() {
    let app = App::start().await;
    let (_, backup) = app.back_up_disk("v").await;
    let disk = format!("/backups/{}/restore", text(&backup["id"]));
    app.provider.add_server(id(ABSENT), "user", vec![id(VOLUMES[0])]);
    refused(app.post(&disk, &to_disk(VOLUMES[0])).await, 400, "BackupService.2011");
    app.provider.remove(id(ABSENT));
    app.provider.remove(id(VOLUMES[0]));
    app.provider.add_volume(id(VOLUMES[0]), "shrunk", 1 << 20);
    refused(app.post(&disk, &to_disk(VOLUMES[0])).await, 400, "BackupService.2001");

    let (_, backup) = app.back_up_server("servers").await;
    let server = format!("/backups/{}/restore", text(&backup["id"]));
    let child = |disk: &str| {
        let children = backup["children"].as_array().unwrap();
        let found = children.iter().find(|child| child["resource_id"] == disk).expect("a child");
        text(&found["id"]).to_owned()
    };
    let mapped = json!({"restore": {"server_id": SERVER, "mappings": [
        {"backup_id": child(DATA_DISK), "volume_id": SYSTEM_DISK},
        {"backup_id": child(SYSTEM_DISK), "volume_id": DATA_DISK}]}});
    refused(app.post(&server, &mapped).await, 400, "BackupService.2013");
    let whole = json!({"restore": {"server_id": SERVER}});
    app.provider.set_server_status(id(SERVER), ServerStatus::Fault { why: "broken".into() });
    refused(app.post(&server, &whole).await, 400, "BackupService.2008");
}

/// RES-03, RES-05, contract D 6100, 6116, 6215, 7108: what a vault does not take.
#[tokio::test]
async fn what_a_vault_does_not_take() {
    let app = App::start().await;
    let mut turbo = vault_body("files");
    turbo["vault"]["billing"]["object_type"] = json!("turbo");
    turbo["vault"]["billing"]["protect_type"] = json!("replication");
    refused(app.post("/vaults", &turbo).await, 400, "BackupService.6116");

    let vault = app.create_vault("v").await;
    let bind = |id: &str| json!({"resources": [{"id": id, "type": "OS::Cinder::Volume"}]});
    app.provider.add_volume(id(ABSENT), "broken", 0);
    let path = format!("/vaults/{vault}/addresources");
    refused(app.post(&path, &bind(ABSENT)).await, 400, "BackupService.6215");

    let servers = app.create_server_vault("servers").await;
    app.provider.add_server(id(SERVER), "bare", vec![]);
    let bare = json!({"resources": [{"id": SERVER, "type": "OS::Nova::Server"}]});
    let path = format!("/vaults/{servers}/addresources");
    refused(app.post(&path, &bare).await, 400, "BackupService.7108");

    let many: Vec<Value> = (0..257)
        .map(|i| {
            let disk = format!("5b0c7f6e-0d0f-4c3a-9d5e-1000{i:08x}");
            app.provider.add_volume(id(&disk), "one", 1 << 20);
            json!({"id": disk, "type": "OS::Cinder::Volume"})
        })
        .collect();
    let mut large = vault_body("large");
    large["vault"]["billing"]["size"] = json!(10_000);
    let large = app.post("/vaults", &large).await.expect(200).body;
    let path = format!("/vaults/{}/addresources", text(&large["vault"]["id"]));
    app.post(&path, &json!({"resources": many[..256]})).await.expect(200);
    refused(app.post(&path, &json!({"resources": many[256..]})).await, 400, "BackupService.6100");
}

/// BAK-72, VLT-57, contract D 6220: who holds automatic backups holds them against everybody.
#[tokio::test]
async fn an_automatic_backup_in_a_locked_vault_stays() {
    let app = App::start().await;
    let mut body = vault_body("worm");
    body["vault"]["locked"] = json!(true);
    body["vault"]["resources"] = json!([{"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]);
    let made = app.post("/vaults", &body).await.expect(200).body;
    let vault = text(&made["vault"]["id"]).to_owned();
    let run = json!({"checkpoint": {"vault_id": vault, "parameters": {"auto_trigger": true}}});
    app.post("/checkpoints", &run).await.expect(200);
    app.settle().await;
    let listed = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
    let path = format!("/backups/{}", text(&listed["backups"][0]["id"]));
    refused(app.delete(&path).await, 400, "BackupService.6220");
    app.get(&path).await.expect(200);
}

/// SHR-13, contract D 6707: one disk of a server's backup is not shared by itself.
#[tokio::test]
async fn a_disk_of_a_servers_backup_is_not_shared() {
    let app = App::start().await;
    let (_, backup) = app.back_up_server("servers").await;
    let (_, friend) = app.stranger().await;
    let path = format!("/backups/{}/members", text(&backup["children"][0]["id"]));
    refused(app.post(&path, &json!({"members": [friend]})).await, 400, "BackupService.6707");
}

/// Contract F.3: a disk in use is not deleted, one smaller than the backup is not made, and a body that says
/// nothing makes none.
#[tokio::test]
async fn disks_are_made_and_deleted_only_where_that_loses_nothing() {
    let app = App::start().await;
    app.add_server();
    let v2 = format!("/v2/{}/cloudvolumes", app.project());
    let at = |disk: &str| format!("{v2}/{disk}");
    refused(app.call("DELETE", &at(DATA_DISK), None).await, 409, "CBRX.0002");
    refused(app.call("DELETE", &at(ABSENT), None).await, 404, "BackupService.7000");
    let made = json!({"volume": {"name": "new", "size": 1, "count": 1}});
    for version in ["v2", "v2.1"] {
        let path = format!("/{version}/{}/cloudvolumes", app.project());
        app.call("POST", &path, Some(&made)).await.expect(202);
        refused(app.call("POST", &path, Some(&json!({}))).await, 400, "BackupService.9900");
    }
}

/// Contract D CBRX.0001: where the disks live does not answer, and what it said is not told.
#[tokio::test]
async fn a_provider_that_does_not_answer_is_told() {
    let app = App::start().await;
    app.provider.fail(Operation::Inventory, 1, Fault::Unavailable);
    refused(app.get("/protectables/disk/instances").await, 503, "CBRX.0001");
    app.get("/protectables/disk/instances").await.expect(200);
}

/// Contract D CBRX.0011, CBRX.0021: as many exports as the machine gives; a vault that is gone takes nothing back.
#[tokio::test]
async fn what_a_backup_goes_out_and_comes_back_to() {
    let app = App::start().await;
    let (vault, backup) = app.back_up_disk("v").await;
    let backup = text(&backup["id"]).to_owned();
    let exports = format!("/x/backups/{backup}/exports");
    let mut made = Vec::new();
    let last = loop {
        let answer = app.post(&exports, &json!({"export": {}})).await;
        if answer.status != 201 {
            break answer;
        }
        made.push(text(&answer.body["export"]["id"]).to_owned());
        assert!(made.len() < 1000, "there is a limit");
    };
    refused(last, 409, "CBRX.0011");
    for export in made {
        app.delete(&format!("{exports}/{export}")).await.expect(204);
    }
    let integrity = app.get(&format!("/x/backups/{backup}/integrity")).await.expect(200).body;
    assert_eq!(integrity["integrity"]["backup_id"], backup.as_str());
    app.delete(&format!("/vaults/{vault}")).await.expect(204);
    app.settle().await;
    let back = app.post(&format!("/x/trash/{backup}/undelete"), &json!({})).await;
    refused(back, 409, "CBRX.0021");
}

/// VLT-52, contract D 6123: while another change of the vault is under way, an order waits.
#[tokio::test]
async fn an_order_waits_for_the_change_before_it() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    app.set_vault_status(&vault, VaultStatus::Lock).await;
    let order = json!({"vault_ids": [vault], "charging_mode": "pre_paid", "period_type": "month",
        "period_num": 1, "is_auto_renew": false, "is_auto_pay": true});
    refused(app.post("/vaults/change-charge-mode", &order).await, 400, "BackupService.6123");
}

/// Contract A.5: a body that does not come is not waited for.
#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let slow = Settings { body_timeout: Duration::ZERO, ..Settings::default() };
    let app = App::start_with(slow).await;
    let path = format!("/v3/{}/vaults", app.project());
    let stream = Body::from_stream(futures::stream::pending::<std::io::Result<Vec<u8>>>());
    let request = axum::http::Request::builder().method("POST").uri(path);
    let request = request.header("x-auth-token", app.token()).body(stream).unwrap();
    refused(send(&app.router, request).await, 408, "APIG.0202");
}

/// P27, contract D APIG.0308: a flood of passwords does not take the machine; who comes too much is told to come
/// back.
#[tokio::test]
async fn a_flood_of_passwords_is_told_to_come_back() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let flood = (0..40).map(|i| {
        let body = json!({"user": {"name": format!("user-{i}"), "password": PASSWORD}});
        let call = Call::new("POST", "/v3.0/OS-USER/users").token(&office.token).json(&body);
        let (router, call) = (app.router.clone(), call.build());
        tokio::spawn(async move { send(&router, call).await })
    });
    let mut seen = std::collections::BTreeSet::new();
    for answer in flood.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        seen.insert((answer.status.as_u16(), answer.code().to_owned()));
    }
    let wanted = [(201, String::new()), (429, "APIG.0308".to_owned())];
    assert_eq!(seen, wanted.into());
}
