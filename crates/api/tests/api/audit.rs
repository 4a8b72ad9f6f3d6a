//! The trace service (contract F.7), and that every change is recorded.

use serde_json::json;

use crate::app::{App, VOLUMES, vault_body};
use crate::client::{Call, send};
use crate::people::{Office, log_in};

/// AUD-01, AUD-02: who created what, when and how can be read, by name, thing and user.
#[tokio::test]
async fn a_change_is_found_by_what_it_was() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    app.delete(&format!("/vaults/{vault}")).await.expect(204);
    let all = app.get("/traces?trace_type=system&service_type=CBR").await.expect(200).body;
    let names: Vec<_> =
        all["traces"].as_array().unwrap().iter().map(|t| &t["trace_name"]).collect();
    assert_eq!(names, ["deleteVault", "createVault"]);
    let created = &all["traces"][1];
    assert_eq!(created["resource_type"], "vault");
    assert_eq!(created["resource_id"], vault.as_str());
    assert_eq!(created["resource_name"], "v");
    assert_eq!(created["user"]["name"], "admin");
    assert_eq!(created["user"]["domain"]["name"], "acme");
    let request = created["request"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(request).unwrap(), vault_body("v"));
    for (filter, count) in [
        ("trace_name=deleteVault", 1),
        ("trace_name=deleteBackup", 0),
        ("resource_name=v", 2),
        ("user=admin", 2),
        ("user=nobody", 0),
        ("service_type=EVS", 0),
        ("trace_rating=incident", 0),
    ] {
        let found = app.get(&format!("/traces?{filter}")).await.expect(200).body;
        assert_eq!(found["traces"].as_array().unwrap().len(), count, "{filter}");
    }
}

/// Contract F.7: pages by `next`, the default window is the last hour.
#[tokio::test]
async fn traces_come_in_pages_and_the_old_ones_on_demand() {
    let app = App::start().await;
    for name in ["a", "b", "c"] {
        app.create_vault(name).await;
    }
    let first = app.get("/traces?limit=2").await.expect(200).body;
    assert_eq!(first["meta_data"]["count"], 2);
    let next = first["meta_data"]["marker"].as_str().unwrap();
    let second = app.get(&format!("/traces?limit=2&next={next}")).await.expect(200).body;
    assert_eq!(second["traces"][0]["resource_name"], "a");
    assert!(second["meta_data"]["marker"].is_null());
    app.clock.advance(std::time::Duration::from_secs(3601));
    let count = |body: &serde_json::Value| body["traces"].as_array().unwrap().len();
    assert_eq!(count(&app.get("/traces").await.expect(200).body), 0);
    assert_eq!(count(&app.get("/traces?from=0").await.expect(200).body), 3);
    app.get("/traces?limit=201").await.expect(400);
    app.get("/traces?next=x").await.expect(400);
}

/// AUD-04: the tracker is switched off and on; what was recorded stays readable.
#[tokio::test]
async fn the_tracker_can_be_switched() {
    let app = App::start().await;
    let status =
        async || app.get("/trackers").await.expect(200).body["trackers"][0]["status"].clone();
    assert_eq!(status().await, "enabled");
    app.create_vault("seen").await;
    let off = json!({"tracker_type": "system", "tracker_name": "system", "status": "disabled"});
    app.put("/tracker", &off).await.expect(200);
    assert_eq!(status().await, "disabled");
    app.create_vault("unseen").await;
    app.post("/tracker", &json!({"tracker_type": "system"})).await.expect(201);
    assert_eq!(status().await, "enabled");
    app.delete("/trackers?tracker_type=system").await.expect(204);
    assert_eq!(status().await, "disabled");
    let all = app.get("/traces").await.expect(200).body;
    let names: Vec<_> =
        all["traces"].as_array().unwrap().iter().map(|t| &t["trace_name"]).collect();
    assert_eq!(names, ["deleteTracker", "createTracker", "updateTracker", "createVault"]);
    assert_eq!(all["traces"][3]["resource_name"], "seen");
    app.put("/tracker", &json!({"status": "odd"})).await.expect(400);
    app.post("/tracker", &json!({"tracker_type": "data"})).await.expect(400);
    app.delete("/trackers?tracker_name=mine").await.expect(400);
    let none = app.get("/trackers?tracker_type=data").await.expect(200).body;
    assert_eq!(none, json!({"trackers": []}));
}

