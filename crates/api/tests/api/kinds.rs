//! Vaults for file systems and for files: made, told apart, found, resized, ordered, deleted. Nothing is in them.

use serde_json::{Value, json};

use crate::app::{App, vault_body};
use crate::things::SERVER;

const NOBODY: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

fn body(name: &str, object: &str, size: u64) -> Value {
    let mut body = vault_body(name);
    body["vault"]["billing"]["object_type"] = json!(object);
    body["vault"]["billing"]["size"] = json!(size);
    body
}

async fn make(app: &App, object: &str, size: u64) -> String {
    let made = app.post("/vaults", &body(object, object, size)).await.expect(200).body;
    made["vault"]["id"].as_str().unwrap().to_owned()
}

async fn found(app: &App, path: &str) -> Vec<String> {
    let found = app.get(path).await.expect(200).body;
    let vaults = found["vaults"].as_array().unwrap();
    vaults.iter().map(|vault| vault["id"].as_str().unwrap().to_owned()).collect()
}

/// VLT-01, VLT-05, VLT-06, Z-28, contract B.1, B.3, B.7: how vaults for file systems and for files look.
#[tokio::test]
async fn vaults_of_every_kind_are_made() {
    let app = App::start().await;
    for (object, size, protect, cloud, code, provider) in [
        (
            "turbo",
            10,
            "backup",
            "public",
            "vault.backup.turbo.normal",
            "3f3c3220-245c-4805-b811-758870015881",
        ),
        (
            "file",
            1024,
            "hybrid",
            "hybrid",
            "vault.hybrid.server.normal",
            "a13639de-00be-4e94-af30-26912d75e4a2",
        ),
    ] {
        let id = make(&app, object, size).await;
        let shown = app.get(&format!("/vaults/{id}")).await.expect(200).body["vault"].clone();
        assert_eq!(shown["provider_id"], provider);
        let billing = &shown["billing"];
        assert_eq!(billing["object_type"], object);
        assert_eq!(billing["protect_type"], protect);
        assert_eq!(billing["cloud_type"], cloud);
        assert_eq!(billing["spec_code"], code);
        assert_eq!(billing["consistent_level"], "crash_consistent");
        assert_eq!((&billing["size"], &billing["status"]), (&json!(size), &json!("available")));
        assert_eq!((&billing["allocated"], &billing["used"]), (&json!(0), &json!(0)));
        // Databases are on servers (VLT-92); a host is not chosen by its vault.
        let mut database = body("d", object, size);
        database["vault"]["billing"]["consistent_level"] = json!("app_consistent");
        let refused = app.post("/vaults", &database).await.expect(400);
        assert_eq!(refused.code(), "BackupService.6116");
        let mut chooses = body("a", object, size);
        chooses["vault"]["auto_bind"] = json!(true);
        let status = if object == "file" { 400 } else { 200 };
        app.post("/vaults", &chooses).await.expect(status);
    }
    let summary = app.get("/vaults/summary").await.expect(200).body;
    assert_eq!(summary["size"], 10 + 1024 + 10);
}

/// VLT-10, VLT-11, VLT-70: files have 1 to 10 240 whole TB, also when they are resized; file systems any number of GB.
#[tokio::test]
async fn a_file_vault_has_whole_terabytes_also_when_it_changes() {
    let app = App::start().await;
    for (object, size, status) in [
        ("file", 1, 400),
        ("file", 1023, 400),
        ("file", 1025, 400),
        ("file", 10_485_760 + 1024, 400),
        ("file", 1024, 200),
        ("file", 10_485_760, 200),
        ("turbo", 0, 400),
        ("turbo", 10_485_761, 400),
        ("turbo", 1025, 200),
    ] {
        let answer = app.post("/vaults", &body("v", object, size)).await.expect(status);
        assert!(status == 200 || answer.code() == "BackupService.6101", "{}", answer.body);
    }
    let files = make(&app, "file", 2048).await;
    let path = format!("/vaults/{files}");
    for (size, status) in [(2049, 400), (3000, 400), (5120, 200), (1024, 200), (1000, 400)] {
        let change = json!({"vault": {"billing": {"size": size}}});
        let answer = app.put(&path, &change).await.expect(status);
        assert!(status == 200 || answer.code() == "BackupService.6101", "{}", answer.body);
    }
    assert_eq!(app.get(&path).await.expect(200).body["vault"]["billing"]["size"], 1024);
}

/// Contract C3, C14, C22, Z-28: the filters know them by each of their words.
#[tokio::test]
async fn vaults_are_found_by_what_they_are_for() {
    let app = App::start().await;
    let (turbo, files) = (make(&app, "turbo", 10).await, make(&app, "file", 1024).await);
    let disks = app.create_vault("disks").await;
    let external =
        format!("/vaults/external?region_id=local-1&external_project_id={}&", app.project());
    for (query, want) in [
        ("object_type=file", vec![&files]),
        ("object_type=turbo", vec![&turbo]),
        ("protect_type=hybrid", vec![&files]),
        ("cloud_type=hybrid", vec![&files]),
        ("cloud_type=public&protect_type=backup", vec![&disks, &turbo]),
        ("object_type=file&protect_type=backup", vec![]),
        ("protect_type=replication", vec![]),
        ("object_type=vmware", vec![]),
    ] {
        for list in ["/vaults?", &external] {
            let mut found = found(&app, &format!("{list}{query}")).await;
            let mut want: Vec<String> = want.iter().map(|id| (*id).clone()).collect();
            found.sort();
            want.sort();
            assert_eq!(found, want, "{list}{query}");
        }
    }
    let by_tags = "/vault/resource_instances/action";
    for (key, word, count) in
        [("cloud_type", "hybrid", 1), ("cloud_type", "public", 2), ("object_type", "turbo", 1)]
    {
        let ask = json!({"action": "filter", key: word});
        let answer = app.post(by_tags, &ask).await.expect(200).body;
        assert_eq!(answer["total_count"], count, "{key} {word}");
    }
}

