//! Policies and the vaults they work for (contract C12, C13, C40 to C44).

use serde_json::{Value, json};

use crate::app::{App, VOLUMES, vault_body};
use crate::client::{Call, send};

const PATTERN: &str = "FREQ=DAILY;INTERVAL=1;BYHOUR=06;BYMINUTE=00";
const ABSENT: &str = "00000000-0000-4000-8000-000000000000";

fn body(name: &str) -> Value {
    json!({"policy": {"name": name, "operation_type": "backup",
        "trigger": {"properties": {"pattern": [PATTERN]}},
        "operation_definition": {"max_backups": 5, "retention_duration_days": -1}}})
}

fn replication(region: &str, project: &str) -> Value {
    let mut body = body("copies");
    body["policy"]["operation_type"] = json!("replication");
    body["policy"]["operation_definition"] =
        json!({"destination_region": region, "destination_project_id": project});
    body
}

async fn create(app: &App, name: &str) -> String {
    app.clock.advance(std::time::Duration::from_secs(1));
    created(app, &body(name)).await
}

async fn created(app: &App, body: &Value) -> String {
    let answer = app.post("/policies", body).await.expect(200).body;
    answer["policy"]["id"].as_str().unwrap().to_owned()
}

/// A vault of servers, for replication.
async fn server_vault(app: &App) -> String {
    let mut body = vault_body("servers");
    body["vault"]["billing"]["object_type"] = json!("server");
    let vault = app.post("/vaults", &body).await.expect(200).body;
    vault["vault"]["id"].as_str().unwrap().to_owned()
}

async fn bind(app: &App, vault: &str, body: Value) -> crate::client::Answer {
    app.post(&format!("/vaults/{vault}/associatepolicy"), &body).await
}

/// Contract C40 to C44, POL-07, POL-32; patterns and definition come back byte for byte.
#[tokio::test]
async fn a_policy_is_created_shown_listed_changed_and_deleted() {
    let app = App::start().await;
    let answer = app.post("/policies", &body("daily")).await.expect(200).body;
    let policy = &answer["policy"];
    let id = policy["id"].as_str().unwrap();
    assert_eq!(policy["enabled"], true, "the default");
    assert_eq!(policy["policy_type"], "custom_policy");
    assert_eq!(policy["associated_vaults"], json!([]));
    let trigger = &policy["trigger"];
    assert_eq!((&trigger["name"], &trigger["type"]), (&json!("default"), &json!("time")));
    let properties = json!({"pattern": [PATTERN], "start_time": "2026-01-15 08:00:00"});
    assert_eq!(trigger["properties"], properties);
    let definition = json!({"max_backups": 5, "retention_duration_days": -1});
    assert_eq!(policy["operation_definition"], definition);
    assert_eq!(app.get(&format!("/policies/{id}")).await.expect(200).body, answer);

    let change = json!({"policy": {"enabled": false, "unknown": 1, "trigger": {"properties": {
        "pattern": ["FREQ=WEEKLY;BYDAY=MO,SU;BYHOUR=6,18;BYMINUTE=30"], "start_window_minutes": 60}}}});
    let changed = app.put(&format!("/policies/{id}"), &change).await.expect(200).body;
    let changed = &changed["policy"];
    assert_eq!((&changed["name"], &changed["enabled"]), (&json!("daily"), &json!(false)));
    assert_eq!(changed["operation_definition"], definition);
    assert_eq!(changed["trigger"]["id"], trigger["id"]);
    let properties = &changed["trigger"]["properties"];
    assert_eq!(properties["start_window_minutes"], 60);
    assert_eq!(properties["start_time"], "2026-01-15 08:00:00");
    let change = json!({"policy": {"operation_definition": {"retention_duration_days": 30}}});
    let changed = app.put(&format!("/policies/{id}"), &change).await.expect(200).body;
    assert_eq!(changed["policy"]["operation_definition"], json!({"retention_duration_days": 30}));
    assert_eq!(app.get("/policies").await.body["policies"][0], changed["policy"]);

    let deleted = app.delete(&format!("/policies/{id}")).await.expect(204);
    assert!(deleted.bytes.is_empty());
    for (method, body) in [("GET", None), ("PUT", Some(&change)), ("DELETE", None)] {
        let path = format!("/v3/{}/policies/{id}", app.project());
        let gone = app.call(method, &path, body).await.expect(404);
        assert_eq!(gone.code(), "BackupService.6000", "{method}");
    }
    assert_eq!(app.get("/policies/daily").await.expect(404).code(), "BackupService.6000");
}

