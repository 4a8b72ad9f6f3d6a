//! Sharing over HTTP (contract C35 to C39), and how shared backups look (C27, C28).

use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Answer, Call, send};

const NOBODY: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

/// Another account's administrator in its own project.
struct Friend<'a> {
    app: &'a App,
    token: String,
    project: String,
}

impl<'a> Friend<'a> {
    async fn of(app: &'a App) -> Self {
        let (token, project) = app.stranger().await;
        Self { app, token, project }
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let call = Call::new(method, format!("/v3/{}{path}", self.project)).token(&self.token);
        let call = if let Some(body) = body { call.json(body) } else { call };
        send(&self.app.router, call.build()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    async fn vault(&self, kind: &str) -> String {
        let body = json!({"vault": {"name": "inbox", "resources": [], "billing": {
            "consistent_level": "crash_consistent", "object_type": kind,
            "protect_type": "backup", "size": 100}}});
        let made = self.call("POST", "/vaults", Some(&body)).await.expect(200).body;
        made["vault"]["id"].as_str().unwrap().to_owned()
    }

    /// A new disk with the content of the backup.
    async fn make_disk_of(&self, backup: &str) {
        let create = json!({"volume": {"backup_id": backup, "name": "copy", "count": 1}});
        let path = format!("/v2/{}/cloudvolumes", self.project);
        let call = Call::new("POST", path).token(&self.token).json(&create);
        let job = send(&self.app.router, call.build()).await.expect(202).body;
        self.app.settle().await;
        let job = format!("/v1/{}/jobs/{}", self.project, job["job_id"].as_str().unwrap());
        let call = Call::new("GET", job).token(&self.token);
        let shown = send(&self.app.router, call.build()).await.expect(200).body;
        assert_eq!(shown["status"], "SUCCESS", "{shown}");
    }

    async fn decide(&self, backup: &str, body: Value) -> Answer {
        let path = format!("/backups/{backup}/members/{}", self.project);
        self.call("PUT", &path, Some(&body)).await
    }
}

/// SHR-05 … SHR-10 (SHR-06, SHR-09), BAK-59, NEW-13, contract C27, C28, C35 to C39: the whole way, as both
/// sides see it.
#[tokio::test]
async fn a_backup_is_offered_accepted_used_and_taken_back() {
    let app = App::start().await;
    let (_, backup) = app.back_up_disk("ours").await;
    let id = backup["id"].as_str().unwrap();
    let friend = Friend::of(&app).await;
    let members = format!("/backups/{id}/members");
    let body = json!({"members": [friend.project]});
    let added = app.post(&members, &body).await.expect(200).body;
    let member = &added["members"][0];
    assert_eq!(member["status"], "pending");
    assert_eq!(member["dest_project_id"], friend.project.as_str());
    for field in ["vault_id", "image_id", "updated_at"] {
        assert_eq!(member[field], Value::Null, "{field}");
    }
    // The command line looks each of them up by the project (contract C35).
    let one = format!("{members}/{}", friend.project);
    assert_eq!(app.get(&one).await.expect(200).body["member"], *member);
    assert_eq!(friend.get(&one).await.expect(200).body["member"], *member);

    // Before it is accepted: listed as an offer, and nothing more.
    let offered = friend.get("/backups?own_type=shared&member_status=pending").await.expect(200);
    assert_eq!(offered.body["count"], 1);
    let offer = &offered.body["backups"][0];
    assert_eq!((&offer["id"], &offer["vault_id"]), (&backup["id"], &Value::Null));
    assert_eq!(offer["project_id"], app.project());
    assert!(offer.get("x-sizes").is_none(), "what it costs is the owner's business");
    assert_eq!(friend.get("/backups").await.expect(200).body["count"], 0);
    let hidden = friend.get(&format!("/backups/{id}")).await.expect(404);
    assert_eq!(hidden.code(), "BackupService.6200");
    // Who shares it may be looked up now.
    let call = Call::new("GET", format!("/v3/domain/{}", app.project())).token(&friend.token);
    let known = send(&app.router, call.build()).await.expect(200).body;
    assert_eq!(known["project_name"], "local-1");

    let vault = friend.vault("disk").await;
    let accept = json!({"status": "accepted", "vault_id": vault});
    let accepted = friend.decide(id, accept).await.expect(200).body;
    assert_eq!(accepted["member"]["status"], "accepted");
    assert_eq!(accepted["member"]["vault_id"], vault.as_str());
    // Terraform reads both (contract C28).
    let shown = friend.get(&format!("/backups/{id}")).await.expect(200).body;
    assert_eq!(shown["backup"]["project_id"], app.project());
    assert_eq!(shown["backup"]["vault_id"], vault.as_str());
    let inbox = format!("/backups?own_type=all_granted&vault_id={vault}&enterprise_project_id=0");
    assert_eq!(friend.get(&inbox).await.expect(200).body["count"], 1);
    for nothing in [
        "own_type=shared&member_status=rejected",
        "own_type=shared&enterprise_project_id=x",
        "own_type=shared&used_percent=50",
        "own_type=private",
        "member_status=accepted",
    ] {
        let found = friend.get(&format!("/backups?{nothing}")).await.expect(200).body;
        assert_eq!(found["count"], 0, "{nothing}");
    }
    let marked = format!("/backups?own_type=shared&marker={id}");
    assert_eq!(friend.get(&marked).await.expect(200).body["backups"], json!([]));
    let used = friend.get(&format!("/vaults/{vault}")).await.expect(200).body;
    assert!(used["vault"]["billing"]["used"].is_u64(), "{used}");

    friend.make_disk_of(id).await;
    app.delete(&one).await.expect(204);
    assert_eq!(friend.get(&format!("/backups/{id}")).await.status.as_u16(), 404);
    assert_eq!(app.get(&one).await.expect(404).code(), "BackupService.6705");
    assert_eq!(app.delete(&one).await.expect(404).code(), "BackupService.6705");
}

/// Contract C35, C38, D: what is refused, with its code.
#[tokio::test]
async fn every_refusal_of_sharing_has_its_code() {
    let app = App::start().await;
    let (_, backup) = app.back_up_disk("ours").await;
    let id = backup["id"].as_str().unwrap();
    let friend = Friend::of(&app).await;
    let members = format!("/backups/{id}/members");
    for (body, code) in [
        (json!({"members": []}), "BackupService.9900"),
        (json!({"members": vec![friend.project.clone(); 11]}), "BackupService.6701"),
        (json!({"members": [NOBODY]}), "BackupService.6704"),
        (json!({"members": [app.project()]}), "BackupService.6704"),
        (json!({"members": [friend.project, friend.project]}), "BackupService.6703"),
        (json!({"domains": [NOBODY]}), "BackupService.9900"),
    ] {
        let refused = app.post(&members, &body).await.expect(400);
        assert_eq!(refused.code(), code, "{body}: {}", refused.body);
    }
    let body = json!({"members": [friend.project]});
    let absent = app.post(&format!("/backups/{NOBODY}/members"), &body).await.expect(404);
    assert_eq!(absent.code(), "BackupService.6200");
    assert_eq!(friend.get(&members).await.expect(404).code(), "BackupService.6200");
    app.post(&members, &body).await.expect(200);

    let vault = friend.vault("disk").await;
    let servers = friend.vault("server").await;
    for (body, status, code) in [
        (json!({"status": "accepted"}), 400, "BackupService.6706"),
        (json!({"status": "pending"}), 400, "BackupService.6706"),
        (json!({"status": "accepted", "vault_id": NOBODY}), 404, "BackupService.6105"),
        (json!({"status": "accepted", "vault_id": servers}), 400, "BackupService.6713"),
        (json!({}), 400, "BackupService.9900"),
    ] {
        let refused = friend.decide(id, body.clone()).await.expect(status);
        assert_eq!(refused.code(), code, "{body}");
    }
    let (one, reject) = (format!("{members}/{}", friend.project), json!({"status": "rejected"}));
    assert_eq!(app.put(&one, &reject).await.expect(400).code(), "BackupService.6708");

    let accept = json!({"status": "accepted", "vault_id": vault});
    friend.decide(id, accept).await.expect(200);
    let path = |suffix: &str| format!("/backups/{id}{suffix}");
    let on = friend.call("POST", &path("/members"), Some(&json!({"members": [NOBODY]}))).await;
    assert_eq!(on.expect(400).code(), "BackupService.6714");
    let rename = json!({"backup": {"name": "mine"}});
    let refused = friend.call("PUT", &path(""), Some(&rename)).await.expect(403);
    assert_eq!(refused.code(), "BackupService.0403");
    let refused = friend.call("DELETE", &path(""), None).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6201");
    let refused = friend.call("POST", &path("/restore"), Some(&json!({"restore": {}}))).await;
    assert_eq!(refused.expect(400).code(), "BackupService.2003");
    let own = path(&format!("/members/{}", friend.project));
    let refused = friend.call("DELETE", &own, None).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6708");

    // While it is read, it cannot go (SHR-11).
    let create = json!({"volume": {"backup_id": id, "count": 1}});
    let call = Call::new("POST", format!("/v2/{}/cloudvolumes", friend.project));
    send(&app.router, call.token(&friend.token).json(&create).build()).await.expect(202);
    assert_eq!(app.delete(&path("")).await.expect(400).code(), "BackupService.6711");
    app.settle().await;
    app.delete(&path("")).await.expect(204);
}

/// Contract C36: filters, order, pages; `offset` beyond the end is an empty list.
#[tokio::test]
async fn members_are_listed_in_pages() {
    let app = App::start().await;
    let (_, backup) = app.back_up_disk("ours").await;
    let members = format!("/backups/{}/members", backup["id"].as_str().unwrap());
    let none = app.get(&members).await.expect(200).body;
    assert_eq!(none, json!({"members": [], "count": 0}));
    let friend = Friend::of(&app).await;
    app.post(&members, &json!({"members": [friend.project]})).await.expect(200);
    let listed = app.get(&members).await.expect(200).body;
    let id = listed["members"][0]["id"].as_str().unwrap().to_owned();
    for (query, count, shown) in [
        ("status=pending&sort=created_at:asc,status", 1, 1),
        ("status=accepted,rejected", 0, 0),
        ("image_id=x", 0, 0),
        ("offset=1", 1, 0),
        ("limit=1&offset=0", 1, 1),
        (&format!("marker={id}"), 1, 0),
        (&format!("dest_project_id={}", friend.project), 1, 1),
        (&format!("dest_project_id={}", app.project()), 0, 0),
        (&format!("vault_id={NOBODY}"), 0, 0),
    ] {
        let found = app.get(&format!("{members}?{query}")).await.expect(200).body;
        let rows = found["members"].as_array().unwrap().len();
        assert_eq!((&found["count"], rows), (&json!(count), shown), "{query}");
    }
    for bad in ["sort=name", "status=maybe", "limit=0", &format!("marker={NOBODY}")] {
        let refused = app.get(&format!("{members}?{bad}")).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{bad}");
    }
    assert_eq!(friend.get(&members).await.expect(200).body["count"], 1, "itself");
}

/// Contract C34: how the server was set up, also after it has gone; not before the backup is complete.
#[tokio::test]
async fn a_backup_knows_how_its_server_was_set_up() {
    let app = App::start().await;
    let (vault, backup) = app.back_up_server("servers").await;
    let id = backup["id"].as_str().unwrap();
    app.provider.remove(crate::things::SERVER.parse().unwrap());
    let shown = app.get(&format!("/backups/{id}/metadata")).await.expect(200).body;
    let document = |text: &Value| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap();
    let server = document(&shown["server"]);
    assert_eq!((&server["id"], &server["name"]), (&json!(crate::things::SERVER), &json!("web")));
    let attached = server["os-extended-volumes:volumes_attached"].as_array().unwrap();
    assert_eq!(attached[0]["id"], crate::things::SYSTEM_DISK);
    assert_eq!(attached[0]["bootIndex"], "0");
    assert_eq!(shown["volumes"].as_array().unwrap().len(), 2);
    assert_eq!(document(&shown["volumes"][1])["id"], crate::things::DATA_DISK);
    assert_eq!(document(&shown["backups"]).as_array().unwrap().len(), 2);
    assert_eq!((&shown["backup_id"], &shown["ports"]), (&json!(id), &json!([])));
    // One of its disks.
    let child = backup["children"][1]["id"].as_str().unwrap();
    let shown = app.get(&format!("/backups/{child}/metadata")).await.expect(200).body;
    assert_eq!(shown["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(document(&shown["volumes"][0])["id"], crate::things::DATA_DISK);
    assert!(document(&shown["server"])["name"] == "web");
    // It comes back out of the trash.
    app.delete(&format!("/backups/{id}")).await.expect(204);
    app.settle().await;
    let gone = app.get(&format!("/backups/{id}/metadata")).await.expect(404);
    assert_eq!(gone.code(), "BackupService.6200");
    app.post(&format!("/x/trash/{id}/undelete"), &json!({})).await.expect(202);
    app.settle().await;
    let again = app.get(&format!("/backups/{id}/metadata")).await.expect(200).body;
    assert_eq!(document(&again["server"])["name"], "web");

    app.bind_server(&vault).await;
    app.post("/checkpoints", &json!({"checkpoint": {"vault_id": vault}})).await.expect(200);
    let running = app.get("/backups?status=protecting").await.body["backups"][0].clone();
    let path = format!("/backups/{}/metadata", running["id"].as_str().unwrap());
    assert_eq!(app.get(&path).await.expect(400).code(), "BackupService.6206");
}
