//! Every operation that names a backup or a vault × one that is not simply one's own and good: shared with us,
//! deleted, locked (reliability 10.2). Made from the table of operations.

use cbr_api::OPERATIONS;
use cbr_api::operation::{Admission, Operation};
use serde_json::{Value, json};

use crate::app::{App, VOLUMES, vault_body};
use crate::client::{Answer, Call, send};
use crate::foreign::{absent, body, filled, parameters};
use crate::people::id_of;

/// What the recipient of an accepted backup may ask of it (SHR-08, SHR-09, contract C.0).
const OF_ACCEPTED: [&str; 4] =
    ["ShowBackup", "ShowMetadata", "RestoreBackup", "CreateBackupExport"];
/// Operations on offers, which `members` tests: they are for both sides.
const OF_OFFERS: [&str; 5] =
    ["AddMember", "ShowMembersDetail", "ShowMemberDetail", "UpdateMemberStatus", "DeleteMember"];
/// Operations on deleted backups (VLT-85).
const OF_DELETED: [&str; 2] = ["UndeleteBackup", "PurgeBackup"];

/// Who asks, in which project.
struct Asker<'a> {
    app: &'a App,
    token: String,
    project: String,
}

impl Asker<'_> {
    async fn ask(&self, operation: &Operation, id: &dyn Fn(&str) -> String) -> Answer {
        self.ask_with(operation, id, &body(operation)).await
    }

    async fn ask_with(
        &self,
        operation: &Operation,
        id: &dyn Fn(&str) -> String,
        body: &Value,
    ) -> Answer {
        let path = filled(operation.path, &self.project, id);
        let mut call = Call::new(operation.verb.as_str(), path).token(&self.token);
        if operation.is_mutating() && operation.verb.as_str() != "DELETE" {
            call = call.json(body);
        }
        send(&self.app.router, call.build()).await
    }
}

/// The operations of projects whose path names this, and nothing that only comes with it.
fn naming(parameter: &'static str) -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(move |operation| {
        operation.admission == Admission::Project && parameters(operation.path).contains(&parameter)
    })
}

/// Both answers are the same, but for the id.
fn assert_alike(name: &str, of: &Answer, none: &Answer, id: &str) {
    assert_eq!(of.status, none.status, "{name}: {} but {}", of.body, none.body);
    let said = of.body.to_string().replace(id, &absent(id));
    assert_eq!(said, none.body.to_string(), "{name}");
    assert!(!of.status.is_success(), "{name}: {}", of.body);
}

/// What its owner sees of its things.
async fn state(app: &App) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in ["/vaults", "/backups", "/x/exports", "/x/trash", "/operation-logs"] {
        seen.push(app.get(path).await.expect(200).body);
    }
    seen
}

/// P26, SHR-08: a backup that was offered looks like none until it is accepted; then it can be looked at and used,
/// and nothing else. Nothing of it changes for its owner.
#[tokio::test]
async fn a_shared_backup_can_be_used_and_not_changed() {
    let app = App::start().await;
    let (_, backup) = app.back_up_disk("ours").await;
    let backup = id_of(&backup);
    let (token, project) = app.stranger().await;
    let friend = Asker { app: &app, token, project };
    let offer = json!({"members": [friend.project]});
    app.post(&format!("/backups/{backup}/members"), &offer).await.expect(200);
    let before = state(&app).await;
    let cells = || {
        let of_offers = |operation: &&Operation| OF_OFFERS.contains(&operation.name);
        naming("backup_id").filter(move |operation| !of_offers(operation))
    };
    let mut told = 0;
    for operation in cells() {
        let shared = friend.ask(operation, &|_| backup.clone()).await;
        let none = friend.ask(operation, &|_| absent(&backup)).await;
        assert_alike(operation.name, &shared, &none, &backup);
        told += 1;
    }
    let mut inbox = vault_body("inbox");
    inbox["vault"]["billing"]["object_type"] = json!("disk");
    let path = format!("/v3/{}/vaults", friend.project);
    let made = Call::new("POST", path).token(&friend.token).json(&inbox);
    let inbox = id_of(&send(&app.router, made.build()).await.expect(200).body["vault"]);
    let path = format!("/v3/{0}/backups/{backup}/members/{0}", friend.project);
    let accept = json!({"status": "accepted", "vault_id": inbox});
    let accept = Call::new("PUT", path).token(&friend.token).json(&accept);
    send(&app.router, accept.build()).await.expect(200);
    for operation in cells() {
        let shared = friend.ask(operation, &|_| backup.clone()).await;
        let none = friend.ask(operation, &|_| absent(&backup)).await;
        if OF_ACCEPTED.contains(&operation.name) {
            assert_ne!(shared.status, 404, "{}: {}", operation.name, shared.body);
        } else if shared.status == 403 || shared.code() == "BackupService.6201" {
            // Known to be there, and not the recipient's to change.
            assert!(shared.body.to_string().contains("shared with you"), "{}", operation.name);
            assert!(!shared.body.to_string().contains(&app.project()), "{}", operation.name);
        } else {
            assert_alike(operation.name, &shared, &none, &backup);
        }
        told += 1;
    }
    assert!(told >= 30, "{told} cells");
    app.settle().await;
    assert_eq!(state(&app).await, before, "nothing was changed for the owner");
}

