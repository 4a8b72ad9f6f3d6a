//! Images of servers over HTTP (contract F.2), and what they keep from going.

use cbr_provider::fake::{Fault, Operation};
use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Answer, Call, send};
use crate::things::{DATA_DISK, SERVER, SYSTEM_DISK};

const NOBODY: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
const MAKE: &str = "/v1/cloudimages/wholeimages/action";

/// Makes an image and waits for the job; the job.
async fn make(app: &App, body: &Value) -> Value {
    let started = app.call("POST", MAKE, Some(body)).await.expect(200).body;
    app.settle().await;
    let job = started["job_id"].as_str().unwrap();
    let shown = app.call("GET", &format!("/v1/{}/jobs/{job}", app.project()), None).await;
    let shown = shown.expect(200).body;
    let own = app.call("GET", &format!("/v1/cloudimages/job/{job}"), None).await.expect(200).body;
    assert_eq!(shown, own, "one job, two paths");
    shown
}

fn image_of(job: &Value) -> String {
    assert_eq!(job["status"], "SUCCESS", "{job}");
    job["entities"]["image_id"].as_str().unwrap().to_owned()
}

async fn listed(app: &App, query: &str) -> Vec<Value> {
    let found = app.call("GET", &format!("/v2/cloudimages?{query}"), None).await.expect(200);
    found.body["images"].as_array().unwrap().clone()
}

async fn delete(app: &App, image: &str) -> Answer {
    app.call("DELETE", &format!("/v2/images/{image}"), None).await
}

/// IMG-01, IMG-05, IMG-06, IMG-07, BAK-73, VLT-64, RES-18, contract F.2: the whole way, and all that waits for it.
#[tokio::test]
async fn an_image_holds_its_backup_until_it_goes() {
    let app = App::start().await;
    let (vault, backup) = app.back_up_server("servers").await;
    let id = backup["id"].as_str().unwrap();
    assert_eq!(backup["extend_info"]["os_images_data"], Value::Null);
    let body = json!({"name": "golden", "backup_id": id, "whole_image_type": "CBR",
        "description": "web", "min_ram": 1024, "max_ram": 0,
        "image_tags": [{"key": "env", "value": "lab"}]});
    let job = make(&app, &body).await;
    assert_eq!(job["job_type"], "imsCreateWholeImage");
    let image = image_of(&job);

    // Terraform finds it by its id (contract F.2).
    let all = format!("__imagetype=private&__isregistered=true&status=active&id={image}");
    let found = listed(&app, &all).await;
    let facts = |key: &str| found[0][key].clone();
    assert_eq!((facts("name"), facts("status")), (json!("golden"), json!("active")));
    assert_eq!((facts("__backup_id"), facts("owner")), (json!(id), json!(app.project())));
    assert_eq!((facts("min_ram"), facts("max_ram")), (json!(1024), json!("")));
    let size: u64 = facts("__image_size").as_str().unwrap().parse().unwrap();
    assert!((1..8 << 20).contains(&size), "IMG-07: smaller than the disks, {size}");
    assert_eq!((facts("tags"), facts("min_disk")), (json!(["env.lab"]), json!(1)));
    let glance = app.call("GET", &format!("/v2/images/{image}"), None).await.expect(200).body;
    assert_eq!(glance, found[0]);
    let shown = app.get(&format!("/backups/{id}")).await.expect(200).body;
    let data = &shown["backup"]["extend_info"]["os_images_data"];
    assert_eq!(*data, json!([{"image_id": image}]));
    assert_eq!(shown["backup"]["children"][0]["extend_info"]["os_images_data"], Value::Null);
    let log = app.get("/operation-logs?operation_type=image").await.expect(200).body;
    assert_eq!(log["operation_logs"][0]["status"], "success");
    let quota = app.call("GET", "/v1/cloudimages/quota", None).await.expect(200).body;
    assert_eq!(quota["quotas"]["resources"][0]["used"], 1);

    let again = app.call("POST", MAKE, Some(&body)).await.expect(400);
    assert_eq!(again.code(), "BackupService.6210", "IMG-05");
    let held = app.delete(&format!("/backups/{id}")).await.expect(400);
    assert_eq!(held.code(), "BackupService.6204", "IMG-06");
    let held = app.delete(&format!("/vaults/{vault}")).await.expect(400);
    assert_eq!(held.code(), "BackupService.6204", "VLT-64");
    let remove = json!({"resource_ids": [SERVER]});
    let held = app.post(&format!("/vaults/{vault}/removeresources"), &remove).await.expect(400);
    assert_eq!(held.code(), "BackupService.6204", "RES-18");

    delete(&app, &image).await.expect(204);
    assert_eq!(delete(&app, &image).await.expect(404).code(), "CBRX.0040");
    assert!(listed(&app, "").await.is_empty());
    let shown = app.get(&format!("/backups/{id}")).await.expect(200).body;
    assert_eq!(shown["backup"]["extend_info"]["os_images_data"], Value::Null);
    app.delete(&format!("/backups/{id}")).await.expect(204);
}

