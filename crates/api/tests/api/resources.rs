//! What binding, backing up and unbinding do to the resources themselves.

use cbr_provider::ServerStatus;
use serde_json::json;

use crate::app::App;
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
