//! What the guide has and this service has not yet: each is refused with a code and a reason that says so, and
//! nothing is pretended. A requirement that is cited here is not met; its table says so. What becomes possible
//! leaves this file.

use serde_json::{Value, json};

use crate::app::{App, vault_body};
use crate::client::Answer;
use crate::things::SERVER;

const AGENT: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

#[track_caller]
fn refused(answer: Answer, code: &str, part: &str) {
    let answer = answer.expect(400);
    assert_eq!(answer.code(), code, "{}", answer.body);
    let told = answer.body["error_msg"].as_str().unwrap();
    assert!(told.contains(part), "`{told}` should say `{part}`");
}

fn vault_of(object: &str, protect: &str, size: u64) -> Value {
    let mut body = vault_body("v");
    let billing = &mut body["vault"]["billing"];
    billing["object_type"] = json!(object);
    billing["protect_type"] = json!(protect);
    billing["size"] = json!(size);
    body
}

/// VLT-07, Z-39, contract D 6116: vaults are for backups, of servers, disks, file systems and files. Others are refused
/// whatever their capacity, ordered or not.
#[tokio::test]
async fn vaults_of_other_kinds_are_not_made() {
    let app = App::start().await;
    for (object, protect, size, part) in [
        ("workspace", "backup", 100, "object_type `workspace`"),
        ("vmware", "backup", 100, "object_type `vmware`"),
        ("rds", "backup", 100, "object_type `rds`"),
        ("server", "replication", 100, "protect_type `replication`"),
        ("turbo", "replication", 100, "protect_type `replication`"),
        ("server", "hybrid", 100, "protect_type `hybrid`"),
        ("file", "hybrid", 1024, "protect_type `hybrid`"),
    ] {
        let mut body = vault_of(object, protect, size);
        refused(app.post("/vaults", &body).await, "BackupService.6116", part);
        body["vault"]["billing"]["charging_mode"] = json!("pre_paid");
        body["vault"]["billing"]["period_type"] = json!("month");
        body["vault"]["billing"]["period_num"] = json!(1);
        refused(app.post("/vaults/order", &body).await, "BackupService.6116", part);
    }
    assert_eq!(app.get("/vaults").await.expect(200).body["count"], 0);
}

/// VLT-17, BAK-03, NEW-08, NEW-09, contract F.5: there are no file systems to choose, to bind, to back up, to make
/// from a backup, or to restore to.
#[tokio::test]
async fn file_systems_are_neither_backed_up_nor_made() {
    let app = App::start().await;
    let listed = app.get("/protectables/turbo/instances").await.expect(200).body;
    assert_eq!(listed, json!({"instances": []}));
    let (vault, backup) = app.back_up_disk("v").await;
    let bind = json!({"resources": [{"id": AGENT, "type": "OS::Sfs::Turbo"}]});
    let path = format!("/vaults/{vault}/addresources");
    refused(app.post(&path, &bind).await, "BackupService.6102", "takes no OS::Sfs::Turbo");

    let id = backup["id"].as_str().unwrap();
    let shares = format!("/v1/{}/sfs-turbo/shares", app.project());
    let wanted = json!({"share": {"name": "home", "share_proto": "NFS", "size": 500,
        "backup_id": id}});
    let made = app.call("POST", &shares, Some(&wanted)).await;
    refused(made, "CBRX.0054", "no provider of file systems");
    let listed = app.call("GET", &format!("{shares}/detail"), None).await.expect(200).body;
    assert_eq!(listed["count"], 0);
    let in_place = json!({"restore": {"resource_id": AGENT}});
    let answer = app.post(&format!("/backups/{id}/restore"), &in_place).await;
    assert!(matches!(answer.status.as_u16(), 400 | 404), "{}", answer.body);
    assert_eq!(app.get("/operation-logs?operation_type=restore").await.body["count"], 0);
}

