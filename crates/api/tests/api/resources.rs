//! What binding, backing up and unbinding do to the resources themselves.

use cbr_provider::ServerStatus;
use serde_json::json;

use crate::app::{App, VOLUMES};
use crate::things::{DATA_DISK, SERVER, SYSTEM_DISK};

/// RES-07, RES-16: a bound server is counted; taken out of its vault it runs on, with its disks as they were.
#[tokio::test]
async fn unbinding_leaves_the_server_alone() {
    let app = App::start().await;
    let vault = app.create_server_vault("servers").await;
    let path = format!("/vaults/{vault}");
    let bound = async || {
        let shown = app.get(&path).await.expect(200).body;
        shown["vault"]["resources"].as_array().unwrap().len()
    };
    assert_eq!(bound().await, 0);
    app.bind_server(&vault).await;
    assert_eq!(bound().await, 1, "RES-07");
    app.back_up(&vault).await;
    app.provider.set_server_status(SERVER.parse().unwrap(), ServerStatus::Running);
    let disks = [SYSTEM_DISK, DATA_DISK].map(|disk| disk.parse().unwrap());
    let before = disks.map(|disk| app.provider.content(disk));

    let body = json!({"resource_ids": [SERVER]});
    app.post(&format!("{path}/removeresources"), &body).await.expect(200);
    app.settle().await;
    assert_eq!(bound().await, 0);
    let server = format!("/v1/{}/cloudservers/{SERVER}", app.project());
    let shown = app.call("GET", &server, None).await.expect(200).body;
    assert_eq!(shown["server"]["status"], "ACTIVE");
    assert!(disks.map(|disk| app.provider.content(disk)) == before, "its disks have changed");
    assert_eq!(app.get("/backups").await.expect(200).body["count"], 0, "RES-15");
}

/// RES-11: each of two servers that share a disk is backed up with it.
#[tokio::test]
async fn servers_that_share_a_disk_are_backed_up() {
    const OTHER: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0000000000bb";
    const OTHER_ROOT: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0000000000bc";
    let app = App::start().await;
    let vault = app.create_server_vault("servers").await;
    app.bind_server(&vault).await;
    app.provider.add_volume(OTHER_ROOT.parse().unwrap(), "root", 4 << 20);
    let disks = [OTHER_ROOT, DATA_DISK].map(|disk| disk.parse().unwrap());
    app.provider.add_server(OTHER.parse().unwrap(), "other", disks.to_vec());
    let second = app.create_server_vault("others").await;
    let body = json!({"resources": [{"id": OTHER, "type": "OS::Nova::Server"}]});
    app.post(&format!("/vaults/{second}/addresources"), &body).await.expect(200);
    for vault in [vault, second] {
        let backup = app.back_up(&vault).await;
        let children = backup["children"].as_array().unwrap();
        let of = |disk| children.iter().filter(|child| child["resource_id"] == disk).count();
        assert_eq!((children.len(), of(DATA_DISK)), (2, 1), "{backup}");
    }
}

/// RES-11, QUO-05, contract D 7107: ten of its disks may be attached to other servers too, and not eleven: such a server
/// is not bound, is said not to be protectable, and a run over it leaves it out.
#[tokio::test]
async fn a_server_shares_at_most_ten_disks() {
    let app = App::start().await;
    let vault = app.create_server_vault("servers").await;
    app.add_server();
    let shared: Vec<String> =
        (0..11).map(|n| format!("5b0c7f6e-0d0f-4c3a-9d5e-0000000001{n:02x}")).collect();
    let ids = || shared.iter().map(|disk| disk.parse().unwrap());
    for disk in ids() {
        app.provider.add_volume(disk, "shared", 1 << 20);
        app.provider.attach(SERVER.parse().unwrap(), disk);
    }
    let other = "5b0c7f6e-0d0f-4c3a-9d5e-0000000000bb".parse().unwrap();
    app.provider.add_server(other, "other", ids().take(10).collect());
    let bind = json!({"resources": [{"id": SERVER, "type": "OS::Nova::Server"}]});
    let path = format!("/vaults/{vault}/addresources");
    let verdict = async || {
        let shown = app.get(&format!("/protectables/server/instances/{SERVER}")).await.expect(200);
        shown.body["instance"]["protectable"].clone()
    };
    // Thirteen disks, of which ten are another's too.
    assert_eq!(verdict().await["result"], true);
    app.post(&path, &bind).await.expect(200);
    let backup = app.back_up(&vault).await;
    assert_eq!(backup["children"].as_array().unwrap().len(), 13);

    app.provider.attach(other, shared[10].parse().unwrap());
    let verdict = verdict().await;
    assert_eq!(
        (&verdict["result"], &verdict["code"]),
        (&json!(false), &json!("BackupService.7107"))
    );
    let run = json!({"checkpoint": {"vault_id": vault}});
    let refused = app.post("/checkpoints", &run).await.expect(400);
    let told = refused.body["error_msg"].as_str().unwrap();
    assert!(refused.code() == "BackupService.0001" && told.contains("11 of its disks"), "{told}");
    let take_out = json!({"resource_ids": [SERVER]});
    app.post(&format!("/vaults/{vault}/removeresources"), &take_out).await.expect(200);
    app.settle().await;
    let refused = app.post(&path, &bind).await.expect(400);
    assert_eq!(refused.code(), "BackupService.7107", "{}", refused.body);
}

