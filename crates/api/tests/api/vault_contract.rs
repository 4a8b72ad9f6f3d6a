//! The rest of the contract's operations on vaults: all vaults at once, single resources, moves,
//! expirations, other projects' vaults, usage, orders (C2, C6, C10, C11, C14 to C16, C64 to C67), and
//! what is ours: quotas, freezing, the end of an order.

use serde_json::{Value, json};

use crate::app::{App, VOLUMES, vault_body};
use crate::client::{Call, send};
use crate::people::Office;

const ABSENT: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

async fn bind(app: &App, vault: &str, volumes: &[&str]) {
    let resources: Vec<Value> =
        volumes.iter().map(|id| json!({"id": id, "type": "OS::Cinder::Volume"})).collect();
    let path = format!("/vaults/{vault}/addresources");
    app.post(&path, &json!({"resources": resources})).await.expect(200);
}

async fn back_up(app: &App, vault: &str, parameters: Value) {
    let body = json!({"checkpoint": {"vault_id": vault, "parameters": parameters}});
    app.post("/checkpoints", &body).await.expect(200);
    app.settle().await;
}

async fn shown(app: &App, vault: &str) -> Value {
    app.get(&format!("/vaults/{vault}")).await.expect(200).body["vault"].take()
}

fn prepaid(mut body: Value) -> Value {
    body["vault"]["billing"]["charging_mode"] = json!("pre_paid");
    body["vault"]["billing"]["period_type"] = json!("year");
    body["vault"]["billing"]["period_num"] = json!(1);
    body
}

/// Contract C6.
#[tokio::test]
async fn all_vaults_are_told_at_once_when_to_warn() {
    let app = App::start().await;
    let (a, b) = (app.create_vault("a").await, app.create_vault("b").await);
    let body = json!({"vault": {"smn_notify": false, "threshold": 50}});
    let answer = app.put("/vaults/batch-update", &body).await.expect(200).body;
    assert_eq!(answer, json!({"updated_vaults_id": [a, b]}));
    for vault in [&a, &b] {
        let vault = shown(&app, vault).await;
        assert_eq!((&vault["smn_notify"], &vault["threshold"]), (&json!(false), &json!(50)));
    }
    for bad in [json!({"vault": {}}), json!({"vault": {"threshold": 0}}), json!({})] {
        let answer = app.put("/vaults/batch-update", &bad).await.expect(400);
        assert_eq!(answer.code(), "BackupService.9900", "{bad}");
    }
}

/// Contract C10; E.5 number 13: the words mean the opposite of what they say.
#[tokio::test]
async fn suspend_has_automatic_backups_take_a_resource() {
    let app = App::start().await;
    let vault = app.create_vault("a").await;
    bind(&app, &vault, &[VOLUMES[0]]).await;
    let path = format!("/vaults/{vault}/set-resources");
    for (action, auto_protect) in [("unsuspend", false), ("suspend", true)] {
        let body = json!({"action": action, "resource_ids": [VOLUMES[0]]});
        let answer = app.put(&path, &body).await.expect(200).body;
        assert_eq!(answer, json!({"set_resource_ids": [VOLUMES[0]]}));
        assert_eq!(shown(&app, &vault).await["resources"][0]["auto_protect"], auto_protect);
    }
    let refused = async |path: &str, action: &str, id: &str, status: u16| {
        let body = json!({"action": action, "resource_ids": [id]});
        app.put(path, &body).await.expect(status).code().to_owned()
    };
    assert_eq!(refused(&path, "suspend", VOLUMES[1], 400).await, "BackupService.6135");
    assert_eq!(refused(&path, "pause", VOLUMES[0], 400).await, "BackupService.9900");
    let absent = format!("/vaults/{ABSENT}/set-resources");
    assert_eq!(refused(&absent, "suspend", VOLUMES[0], 404).await, "BackupService.6105");
    let remove = json!({"resource_ids": [VOLUMES[0]]});
    app.post(&format!("/vaults/{vault}/removeresources"), &remove).await.expect(200);
    assert_eq!(refused(&path, "suspend", VOLUMES[0], 400).await, "BackupService.6134");
}