/// Contract C40, B.9, Y.4, POL-19 to POL-21: one wrong value each, with the key in the message.
#[tokio::test]
async fn what_breaks_a_rule_is_refused_with_its_key() {
    let app = App::start().await;
    let table: [(&str, Value, &str); 14] = [
        ("/policy/name", json!("a b"), "name"),
        ("/policy/name", json!("长".repeat(65)), "name"),
        ("/policy/trigger/properties/pattern", json!([]), "pattern"),
        ("/policy/trigger/properties/pattern", json!([PATTERN, PATTERN]), "60 minutes apart"),
        ("/policy/trigger/properties/pattern", json!(["FREQ=HOURLY"]), "FREQ=HOURLY"),
        ("/policy/trigger/properties/pattern", json!(vec![PATTERN; 25]), "1 to 24"),
        (
            "/policy/trigger/properties",
            json!({"pattern": [PATTERN], "start_window_minutes": 30}),
            "start_window_minutes",
        ),
        ("/policy/operation_definition", json!({"max_backups": 100_000}), "max_backups"),
        (
            "/policy/operation_definition",
            json!({"retention_duration_days": -7}),
            "retention_duration_days",
        ),
        ("/policy/operation_definition", json!({"max_backups": 1, "day_backups": 1}), "timezone"),
        (
            "/policy/operation_definition",
            json!({"max_backups": 1, "day_backups": 101, "timezone": "UTC+08:00"}),
            "day_backups",
        ),
        ("/policy/operation_definition", json!({"destination_region": "r"}), "destination_region"),
        (
            "/policy/operation_definition",
            json!({"full_backup_interval": 101}),
            "full_backup_interval",
        ),
        ("/policy/operation_definition", json!({"max_backups": "five"}), "body"),
    ];
    for (pointer, value, key) in table {
        let mut body = body("a");
        *body.pointer_mut(pointer).unwrap() = value;
        let refused = app.post("/policies", &body).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{pointer}");
        let message = refused.body["error_msg"].as_str().unwrap().to_lowercase();
        assert!(message.contains(&key.to_lowercase()), "{pointer}: {message}");
    }
    let mut odd = body("a");
    odd["policy"]["operation_type"] = json!("delete");
    assert_eq!(app.post("/policies", &odd).await.expect(400).code(), "BackupService.6117");
    let incomplete = app.post("/policies", &replication("eu", "")).await.expect(400);
    assert!(incomplete.body["error_msg"].as_str().unwrap().contains("estination_project_id"));
    assert_eq!(app.get("/policies").await.body["count"], 0);
    app.get("/policies?operation_type=odd").await.expect(400);
    app.get("/policies?vault_id=odd").await.expect(400);
}

/// POL-01, REP-07, QUO-05: 32 of each type; deleting one makes room.
#[tokio::test]
async fn a_project_has_32_policies_of_each_type() {
    let app = App::start().await;
    let mut last = String::new();
    for _ in 0..32 {
        last = created(&app, &body("same-name")).await;
    }
    let refused = app.post("/policies", &body("one-more")).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6001");
    created(&app, &replication("eu", ABSENT)).await;
    app.delete(&format!("/policies/{last}")).await.expect(204);
    created(&app, &body("one-more")).await;
}

