//! Vaults and what is bound to them (contract C1 to C9).

use serde_json::json;

use crate::app::{App, VOLUMES, vault_body};

/// VLT-20, VLT-24, VLT-30, VLT-36, VLT-62, VLT-70, contract C1 to C7: nothing need be bound; it is in the list at once, with all that
/// is shown of it.
#[tokio::test]
async fn a_vault_is_created_shown_listed_changed_and_deleted() {
    let app = App::start().await;
    let created = app.post("/vaults", &vault_body("vault-a")).await.expect(200).body;
    let vault = &created["vault"];
    let id = vault["id"].as_str().unwrap();
    assert_eq!(vault["billing"]["spec_code"], "vault.backup.volume.normal");
    assert_eq!(vault["billing"]["used"], 0);
    assert_eq!(vault["bind_rules"], json!({}));
    assert_eq!(vault["project_id"], app.project());
    let shown = app.get(&format!("/vaults/{id}")).await.expect(200).body;
    for (field, value) in shown["vault"].as_object().unwrap() {
        assert_eq!(value, &vault[field], "{field}");
    }
    let only_here = json!({"backup_name_prefix": "", "demand_billing": false, "frozen": false,
                           "cbc_delete_count": 0});
    for (field, value) in only_here.as_object().unwrap() {
        assert_eq!((&vault[field], shown["vault"].get(field)), (value, None), "{field}");
    }
    let vault = &shown["vault"];

    let listed = app.get("/vaults?name=vault-a").await.expect(200).body;
    assert_eq!(listed, json!({"vaults": [vault], "count": 1, "limit": 1000, "offset": 0}));

    let change = json!({"vault": {"name": "vault-b", "billing": {"size": 200}, "unknown": 1}});
    let changed = app.put(&format!("/vaults/{id}"), &change).await.expect(200).body;
    assert_eq!(changed["vault"]["name"], "vault-b");
    assert_eq!(changed["vault"]["billing"]["size"], 200);
    assert_eq!(changed["vault"]["threshold"], 80);

    let deleted = app.delete(&format!("/vaults/{id}")).await.expect(204);
    assert!(deleted.bytes.is_empty() && !deleted.headers.contains_key("content-type"));
    app.settle().await;
    assert_eq!(app.get(&format!("/vaults/{id}")).await.expect(404).code(), "BackupService.6105");
}

/// E.2: the command line tries a name in the place of an id and needs a 404.
#[tokio::test]
async fn a_name_in_the_place_of_an_id_is_not_found() {
    let app = App::start().await;
    app.create_vault("my-vault").await;
    assert_eq!(app.get("/vaults/my-vault").await.expect(404).code(), "BackupService.6105");
    assert_eq!(app.get("/vaults?name=my-vault").await.body["count"], 1);
    app.create_vault("my-vault").await;
    let both = app.get("/vaults?name=my-vault").await.body;
    assert_eq!(both["count"], 2, "VLT-23: two may have one name");
}

/// E.5 number 1: the OpenStack client follows markers until a page is empty.
#[tokio::test]
async fn vaults_are_paged_by_marker_and_by_offset() {
    let app = App::start().await;
    let mut ids = Vec::new();
    for i in 0..5 {
        ids.push(app.create_vault(&format!("v{i}")).await);
    }
    let (mut seen, mut marker) = (Vec::new(), String::new());
    for _ in 0..10 {
        let page = app.get(&format!("/vaults?limit=2{marker}")).await.expect(200).body;
        assert_eq!(page["count"], 5, "before paging");
        let rows = page["vaults"].as_array().unwrap();
        let Some(last) = rows.last() else { break };
        marker = format!("&marker={}", last["id"].as_str().unwrap());
        seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        assert!(page.get("vaults_links").is_none());
    }
    ids.reverse();
    assert_eq!(seen, ids, "newest first");
    let second = app.get("/vaults?limit=2&offset=2").await.body;
    assert_eq!(second["vaults"][0]["id"], ids[2].as_str());
    let two = app.get(&format!("/vaults?id={}&id={}", ids[0], ids[4])).await.body;
    assert_eq!(two["count"], 2);
}