/// RES-21, RES-23, RES-27, TSK-06, VLT-66, contract C11, and the codes of its refusals.
#[tokio::test]
async fn a_resource_moves_to_another_vault() {
    let app = App::start().await;
    let (from, to) = (app.create_vault("from").await, app.create_vault("to").await);
    bind(&app, &from, &[VOLUMES[0]]).await;
    back_up(&app, &from, json!({})).await;
    let path = format!("/vaults/{from}/migrateresources");
    let body = |to: &str, id: &str| json!({"destination_vault_id": to, "resource_ids": [id]});
    let mut servers = vault_body("servers");
    servers["vault"]["billing"]["object_type"] = json!("server");
    let servers = app.post("/vaults", &servers).await.expect(200).body["vault"]["id"].take();
    let mut small = vault_body("small");
    small["vault"]["billing"]["size"] = json!(1);
    let small = app.post("/vaults", &small).await.expect(200).body["vault"]["id"].take();
    bind(&app, small.as_str().unwrap(), &[VOLUMES[1]]).await;
    for (to, id, code) in [
        (ABSENT, VOLUMES[0], "BackupService.6120"),
        ("no id", VOLUMES[0], "BackupService.6120"),
        (servers.as_str().unwrap(), VOLUMES[0], "BackupService.6102"),
        (small.as_str().unwrap(), VOLUMES[0], "BackupService.6129"),
        (&to, VOLUMES[1], "BackupService.6135"),
        (&from, VOLUMES[0], "BackupService.9900"),
    ] {
        assert_eq!(app.post(&path, &body(to, id)).await.expect(400).code(), code, "{to} {id}");
    }
    let absent = format!("/vaults/{ABSENT}/migrateresources");
    let absent = app.post(&absent, &body(&to, VOLUMES[0])).await.expect(404);
    assert_eq!(absent.code(), "BackupService.6105");

    let answer = app.post(&path, &body(&to, VOLUMES[0])).await.expect(200).body;
    assert_eq!(answer, json!({"migrated_resources": [VOLUMES[0]]}));
    let again = app.post(&path, &body(&to, VOLUMES[0])).await.expect(400);
    assert_eq!(again.code(), "BackupService.6203", "a task works in the vault");
    app.settle().await;
    assert_eq!(shown(&app, &from).await["resources"], json!([]));
    let there = shown(&app, &to).await;
    assert_eq!(there["resources"][0]["id"], VOLUMES[0]);
    assert_eq!(there["resources"][0]["backup_count"], 1);
    let backups = app.get(&format!("/backups?vault_id={to}")).await.expect(200).body;
    assert_eq!(backups["count"], 1);
    let logs = app.get("/operation-logs?operation_type=migrate").await.expect(200).body;
    let log = &logs["operation_logs"][0];
    assert_eq!((&log["status"], &log["vault_id"]), (&json!("success"), &json!(from)));
    let want =
        json!({"destination_vault_id": to, "destination_vault_name": "to", "backups_count": 1});
    assert_eq!(log["extra_info"]["migrate"], want);
    assert_eq!(log["extra_info"]["resource"]["id"], VOLUMES[0]);
}

/// P26, RES-25, contract C11: another project's vault is no destination.
#[tokio::test]
async fn nothing_moves_to_another_project() {
    let app = App::start().await;
    let vault = app.create_vault("ours").await;
    bind(&app, &vault, &[VOLUMES[0]]).await;
    let (token, project) = app.stranger().await;
    let theirs = Call::new("POST", format!("/v3/{project}/vaults")).token(&token);
    let theirs = send(&app.router, theirs.json(&vault_body("theirs")).build()).await.expect(200);
    let to = &theirs.body["vault"]["id"];
    let body = json!({"destination_vault_id": to, "resource_ids": [VOLUMES[0]]});
    let refused = app.post(&format!("/vaults/{vault}/migrateresources"), &body).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6120");
}

