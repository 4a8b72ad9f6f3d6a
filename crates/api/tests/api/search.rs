//! Runs over several resources, and finding their backups again.

use cbr_api::{OPERATIONS, Settings};
use serde_json::{Value, json};

use crate::app::{App, VOLUMES};

/// A vault with both disks in it.
async fn vault_with_both(app: &App, name: &str) -> String {
    let vault = app.create_vault(name).await;
    let resources = VOLUMES.map(|id| json!({"id": id, "type": "OS::Cinder::Volume"}));
    let body = json!({"resources": resources});
    app.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
    vault
}

async fn run(app: &App, vault: &str, parameters: Value) -> String {
    app.clock.advance(std::time::Duration::from_mins(1));
    let body = json!({"checkpoint": {"vault_id": vault, "parameters": parameters}});
    let made = app.post("/checkpoints", &body).await.expect(200).body;
    app.settle().await;
    made["checkpoint"]["id"].as_str().unwrap().to_owned()
}

fn names(body: &Value) -> Vec<&str> {
    let backups = body["backups"].as_array().unwrap().iter();
    backups.map(|backup| backup["resource_name"].as_str().unwrap()).collect()
}

/// BAK-05, BAK-19, BAK-22: all of a vault are backed up together, or those that are ticked; each disk has backups of
/// its own.
#[tokio::test]
async fn a_run_takes_all_resources_or_those_that_are_named() {
    let app = App::start().await;
    let vault = vault_with_both(&app, "v").await;
    let whole = run(&app, &vault, json!({"name": "whole"})).await;
    let made = app.get(&format!("/backups?checkpoint_id={whole}")).await.expect(200).body;
    assert_eq!(made["count"], 2);
    let mut disks: Vec<_> =
        made["backups"].as_array().unwrap().iter().map(|one| one["resource_id"].clone()).collect();
    disks.sort_by_key(ToString::to_string);
    assert_eq!(disks, VOLUMES, "one backup of each disk, none of both");

    let ticked = run(&app, &vault, json!({"name": "one", "resources": [VOLUMES[1]]})).await;
    let made = app.get(&format!("/backups?checkpoint_id={ticked}")).await.expect(200).body;
    assert_eq!(
        (&made["count"], &made["backups"][0]["resource_id"]),
        (&json!(1), &json!(VOLUMES[1]))
    );
}

/// BAK-21, BAK-27, BAK-60: the smallest thing there is to back up or to restore is a whole disk. No operation takes or
/// shows a partition, a directory or a file of a backup.
#[tokio::test]
async fn the_smallest_unit_is_a_disk() {
    let app = App::start().await;
    let vault = vault_with_both(&app, "v").await;
    for part in [format!("{}p1", VOLUMES[0]), format!("{}/etc", VOLUMES[0])] {
        let body = json!({"checkpoint": {"vault_id": vault, "parameters": {"resources": [part]}}});
        let refused = app.post("/checkpoints", &body).await;
        assert!(matches!(refused.status.as_u16(), 400 | 404), "{part}: {}", refused.body);
    }
    let of_backups = OPERATIONS.iter().filter(|operation| operation.path.contains("{backup_id}"));
    for operation in of_backups {
        let path = operation.path;
        assert!(!["file", "path", "partition"].iter().any(|word| path.contains(word)), "{path}");
    }
}

/// BAK-28: no operation of the contract gives the bytes of a backup out, to a client or to a store of its own. What does
/// that is our extension: it lies below `/x/`, and the operator can switch it off.
#[tokio::test]
async fn the_contract_gives_no_bytes_of_backups_out() {
    let of_backups = OPERATIONS.iter().filter(|operation| operation.path.contains("backup"));
    let gives_out = |path: &str| {
        ["export", "download", "data", "content", "bucket"].iter().any(|word| path.contains(word))
    };
    let mut extensions = 0;
    for operation in of_backups.filter(|it| gives_out(&it.path.replace("metadata", ""))) {
        assert!(operation.path.contains("/x/"), "{}", operation.path);
        extensions += 1;
    }
    assert!(extensions > 0, "what is looked for is there");
    let strict = App::start_with(Settings { is_strict: true, ..Settings::default() }).await;
    let (_, backup) = strict.back_up_disk("v").await;
    let path = format!("/x/backups/{}/exports", backup["id"].as_str().unwrap());
    let gone = strict.post(&path, &json!({"export": {}})).await.expect(404);
    assert_eq!(gone.code(), "APIG.0101");
}

