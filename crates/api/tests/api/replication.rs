//! What needs another region or a predecessor is checked and refused (contract C25, C32, C56, C68 to C71), and
//! who is who (C72 to C74).

use serde_json::{Value, json};

use crate::app::{App, DOMAIN_NAME, PROJECT_NAME};
use crate::client::{Call, send};
use crate::people::Office;
use crate::things::SYSTEM_DISK;

const NOBODY: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

fn to(region: &str, project: &str, vault: &str) -> Value {
    json!({"destination_region": region, "destination_project_id": project,
           "destination_vault_id": vault})
}

/// REP-01, REP-03, REP-06, REP-07, RGN-13: every refusal has the code of what is wrong first.
#[tokio::test]
async fn a_backup_is_copied_nowhere_and_the_code_says_why() {
    let app = App::start().await;
    let (vault, backup) = app.back_up_server("servers").await;
    let id = backup["id"].as_str().unwrap();
    let own = app.project();
    let nobodys = "0605767b5780d5762fc5c0118072a564";
    let path = format!("/backups/{id}/replicate");
    for (destination, code) in [
        (to("eu-de", &own, &vault), "BackupService.1005"),
        (to(PROJECT_NAME, nobodys, &vault), "BackupService.1011"),
        (to(PROJECT_NAME, &own, NOBODY), "BackupService.6120"),
        (to(PROJECT_NAME, &own, &vault), "BackupService.6119"),
        (to("eu de", &own, &vault), "BackupService.9900"),
        (to("eu-de", "x", &vault), "BackupService.9900"),
        (json!({}), "BackupService.9900"),
    ] {
        let refused = app.post(&path, &json!({"replicate": destination})).await.expect(400);
        assert_eq!(refused.code(), code, "{destination}: {}", refused.body);
        let mut whole = destination.clone();
        whole["vault_id"] = json!(vault);
        let refused = app.post("/checkpoints/replicate", &json!({"replicate": whole})).await;
        assert_eq!(refused.expect(400).code(), code, "vault to {destination}");
    }
    let mut named = to("eu-de", &own, &vault);
    named["name"] = json!("no/slash");
    let refused = app.post(&path, &json!({"replicate": named})).await.expect(400);
    assert_eq!(refused.code(), "BackupService.9900");

    let good = json!({"replicate": to("eu-de", &own, &vault)});
    let absent = app.post(&format!("/backups/{NOBODY}/replicate"), &good).await.expect(404);
    assert_eq!(absent.code(), "BackupService.6200");
    let child = backup["children"][0]["id"].as_str().unwrap();
    let refused = app.post(&format!("/backups/{child}/replicate"), &good).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6122");
    assert_eq!(app.get("/operation-logs?operation_type=replication").await.body["count"], 0);
}

/// REP-07, contract C25: only server vaults, and only with something to copy.
#[tokio::test]
async fn a_vault_is_copied_only_if_it_holds_servers_backups() {
    let app = App::start().await;
    let disks = app.create_vault("disks").await;
    let own = app.project();
    let copy = |vault: &str| {
        let mut body = to("eu-de", &own, NOBODY);
        body["vault_id"] = json!(vault);
        json!({"replicate": body})
    };
    let refused = app.post("/checkpoints/replicate", &copy(&disks)).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6128");
    let empty = app.create_server_vault("empty").await;
    let refused = app.post("/checkpoints/replicate", &copy(&empty)).await.expect(400);
    assert_eq!(refused.code(), "BackupService.0001");
    let absent = app.post("/checkpoints/replicate", &copy(NOBODY)).await.expect(404);
    assert_eq!(absent.code(), "BackupService.6105");

    let (_, disk) = app.back_up_disk("more").await;
    let path = format!("/backups/{}/replicate", disk["id"].as_str().unwrap());
    let body = json!({"replicate": to("eu-de", &own, NOBODY)});
    let refused = app.post(&path, &body).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6122", "disks are not copied");
}

/// REP-07: a backup that is not complete is not copied.
#[tokio::test]
async fn a_backup_that_runs_is_not_copied() {
    let app = App::start().await;
    let vault = app.create_server_vault("servers").await;
    let body = json!({"checkpoint": {"vault_id": vault}});
    app.bind_server(&vault).await;
    app.post("/checkpoints", &body).await.expect(200);
    let running = app.get("/backups").await.body["backups"][0].clone();
    assert_eq!(running["status"], "protecting");
    let path = format!("/backups/{}/replicate", running["id"].as_str().unwrap());
    let wanted = json!({"replicate": to("eu-de", &app.project(), NOBODY)});
    let refused = app.post(&path, &wanted).await.expect(400);
    assert_eq!(refused.code(), "BackupService.1001");
    assert!(
        running["children"].as_array().unwrap().iter().any(|c| c["resource_id"] == SYSTEM_DISK)
    );
}