/// Contract C14: own and others' projects; the SDK's misspelling; one region.
#[tokio::test]
async fn vaults_of_another_project_are_listed_to_who_may_use_it() {
    let app = App::start().await;
    let (a, _) = (app.create_vault("a").await, app.create_vault("b").await);
    let own = app.project();
    let list = async |query: String, status: u16| {
        app.get(&format!("/vaults/external?{query}")).await.expect(status)
    };
    let base = format!("region_id=local-1&external_project_id={own}");
    let all = list(base.clone(), 200).await.body;
    assert_eq!(
        (&all["count"], &all["limit"], &all["offset"]),
        (&json!(2), &json!(1000), &json!(0))
    );
    for (query, count) in [
        (format!("{base}&objcet_type=disk"), 2),
        (format!("{base}&objcet_type=server"), 0),
        (format!("{base}&object_type=server"), 0),
        (format!("{base}&protect_type=replication"), 0),
        (format!("{base}&vault_id={a}&object_type=server"), 1),
        (format!("{base}&vault_id={ABSENT}"), 0),
        (format!("{base}&limit=1&offset=1"), 2),
    ] {
        assert_eq!(list(query.clone(), 200).await.body["count"], count, "{query}");
    }
    for bad in [
        "region_id=local-1".to_owned(),
        format!("external_project_id={own}"),
        format!("region_id=elsewhere-1&external_project_id={own}"),
        format!("{base}&limit=0"),
        "region_id=local-1&external_project_id=x".to_owned(),
    ] {
        assert_eq!(list(bad.clone(), 400).await.code(), "BackupService.9900", "{bad}");
    }
    let (_, theirs) = app.stranger().await;
    for foreign in [theirs.as_str(), "0605767b5780d5762fc5c0118072a564"] {
        let query = format!("region_id=local-1&external_project_id={foreign}");
        assert_eq!(list(query, 403).await.code(), "BackupService.0403");
    }
}

/// Contract C15, C64, VLT-37, VLT-86.
#[tokio::test]
async fn usage_is_added_up_by_project_and_by_resource() {
    let app = App::start().await;
    assert_eq!(
        app.get("/vaults/summary").await.expect(200).body,
        json!({"size": 0, "used_size": 0})
    );
    let empty = app.get("/storage_usage").await.expect(200).body;
    assert_eq!(empty, json!({"resource_count": 0, "storage_usage": []}));
    let (vault, _) = (app.create_vault("a").await, app.create_vault("b").await);
    bind(&app, &vault, &VOLUMES).await;
    back_up(&app, &vault, json!({})).await;
    let summary = app.get("/vaults/summary").await.expect(200).body;
    assert_eq!(summary, json!({"size": 200, "used_size": 0}), "less than a GB is shown as none");
    let usage = app.get("/storage_usage").await.expect(200).body;
    assert_eq!(usage["resource_count"], 2);
    let row = &usage["storage_usage"][0];
    let want = json!({"resource_id": VOLUMES[0], "resource_name": "disk-0",
        "resource_type": "OS::Cinder::Volume", "backup_count": 1,
        "backup_size": row["backup_size"].as_u64().unwrap(), "backup_size_multiaz": 0});
    assert_eq!(row, &want);
    for (query, count) in [
        (format!("resource_id={}", VOLUMES[1]), 1),
        ("resource_type=OS::Cinder::Volume&limit=1&offset=1".to_owned(), 2),
        ("resource_type=OS::Nova::Server".to_owned(), 0),
        ("resource_type=OS::Ironic::BareMetalServer".to_owned(), 0),
    ] {
        let found = app.get(&format!("/storage_usage?{query}")).await.expect(200).body;
        assert_eq!(found["resource_count"], count, "{query}");
    }
    for bad in ["resource_type=odd", "resource_id=x", "limit=0"] {
        let answer = app.get(&format!("/storage_usage?{bad}")).await.expect(400);
        assert_eq!(answer.code(), "BackupService.9900", "{bad}");
    }
}

/// Contract C16.
#[tokio::test]
async fn backups_that_are_kept_until_a_time_are_kept_until_another() {
    let app = App::start().await;
    let vault = app.create_vault("a").await;
    bind(&app, &vault, &[VOLUMES[0]]).await;
    back_up(&app, &vault, json!({"retention_duration": 9, "retention_duration_days": 9})).await;
    let path = format!("/vaults/{vault}/update-backup-expiration-time");
    let body = |day: &str, zone: &str| json!({"expect_expiration_date": day, "time_zone": zone});
    let changed = app.put(&path, &body("2030-01-31", "UTC+08:00")).await.expect(200).body;
    assert_eq!(changed["affected_backups_count"], 1);
    assert_eq!(changed["new_expiration_day"], "2030-01-31");
    let backups = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
    assert_eq!(backups["backups"][0]["expired_at"], "2030-01-31T15:59:59.000000");
    let log = changed["operation_log_id"].as_str().unwrap();
    let log = app.get(&format!("/operation-logs/{log}")).await.expect(200).body;
    let log = &log["operation_log"];
    assert_eq!(
        (&log["status"], &log["operation_type"]),
        (&json!("success"), &json!("update_expiration_time"))
    );
    let want = json!({"affected_backups_count": 1, "expiration_day": "2030-01-31"});
    assert_eq!(log["extra_info"]["update_expiration_time"], want);
    for bad in [
        body("2020-01-01", "UTC+08:00"),
        body("2030-02-30", "UTC+08:00"),
        body("2030-01-31", "Asia/Shanghai"),
        json!({"expect_expiration_date": "2030-01-31"}),
    ] {
        assert_eq!(app.put(&path, &bad).await.expect(400).code(), "BackupService.9900", "{bad}");
    }
    let absent = format!("/vaults/{ABSENT}/update-backup-expiration-time");
    let absent = app.put(&absent, &body("2030-01-31", "UTC+08:00")).await.expect(404);
    assert_eq!(absent.code(), "BackupService.6105");
}