/// Contract C41, A.4: filters, and the marker of the command line.
#[tokio::test]
async fn policies_are_listed_by_type_and_vault_and_paged() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    let (a, b) = (create(&app, "a").await, create(&app, "b").await);
    created(&app, &replication("eu", ABSENT)).await;
    bind(&app, &vault, json!({"policy_id": a})).await.expect(200);
    let ids = |body: Value| -> Vec<String> {
        let rows = body["policies"].as_array().unwrap().iter();
        rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let backups = app.get("/policies?operation_type=backup").await.expect(200).body;
    assert_eq!(ids(backups), [b.as_str(), a.as_str()], "newest first");
    let of_vault = app.get(&format!("/policies?vault_id={vault}")).await.expect(200).body;
    assert_eq!(of_vault["count"], 1);
    let associated = json!([{"vault_id": vault, "destination_vault_id": null}]);
    assert_eq!(of_vault["policies"][0]["associated_vaults"], associated);
    let first = app.get("/policies?operation_type=backup&limit=1").await.body;
    assert_eq!(first["count"], 2);
    let next = app.get(&format!("/policies?operation_type=backup&limit=1&marker={b}")).await.body;
    assert_eq!(ids(next), [a.as_str()]);
    let of_policy = app.get(&format!("/vaults?policy_id={a}")).await.expect(200).body;
    assert_eq!(of_policy["vaults"][0]["id"], vault.as_str());
    assert_eq!(app.get(&format!("/vaults?policy_id={b}")).await.body["count"], 0);
}

/// POL-02, POL-03, Z-10: one policy for vaults of every kind, also from when they are made.
#[tokio::test]
async fn a_policy_is_for_vaults_of_every_kind() {
    let app = App::start().await;
    let policy = create(&app, "a").await;
    let vaults = [app.create_vault("disks").await, app.create_server_vault("servers").await];
    for vault in &vaults {
        bind(&app, vault, json!({"policy_id": policy})).await.expect(200);
    }
    let shown = app.get(&format!("/policies/{policy}")).await.expect(200).body;
    let bound = shown["policy"]["associated_vaults"].as_array().unwrap();
    let ids: Vec<_> = bound.iter().map(|one| one["vault_id"].as_str().unwrap()).collect();
    assert!(vaults.iter().all(|vault| ids.contains(&vault.as_str())), "{ids:?}");
    for kind in ["server", "disk", "turbo", "file"] {
        let mut wanted = vault_body(&format!("new-{kind}"));
        wanted["vault"]["billing"]["object_type"] = json!(kind);
        wanted["vault"]["billing"]["size"] = json!(1024);
        wanted["vault"]["backup_policy_id"] = json!(policy);
        app.post("/vaults", &wanted).await.expect(200);
    }
}

/// POL-02, POL-33, contract C12, C13: one of a type, replaced by the next; unbound; deleted while bound.
#[tokio::test]
async fn a_policy_is_bound_replaced_unbound_and_deleted_while_bound() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    let (a, b) = (create(&app, "a").await, create(&app, "b").await);
    let bound = bind(&app, &vault, json!({"policy_id": a})).await.expect(200).body;
    assert_eq!(bound, json!({"associate_policy": {"vault_id": vault, "policy_id": a}}));
    bind(&app, &vault, json!({"policy_id": a})).await.expect(200);
    let bound = bind(&app, &vault, json!({"add_policy_ids": [b]})).await.expect(200).body;
    assert_eq!(bound["associate_policy"]["policy_id"], b.as_str());
    let vaults = |policy: String| {
        let app = &app;
        async move {
            app.get(&format!("/policies/{policy}")).await.body["policy"]["associated_vaults"]
                .clone()
        }
    };
    assert_eq!(vaults(a.clone()).await, json!([]), "replaced");
    assert_eq!(vaults(b.clone()).await[0]["vault_id"], vault.as_str());

    let path = format!("/vaults/{vault}/dissociatepolicy");
    let not_bound = app.post(&path, &json!({"policy_id": a})).await.expect(404);
    assert_eq!(not_bound.code(), "BackupService.6002");
    let unbound = app.post(&path, &json!({"policy_id": b})).await.expect(200).body;
    assert_eq!(unbound, json!({"dissociate_policy": {"vault_id": vault, "policy_id": b}}));
    assert_eq!(vaults(b.clone()).await, json!([]));
    assert_eq!(
        app.post(&path, &json!({"policy_id": ABSENT})).await.expect(404).code(),
        "BackupService.6000"
    );

    bind(&app, &vault, json!({"policy_id": a})).await.expect(200);
    app.delete(&format!("/policies/{a}")).await.expect(204);
    assert_eq!(app.get(&format!("/policies?vault_id={vault}")).await.body["count"], 0);
    app.get(&format!("/vaults/{vault}")).await.expect(200);

    bind(&app, &vault, json!({"policy_id": b})).await.expect(200);
    app.delete(&format!("/vaults/{vault}")).await.expect(204);
    let deleting = bind(&app, &vault, json!({"policy_id": b})).await.expect(400);
    assert_eq!(deleting.code(), "BackupService.6112");
    let deleting = app.post(&path, &json!({"policy_id": b})).await.expect(400);
    assert_eq!(deleting.code(), "BackupService.6112");
    app.settle().await;
    assert_eq!(vaults(b.clone()).await, json!([]));
}