/// IMG-02, IMG-03, IMG-05, IMG-10, NEW-03, contract D 6207 to 6210: what makes no image, and why.
#[tokio::test]
async fn what_makes_no_image_is_refused_with_its_reason() {
    let app = App::start().await;
    let (_, disk) = app.back_up_disk("disks").await;
    let (vault, server) = app.back_up_server("servers").await;
    let id_of = |backup: &Value| backup["id"].as_str().unwrap().to_owned();
    let refused = async |backup: &str, code: &str| {
        let body = json!({"name": "golden", "backup_id": backup});
        let answer = app.call("POST", MAKE, Some(&body)).await;
        assert_eq!(answer.code(), code, "{}", answer.body);
    };
    refused(NOBODY, "BackupService.6200").await;
    // NEW-03: nor does it make a server, which is made of an image.
    refused(&id_of(&disk), "BackupService.6207").await;
    refused(&id_of(&server["children"][0]), "BackupService.6207").await;
    for bad in [json!({"name": "", "backup_id": id_of(&server)}), json!({"name": "golden"})] {
        let answer = app.call("POST", MAKE, Some(&bad)).await.expect(400);
        assert_eq!(answer.code(), "BackupService.9900", "{bad}");
    }

    // IMG-03: without the system disk.
    app.clock.advance(std::time::Duration::from_secs(1));
    let run = json!({"checkpoint": {"vault_id": vault, "parameters": {"resource_details": [
        {"id": SERVER, "type": "OS::Nova::Server", "extra_info": {"exclude_volumes": [SYSTEM_DISK]}}]}}});
    app.post("/checkpoints", &run).await.expect(200);
    let newest = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
    let newest = id_of(&newest["backups"][0]);
    refused(&newest, "BackupService.6208").await;
    app.settle().await;
    refused(&newest, "BackupService.6209").await;

    // IMG-10: the vault protects more than its capacity.
    let shrunk = json!({"vault": {"billing": {"size": 2}}});
    app.put(&format!("/vaults/{vault}"), &shrunk).await.expect(200);
    app.provider.add_volume(NOBODY.parse().unwrap(), "more", 3 << 30);
    app.provider.attach(SERVER.parse().unwrap(), NOBODY.parse().unwrap());
    app.back_up(&vault).await;
    refused(&id_of(&server), "BackupService.6114").await;
}