/// The chain of records can be checked here and elsewhere.
#[tokio::test]
async fn the_records_form_a_chain_that_anybody_can_check() {
    use std::fmt::Write as _;

    use aws_lc_rs::digest::{SHA256, digest};

    let app = App::start().await;
    app.create_vault("a").await;
    app.create_vault("b").await;
    // What is of all projects is not read with a credential for one.
    app.get("/x/audit/verify").await.expect(403);
    app.get("/x/audit/records").await.expect(403);
    let get = async |path: &str| {
        app.clock.advance(std::time::Duration::from_secs(1));
        let call = Call::new("GET", format!("/v3/{}/x/audit/{path}", app.project()));
        let key = (app.access_key(), app.secret_key());
        send(&app.router, call.signed(key.0, key.1, &app.date(0)).build()).await
    };
    let verified = get("verify").await.expect(200).body;
    assert_eq!(verified["number"], 2);
    assert!(verified["broken_at"].is_null());
    let records = get("records").await.expect(200).body["records"].clone();
    let mut before = "0".repeat(64);
    for record in records.as_array().unwrap() {
        let text = format!("{before}\n{}", record["record"].as_str().unwrap());
        let sum = digest(&SHA256, text.as_bytes());
        before = String::new();
        for byte in sum.as_ref() {
            write!(before, "{byte:02x}").unwrap();
        }
        assert_eq!(record["digest"], before.as_str());
    }
    assert_eq!(verified["digest"], before.as_str());
    let noted = get(&format!("verify?number=2&digest={before}")).await;
    assert_eq!(noted.expect(200).body["holds_noted"], true);
    let other = get(&format!("verify?number=1&digest={before}")).await;
    assert_eq!(other.expect(200).body["holds_noted"], false);
    get("verify?number=1").await.expect(400);
}

/// Contract F.7: what is recorded, by kind of thing; the fourteen of the guide are there (AUD-02).
#[tokio::test]
async fn what_is_recorded_is_listed() {
    let app = App::start().await;
    let listed = app.get("/operations?service_type=CBR").await.expect(200).body;
    let of = |kind: &str| {
        let all = listed["operations"].as_array().unwrap();
        let found = all.iter().find(|one| one["resource_type"] == kind);
        found.map(|one| one["operation_list"].clone()).unwrap_or_default()
    };
    for (kind, name) in [
        ("policy", "createPolicy"),
        ("policy", "updatePolicy"),
        ("policy", "deletePolicy"),
        ("vault", "associatePolicy"),
        ("vault", "dissociatePolicy"),
        ("backup", "createBackup"),
        ("vault", "createVault"),
        ("vault", "updateVault"),
        ("vault", "deleteVault"),
        ("vault", "addResources"),
        ("vault", "removeResources"),
        ("vault", "createVaultBackup"),
        ("backup", "deleteBackup"),
        ("backup", "restoreBackup"),
    ] {
        assert!(of(kind).as_array().unwrap().iter().any(|one| one == name), "{kind} {name}");
    }
    // AUD-03: what was added to them.
    for (kind, name) in [
        ("vault", "replicateVaultBackup"),
        ("vault", "migrateResources"),
        ("vault", "setResources"),
        ("vault", "bulkCreateDeleteVaultTag"),
        ("vault", "createVaultTag"),
        ("vault", "deleteVaultTag"),
        ("backup", "replicateBackup"),
        ("backup", "createBackupMember"),
        ("backup", "updateBackupMember"),
        ("backup", "deleteBackupMember"),
        ("backup", "updateBackup"),
        ("backup", "syncBackup"),
    ] {
        assert!(of(kind).as_array().unwrap().iter().any(|one| one == name), "{kind} {name}");
    }
}

/// AUD-02: who backs a vault up is recorded with the vault and with each backup that was started; the body of the
/// request is there once.
#[tokio::test]
async fn each_backup_that_is_started_is_recorded() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    let resources = VOLUMES.map(|id| json!({"id": id, "type": "OS::Cinder::Volume"}));
    let body = json!({"resources": resources});
    app.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
    let run = json!({"checkpoint": {"vault_id": vault, "parameters": {"name": "b"}}});
    app.post("/checkpoints", &run).await.expect(200);
    let listed = app.get("/backups").await.expect(200).body;
    let mut backups: Vec<_> = listed["backups"].as_array().unwrap().iter().collect();
    backups.sort_by_key(|backup| backup["name"].to_string());
    let traces = app.get("/traces?limit=3").await.expect(200).body;
    let mut traces = traces["traces"].as_array().unwrap().clone();
    let of_run = traces.remove(0);
    assert_eq!(
        (&of_run["trace_name"], &of_run["resource_id"]),
        (&json!("createVaultBackup"), &json!(vault))
    );
    assert!(of_run["request"].is_string());
    traces.reverse();
    assert_eq!((traces.len(), backups.len()), (2, 2));
    for (trace, backup) in traces.iter().zip(backups) {
        assert_eq!(
            (&trace["trace_name"], &trace["resource_type"]),
            (&json!("createBackup"), &json!("backup"))
        );
        assert_eq!(
            (&trace["resource_id"], &trace["resource_name"]),
            (&backup["id"], &backup["name"])
        );
        assert_eq!(trace["request_id"], of_run["request_id"]);
        assert!(trace["request"].is_null(), "{trace}");
    }
}