/// Contract C12, E.2: what cannot be bound, each with its code.
#[tokio::test]
async fn what_cannot_be_bound_is_refused_with_its_code() {
    let app = App::start().await;
    let (disks, servers) = (app.create_vault("v").await, server_vault(&app).await);
    let policy = create(&app, "a").await;
    let second = create(&app, "b").await;
    let own = app.project();
    let (_, strangers) = app.stranger().await;
    let here = created(&app, &replication("local-1", &own)).await;
    let abroad = created(&app, &replication("mars", &own)).await;
    let foreign = created(&app, &replication("local-1", &strangers)).await;
    let to =
        |policy: &str, vault: &str| json!({"policy_id": policy, "destination_vault_id": vault});
    let table = [
        (disks.as_str(), json!({"policy_id": "daily"}), 404, "BackupService.6000"),
        (&disks, json!({"policy_id": ABSENT}), 404, "BackupService.6000"),
        (ABSENT, json!({"policy_id": policy}), 404, "BackupService.6105"),
        (&disks, json!({}), 400, "BackupService.9900"),
        (&disks, json!({"add_policy_ids": [policy, second]}), 400, "BackupService.9900"),
        (&disks, to(&policy, &servers), 400, "BackupService.9900"),
        (&disks, to(&here, &servers), 400, "BackupService.6122"),
        (&servers, json!({"policy_id": here}), 400, "BackupService.9900"),
        (&servers, to(&here, ABSENT), 400, "BackupService.6120"),
        (&servers, to(&here, &disks), 400, "BackupService.6119"),
        (&servers, to(&abroad, &disks), 400, "BackupService.6118"),
        // Another account's project looks like one that does not exist (P26).
        (&servers, to(&foreign, &disks), 400, "BackupService.6118"),
    ];
    for (vault, body, status, code) in table {
        let refused = bind(&app, vault, body.clone()).await.expect(status);
        assert_eq!(refused.code(), code, "{body}");
    }
    assert_eq!(app.get(&format!("/policies?vault_id={servers}")).await.body["count"], 0);
    // All or none: the backup policy is not bound when the replication policy beside it is refused.
    let both = json!({"add_policy_ids": [policy, here], "destination_vault_id": disks});
    bind(&app, &servers, both).await.expect(400);
    assert_eq!(app.get(&format!("/policies?vault_id={servers}")).await.body["count"], 0);
}

/// VLT-21, contract C1: a vault is created with its policy, or not at all.
#[tokio::test]
async fn a_vault_is_created_with_a_policy() {
    let app = App::start().await;
    let policy = create(&app, "a").await;
    let copies = created(&app, &replication("eu", ABSENT)).await;
    let with = |policy: &str| {
        let mut body = vault_body("v");
        body["vault"]["backup_policy_id"] = json!(policy);
        body
    };
    let vault = app.post("/vaults", &with(&policy)).await.expect(200).body;
    let shown = app.get(&format!("/policies/{policy}")).await.body;
    assert_eq!(shown["policy"]["associated_vaults"][0]["vault_id"], vault["vault"]["id"]);
    let refused = app.post("/vaults", &with(ABSENT)).await.expect(404);
    assert_eq!(refused.code(), "BackupService.6000");
    let refused = app.post("/vaults", &with(&copies)).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6127");
    assert_eq!(app.get("/vaults").await.body["count"], 1);
}

