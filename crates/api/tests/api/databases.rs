//! Vaults for databases: made, ordered, paid, changed; what their backups say; what moves in and out.

use std::sync::Arc;

use cbr_api::Settings;
use cbr_model::backup::AppConsistency;
use cbr_service::billing::{BillingSettings, Prepayment, PriceList, Prices};
use serde_json::{Value, json};

use crate::app::{App, vault_body};
use crate::things::SERVER;

fn vault_of(object: &str, size: u64) -> Value {
    let mut body = vault_body("databases");
    let billing = &mut body["vault"]["billing"];
    billing["object_type"] = json!(object);
    billing["consistent_level"] = json!("app_consistent");
    billing["size"] = json!(size);
    body
}

fn to(level: &str) -> Value {
    json!({"vault": {"billing": {"consistent_level": level}}})
}

async fn make(app: &App) -> String {
    let made = app.post("/vaults", &vault_of("server", 100)).await.expect(200).body;
    made["vault"]["id"].as_str().unwrap().to_owned()
}

async fn billing_of(app: &App, vault: &str) -> Value {
    app.get(&format!("/vaults/{vault}")).await.expect(200).body["vault"]["billing"].take()
}

/// VLT-02, VLT-08, VLT-90, contract B.1, B.3: made so, or changed to it for ever.
#[tokio::test]
async fn a_server_vault_is_for_databases_from_the_first_or_from_a_change_on() {
    let app = App::start().await;
    let made = make(&app).await;
    let changed = app.create_server_vault("servers").await;
    assert_eq!(billing_of(&app, &changed).await["spec_code"], "vault.backup.server.normal");
    let path = format!("/vaults/{changed}");
    app.put(&path, &to("crash_consistent")).await.expect(200);
    let answer = app.put(&path, &to("app_consistent")).await.expect(200).body;
    assert_eq!(answer["vault"]["billing"]["spec_code"], "vault.backup.database.normal");
    for vault in [&made, &changed] {
        let billing = billing_of(&app, vault).await;
        assert_eq!(billing["consistent_level"], "app_consistent");
        assert_eq!(billing["spec_code"], "vault.backup.database.normal");
        assert_eq!(
            (&billing["object_type"], &billing["protect_type"]),
            (&json!("server"), &json!("backup"))
        );
        let path = format!("/vaults/{vault}");
        app.put(&path, &to("app_consistent")).await.expect(200);
        let back = app.put(&path, &to("crash_consistent")).await.expect(400);
        assert_eq!(back.code(), "BackupService.6110");
        let unknown = app.put(&path, &to("maybe")).await.expect(400);
        assert_eq!(unknown.code(), "BackupService.9900");
    }
    let listed = app.get("/vaults?object_type=server").await.expect(200).body;
    assert_eq!(listed["count"], 2);
}

/// VLT-92, contract C1, D 6116: databases are on servers.
#[tokio::test]
async fn other_vaults_hold_no_database_backups() {
    let app = App::start().await;
    for (object, size) in [("disk", 100), ("turbo", 100), ("file", 1024)] {
        let mut body = vault_of(object, size);
        let refused = app.post("/vaults", &body).await.expect(400);
        assert_eq!(refused.code(), "BackupService.6116", "{}", refused.body);
        body["vault"]["billing"]["charging_mode"] = json!("pre_paid");
        body["vault"]["billing"]["period_type"] = json!("month");
        body["vault"]["billing"]["period_num"] = json!(1);
        let refused = app.post("/vaults/order", &body).await.expect(400);
        assert_eq!(refused.code(), "BackupService.6116", "{}", refused.body);
        body["vault"]["billing"]["charging_mode"] = json!("post_paid");
        body["vault"]["billing"]["consistent_level"] = json!("crash_consistent");
        let made = app.post("/vaults", &body).await.expect(200).body;
        let path = format!("/vaults/{}", made["vault"]["id"].as_str().unwrap());
        let refused = app.put(&path, &to("app_consistent")).await.expect(400);
        assert_eq!(refused.code(), "BackupService.6116", "{}", refused.body);
    }
}

/// VLT-02, VLT-90, BIL-01, BIL-07, contract C2, C65: what it costs is a price of its own, by use and by order; an order
/// changes the specification as well, and not back.
#[tokio::test]
async fn they_are_ordered_and_cost_their_own_price() {
    let hour = |price: &str| Prices { hour: price.parse().unwrap(), ..Prices::default() };
    let billing = BillingSettings {
        driver: Arc::new(Prepayment { credit_limit: 1_000_000, releases: false }),
        prices: PriceList { server: hour("0.01"), database: hour("0.03"), ..PriceList::default() },
        ..BillingSettings::default()
    };
    let app = App::start_billed(Settings::default(), billing).await;
    app.meter().await;
    let vault = make(&app).await;
    app.clock.advance(std::time::Duration::from_hours(2));
    app.meter().await;
    let hours = app.get(&format!("/x/billing/metering?vault_id={vault}")).await.expect(200).body;
    assert_eq!(hours["hours"][0]["spec_code"], "vault.backup.database.normal");
    assert_eq!(hours["hours"][0]["amount_millionths"], 3_000_000);

    let mut body = vault_of("server", 100);
    let billing = &mut body["vault"]["billing"];
    billing["charging_mode"] = json!("pre_paid");
    billing["period_type"] = json!("month");
    billing["period_num"] = json!(1);
    billing["is_auto_pay"] = json!(true);
    let mut ordered = Vec::new();
    for level in ["app_consistent", "crash_consistent"] {
        body["vault"]["billing"]["consistent_level"] = json!(level);
        let answer = app.post("/vaults/order", &body).await.expect(200).body;
        ordered.push(answer["orders"][0]["resourceId"].as_str().unwrap().to_owned());
    }
    assert_eq!(billing_of(&app, &ordered[0]).await["spec_code"], "vault.backup.database.normal");
    let change = |vault: &str, code: &str| {
        json!({"resource_id": vault, "product_info": {"product_id": "p-1",
            "resource_size": 200, "resource_spec_code": code}})
    };
    let database = "vault.backup.database.normal";
    app.post("/orders/change", &change(&ordered[1], database)).await.expect(200);
    for vault in &ordered {
        let back = change(vault, "vault.backup.server.normal");
        let refused = app.post("/orders/change", &back).await.expect(400);
        assert_eq!(refused.code(), "BackupService.6110", "{}", refused.body);
        let billing = billing_of(&app, vault).await;
        assert_eq!(billing["spec_code"], database);
    }
}