/// BIL-01, BIL-02, contract C1, C2: the answer is the order, the vault is there at once.
#[tokio::test]
async fn a_prepaid_vault_is_ordered_and_exists_at_once() {
    let app = App::start().await;
    for path in ["/vaults", "/vaults/order"] {
        let body = prepaid(vault_body("v.1"));
        let answer = app.post(path, &body).await.expect(200).body;
        assert_eq!(answer.get("vault"), None);
        let told = (&answer["retCode"], &answer["errText"], &answer["error_code"]);
        assert_eq!(told, (&json!(0), &json!("success"), &json!("0")));
        let order = &answer["orders"][0];
        assert_eq!(
            (&order["cloudServiceId"], &order["subscribeResult"]),
            (&json!("cbr"), &json!(1))
        );
        let vault = shown(&app, order["resourceId"].as_str().unwrap()).await;
        assert_eq!(vault["billing"]["order_id"], order["orderId"]);
        assert_eq!(vault["billing"]["charging_mode"], "pre_paid");
        assert_eq!(vault["name"], "v.1", "contract C2: names that are ordered may have dots");
    }
    let dotted = app.post("/vaults", &vault_body("v.1")).await.expect(400);
    assert_eq!(dotted.code(), "BackupService.9900");
    let mut by_use = vault_body("a");
    by_use["vault"]["billing"]["charging_mode"] = json!("post_paid");
    let mut no_period = prepaid(vault_body("a"));
    no_period["vault"]["billing"]["period_num"] = json!(null);
    let mut too_small = prepaid(vault_body("a"));
    too_small["vault"]["billing"]["size"] = json!(0);
    for (body, code) in [
        (by_use, "BackupService.9900"),
        (no_period, "BackupService.9900"),
        (too_small, "BackupService.6101"),
    ] {
        assert_eq!(app.post("/vaults/order", &body).await.expect(400).code(), code, "{body}");
    }
    assert_eq!(app.get("/vaults").await.body["count"], 2);
}

/// BIL-04, BIL-08, VLT-63, contract C65 to C67.
#[tokio::test]
async fn orders_change_vaults() {
    let app = App::start().await;
    let (vault, by_use) = (app.create_vault("a").await, app.create_vault("b").await);
    let charge = |mode: &str, vaults: &[&str]| {
        json!({"vault_ids": vaults, "charging_mode": mode, "period_type": "month",
               "period_num": 3, "is_auto_renew": true, "is_auto_pay": true})
    };
    let mode = "/vaults/change-charge-mode";
    let order = app.post(mode, &charge("pre_paid", &[&vault])).await.expect(200).body;
    assert_eq!((&order["retCode"], &order["retMsg"]), (&json!(0), &json!("success")));
    let billing = shown(&app, &vault).await["billing"].take();
    assert_eq!(
        (&billing["charging_mode"], &billing["order_id"]),
        (&json!("pre_paid"), &order["orderId"])
    );
    for (body, status, code) in [
        (charge("pre_paid", &[&vault]), 400, "BackupService.6110"),
        (charge("post_paid", &[&by_use]), 400, "BackupService.9900"),
        (charge("pre_paid", &[]), 400, "BackupService.9900"),
        (charge("pre_paid", &[ABSENT]), 404, "BackupService.6105"),
    ] {
        assert_eq!(app.post(mode, &body).await.expect(status).code(), code, "{body}");
    }

    let change = |vault: &str, size: i64, spec: &str| {
        json!({"resource_id": vault, "is_auto_pay": true, "product_info": {
            "product_id": "p-1", "resource_size": size, "resource_size_measure_id": 17,
            "resource_spec_code": spec}})
    };
    let spec = "vault.backup.volume.normal";
    let changed = app.post("/orders/change", &change(&vault, 300, spec)).await.expect(200).body;
    assert!(changed["orderId"].is_string() && changed["retCode"] == 0);
    assert_eq!(shown(&app, &vault).await["billing"]["size"], 300);
    for (body, status, code) in [
        (change(&by_use, 300, spec), 400, "BackupService.6109"),
        (change(ABSENT, 300, spec), 404, "BackupService.6105"),
        (change(&vault, 0, spec), 400, "BackupService.6101"),
        (change(&vault, 300, "vault.backup.server.normal"), 400, "BackupService.9900"),
        (change(&vault, 300, "vault.backup.turbo.normal"), 400, "BackupService.9900"),
    ] {
        assert_eq!(app.post("/orders/change", &body).await.expect(status).code(), code, "{body}");
    }

    let update = json!({"resourceId": vault, "productInfo": {
        "productId": "p-2", "resourceSize": 400, "resourceSpecCode": spec}});
    let id = order["orderId"].as_str().unwrap();
    let updated = app.put(&format!("/orders/{id}"), &update).await.expect(200).body;
    assert_eq!(updated["retCode"], "0", "here the code is a text");
    assert_eq!(shown(&app, &vault).await["billing"]["size"], 400);
    for absent in [ABSENT, "no-id"] {
        let refused = app.put(&format!("/orders/{absent}"), &update).await.expect(400);
        assert_eq!(refused.code(), "BackupService.6109");
    }

    let refused = app.delete(&format!("/vaults/{vault}")).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6111");
    let end = format!("/x/vaults/{vault}/unsubscribe");
    let job = app.post(&end, &json!({})).await.expect(202).body;
    assert!(job["job_id"].is_string());
    app.settle().await;
    app.get(&format!("/vaults/{vault}")).await.expect(404);
    let refused =
        app.post(&format!("/x/vaults/{by_use}/unsubscribe"), &json!({})).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6109");
}