/// P26: a stranger sees nothing of our policies by id, and binds none of them.
#[tokio::test]
async fn anothers_policies_look_like_policies_that_do_not_exist() {
    let app = App::start().await;
    let ours = create(&app, "ours").await;
    let (token, project) = app.stranger().await;
    let call = |method: &str, path: &str, body: Option<&Value>| {
        let mut call = Call::new(method, format!("/v3/{project}{path}")).token(&token);
        if let Some(body) = body {
            call = call.json(body);
        }
        call.build()
    };
    let vault = send(&app.router, call("POST", "/vaults", Some(&vault_body("theirs")))).await;
    let vault = vault.expect(200).body["vault"]["id"].as_str().unwrap().to_owned();
    for id in [ours.as_str(), ABSENT] {
        let policy = format!("/policies/{id}");
        let binding = (format!("/vaults/{vault}/associatepolicy"), json!({"policy_id": id}));
        for (method, path, body) in [
            ("GET", policy.as_str(), None),
            ("PUT", &policy, Some(&json!({"policy": {"name": "theirs"}}))),
            ("DELETE", &policy, None),
            ("POST", &binding.0, Some(&binding.1)),
        ] {
            let refused = send(&app.router, call(method, path, body)).await.expect(404);
            assert_eq!(refused.code(), "BackupService.6000", "{method} {path}");
            assert_eq!(refused.body["error_msg"], format!("Policy {id} does not exist."));
        }
    }
    let listed = send(&app.router, call("GET", "/policies", None)).await.expect(200);
    assert_eq!(listed.body, json!({"policies": [], "count": 0}));
    let kept = app.get(&format!("/policies/{ours}")).await.expect(200).body;
    assert_eq!(kept["policy"]["name"], "ours");
}