/// VLT-17, contract B.6: a vault takes what it is for: of file systems there are none, and hosts make no backups yet.
#[tokio::test]
async fn nothing_is_bound_to_them() {
    let app = App::start().await;
    app.add_server();
    let (turbo, files) = (make(&app, "turbo", 100).await, make(&app, "file", 1024).await);
    for (vault, id, kind, status, code) in [
        (&turbo, NOBODY, "OS::Sfs::Turbo", 404, "BackupService.6302"),
        (&turbo, SERVER, "OS::Nova::Server", 400, "BackupService.6102"),
        (&turbo, NOBODY, "OS::Native::Server", 400, "BackupService.6102"),
        (&files, NOBODY, "OS::Native::Server", 400, "BackupService.6108"),
        (&files, SERVER, "OS::Nova::Server", 400, "BackupService.6102"),
        (&files, NOBODY, "OS::Sfs::Turbo", 400, "BackupService.6102"),
    ] {
        let bind = json!({"resources": [{"id": id, "type": kind}]});
        let answer = app.post(&format!("/vaults/{vault}/addresources"), &bind).await;
        assert_eq!(answer.expect(status).code(), code, "{kind}");
        let mut new = body("new", "turbo", 100);
        new["vault"]["resources"] = bind["resources"].clone();
        app.post("/vaults", &new).await.expect(if kind.contains("Turbo") { 404 } else { 400 });
    }
    for vault in [&turbo, &files] {
        let run = json!({"checkpoint": {"vault_id": vault}});
        assert_eq!(app.post("/checkpoints", &run).await.expect(400).code(), "BackupService.0001");
    }
    let usage = app.get("/storage_usage").await.expect(200).body;
    assert_eq!(usage["resource_count"], 0);
}

/// VLT-01, BIL-01, BIL-08, VLT-11, contract C2, C65: ordered, changed by an order, unsubscribed.
#[tokio::test]
async fn they_are_ordered_and_changed_by_orders() {
    let app = App::start().await;
    for (object, sizes, code) in [
        ("file", [1024, 2048, 2050], "vault.hybrid.server.normal"),
        ("turbo", [100, 200, 0], "vault.backup.turbo.normal"),
    ] {
        let mut order = body("ordered", object, sizes[0]);
        let billing = &mut order["vault"]["billing"];
        billing["charging_mode"] = json!("pre_paid");
        billing["period_type"] = json!("month");
        billing["period_num"] = json!(1);
        billing["is_auto_pay"] = json!(true);
        let answer = app.post("/vaults/order", &order).await.expect(200).body;
        let vault = answer["orders"][0]["resourceId"].as_str().unwrap().to_owned();
        let to = |size: u64, code: &str| {
            json!({"resource_id": vault, "product_info": {"product_id": "p-1",
                "resource_size": size, "resource_spec_code": code}})
        };
        app.post("/orders/change", &to(sizes[1], "vault.backup.volume.normal")).await.expect(400);
        app.post("/orders/change", &to(sizes[2], code)).await.expect(400);
        app.post("/orders/change", &to(sizes[1], code)).await.expect(200);
        let shown = app.get(&format!("/vaults/{vault}")).await.expect(200).body;
        assert_eq!(shown["vault"]["billing"]["size"], sizes[1]);
        assert_eq!(shown["vault"]["billing"]["charging_mode"], "pre_paid");
        app.post(&format!("/x/vaults/{vault}/unsubscribe"), &json!({})).await.expect(202);
        app.settle().await;
        app.get(&format!("/vaults/{vault}")).await.expect(404);
    }
}

/// VLT-50, VLT-54, TAG-01: frozen, tagged, renamed and deleted like any other.
#[tokio::test]
async fn they_live_and_go_like_other_vaults() {
    let app = App::start().await;
    for (object, size) in [("turbo", 10), ("file", 1024)] {
        let vault = make(&app, object, size).await;
        let path = format!("/vaults/{vault}");
        let tag = json!({"tag": {"key": "env", "value": "lab"}});
        app.post(&format!("/vault/{vault}/tags"), &tag).await.expect(204);
        let rename = json!({"vault": {"name": "renamed"}});
        app.put(&path, &rename).await.expect(200);
        app.delete(&path).await.expect(204);
        app.settle().await;
        assert_eq!(app.get(&path).await.expect(404).code(), "BackupService.6105");
        let logs = app.get(&format!("/operation-logs?vault_id={vault}")).await.expect(200).body;
        assert_eq!(logs["operation_logs"][0]["status"], "success");
    }
}
