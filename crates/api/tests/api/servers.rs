//! Servers made from images, their disks changed, and deleted (contract F.4).

use cbr_provider::fake::{Fault, Operation};
use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Answer, Call, send};
use crate::things::{DATA_DISK, SERVER, SYSTEM_DISK};

const NOBODY: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// A server is backed up, and an image made of the backup: image and backup.
async fn image(app: &App) -> (String, String) {
    let (_, backup) = app.back_up_server("servers").await;
    let id = text(&backup["id"]).to_owned();
    let body = json!({"name": "golden", "backup_id": id, "whole_image_type": "CBR"});
    let path = "/v1/cloudimages/wholeimages/action";
    let started = app.call("POST", path, Some(&body)).await.expect(200).body;
    let job = settled(app, &started).await;
    (text(&job["entities"]["image_id"]).to_owned(), id)
}

/// Runs everything, and what waits for it; the job.
async fn settled(app: &App, started: &Value) -> Value {
    app.settle().await;
    app.clock.advance(std::time::Duration::from_secs(2));
    app.settle().await;
    let path = format!("/v1/{}/jobs/{}", app.project(), text(&started["job_id"]));
    app.call("GET", &path, None).await.expect(200).body
}

async fn make(app: &App, image: &str, more: Value) -> Answer {
    let mut server = json!({"name": "again", "imageRef": image, "flavorRef": "s6.small.1",
        "vpcid": NOBODY, "nics": [{"subnet_id": NOBODY}],
        "root_volume": {"volumetype": "memory"}});
    server.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let path = format!("/v1.1/{}/cloudservers", app.project());
    app.call("POST", &path, Some(&json!({"server": server}))).await
}

/// Makes a server; its id.
async fn made(app: &App, image: &str) -> String {
    let started = make(app, image, json!({})).await.expect(200).body;
    let job = settled(app, &started).await;
    assert_eq!(job["status"], "SUCCESS", "{job}");
    text(&started["serverIds"][0]).to_owned()
}

async fn show(app: &App, server: &str) -> Answer {
    app.call("GET", &format!("/v1/{}/cloudservers/{server}", app.project()), None).await
}

async fn disks(app: &App, server: &str) -> Vec<String> {
    let shown = show(app, server).await.expect(200).body;
    let disks = shown["server"]["os-extended-volumes:volumes_attached"].as_array().unwrap();
    disks.iter().map(|disk| text(&disk["id"]).to_owned()).collect()
}

async fn act(app: &App, what: &str, server: &str) {
    let path = format!("/v1/{}/cloudservers/action", app.project());
    let body = json!({what: {"servers": [{"id": server}]}});
    app.call("POST", &path, Some(&body)).await.expect(200);
    app.settle().await;
}

async fn attach(app: &App, server: &str, body: Value) -> Answer {
    let path = format!("/v1/{}/cloudservers/{server}/attachvolume", app.project());
    app.call("POST", &path, Some(&json!({"volumeAttachment": body}))).await
}

async fn detach(app: &App, server: &str, rest: &str) -> Answer {
    let path = format!("/v1/{}/cloudservers/{server}/detachvolume/{rest}", app.project());
    app.call("DELETE", &path, None).await
}

async fn delete(app: &App, body: Value) -> Answer {
    let path = format!("/v1/{}/cloudservers/delete", app.project());
    app.call("POST", &path, Some(&body)).await
}

async fn volume_status(app: &App, volume: &str) -> Value {
    let path = format!("/v2/{}/cloudvolumes/{volume}", app.project());
    app.call("GET", &path, None).await.body["volume"]["status"].clone()
}