/// TRB-14, RET-11, RET-14, RET-30, POL-22, POL-56: which backups would go now, and why the others stay.
#[tokio::test]
async fn a_preview_says_which_backups_would_go_and_why() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    let resources = json!({"resources": [{"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]});
    app.post(&format!("/vaults/{vault}/addresources"), &resources).await.expect(200);
    for (name, is_automatic) in [("a", true), ("b", false), ("c", true), ("d", true)] {
        let parameters = json!({"name": name, "auto_trigger": is_automatic});
        let body = json!({"checkpoint": {"vault_id": vault, "parameters": parameters}});
        app.post("/checkpoints", &body).await.expect(200);
        app.settle().await;
        app.clock.advance(std::time::Duration::from_mins(1));
    }
    let preview = async |query: &str| {
        let path = format!("/x/vaults/{vault}/retention-preview{query}");
        app.get(&path).await.expect(200).body["retention_preview"].clone()
    };
    let fates = |preview: &Value| -> Vec<String> {
        let rows = preview["backups"].as_array().unwrap().iter();
        rows.map(|row| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            format!("{} {} {}", text("name"), text("action"), text("reason"))
        })
        .collect()
    };

    let none = preview("").await;
    assert_eq!((&none["governed_by"], &none["policy_id"]), (&json!("nothing"), &json!(null)));
    let kept = ["d keep no_policy", "c keep no_policy", "b keep manual", "a keep no_policy"];
    assert_eq!(fates(&none), kept);

    let policy = create(&app, "five").await;
    bind(&app, &vault, json!({"policy_id": policy})).await.expect(200);
    let five = preview("").await;
    assert_eq!((&five["governed_by"], &five["policy_id"]), (&json!("policy"), &json!(policy)));
    assert_eq!((&five["kept_count"], &five["removed_count"]), (&json!(4), &json!(0)));
    let two = preview("?max_backups=2").await;
    let expected = ["d keep newest", "c keep newest", "b keep manual", "a remove too_many"];
    assert_eq!(fates(&two), expected);
    assert_eq!((&two["kept_count"], &two["removed_count"]), (&json!(3), &json!(1)));
    let elsewhere = preview(&format!("?max_backups=1&resource_id={}", VOLUMES[1])).await;
    assert_eq!(elsewhere["backups"], json!([]));
    let days = preview("?max_backups=1&day_backups=1&timezone=UTC%2B08:00").await;
    assert_eq!(days["removed_count"], 2);

    let change = json!({"policy": {"operation_definition":
        {"max_backups": 1, "full_backup_interval": 7}}});
    app.put(&format!("/policies/{policy}"), &change).await.expect(200);
    let one = preview("").await;
    assert_eq!(one["removed_count"], 2);
    assert!(one["warnings"][0].as_str().unwrap().contains("no full backups"));
    let off = json!({"policy": {"enabled": false}});
    app.put(&format!("/policies/{policy}"), &off).await.expect(200);
    let off = preview("").await;
    assert_eq!(
        (&off["governed_by"], &off["removed_count"]),
        (&json!("disabled_policy"), &json!(0))
    );

    let copies = created(&app, &replication("eu", ABSENT)).await;
    let path = |query: &str| format!("/x/vaults/{vault}/retention-preview?{query}");
    let odd = app.get(&path(&format!("policy_id={copies}"))).await.expect(400);
    assert_eq!(odd.code(), "BackupService.6127");
    let odd = app.get(&path("max_backups=1&retention_duration_days=1")).await.expect(400);
    assert_eq!(odd.code(), "BackupService.9900");
    assert_eq!(
        app.get(&format!("/x/vaults/{ABSENT}/retention-preview")).await.expect(404).code(),
        "BackupService.6105"
    );
    assert_eq!(app.get("/backups").await.body["count"], 4, "asking removes nothing");
}

/// RET-20, RET-32, contract C23, C27: the policy stamps the end; a later change does not touch it.
#[tokio::test]
async fn an_automatic_backup_ends_when_its_policy_said() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    let resources = json!({"resources": [{"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]});
    app.post(&format!("/vaults/{vault}/addresources"), &resources).await.expect(200);
    let mut month = body("month");
    month["policy"]["operation_definition"] = json!({"retention_duration_days": 30});
    let policy = created(&app, &month).await;
    bind(&app, &vault, json!({"policy_id": policy})).await.expect(200);
    let back_up = async |name: &str, is_automatic: bool| {
        let parameters = json!({"name": name, "auto_trigger": is_automatic});
        let body = json!({"checkpoint": {"vault_id": vault, "parameters": parameters}});
        app.post("/checkpoints", &body).await.expect(200);
        app.settle().await;
        app.clock.advance(std::time::Duration::from_mins(1));
        let listed = app.get(&format!("/backups?name={name}")).await.expect(200).body;
        listed["backups"][0].clone()
    };
    let manual = back_up("by-hand", false).await;
    assert_eq!(manual["expired_at"], json!(null));
    let first = back_up("first", true).await;
    assert_eq!(first["created_at"], "2026-01-15T08:01:01.000000");
    assert_eq!(first["expired_at"], "2026-02-14T08:01:01.000000");
    let change = json!({"policy": {"operation_definition": {"max_backups": 1}}});
    app.put(&format!("/policies/{policy}"), &change).await.expect(200);
    let second = back_up("second", true).await;
    assert_eq!(second["expired_at"], json!(null), "a number stamps nothing");
    let kept = app.get("/backups?name=first").await.body["backups"][0].clone();
    assert_eq!(kept["expired_at"], first["expired_at"]);
    // RET-33: the number bites before the end.
    let path = format!("/x/vaults/{vault}/retention-preview");
    let preview = app.get(&path).await.expect(200).body["retention_preview"].clone();
    assert_eq!(preview["removed_count"], 1);
    let off = json!({"policy": {"enabled": false, "operation_definition": {"retention_duration_days": 1}}});
    app.put(&format!("/policies/{policy}"), &off).await.expect(200);
    assert_eq!(back_up("third", true).await["expired_at"], json!(null), "it is switched off");
}