/// VLT-31, VLT-33, VLT-37, VLT-40: what a vault has, what is used of it and what is bound (extension).
#[tokio::test]
async fn a_vault_says_how_full_it_is() {
    let app = App::start().await;
    let vault = app.create_vault("a").await;
    bind(&app, &vault, &VOLUMES).await;
    back_up(&app, &vault, json!({})).await;
    let answer = app.get(&format!("/x/vaults/{vault}/usage")).await.expect(200).body;
    let usage = &answer["usage"];
    let bytes = usage["used_bytes"].as_u64().unwrap();
    assert!(bytes > 0);
    let want = json!({"vault_id": vault, "capacity_gb": 100, "bound_gb": 2, "used_bytes": bytes,
        "used_gb": 0, "used_percent": 0.0, "takes_backups": true, "auto_expand": false,
        "forecast": {"window_days": 1, "daily_bytes": bytes, "full_at": null}});
    assert_eq!(*usage, want);
    let absent = app.get(&format!("/x/vaults/{ABSENT}/usage")).await.expect(404);
    assert_eq!(absent.code(), "BackupService.6105");
}

/// QUO-03: nobody raises their own quota: it is asked of an administrator.
#[tokio::test]
async fn who_uses_a_project_does_not_raise_its_quotas() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.person("alice", &["CBR FullAccess"]).await;
    let before = person.call(&app, "GET", "/x/quotas", None).await.expect(200).body;
    let more = json!({"quota": "backup_policies", "limit": 64});
    person.call(&app, "PUT", "/x/quotas", Some(more)).await.expect(403);
    assert_eq!(person.call(&app, "GET", "/x/quotas", None).await.expect(200).body, before);
}