/// IMG-01, IMG-05, IMG-11, RES-03: a server gets all disks of the image, as often as one likes.
#[tokio::test]
async fn a_server_is_made_of_an_image_with_all_its_disks() {
    let app = App::start().await;
    let (image, _) = image(&app).await;
    app.provider.write(SYSTEM_DISK.parse().unwrap(), 70_000, b"lost");
    let started = make(&app, &image, json!({"root_volume": {"size": 2}})).await.expect(200).body;
    let server = text(&started["serverIds"][0]);
    assert_eq!(show(&app, server).await.expect(404).code(), "BackupService.7100", "not yet");
    let job = settled(&app, &started).await;
    assert_eq!((&job["status"], &job["job_type"]), (&json!("SUCCESS"), &json!("createServer")));
    let single = &job["entities"]["sub_jobs"][0];
    assert_eq!(
        (&single["entities"]["server_id"], &single["status"]),
        (&json!(server), &json!("SUCCESS"))
    );

    let shown = show(&app, server).await.expect(200).body["server"].clone();
    assert_eq!((&shown["name"], &shown["status"]), (&json!("again"), &json!("SHUTOFF")));
    let disks = disks(&app, server).await;
    let part = |disk: &str| app.provider.part(disk.parse().unwrap(), 70_000, 4);
    assert_eq!((part(&disks[0]), part(&disks[1])), (b"root".to_vec(), b"data".to_vec()));
    for (disk, size) in disks.iter().zip([2, 1]) {
        let path = format!("/v2/{}/cloudvolumes/{disk}", app.project());
        let shown = app.call("GET", &path, None).await.expect(200).body;
        assert_eq!(shown["volume"]["size"], size, "as large as wanted, and whole GB");
    }
    assert_eq!(volume_status(&app, &disks[0]).await, "in-use");
    act(&app, "os-start", server).await;
    assert_eq!(show(&app, server).await.body["server"]["status"], "ACTIVE");

    assert_ne!(made(&app, &image).await, server, "IMG-05: many servers of one image");
    for (image, more, status, code) in [
        (NOBODY, json!({}), 404, "CBRX.0040"),
        (&*image, json!({"name": ""}), 400, "BackupService.9900"),
        (&image, json!({"availability_zone": "moon"}), 400, "BackupService.9900"),
        (&image, json!({"root_volume": {"size": 0}}), 400, "BackupService.2001"),
        (&image, json!({"root_volume": {"size": u64::MAX}}), 400, "BackupService.9900"),
    ] {
        let refused = make(&app, image, more).await.expect(status);
        assert_eq!(refused.code(), code, "{}", refused.body);
    }
    // The older path is the same.
    let path = format!("/v1/{}/cloudservers", app.project());
    let body = json!({"server": {"name": "old", "imageRef": image}});
    let started = app.call("POST", &path, Some(&body)).await.expect(200).body;
    assert_eq!(settled(&app, &started).await["status"], "SUCCESS");
    let body = json!({"server": {"name": "old", "imageRef": image, "count": 3}});
    app.call("POST", &path, Some(&body)).await.expect(400);
    assert!(app.records().await.join("\n").contains("createServer"), "AUD-02");
}

/// P3: of a server that did not come to be no disk stays, and the job says why.
#[tokio::test]
async fn a_server_that_does_not_come_to_be_leaves_nothing() {
    let app = App::start().await;
    let (image, _) = image(&app).await;
    for operation in [Operation::Create, Operation::Writer, Operation::CreateServer] {
        app.provider.fail(operation, 1, Fault::Refused);
        let started = make(&app, &image, json!({})).await.expect(200).body;
        let job = settled(&app, &started).await;
        assert_eq!(job["status"], "FAIL", "{operation:?}: {job}");
        assert!(text(&job["fail_reason"]).contains("as the test wanted"), "{job}");
        let path = format!("/v2/{}/cloudvolumes/detail", app.project());
        let listed = app.call("GET", &path, None).await.expect(200).body;
        assert_eq!(listed["count"], 4, "{operation:?}: those there were");
        show(&app, text(&started["serverIds"][0])).await.expect(404);
    }
}

