//! Filters of lists that are the same everywhere, or ask for what never is (contract C27, C51, C53).

use serde_json::json;

use crate::app::{App, VOLUMES};

/// TSK-03, RGN-05, contract C51: of an enterprise project; copies elsewhere there are none.
#[tokio::test]
async fn operation_logs_are_found_by_enterprise_project_and_never_by_destination() {
    let app = App::start().await;
    app.back_up_disk("a").await;
    for (query, count) in [
        ("enterprise_project_id=0", 1),
        ("enterprise_project_id=all_granted_eps", 1),
        ("enterprise_project_id=x", 0),
        ("destination_region=eu-de", 0),
        ("destination_project_id=0605767b5780d5762fc5c0118072a564", 0),
        ("operation_type=backup&status=success,failed&limit=1&offset=0", 1),
        ("operation_type=copy", 0),
        ("status=timeout", 0),
    ] {
        let found = app.get(&format!("/operation-logs?{query}")).await.expect(200).body;
        assert_eq!(found["count"], count, "{query}");
    }
    for bad in ["operation_type=odd", "status=odd", "limit=0", "start_time=now"] {
        let refused = app.get(&format!("/operation-logs?{bad}")).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{bad}");
    }
}

/// BAK-54, RGN-05, contract C27: how it is kept, of which enterprise project, with copies or without.
#[tokio::test]
async fn backups_are_found_by_how_they_are_kept() {
    let app = App::start().await;
    let vault = app.create_vault("a").await;
    let body = json!({"resources": [{"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]});
    app.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
    let manual = app.back_up(&vault).await;
    assert_eq!(manual["enterprise_project_id"], "0");
    app.clock.advance(std::time::Duration::from_secs(1));
    let parameters = json!({"auto_trigger": true});
    let run = json!({"checkpoint": {"vault_id": vault, "parameters": parameters}});
    app.post("/checkpoints", &run).await.expect(200);
    app.settle().await;
    for (query, count) in [
        ("existed_quantity_based_retention_backups=true", 1),
        ("existed_quantity_based_retention_backups=false", 0),
        ("show_replication=true", 2),
        ("enterprise_project_id=0&used_percent=1", 0),
        ("enterprise_project_id=all_granted_eps", 2),
        ("enterprise_project_id=x", 0),
        ("image_type=replication", 0),
        ("own_type=shared", 0),
        ("own_type=all_granted", 2),
        ("dec=true", 2),
        ("sort=name:asc,id&limit=1&offset=1", 2),
    ] {
        let found = app.get(&format!("/backups?{query}")).await.expect(200).body;
        assert_eq!(found["count"], count, "{query}: {found}");
    }
    for bad in ["own_type=x", "image_type=x", "show_replication=x", "used_percent=0"] {
        let refused = app.get(&format!("/backups?{bad}")).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{bad}");
    }
}

/// Contract C53.
#[tokio::test]
async fn protectables_are_in_the_default_enterprise_project() {
    let app = App::start().await;
    for (query, count) in [
        ("enterprise_project_id=0", 2),
        ("enterprise_project_id=all_granted_eps", 2),
        ("enterprise_project_id=x", 0),
    ] {
        let found =
            app.get(&format!("/protectables/disk/instances?{query}")).await.expect(200).body;
        assert_eq!(found["instances"].as_array().unwrap().len(), count, "{query}");
    }
}

/// Contract C31: `resource_id` is another name of what a backup goes back to.
#[tokio::test]
async fn a_restore_takes_the_generic_name_of_its_target() {
    let app = App::start().await;
    let (_, backup) = app.back_up_disk("a").await;
    let path = format!("/backups/{}/restore", backup["id"].as_str().unwrap());
    let to = |id: &str| json!({"restore": {"resource_id": id}});
    let refused = app.post(&path, &to(VOLUMES[1])).await.expect(400);
    assert_eq!(refused.code(), "BackupService.2003");
    let before = app.content(0);
    app.damage(0);
    app.post(&path, &to(VOLUMES[0])).await.expect(202);
    app.settle().await;
    assert!(app.content(0) == before, "the disks differ");
}