/// RGN: one region, no partners; the flags say the same.
#[tokio::test]
async fn capabilities_and_features_say_that_there_is_one_region() {
    let app = App::start().await;
    let known = app.get("/replication-capabilities").await.expect(200).body;
    let regions = json!([{"name": PROJECT_NAME, "replication_destinations": []}]);
    assert_eq!(known["regions"], regions);
    let all = app.get("/cbr-features").await.expect(200).body;
    assert_eq!(all["replication.enable"], false);
    assert_eq!(all["replication.source_region"], PROJECT_NAME);
    let count = all.as_object().unwrap().len();
    for (key, value) in all.as_object().unwrap() {
        let one = app.get(&format!("/cbr-features/{key}")).await.expect(200).body;
        assert_eq!(one, json!({ key: value }));
    }
    let page = app.get("/cbr-features?limit=2&offset=1").await.expect(200).body;
    assert_eq!(page.as_object().unwrap().len(), 2);
    let rest = app.get(&format!("/cbr-features?offset={}", count - 1)).await.expect(200).body;
    assert_eq!(rest, json!({"replication.source_region": PROJECT_NAME}));
    // Contract A.5: the body of these refusals is a bare text.
    let unknown = app.get("/cbr-features/replication.magic").await.expect(400).body;
    assert!(unknown.as_str().unwrap().contains("replication.enable"), "{unknown}");
    for bad in ["limit=0", "limit=1001", "offset=1001", "offset=-1"] {
        let refused = app.get(&format!("/cbr-features?{bad}")).await.expect(400);
        assert!(refused.body.is_string(), "{bad}");
    }
}

/// Both operations of a migration.
const PATH: &str = "/v3/migrates";

/// Contract C70, C71, B.10: that an account asked is kept and shown, by an administrator; there is nothing to move, so
/// it is over at once, and no operation is pretended.
#[tokio::test]
async fn a_migration_is_written_down_and_over_at_once() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let never = office.get(&format!("{PATH}?all_regions=true")).await.expect(404);
    assert_eq!(never.code(), "BackupService.4001");
    let start = |reservation: f64| json!({"all_regions": true, "reservation": reservation});
    for wrong in [start(1.5), start(-0.1), json!({"all_regions": true}), json!({"reservation": 1})]
    {
        let refused = office.post(PATH, wrong).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900");
    }
    assert_eq!(office.get(PATH).await.expect(404).code(), "BackupService.4001");
    let before = app.records().await.len();
    // Again is harmless.
    for reservation in [0.2, 0.0, 1.0] {
        let asked = office.post(PATH, start(reservation)).await.expect(200).body;
        assert_eq!(asked, json!({ PROJECT_NAME: "running" }));
    }
    assert_eq!(app.records().await.len(), before + 3);
    for query in ["", "?all_regions=false"] {
        let shown = office.get(&format!("{PATH}{query}")).await.expect(200).body;
        assert_eq!(shown["status"], "success");
        let projects = shown["project_status"].as_array().unwrap();
        let own = projects.iter().find(|it| it["project_id"] == app.project().as_str()).unwrap();
        let want = json!({"status": "success", "project_id": app.project(),
            "project_name": PROJECT_NAME, "region_id": PROJECT_NAME, "progress": 100});
        assert_eq!(*own, want);
    }
    let refused = office.get(&format!("{PATH}?all_regions=maybe")).await.expect(400);
    assert_eq!(refused.code(), "BackupService.9900");
    assert_eq!(app.get("/operation-logs").await.expect(200).body["count"], 0);
    // Another account has not asked; a credential for one project is not good for the account.
    let (token, _) = app.stranger_for_account().await;
    let call = Call::new("GET", PATH).token(&token);
    send(&app.router, call.build()).await.expect(404);
    app.call("GET", PATH, None).await.expect(403);
    app.call("POST", PATH, Some(&start(0.2))).await.expect(403);
}

/// Contract C72 to C74; P26: another account's projects are told by its full name only.
#[tokio::test]
async fn projects_are_found_by_account_and_accounts_by_own_projects() {
    let app = App::start().await;
    let (token, theirs) = app.stranger().await;
    let own = app.project();
    let ask = async |path: String, token: &str| {
        send(&app.router, Call::new("GET", path).token(token).build()).await
    };
    let projects = ask("/v3/domain/other/projects".into(), app.token()).await.expect(200).body;
    assert_eq!(projects, json!({"projects": [{"project_id": theirs, "project_name": "local-1"}]}));
    let none = ask("/v3/domain/oth/projects".into(), app.token()).await.expect(200).body;
    assert_eq!(none, json!({"projects": []}));

    let shown = ask(format!("/v3/domain/{own}"), app.token()).await.expect(200).body;
    assert_eq!(shown["domain_name"], DOMAIN_NAME);
    assert_eq!(shown["project_name"], PROJECT_NAME);
    for (id, token) in
        [(own.as_str(), token.as_str()), (theirs.as_str(), app.token()), ("x", app.token())]
    {
        let absent = ask(format!("/v3/domain/{id}"), token).await.expect(404);
        assert_eq!(absent.code(), "IAM.0004", "{id}");
    }

    let listed = ask("/v3/region-projects".into(), app.token()).await.expect(200).body;
    assert_eq!(listed["projects"][0]["id"], own.as_str());
    assert_eq!(listed["projects"][0]["name"], PROJECT_NAME);
    assert_eq!(listed["projects"].as_array().unwrap().len(), 1);
    assert!(listed["links"].get("next").is_none());
}