/// VLT-09, DBS-16, DBS-19, BAK-57, contract B.5, C51: the log and the backup say that the ordinary one was made, and
/// why; of others they say nothing. Never is a backup called application consistent.
#[tokio::test]
async fn a_backup_in_one_says_what_it_is() {
    let app = App::start().await;
    let vault = make(&app).await;
    app.bind_server(&vault).await;
    let backup = app.back_up(&vault).await;
    let mark = &backup["x-app-consistency"];
    assert_eq!(mark["app_consistency_status"], "0");
    assert_eq!(mark["app_consistency_error_code"], "BackupService.7410");
    let why = mark["app_consistency_error_message"].as_str().unwrap();
    assert!(why.contains("no agent") && why.contains("ordinary server backup"), "{why}");
    assert!(backup["children"][0].get("x-app-consistency").is_none());
    let id = backup["id"].as_str().unwrap();
    let shown = app.get(&format!("/backups/{id}")).await.expect(200).body;
    assert_eq!(&shown["backup"]["x-app-consistency"], mark);
    let log = |vault: &str| format!("/operation-logs?operation_type=backup&vault_id={vault}");
    let logs = app.get(&log(&vault)).await.expect(200).body;
    let log_of = &logs["operation_logs"][0];
    assert_eq!(log_of["status"], "success");
    assert_eq!(log_of["error_info"], json!({"code": "", "message": ""}));
    let want = json!({"backup_id": id, "backup_name": backup["name"],
        "app_consistency_status": "0", "app_consistency_error_code": "BackupService.7410",
        "app_consistency_error_message": why});
    assert_eq!(log_of["extra_info"]["backup"], want);

    let other = App::start().await;
    let (vault, backup) = other.back_up_server("servers").await;
    assert!(backup.get("x-app-consistency").is_none());
    let logs = other.get(&log(&vault)).await.expect(200).body;
    let want = json!({"backup_id": backup["id"], "backup_name": backup["name"]});
    assert_eq!(logs["operation_logs"][0]["extra_info"]["backup"], want);
}

/// VLT-09, DBS-20, SHR-01, IMG-01: what fell back is shared, imaged, restored and deleted like others.
#[tokio::test]
async fn what_is_done_with_backups_is_done_with_these() {
    let app = App::start().await;
    let vault = make(&app).await;
    app.bind_server(&vault).await;
    let backup = app.back_up(&vault).await;
    let path = format!("/backups/{}", backup["id"].as_str().unwrap());
    let (_, friend) = app.stranger().await;
    app.post(&format!("{path}/members"), &json!({"members": [friend]})).await.expect(200);
    app.delete(&format!("{path}/members/{friend}")).await.expect(204);
    let restore = json!({"restore": {"server_id": SERVER, "power_on": false}});
    app.post(&format!("{path}/restore"), &restore).await.expect(202);
    app.settle().await;
    let image = json!({"name": "db", "backup_id": backup["id"]});
    app.call("POST", "/v1/cloudimages/wholeimages/action", Some(&image)).await.expect(200);
    app.settle().await;
    let refused = app.delete(&path).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6204", "it has an image");
    let logs = app.get("/operation-logs?operation_type=restore").await.expect(200).body;
    assert_eq!(logs["operation_logs"][0]["status"], "success");
}

/// RES-28, contract D 6126: ordinary backups go both ways; application-consistent ones only to vaults for databases.
#[tokio::test]
async fn application_consistent_backups_do_not_move_to_ordinary_vaults() {
    let app = App::start().await;
    let (ordinary, backup) = app.back_up_server("servers").await;
    let databases = make(&app).await;
    let migrate = async |from: &str, to: &str| {
        let body = json!({"destination_vault_id": to, "resource_ids": [SERVER]});
        let answer = app.post(&format!("/vaults/{from}/migrateresources"), &body).await;
        app.settle().await;
        answer
    };
    migrate(&ordinary, &databases).await.expect(200);
    migrate(&databases, &ordinary).await.expect(200);
    migrate(&ordinary, &databases).await.expect(200);
    let mut tx = app.db.begin().await.unwrap();
    let id = backup["id"].as_str().unwrap().parse().unwrap();
    tx.backups().set_app_consistency(id, &AppConsistency::Reached).await.unwrap();
    tx.commit().await.unwrap();
    let shown = app.get(&format!("/backups/{id}")).await.expect(200).body;
    assert_eq!(shown["backup"]["x-app-consistency"], json!({"app_consistency_status": "1"}));
    let refused = migrate(&databases, &ordinary).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6126", "{}", refused.body);
    assert_eq!(
        app.get(&format!("/vaults/{databases}")).await.body["vault"]["resources"][0]["id"],
        SERVER
    );
}