/// NEW-11, NEW-02: what was backed up is given to another server as a data disk, and taken again.
#[tokio::test]
async fn a_disk_of_a_backup_is_attached_to_a_server_that_was_made() {
    let app = App::start().await;
    let (image, backup) = image(&app).await;
    let shown = app.get(&format!("/backups/{backup}")).await.expect(200).body;
    let root = text(&shown["backup"]["children"][0]["id"]).to_owned();
    let body = json!({"volume": {"backup_id": root, "name": "rescued"}});
    let path = format!("/v2.1/{}/cloudvolumes", app.project());
    let started = app.call("POST", &path, Some(&body)).await.expect(202).body;
    assert_eq!(settled(&app, &started).await["status"], "SUCCESS");
    let disk = text(&started["volume_ids"][0]);
    let server = made(&app, &image).await;

    let started = attach(&app, &server, json!({"volumeId": disk})).await.expect(200).body;
    let job = settled(&app, &started).await;
    assert_eq!((&job["status"], &job["job_type"]), (&json!("SUCCESS"), &json!("attachVolume")));
    assert_eq!(job["entities"]["volume_id"], disk);
    assert_eq!(disks(&app, &server).await[2], disk);
    let path = format!("/v2/{}/cloudvolumes/{disk}", app.project());
    let shown = app.call("GET", &path, None).await.expect(200).body;
    assert_eq!(shown["volume"]["attachments"][0]["server_id"], server);
    assert_eq!(shown["volume"]["bootable"], "false", "NEW-02");

    for (server, body, status, code) in [
        (&*server, json!({"volumeId": disk}), 409, "CBRX.0053"),
        (&server, json!({"volumeId": NOBODY}), 404, "BackupService.7000"),
        (&server, json!({"volumeId": disk, "device": "/dev/sdb"}), 400, "BackupService.9900"),
        (NOBODY, json!({"volumeId": disk}), 404, "BackupService.7100"),
        (SERVER, json!({"volumeId": disk}), 409, "CBRX.0051"),
    ] {
        assert_eq!(attach(&app, server, body).await.expect(status).code(), code);
    }
    act(&app, "os-start", &server).await;
    assert_eq!(detach(&app, &server, disk).await.expect(409).code(), "CBRX.0052");
    act(&app, "os-stop", &server).await;
    let root = disks(&app, &server).await[0].clone();
    for (server, rest, status, code) in [
        (&*server, root, 409, "CBRX.0053"),
        (&server, SYSTEM_DISK.to_owned(), 409, "CBRX.0053"),
        (&server, format!("{disk}?delete_flag=1"), 400, "BackupService.9900"),
        (SERVER, DATA_DISK.to_owned(), 409, "CBRX.0051"),
    ] {
        assert_eq!(detach(&app, server, &rest).await.expect(status).code(), code, "{rest}");
    }
    let started = detach(&app, &server, &format!("{disk}?delete_flag=0")).await.expect(200).body;
    assert_eq!(settled(&app, &started).await["job_type"], "detachVolume");
    assert_eq!(volume_status(&app, disk).await, "available");
    let records = app.records().await.join("\n");
    assert!(records.contains("attachVolume") && records.contains("detachVolume"), "AUD-02");
}

/// RES-19: servers that were made are deleted, running or not, with or without their disks; never those
/// of the operator.
#[tokio::test]
async fn servers_that_were_made_are_deleted() {
    let app = App::start().await;
    let (image, _) = image(&app).await;
    let (one, two) = (made(&app, &image).await, made(&app, &image).await);
    let (kept, gone) = (disks(&app, &one).await, disks(&app, &two).await);
    act(&app, "os-start", &two).await;
    let of = |ids: &[&str]| ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>();
    for (body, status, code) in [
        (json!({"servers": of(&[&one, SERVER])}), 409, "CBRX.0051"),
        (json!({"servers": of(&[&one, NOBODY])}), 404, "BackupService.7100"),
        (json!({"servers": []}), 400, "BackupService.9900"),
        (json!({"servers": of(&[&one]), "delete_publicip": true}), 400, "BackupService.9900"),
    ] {
        assert_eq!(delete(&app, body).await.expect(status).code(), code);
    }
    let started = delete(&app, json!({"servers": of(&[&one])})).await.expect(200).body;
    assert_eq!(settled(&app, &started).await["job_type"], "deleteServer");
    let started =
        delete(&app, json!({"servers": of(&[&two]), "delete_volume": true})).await.expect(200);
    assert_eq!(settled(&app, &started.body).await["status"], "SUCCESS");
    for server in [&one, &two] {
        assert_eq!(show(&app, server).await.expect(404).code(), "BackupService.7100");
    }
    for (left, deleted) in kept.iter().zip(&gone) {
        assert_eq!(volume_status(&app, left).await, "available");
        assert_eq!(volume_status(&app, deleted).await, Value::Null);
    }
    show(&app, SERVER).await.expect(200);

    // P26: another project's servers are not there, and it makes none.
    let (token, project) = app.stranger().await;
    let path = format!("/v1.1/{project}/cloudservers");
    let body = json!({"server": {"name": "theirs", "imageRef": image}});
    let call = Call::new("POST", &path).token(&token).json(&body);
    send(&app.router, call.build()).await.expect(403);
}