/// Design: an operation that changes something says what it is recorded as. The exceptions change
/// nothing, or nothing of a project.
#[test]
fn every_operation_that_changes_something_has_its_event() {
    let exceptions =
        ["WhatIfBackupsDeleted", "ShowVaultResourceInstances", "CheckAgent", "BatchListMetricData"];
    let is_wrong = |operation: &&cbr_api::operation::Operation| {
        let is_exception = exceptions.contains(&operation.name);
        operation.event.is_some() != (operation.is_mutating() && !is_exception)
    };
    let wrong: Vec<_> = cbr_api::OPERATIONS.iter().filter(is_wrong).map(|it| it.name).collect();
    assert_eq!(wrong, [""; 0]);
}

/// AUD-01, P32: a login that failed and a change that was refused are recorded, without what was typed, and not
/// without end: who is refused does not fill the database.
#[tokio::test]
async fn what_is_refused_is_recorded_within_a_limit() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let reader = office.person("reader", &["CBR ReadOnlyAccess"]).await;
    log_in(&app, "reader", "Wrong-0-Guess", &json!(null)).await.expect(401);
    log_in(&app, "Wrong-0-Name", "Wrong-0-Guess", &json!(null)).await.expect(401);
    reader.call(&app, "POST", "/vaults", Some(vault_body("v"))).await.expect(403);
    reader.call(&app, "GET", "/vaults", None).await.expect(200);
    let records = app.records().await;
    let [.., failed, refused] = records.as_slice() else { panic!("{records:?}") };
    for (record, name, status) in [(failed, "login", 401), (refused, "createVault", 403)] {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        assert_eq!(record["name"], name);
        assert_eq!(record["refused"], status);
        assert_eq!(record["user_name"], "reader");
        assert!(record["request"].is_null());
    }
    assert!(!records.concat().contains("Wrong-0"), "what was typed may be a secret");

    let listed = app.get("/traces?trace_rating=warning").await.expect(200).body;
    assert_eq!(listed["traces"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["traces"][0]["trace_name"], "createVault");
    assert_eq!(
        (&listed["traces"][0]["code"], &listed["traces"][0]["trace_rating"]),
        (&json!("403"), &json!("warning"))
    );
    let done = app.get("/traces?trace_rating=normal").await.expect(200).body;
    assert_eq!(done["traces"], json!([]));

    for _ in 0..100 {
        reader.call(&app, "POST", "/vaults", Some(vault_body("v"))).await.expect(403);
    }
    let most = records.len() + 60;
    assert!(app.records().await.len() <= most, "an account's chain grows by 60 a minute");
    // Nobody hides behind what others are refused.
    let other = office.person("other", &["CBR ReadOnlyAccess"]).await;
    other.call(&app, "POST", "/vaults", Some(vault_body("v"))).await.expect(403);
    let last = app.records().await.pop().unwrap();
    assert!(last.contains("\"user_name\":\"other\"") && last.contains("403"), "{last}");
    let most = app.records().await.len();
    app.clock.advance(std::time::Duration::from_mins(1));
    reader.call(&app, "POST", "/vaults", Some(vault_body("v"))).await.expect(403);
    assert!(app.records().await.len() <= most + 1);
    // The chain that was written this way is whole.
    let verified = office.get(&format!("/v3/{}/x/audit/verify", app.project())).await;
    assert_eq!(verified.expect(200).body["broken_at"], json!(null));

    // Where nothing is recorded, refusals are not either (AUD-04); another's project gets no record of ours.
    app.delete("/trackers?tracker_type=system").await.expect(204);
    let before = app.records().await.len();
    reader.call(&app, "POST", "/vaults", Some(vault_body("v"))).await.expect(403);
    assert_eq!(app.records().await.len(), before);
}