/// BAK-50, BAK-53, BAK-56: backups are found by status, name, id, vault, resource and time; of several conditions all
/// must hold; a found one is shown.
#[tokio::test]
async fn backups_are_found_by_all_conditions_together() {
    let app = App::start().await;
    let (a, b) = (vault_with_both(&app, "a").await, app.create_vault("b").await);
    run(&app, &a, json!({"name": "early"})).await;
    let between = app.date(30);
    let between = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &between[..4],
        &between[4..6],
        &between[6..8],
        &between[9..11],
        &between[11..13],
        &between[13..15]
    );
    run(&app, &a, json!({"name": "late", "resources": [VOLUMES[0]]})).await;
    let all = app.get("/backups").await.expect(200).body;
    assert_eq!(all["count"], 3);
    let late = all["backups"][0]["id"].as_str().unwrap().to_owned();
    let found = async |query: String| app.get(&format!("/backups?{query}")).await.expect(200).body;
    for (query, count) in [
        ("status=available".to_owned(), 3),
        ("status=protecting&status=error&status=deleting&status=restoring".to_owned(), 0),
        ("name=early".to_owned(), 2),
        ("name=late".to_owned(), 1),
        (format!("id={late}"), 1),
        (format!("vault_id={a}"), 3),
        (format!("vault_id={b}"), 0),
        (format!("resource_id={}", VOLUMES[0]), 2),
        ("resource_name=disk-1".to_owned(), 1),
        ("resource_type=OS::Cinder::Volume".to_owned(), 3),
        ("resource_type=OS::Nova::Server".to_owned(), 0),
        (format!("end_time={between}"), 2),
        (format!("start_time={between}&resource_id={}", VOLUMES[0]), 1),
        (format!("name=early&resource_id={}&vault_id={a}&status=available", VOLUMES[1]), 1),
        (format!("name=late&resource_id={}", VOLUMES[1]), 0),
    ] {
        assert_eq!(found(query.clone()).await["count"], count, "{query}");
    }
    assert_eq!(names(&found("name=late".into()).await), ["disk-0"]);
    let shown = app.get(&format!("/backups/{late}")).await.expect(200).body;
    assert_eq!(shown["backup"], all["backups"][0]);
}

/// RGN-06, RGN-08, RGN-09, RES-04, RES-26: there is one region, which the operator's catalogue names with its address; what
/// lives elsewhere cannot be bound, and nothing moves a vault there, nor a resource with its backups.
#[tokio::test]
async fn a_vault_and_its_resources_are_of_the_one_region() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    let elsewhere = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
    let body = json!({"resources": [{"id": elsewhere, "type": "OS::Cinder::Volume"}]});
    let refused = app.post(&format!("/vaults/{vault}/addresources"), &body).await;
    assert_eq!(refused.expect(404).code(), "BackupService.7000");
    let before = app.get(&format!("/vaults/{vault}")).await.expect(200).body;
    let moved = json!({"vault": {"region": "elsewhere", "region_id": "elsewhere"}});
    drop(app.put(&format!("/vaults/{vault}"), &moved).await);
    assert_eq!(app.get(&format!("/vaults/{vault}")).await.expect(200).body, before);
    let (from, _) = app.back_up_disk("from").await;
    let resources = [VOLUMES[0]];
    for to in [
        json!({"destination_vault_id": elsewhere, "resource_ids": resources}),
        json!({"destination_vault_id": elsewhere, "resource_ids": resources,
            "destination_region": "elsewhere"}),
    ] {
        let refused = app.post(&format!("/vaults/{from}/migrateresources"), &to).await;
        assert_eq!(refused.expect(400).code(), "BackupService.6120", "{to}");
    }
    let stayed = app.get(&format!("/vaults/{from}")).await.expect(200).body;
    assert_eq!(stayed["vault"]["resources"][0]["id"], VOLUMES[0]);

    let regions = app.call("GET", "/v3/regions", None).await.expect(200).body;
    let [region] = regions["regions"].as_array().unwrap().as_slice() else { panic!("{regions}") };
    let catalog = app.call("GET", "/v3/auth/catalog", None).await.expect(200).body;
    for service in catalog["catalog"].as_array().unwrap() {
        for endpoint in service["endpoints"].as_array().unwrap() {
            assert_eq!(endpoint["region_id"], region["id"], "{service}");
            assert!(endpoint["url"].as_str().unwrap().starts_with("http"), "{service}");
        }
    }
}