/// P26, VLT-85: a deleted backup looks like none to everything but the trash, and so does a deleted vault.
#[tokio::test]
async fn what_is_deleted_looks_like_none() {
    let app = App::start().await;
    let (_, backup) = app.back_up_disk("ours").await;
    let checkpoint = backup["checkpoint_id"].as_str().unwrap().to_owned();
    let backup = id_of(&backup);
    app.delete(&format!("/backups/{backup}")).await.expect(204);
    let empty = app.create_vault("empty").await;
    app.delete(&format!("/vaults/{empty}")).await.expect(204);
    app.settle().await;
    let own = Asker { app: &app, token: app.token().to_owned(), project: app.project() };
    let before = state(&app).await;
    let mut told = 0;
    for (parameter, id) in
        [("backup_id", &backup), ("checkpoint_id", &checkpoint), ("vault_id", &empty)]
    {
        for operation in naming(parameter) {
            if OF_DELETED.contains(&operation.name) {
                continue;
            }
            let deleted = own.ask(operation, &|_| id.clone()).await;
            let none = own.ask(operation, &|_| absent(id)).await;
            assert_alike(operation.name, &deleted, &none, id);
            told += 1;
        }
    }
    assert!(told >= 40, "{told} cells");
    assert_eq!(state(&app).await, before, "nothing was changed");
    let trashed = &before[3]["trash"][0]["backup"];
    assert_eq!(trashed["id"], backup, "and it can be taken back");
}

/// BAK-72, VLT-57: whatever is asked of a locked vault and its backup, the backup stays and is kept as long as before.
#[tokio::test]
async fn no_operation_takes_a_locked_backup_away() {
    let app = App::start().await;
    let mut body = vault_body("worm");
    body["vault"]["locked"] = json!(true);
    body["vault"]["resources"] = json!([{"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]);
    let vault = id_of(&app.post("/vaults", &body).await.expect(200).body["vault"]);
    let other = app.create_vault("other").await;
    let pattern = json!(["FREQ=WEEKLY;BYDAY=MO;BYHOUR=6;BYMINUTE=0"]);
    let policy = json!({"policy": {"name": "one", "operation_type": "backup",
        "trigger": {"properties": {"pattern": pattern}},
        "operation_definition": {"max_backups": 1, "retention_duration_days": -1}}});
    let policy = id_of(&app.post("/policies", &policy).await.expect(200).body["policy"]);
    let run = json!({"checkpoint": {"vault_id": vault, "parameters": {"auto_trigger": true}}});
    app.post("/checkpoints", &run).await.expect(200);
    app.settle().await;
    let listed = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
    let before = listed["backups"][0].clone();
    let backup = id_of(&before);
    let own = Asker { app: &app, token: app.token().to_owned(), project: app.project() };
    let wanted = |operation: &Operation| match operation.name {
        "UpdateVault" => json!({"vault": {"locked": false}}),
        "MigrateVaultResource" => {
            json!({"destination_vault_id": other, "resource_ids": [VOLUMES[0]]})
        }
        "UpdateExpirationTime" => {
            json!({"expect_expiration_date": "2026-01-16", "time_zone": "UTC+00:00"})
        }
        "AssociateVaultPolicy" => json!({"policy_id": policy}),
        "SetVaultResource" => json!({"action": "suspend", "resource_ids": [VOLUMES[0]]}),
        "FreezeVault" => json!({"scene": "ARREAR"}),
        _ => crate::foreign::body(operation),
    };
    let mut told = 0;
    let changing = || {
        let all = naming("vault_id").chain(naming("backup_id"));
        all.filter(|operation| operation.is_mutating())
    };
    for operation in changing() {
        let id = |name: &str| match name {
            "vault_id" => vault.clone(),
            "backup_id" => backup.clone(),
            _ => "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01".to_owned(),
        };
        let answer = own.ask_with(operation, &id, &wanted(operation)).await;
        app.settle().await;
        let name = operation.name;
        let shown = app.get(&format!("/backups/{backup}")).await;
        assert_eq!(shown.status, 200, "{name} took it: {}", answer.body);
        let after = &shown.body["backup"];
        assert_eq!(after["status"], "available", "{name}: {}", answer.body);
        assert_eq!(after["vault_id"], vault, "{name}: it left the locked vault: {}", answer.body);
        let ends = |backup: &Value| backup["expired_at"].as_str().unwrap_or("9").to_owned();
        assert!(ends(after) >= ends(&before), "{name}: {after}");
        told += 1;
    }
    assert!(told >= 25, "{told} cells");
    let shown = app.get(&format!("/vaults/{vault}")).await.expect(200).body;
    assert_eq!(shown["vault"]["locked"], true);
    let refused = app.delete(&format!("/backups/{backup}")).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6220");
}