/// RES-13, VLT-15, VLT-16, BAK-01, BAK-02: a server that its provider calls frozen is neither bound nor backed up,
/// and the reason is its word; what is backed up beside it is not held up.
#[tokio::test]
async fn what_is_frozen_is_left_out() {
    const OTHER: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0000000000bb";
    const ROOT: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0000000000bc";
    let app = App::start().await;
    let vault = app.create_server_vault("servers").await;
    app.bind_server(&vault).await;
    app.provider.add_volume(ROOT.parse().unwrap(), "root", 1 << 20);
    app.provider.add_server(OTHER.parse().unwrap(), "other", vec![ROOT.parse().unwrap()]);
    let bind = json!({"resources": [{"id": OTHER, "type": "OS::Nova::Server"}]});
    let freeze = |is_frozen| {
        let why = "frozen: in the retention period".to_owned();
        let status = if is_frozen { ServerStatus::Fault { why } } else { ServerStatus::Running };
        app.provider.set_server_status(OTHER.parse().unwrap(), status);
    };
    freeze(true);
    let path = format!("/vaults/{vault}/addresources");
    assert_eq!(app.post(&path, &bind).await.expect(400).code(), "BackupService.6215");
    freeze(false);
    app.post(&path, &bind).await.expect(200);
    freeze(true);
    let run = json!({"checkpoint": {"vault_id": vault}});
    let made = app.post("/checkpoints", &run).await.expect(200).body;
    let skipped = made["checkpoint"]["vault"]["skipped_resources"].as_array();
    let [one] = skipped.expect("skipped resources").as_slice() else { panic!("{made}") };
    assert_eq!((&one["id"], &one["code"]), (&json!(OTHER), &json!("BackupService.7101")));
    assert!(one["reason"].as_str().unwrap().contains("frozen"), "{one}");
    app.settle().await;
    let listed = app.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
    assert_eq!(
        (&listed["count"], &listed["backups"][0]["resource_id"]),
        (&json!(1), &json!(SERVER))
    );
}

/// RGN-07: a zone whose pool cannot be read is out of reach (503, not 404: nobody may take what lies there for gone);
/// the other zone is listed, bound, backed up and restored as ever, and what was bound stays.
#[tokio::test]
async fn a_zone_that_fails_affects_no_other() {
    let app = App::start().await;
    app.provider.add_pool("distant", "far-away");
    app.provider.put_into(VOLUMES[1].parse().unwrap(), "distant");
    let (vault, backup) = app.back_up_disk("v").await;
    let bind = |volume: &str| json!({"resources": [{"id": volume, "type": "OS::Cinder::Volume"}]});
    let add = format!("/vaults/{vault}/addresources");
    app.post(&add, &bind(VOLUMES[1])).await.expect(200);
    app.provider.lose_pool("distant", true);

    let listed = app.get("/protectables/disk/instances").await.expect(200).body;
    let ids: Vec<&str> =
        listed["instances"].as_array().unwrap().iter().filter_map(|i| i["id"].as_str()).collect();
    assert_eq!(ids, [VOLUMES[0]]);
    let evs = |volume: &str| format!("/v2/{}/cloudvolumes/{volume}", app.project());
    for refused in [
        app.get(&format!("/protectables/disk/instances/{}", VOLUMES[1])).await,
        app.call("GET", &evs(VOLUMES[1]), None).await,
    ] {
        let refused = refused.expect(503);
        assert_eq!(refused.code(), "CBRX.0001", "not that it does not exist");
    }
    app.call("GET", &evs(VOLUMES[0]), None).await.expect(200);

    let run = json!({"checkpoint": {"vault_id": vault, "parameters": {}}});
    let made = app.post("/checkpoints", &run).await.expect(200).body;
    app.settle().await;
    let checkpoint = &made["checkpoint"];
    let skipped = checkpoint["vault"]["skipped_resources"].as_array().unwrap();
    assert_eq!(skipped.len(), 1, "{made}");
    assert_eq!(skipped[0]["id"], VOLUMES[1]);
    let path = format!("/backups?checkpoint_id={}", checkpoint["id"].as_str().unwrap());
    let backups = app.get(&path).await.expect(200).body;
    assert_eq!(
        (&backups["count"], &backups["backups"][0]["status"]),
        (&json!(1), &json!("available"))
    );
    let restore = json!({"restore": {"volume_id": VOLUMES[0]}});
    let path = format!("/backups/{}/restore", backup["id"].as_str().unwrap());
    app.post(&path, &restore).await.expect(202);
    app.settle().await;
    let shown = app.get(&format!("/vaults/{vault}")).await.expect(200).body;
    assert_eq!(shown["vault"]["resources"].as_array().unwrap().len(), 2, "both stay bound");
}