/// BAK-04, BAK-10: hosts and their directories are records. No vault takes them, also none for files, so no run does;
/// and an agent that is known is not said to have a backup.
#[tokio::test]
async fn directories_of_hosts_are_not_backed_up() {
    let app = App::start().await;
    let files = app.create_file_vault("files").await;
    let agent = json!({"agent": {"agent_id": AGENT, "agent_type": "native", "host_ip": "192.0.2.7",
        "host_name": "host-1", "host_os": "CentOS 7"}});
    app.post("/agents", &agent).await.expect(200);
    let add = json!({"add_path": ["/data"]});
    app.post(&format!("/agents/{AGENT}/add-path"), &add).await.expect(200);
    for object in ["disk", "server"] {
        let vault = vault_of(object, "backup", 100);
        let vault = app.post("/vaults", &vault).await.expect(200).body;
        let vault = vault["vault"]["id"].as_str().unwrap();
        for (kind, part) in [
            ("OS::Native::Server", "takes no OS::Native::Server"),
            ("OS::Native::File", "does not take this type"),
        ] {
            let bind = json!({"resources": [{"id": AGENT, "type": kind}]});
            let answer = app.post(&format!("/vaults/{vault}/addresources"), &bind).await;
            refused(answer, "BackupService.6102", part);
        }
        let run = json!({"checkpoint": {"vault_id": vault, "parameters": {"resources": [AGENT]}}});
        refused(app.post("/checkpoints", &run).await, "BackupService.6135", AGENT);
    }
    let bind = json!({"resources": [{"id": AGENT, "type": "OS::Native::Server"}]});
    let answer = app.post(&format!("/vaults/{files}/addresources"), &bind).await;
    refused(answer, "BackupService.6108", "none makes backups yet");
    let run = json!({"checkpoint": {"vault_id": files, "parameters": {"resources": [AGENT]}}});
    refused(app.post("/checkpoints", &run).await, "BackupService.6135", AGENT);
    assert_eq!(app.get("/backups").await.expect(200).body["count"], 0);
}

/// IMG-04, contract B.6: there are no bare-metal servers, hence no backup of one that an image could be made of.
#[tokio::test]
async fn bare_metal_servers_are_not_bound() {
    let app = App::start().await;
    app.add_server();
    let vault = app.create_server_vault("servers").await;
    let bind = json!({"resources": [{"id": SERVER, "type": "OS::Ironic::BareMetalServer"}]});
    let answer = app.post(&format!("/vaults/{vault}/addresources"), &bind).await;
    refused(answer, "BackupService.6102", "does not take this type");
    let found = app.get("/backups?resource_type=OS::Ironic::BareMetalServer").await.expect(200);
    assert_eq!(found.body["count"], 0);
}

/// REP-02, REP-04, REP-05, BAK-58: a policy of replication is kept, switched off and on, but binds to no vault, for there
/// is none that takes copies; so no backup is a copy, and none looks like one.
#[tokio::test]
async fn nothing_is_replicated_by_a_policy() {
    let app = App::start().await;
    let (vault, backup) = app.back_up_server("servers").await;
    let policy = json!({"policy": {"name": "copies", "operation_type": "replication",
        "trigger": {"properties": {"pattern":
            ["FREQ=DAILY;INTERVAL=1;BYHOUR=06;BYMINUTE=00"]}},
        "operation_definition": {"destination_region": "local-1",
            "destination_project_id": app.project()}}});
    let made = app.post("/policies", &policy).await.expect(200).body;
    let path = format!("/policies/{}", made["policy"]["id"].as_str().unwrap());
    for enabled in [false, true] {
        let switch = json!({"policy": {"enabled": enabled}});
        app.put(&path, &switch).await.expect(200);
        assert_eq!(app.get(&path).await.expect(200).body["policy"]["enabled"], enabled);
    }
    let to = app.create_server_vault("other").await;
    let bind = json!({"policy_id": made["policy"]["id"], "destination_vault_id": to});
    let answer = app.post(&format!("/vaults/{vault}/associatepolicy"), &bind).await;
    refused(answer, "BackupService.6119", "takes no copies");
    let unbound = app.get(&path).await.expect(200).body;
    assert_eq!(unbound["policy"]["associated_vaults"], json!([]));

    assert_eq!(backup["image_type"], "backup");
    assert_eq!(backup["replication_records"], json!([]));
    let copies = app.get("/backups?image_type=replication").await.expect(200).body;
    assert_eq!(copies["count"], 0);
    let logs = app.get("/operation-logs?operation_type=replication").await.expect(200).body;
    assert_eq!(logs["count"], 0);
}