/// VLT-20, RES-02, RES-05, RES-14; contract C8, C9; E.5 number 4.
#[tokio::test]
async fn resources_are_bound_and_taken_out() {
    let app = App::start().await;
    let (a, b) = (app.create_vault("a").await, app.create_vault("b").await);
    let disk = VOLUMES[0];
    let body =
        json!({"resources": [{"id": disk, "type": "OS::Cinder::Volume", "name": "ignored"}]});
    let bound = app.post(&format!("/vaults/{a}/addresources"), &body).await.expect(200).body;
    assert_eq!(bound, json!({"add_resource_ids": [disk]}));
    let vault = app.get(&format!("/vaults/{a}")).await.body;
    assert_eq!(vault["vault"]["billing"]["allocated"], 1);
    assert_eq!(vault["vault"]["resources"][0]["protect_status"], "available");
    assert!(vault["vault"]["resources"][0]["size"].is_number());

    app.post(&format!("/vaults/{a}/addresources"), &body).await.expect(200);
    let elsewhere = app.post(&format!("/vaults/{b}/addresources"), &body).await.expect(400);
    assert_eq!(elsewhere.code(), "BackupService.6103");
    let twice = json!({"resources": [body["resources"][0], body["resources"][0]]});
    let twice = app.post(&format!("/vaults/{b}/addresources"), &twice).await.expect(400);
    assert_eq!(twice.code(), "BackupService.6104");
    let server = json!({"resources": [{"id": disk, "type": "OS::Nova::Server"}]});
    let server = app.post(&format!("/vaults/{b}/addresources"), &server).await.expect(400);
    assert_eq!(server.code(), "BackupService.6102");

    let foreign = json!({"resource_ids": [VOLUMES[1]]});
    let foreign = app.post(&format!("/vaults/{a}/removeresources"), &foreign).await.expect(400);
    assert_eq!(foreign.code(), "BackupService.6135");
    let remove = json!({"resource_ids": [disk]});
    let removed = app.post(&format!("/vaults/{a}/removeresources"), &remove).await.expect(200).body;
    assert_eq!(removed, json!({"remove_resource_ids": [disk]}));
    app.settle().await;
    assert_eq!(app.get(&format!("/vaults/{a}")).await.body["vault"]["resources"], json!([]));
}

/// Contract C53: bound and unbound protectables, native details, no count.
#[tokio::test]
async fn protectables_are_listed_with_their_vault() {
    let app = App::start().await;
    let vault = app.create_vault("a").await;
    let disk = VOLUMES[0];
    let body = json!({"resources": [{"id": disk, "type": "OS::Cinder::Volume"}]});
    app.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
    let listed = app.get("/protectables/disk/instances").await.expect(200).body;
    assert!(listed.get("count").is_none());
    let rows = listed["instances"].as_array().unwrap();
    assert_eq!(rows.len(), VOLUMES.len());
    let bound = rows.iter().find(|row| row["id"] == disk).unwrap();
    assert_eq!(bound["protectable"]["vault"]["id"], vault.as_str());
    assert_eq!(bound["detail"]["os-vol-tenant-attr:tenant_id"], app.project());
    assert_eq!(bound["type"], "OS::Cinder::Volume");
    let other = rows.iter().find(|row| row["id"] != disk).unwrap();
    assert_eq!(other["protectable"]["vault"], json!(null));

    let one = app.get(&format!("/protectables/disk/instances/{disk}")).await.expect(200).body;
    assert_eq!(one["instance"]["id"], disk);
    assert_eq!(
        app.get("/protectables/disk/instances/x").await.expect(404).code(),
        "BackupService.6302"
    );
    assert_eq!(
        app.get("/protectables/turbo/instances").await.expect(200).body,
        json!({"instances": []})
    );
    app.get("/protectables/odd/instances").await.expect(400);
    app.get("/protectables/disk/instances?limit=51").await.expect(400);
}