/// IMG-12: the server is backed up first, and the image is there when the backup is.
#[tokio::test]
async fn an_image_of_a_server_waits_for_its_backup() {
    let app = App::start().await;
    let vault = app.create_server_vault("servers").await;
    app.bind_server(&vault).await;
    let body = json!({"name": "golden", "instance_id": SERVER, "vault_id": vault});
    let unbound = json!({"name": "golden", "instance_id": NOBODY, "vault_id": vault});
    let answer = app.call("POST", MAKE, Some(&unbound)).await.expect(400);
    assert_eq!(answer.code(), "BackupService.6135");
    let started = app.call("POST", MAKE, Some(&body)).await.expect(200).body;
    let saving = listed(&app, "status=saving").await;
    assert_eq!(saving[0]["active_at"], Value::Null);
    let image = saving[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(delete(&app, &image).await.expect(409).code(), "CBRX.0042");
    let path = format!("/v1/cloudimages/job/{}", started["job_id"].as_str().unwrap());
    let job = app.call("GET", &path, None).await.expect(200).body;
    assert_eq!(job["status"], "INIT");
    app.settle().await;
    app.clock.advance(std::time::Duration::from_secs(2));
    app.settle().await;
    let job = app.call("GET", &path, None).await.expect(200).body;
    assert_eq!(image_of(&job), image);
    let found = listed(&app, "status=active").await;
    let backup = found[0]["__backup_id"].as_str().unwrap();
    let shown = app.get(&format!("/backups/{backup}")).await.expect(200).body;
    assert_eq!(shown["backup"]["resource_id"], SERVER);
}

/// BAK-52, IMG-02, contract B.4, F.2: once its snapshot is taken a backup that is being made says that an image can be
/// made of it; it cannot be restored yet, and the image is ready when the backup is.
#[tokio::test]
async fn an_image_is_made_of_a_backup_that_is_being_made() {
    let app = App::start().await;
    let vault = app.create_server_vault("servers").await;
    app.bind_server(&vault).await;
    // The disks cannot be read for a while: the snapshot is taken, and nothing is copied.
    app.provider.fail(Operation::Reader, 1, Fault::Unavailable);
    app.post("/checkpoints", &json!({"checkpoint": {"vault_id": vault}})).await.expect(200);
    let newest = async || {
        let listed = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
        let backup = listed["backups"][0].clone();
        let mode = backup["extend_info"]["supported_restore_mode"].clone();
        let id = backup["id"].as_str().unwrap().to_owned();
        (id, backup["status"].clone(), mode.as_str().unwrap().to_owned())
    };
    let (id, status, mode) = newest().await;
    assert_eq!((status, mode.as_str()), (json!("protecting"), "na"));
    let body = json!({"name": "golden", "backup_id": id});
    let early = app.call("POST", MAKE, Some(&body)).await.expect(400);
    assert_eq!(early.code(), "BackupService.6208", "what it will hold is not settled");

    app.settle().await;
    let (_, status, mode) = newest().await;
    assert_eq!((status, mode.as_str()), (json!("protecting"), "snapshot"));
    let shown = app.get(&format!("/backups/{id}")).await.expect(200).body;
    let children = shown["backup"]["children"].as_array().unwrap();
    let modes = children.iter().map(|child| &child["extend_info"]["supported_restore_mode"]);
    assert_eq!(modes.collect::<Vec<_>>(), ["na", "na"]);
    let restore = json!({"restore": {"server_id": SERVER}});
    let refused = app.post(&format!("/backups/{id}/restore"), &restore).await.expect(400);
    assert_eq!(refused.code(), "BackupService.2002", "its server is being backed up");
    let started = app.call("POST", MAKE, Some(&body)).await.expect(200).body;
    assert_eq!(listed(&app, "status=saving").await.len(), 1);
    let again = app.call("POST", MAKE, Some(&body)).await.expect(400);
    assert_eq!(again.code(), "BackupService.6210", "IMG-05");

    for _ in 0..2 {
        app.clock.advance(std::time::Duration::from_secs(61));
        app.settle().await;
    }
    let (_, status, mode) = newest().await;
    assert_eq!((status, mode.as_str()), (json!("available"), "backup"));
    let path = format!("/v1/cloudimages/job/{}", started["job_id"].as_str().unwrap());
    let image = image_of(&app.call("GET", &path, None).await.expect(200).body);
    assert_eq!(listed(&app, "status=active").await[0]["id"], image.as_str());
}

/// IMG-12: a backup that fails leaves no image, and the failed backup is not held.
#[tokio::test]
async fn no_image_comes_of_a_backup_that_fails() {
    let app = App::start().await;
    let vault = app.create_server_vault("servers").await;
    app.bind_server(&vault).await;
    let body = json!({"name": "golden", "instance_id": SERVER, "vault_id": vault});
    let started = app.call("POST", MAKE, Some(&body)).await.expect(200).body;
    for disk in [SYSTEM_DISK, DATA_DISK] {
        app.provider.remove(disk.parse().unwrap());
    }
    app.settle().await;
    app.clock.advance(std::time::Duration::from_secs(2));
    app.settle().await;
    let path = format!("/v1/cloudimages/job/{}", started["job_id"].as_str().unwrap());
    let job = app.call("GET", &path, None).await.expect(200).body;
    assert_eq!(
        (&job["status"], &job["error_code"]),
        (&json!("FAIL"), &json!("BackupService.6212"))
    );
    assert!(listed(&app, "").await.is_empty());
    let failed = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
    let failed = failed["backups"][0]["id"].as_str().unwrap();
    app.delete(&format!("/backups/{failed}")).await.expect(204);
}

/// Contract F.2: name, description, memory, protection and tags change; nothing else does.
#[tokio::test]
async fn an_image_is_changed_tagged_and_protected() {
    let app = App::start().await;
    let (_, backup) = app.back_up_server("servers").await;
    let job = make(&app, &json!({"name": "golden", "backup_id": backup["id"]})).await;
    let image = image_of(&job);
    let path = format!("/v2/cloudimages/{image}");
    let patch = json!([{"op": "replace", "path": "/name", "value": "silver"},
        {"op": "add", "path": "/protected", "value": true}]);
    let changed = app.call("PATCH", &path, Some(&patch)).await.expect(200).body;
    assert_eq!((&changed["name"], &changed["protected"]), (&json!("silver"), &json!(true)));
    let wrong = json!([{"op": "replace", "path": "/__os_version", "value": "x"}]);
    let refused = app.call("PATCH", &path, Some(&wrong)).await.expect(400);
    assert_eq!(refused.code(), "BackupService.9900");
    let absent = format!("/v2/cloudimages/{NOBODY}");
    app.call("PATCH", &absent, Some(&patch)).await.expect(404);
    assert_eq!(delete(&app, &image).await.expect(409).code(), "CBRX.0041");

    let tags = format!("/v2/{}/images/{image}/tags", app.project());
    let act = |action: &str| json!({"action": action, "tags": [{"key": "env", "value": "lab"}]});
    let acted = async |body: &Value| app.call("POST", &format!("{tags}/action"), Some(body)).await;
    acted(&act("create")).await.expect(204);
    let shown = app.call("GET", &tags, None).await.expect(200).body;
    assert_eq!(shown["tags"], json!([{"key": "env", "value": "lab"}]));
    assert_eq!(listed(&app, "tag=env.lab").await.len(), 1);
    assert_eq!(listed(&app, "tag=en").await.len(), 0);
    acted(&act("delete")).await.expect(204);
    assert_eq!(acted(&act("rename")).await.expect(400).code(), "BackupService.9900");
    let bad = json!({"action": "create", "tags": [{"key": "a/b"}]});
    assert_eq!(acted(&bad).await.expect(400).code(), "BackupService.9900");
    let none = app.call("GET", &format!("/v2/{}/images/{NOBODY}/tags", app.project()), None).await;
    assert_eq!(none.expect(404).code(), "CBRX.0040");

    let open = json!([{"op": "replace", "path": "/protected", "value": false}]);
    app.call("PATCH", &path, Some(&open)).await.expect(200);
    // Both go, or neither.
    let both = json!({"delete_backup": true});
    app.call("DELETE", &format!("/v2/images/{image}"), Some(&both)).await.expect(204);
    app.settle().await;
    let backup = backup["id"].as_str().unwrap();
    assert_eq!(
        app.get(&format!("/backups/{backup}")).await.expect(404).code(),
        "BackupService.6200"
    );
    let traces = app.records().await.join("\n");
    for event in ["createWholeImage", "updateImage", "updateImageTags", "deleteImage"] {
        assert!(traces.contains(event), "AUD-02: {event}");
    }
}

/// Contract A.2, F.2: paths without a project act in that of the header, or of the token.
#[tokio::test]
async fn without_a_project_in_the_path_header_or_token_say_which() {
    let app = App::start().await;
    let (ak, sk) = (app.access_key(), app.secret_key());
    let call = |date: i64| Call::new("GET", "/v2/cloudimages").signed(ak, sk, &app.date(date));
    let unsaid = send(&app.router, call(0).build()).await.expect(400);
    assert_eq!(unsaid.code(), "BackupService.9900");
    let own = call(1).header("x-project-id", app.project());
    send(&app.router, own.build()).await.expect(200);
    let (_, strangers) = app.stranger().await;
    let theirs = send(&app.router, call(2).header("x-project-id", strangers.clone()).build()).await;
    assert_eq!(theirs.expect(403).code(), "BackupService.0403");
    let garbage = send(&app.router, call(3).header("x-project-id", "x").build()).await;
    assert_eq!(garbage.expect(400).code(), "BackupService.9900");
    let list = Call::new("GET", "/v2/images").token(app.token());
    send(&app.router, list.clone().build()).await.expect(200);
    let theirs = send(&app.router, list.header("x-project-id", strangers).build()).await;
    assert_eq!(theirs.expect(403).code(), "BackupService.0403");
}

/// SHR-10, SHR-14, VLT-65, IMG-13, contract C39: the recipient's image holds the owner's backup, the share
/// and its own vault.
#[tokio::test]
async fn a_recipients_image_keeps_what_was_shared() {
    let app = App::start().await;
    let (_, backup) = app.back_up_server("servers").await;
    let id = backup["id"].as_str().unwrap();
    let (token, project) = app.stranger().await;
    let theirs = async |method: &str, path: &str, body: Option<&Value>| {
        let call = Call::new(method, path).token(&token);
        let call = if let Some(body) = body { call.json(body) } else { call };
        send(&app.router, call.build()).await
    };
    let body = json!({"name": "theirs", "backup_id": id});
    let early = theirs("POST", MAKE, Some(&body)).await.expect(404);
    assert_eq!(early.code(), "BackupService.6200", "P26: not even offered");
    app.post(&format!("/backups/{id}/members"), &json!({"members": [project]})).await.expect(200);
    let vault = json!({"vault": {"name": "inbox", "resources": [], "billing": {
        "consistent_level": "crash_consistent", "object_type": "server",
        "protect_type": "backup", "size": 100}}});
    let inbox = theirs("POST", &format!("/v3/{project}/vaults"), Some(&vault)).await.expect(200);
    let inbox = inbox.body["vault"]["id"].as_str().unwrap().to_owned();
    let accept = json!({"status": "accepted", "vault_id": inbox});
    let member = format!("/v3/{project}/backups/{id}/members/{project}");
    theirs("PUT", &member, Some(&accept)).await.expect(200);

    theirs("POST", MAKE, Some(&body)).await.expect(200);
    app.settle().await;
    let images = theirs("GET", "/v2/cloudimages", None).await.expect(200).body;
    let image = images["images"][0]["id"].as_str().unwrap().to_owned();
    assert!(listed(&app, "").await.is_empty(), "P26: the image is theirs");
    let shown = app.get(&format!("/backups/{id}/members/{project}")).await.expect(200).body;
    assert_eq!(shown["member"]["image_id"], image.as_str());
    let by_image = app.get(&format!("/backups/{id}/members?image_id={image}")).await.expect(200);
    assert_eq!(by_image.body["count"], 1);
    let own = app.get(&format!("/backups/{id}")).await.expect(200).body;
    assert_eq!(own["backup"]["extend_info"]["os_images_data"], Value::Null);

    let held = app.delete(&format!("/backups/{id}")).await.expect(400);
    assert_eq!(held.code(), "BackupService.6710", "SHR-14");
    let held = app.delete(&format!("/backups/{id}/members/{project}")).await.expect(400);
    assert_eq!(held.code(), "BackupService.6710", "C39");
    let held = theirs("DELETE", &format!("/v3/{project}/vaults/{inbox}"), None).await.expect(400);
    assert_eq!(held.code(), "BackupService.6204", "VLT-65");
    theirs("DELETE", &format!("/v2/images/{image}"), None).await.expect(204);
    app.delete(&format!("/backups/{id}/members/{project}")).await.expect(204);
    app.delete(&format!("/backups/{id}")).await.expect(204);
}