/// QUO-01, QUO-02, QUO-06, VLT-54, contract D 6133.
#[tokio::test]
async fn administrators_limit_and_freeze() {
    let app = App::start().await;
    let vault = app.create_vault("a").await;
    let set = json!({"quota": "vaults", "limit": 1});
    let quotas = app.put("/x/quotas", &set).await.expect(200).body;
    let want = json!({"quotas": [{"quota": "vaults", "limit": 1, "used": 1},
                                 {"quota": "capacity_gb", "limit": null, "used": 100},
                                 {"quota": "backup_policies", "limit": 32, "used": 0},
                                 {"quota": "vault_tags", "limit": 10, "used": null}]});
    assert_eq!(quotas, want);
    assert_eq!(app.get("/x/quotas").await.expect(200).body, want);
    let refused = app.post("/vaults", &vault_body("b")).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6133");
    app.put("/x/quotas", &json!({"quota": "vaults", "limit": null})).await.expect(200);
    app.put("/x/quotas", &json!({"quota": "capacity_gb", "limit": 150})).await.expect(200);
    let refused = app.post("/vaults", &vault_body("b")).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6133");
    let larger = json!({"vault": {"billing": {"size": 151}}});
    let refused = app.put(&format!("/vaults/{vault}"), &larger).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6133");
    app.put("/x/quotas", &json!({"quota": "capacity_gb", "limit": null})).await.expect(200);
    app.put("/x/quotas", &json!({"quota": "backup_policies", "limit": 0})).await.expect(200);
    let policy = json!({"policy": {"name": "p", "operation_type": "backup",
        "operation_definition": {"max_backups": 3},
        "trigger": {"properties": {"pattern":
            ["FREQ=WEEKLY;BYDAY=MO;BYHOUR=2;BYMINUTE=0"]}}}});
    let refused = app.post("/policies", &policy).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6001");
    app.put("/x/quotas", &json!({"quota": "backup_policies", "limit": null})).await.expect(200);
    app.post("/policies", &policy).await.expect(200);
    app.create_vault("b").await;
    for bad in [
        json!({"quota": "disks", "limit": 1}),
        json!({"quota": "vault_tags", "limit": 21}),
        json!({"quota": "vaults", "limit": -1}),
    ] {
        assert_eq!(
            app.put("/x/quotas", &bad).await.expect(400).code(),
            "BackupService.9900",
            "{bad}"
        );
    }

    let path = format!("/x/vaults/{vault}/freeze");
    let frozen = app.post(&path, &json!({"scene": "POLICE"})).await.expect(200).body;
    let billing = &frozen["vault"]["billing"];
    assert_eq!(
        (&billing["status"], &billing["frozen_scene"]),
        (&json!("frozen"), &json!("POLICE"))
    );
    let rename = json!({"vault": {"name": "c"}});
    let refused = app.put(&format!("/vaults/{vault}"), &rename).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6112");
    let listed = app.get("/vaults?status=frozen").await.expect(200).body;
    assert_eq!(listed["count"], 1);
    assert_eq!(
        app.post(&path, &json!({"scene": "a b"})).await.expect(400).code(),
        "BackupService.9900"
    );
    let thawed =
        app.post(&format!("/x/vaults/{vault}/unfreeze"), &json!({})).await.expect(200).body;
    assert_eq!(thawed["vault"]["billing"]["status"], "available");
    let twice = app.post(&format!("/x/vaults/{vault}/unfreeze"), &json!({})).await.expect(400);
    assert_eq!(twice.code(), "BackupService.6112");
}

/// VLT-34, contract C1, C3, C8: the remaining fields are kept and shown, the remaining filters filter.
#[tokio::test]
async fn particulars_of_a_vault_are_kept() {
    let app = App::start().await;
    let mut body = vault_body("a");
    body["vault"]["availability_zone"] = json!("az1");
    body["vault"]["backup_name_prefix"] = json!("pre-");
    body["vault"]["sys_lock_source_service"] = json!("SMB");
    let created = app.post("/vaults", &body).await.expect(200).body["vault"].take();
    assert_eq!(created["backup_name_prefix"], "pre-");
    let vault = shown(&app, created["id"].as_str().unwrap()).await;
    assert_eq!(
        (&vault["availability_zone"], &vault["sys_lock_source_service"]),
        (&json!("az1"), &json!("SMB"))
    );
    app.create_vault("b").await;
    for (query, count) in [
        ("availability_zone=az1", 1),
        ("availability_zone=az2", 0),
        ("cloud_type=public&protect_type=backup&object_type=disk", 2),
        ("cloud_type=hybrid", 0),
        ("protect_type=replication", 0),
        ("status=available,lock", 2),
        ("status=error", 0),
    ] {
        assert_eq!(
            app.get(&format!("/vaults?{query}")).await.expect(200).body["count"],
            count,
            "{query}"
        );
    }
    for bad in ["cloud_type=x", "protect_type=x", "status=x"] {
        assert_eq!(
            app.get(&format!("/vaults?{bad}")).await.expect(400).code(),
            "BackupService.9900"
        );
    }
    for (field, value) in [
        ("availability_zone", json!("z".repeat(33))),
        ("backup_name_prefix", json!("a b")),
        ("sys_lock_source_service", json!("X")),
        ("demand_billing", json!(true)),
    ] {
        let mut body = vault_body("c");
        body["vault"][field] = value;
        let refused = app.post("/vaults", &body).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{field}");
    }
}
