//! Vaults made with everything that can be chosen at once, and what is shown of the policy that was chosen.

use serde_json::{Value, json};

use crate::app::{App, VOLUMES, vault_body};
use crate::people::Office;
use crate::things::{DATA_DISK, SERVER};

async fn policy(app: &App) -> String {
    let body = json!({"policy": {"name": "daily", "operation_type": "backup",
        "trigger": {"properties": {"pattern": ["FREQ=DAILY;INTERVAL=1;BYHOUR=06;BYMINUTE=00"]}},
        "operation_definition": {"max_backups": 5, "retention_duration_days": -1,
            "day_backups": 2, "timezone": "UTC+08:00"}}});
    let made = app.post("/policies", &body).await.expect(200).body;
    made["policy"]["id"].as_str().unwrap().to_owned()
}

/// VLT-03, VLT-04, VLT-20, VLT-21, RGN-03, TAG-01: how it is paid, what it protects and against what, which resources,
/// how much, by which policy, in which enterprise project, with which tags and under what name: all of it is
/// in one request, and holds; with one part that is wrong there is no vault.
#[tokio::test]
async fn a_vault_is_made_with_all_that_can_be_chosen() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    app.add_server();
    let wanted = json!({"name": "finance"});
    let project = office.post("/v1.0/enterprise-projects", wanted).await.expect(201).body;
    let project = project["enterprise_project"]["id"].as_str().unwrap().to_owned();
    let policy = policy(&app).await;
    let server = json!({"id": SERVER, "type": "OS::Nova::Server",
        "extra_info": {"exclude_volumes": [DATA_DISK]}});
    let disk = json!({"id": VOLUMES[0], "type": "OS::Cinder::Volume"});
    let mut bound = Vec::new();
    for (object, resource) in [("server", server), ("disk", disk)] {
        let tags = json!([{"key": "Key_0001", "value": "Value_0001"}]);
        let body = json!({"vault": {"name": format!("vault-{object}"), "tags": tags,
            "enterprise_project_id": project, "backup_policy_id": policy,
            "resources": [resource], "billing": {"object_type": object, "size": 40,
                "charging_mode": "post_paid", "protect_type": "backup",
                "consistent_level": "crash_consistent"}}});
        let before = app.get("/vaults").await.expect(200).body["count"].clone();
        for (part, wrong) in [
            ("/vault/name", json!("a b")),
            ("/vault/tags/0/key", json!("a/b")),
            ("/vault/enterprise_project_id", json!(policy)),
            ("/vault/backup_policy_id", json!(project)),
            ("/vault/resources/0/type", json!("OS::Nova::Flavor")),
            ("/vault/billing/size", json!(0)),
            ("/vault/billing/charging_mode", json!("free")),
            ("/vault/billing/protect_type", json!("against-all")),
            ("/vault/billing/consistent_level", json!("very")),
        ] {
            let mut bad = body.clone();
            *bad.pointer_mut(part).unwrap() = wrong;
            let refused = app.post("/vaults", &bad).await;
            assert!(matches!(refused.status.as_u16(), 400 | 404), "{part}: {}", refused.body);
        }
        assert_eq!(app.get("/vaults").await.expect(200).body["count"], before);

        let made = app.post("/vaults", &body).await.expect(200).body;
        let id = made["vault"]["id"].as_str().unwrap().to_owned();
        let shown = app.get(&format!("/vaults/{id}")).await.expect(200).body["vault"].clone();
        for part in ["/name", "/tags", "/enterprise_project_id", "/resources/0/id"] {
            assert_eq!(shown.pointer(part), body["vault"].pointer(part), "{part}");
        }
        for part in ["object_type", "size", "charging_mode", "protect_type", "consistent_level"] {
            assert_eq!(shown["billing"][part], body["vault"]["billing"][part], "{part}");
        }
        assert_eq!(shown["billing"]["allocated"], 1, "without the disk that is left out");
        bound.push(json!(id));
    }
    let shown = app.get(&format!("/policies/{policy}")).await.expect(200).body;
    let vaults = shown["policy"]["associated_vaults"].as_array().unwrap();
    let mut vaults: Vec<Value> = vaults.iter().map(|it| it["vault_id"].clone()).collect();
    vaults.sort_by_key(ToString::to_string);
    bound.sort_by_key(ToString::to_string);
    assert_eq!(vaults, bound);
}

/// VLT-32, VLT-39, POL-29: a vault has no policy, one that is switched on, or one that is switched off; what is told of
/// it in the vault is the policy with all that it has.
#[tokio::test]
async fn a_vault_shows_its_whole_policy_and_whether_it_acts() {
    let app = App::start().await;
    let made = app.post("/vaults", &vault_body("v")).await.expect(200).body;
    let vault = made["vault"]["id"].as_str().unwrap();
    let policy = policy(&app).await;
    app.create_vault("another").await;
    let of_vault = async || {
        let found = app.get(&format!("/policies?vault_id={vault}")).await.expect(200).body;
        found["policies"].as_array().unwrap().clone()
    };
    assert_eq!(of_vault().await, Vec::<Value>::new(), "not bound");
    let bind = json!({"policy_id": policy});
    app.post(&format!("/vaults/{vault}/associatepolicy"), &bind).await.expect(200);
    for enabled in [true, false, true] {
        let switch = json!({"policy": {"enabled": enabled}});
        let path = format!("/policies/{policy}");
        app.put(&path, &switch).await.expect(200);
        let [shown]: [Value; 1] = of_vault().await.try_into().expect("one policy");
        assert_eq!(shown["enabled"], enabled);
        assert_eq!(shown, app.get(&path).await.expect(200).body["policy"]);
        let definition = &shown["operation_definition"];
        assert_eq!(
            (&definition["max_backups"], &definition["day_backups"]),
            (&json!(5), &json!(2))
        );
        assert_eq!(shown["associated_vaults"][0]["vault_id"], vault);
    }
    app.post(&format!("/vaults/{vault}/dissociatepolicy"), &bind).await.expect(200);
    assert_eq!(of_vault().await, Vec::<Value>::new(), "not bound any more");
}
