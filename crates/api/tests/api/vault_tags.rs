//! Tags of vaults (contract C17 to C22, TAG-01 to TAG-06).

use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Call, send};

fn tag(key: &str, value: &str) -> Value {
    json!({"key": key, "value": value})
}

fn batch(action: &str, tags: &[Value]) -> Value {
    json!({"action": action, "tags": tags})
}

/// TAG-04, TAG-05: one tag and several, put, replaced, shown and taken away.
#[tokio::test]
async fn tags_are_put_replaced_shown_and_taken_away() {
    let app = App::start().await;
    let vault = app.create_vault("a").await;
    let tags = format!("/vault/{vault}/tags");
    let shown = || async { app.get(&tags).await.expect(200).body };
    assert_eq!(shown().await, json!({"tags": []}));

    let answer = app.post(&tags, &json!({"tag": tag("env", "lab")})).await.expect(204);
    assert!(answer.bytes.is_empty());
    app.post(&tags, &json!({"tag": tag("env", "prod")})).await.expect(204);
    let several = batch("create", &[tag("team", ""), tag("版本", "1.2")]);
    app.post(&format!("{tags}/action"), &several).await.expect(204);
    let all = json!({"tags": [tag("env", "prod"), tag("team", ""), tag("版本", "1.2")]});
    assert_eq!(shown().await, all);
    assert_eq!(app.get(&format!("/vaults/{vault}")).await.body["vault"]["tags"], all["tags"]);

    let some =
        batch("delete", &[json!({"key": "team"}), tag("absent/x", "y"), json!({"key": "team"})]);
    app.post(&format!("{tags}/action"), &some).await.expect(204);
    app.delete(&format!("{tags}/env")).await.expect(204);
    assert_eq!(shown().await, json!({"tags": [tag("版本", "1.2")]}));
    // E.5 number 6: the key is percent-encoded; blanks around it are no part of it.
    app.delete(&format!("{tags}/%20%E7%89%88%E6%9C%AC%20")).await.expect(204);
    assert_eq!(shown().await, json!({"tags": []}));
}

/// TAG-01 to TAG-03, contract D: 6600, 6601, 6105, 9900, and 0403 for system tags.
#[tokio::test]
async fn refusals_have_their_codes() {
    let app = App::start().await;
    let vault = app.create_vault("a").await;
    let tags = format!("/vault/{vault}/tags");
    let action = format!("{tags}/action");
    let ten: Vec<Value> = (0..10).map(|n| tag(&format!("k{n}"), "v")).collect();
    app.post(&action, &batch("create", &ten)).await.expect(204);
    app.post(&tags, &json!({"tag": tag("k3", "new")})).await.expect(204);

    let eleventh = app.post(&tags, &json!({"tag": tag("k10", "")})).await.expect(400);
    assert_eq!(eleventh.code(), "BackupService.6600");
    for absent in ["absent", "a%2Fb", "%20"] {
        let answer = app.delete(&format!("{tags}/{absent}")).await.expect(404);
        assert_eq!(answer.code(), "BackupService.6601", "{absent}");
    }
    for (body, what) in [
        (batch("create", &[]), "no tag"),
        (batch("create", &[tag("x", "1"), tag("x", "2")]), "a key twice"),
        (batch("create", &[json!({"key": "x"})]), "no value"),
        (batch("delete", &vec![tag("x", ""); 11]), "eleven"),
        (batch("replace", &[tag("x", "")]), "no such action"),
        (json!({"action": "create"}), "nothing at all"),
    ] {
        let answer = app.post(&action, &body).await.expect(400);
        assert_eq!(answer.code(), "BackupService.9900", "{what}");
    }
    for bad in [tag("a b", ""), tag("", "v"), tag(&"k".repeat(37), ""), tag("k", &"v".repeat(44))] {
        let answer = app.post(&tags, &json!({"tag": bad})).await.expect(400);
        assert_eq!(answer.code(), "BackupService.9900", "{bad}");
    }
    let system = json!({"action": "create", "sys_tags": [tag("_sys_enterprise_project_id", "0")]});
    assert_eq!(app.post(&action, &system).await.expect(403).code(), "BackupService.0403");

    let absent = "/vault/5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01/tags";
    let one = json!({"tag": tag("k", "v")});
    for answer in [
        app.get(absent).await,
        app.post(absent, &one).await,
        app.post(&format!("{absent}/action"), &batch("delete", &[tag("k", "")])).await,
        app.delete(&format!("{absent}/k")).await,
    ] {
        assert_eq!(answer.expect(404).code(), "BackupService.6105");
    }
    assert_eq!(app.get(&tags).await.body["tags"].as_array().unwrap().len(), 10);
}

/// P26: the tags of another's vault look like those of a vault that does not exist.
#[tokio::test]
async fn anothers_tags_are_not_to_be_seen_or_changed() {
    let app = App::start().await;
    let vault = app.create_vault("a").await;
    app.post(&format!("/vault/{vault}/tags"), &json!({"tag": tag("secret", "x")}))
        .await
        .expect(204);
    let (token, project) = app.stranger().await;
    let below = |path: &str| format!("/v3/{project}{path}");
    for (method, path, body) in [
        ("GET", format!("/vault/{vault}/tags"), None),
        ("POST", format!("/vault/{vault}/tags"), Some(json!({"tag": tag("k", "v")}))),
        (
            "POST",
            format!("/vault/{vault}/tags/action"),
            Some(batch("delete", &[tag("secret", "")])),
        ),
        ("DELETE", format!("/vault/{vault}/tags/secret"), None),
    ] {
        let mut call = Call::new(method, below(&path)).token(&token);
        if let Some(body) = &body {
            call = call.json(body);
        }
        assert_eq!(send(&app.router, call.build()).await.expect(404).code(), "BackupService.6105");
    }
    let listed = send(&app.router, Call::new("GET", below("/vault/tags")).token(&token).build());
    assert_eq!(listed.await.expect(200).body, json!({"tags": []}));
    let filter = json!({"action": "filter"});
    let found = Call::new("POST", below("/vault/resource_instances/action")).token(&token);
    let found = send(&app.router, found.json(&filter).build()).await.expect(200).body;
    assert_eq!(found, json!({"resources": [], "total_count": 0}));
    let tags = app.get(&format!("/vault/{vault}/tags")).await.body;
    assert_eq!(tags, json!({"tags": [tag("secret", "x")]}));
}

/// TAG-06, VLT-35, contract C21, C22: keys in use; filter and count, pages, names.
#[tokio::test]
async fn vaults_are_found_by_tags() {
    let app = App::start().await;
    let mut ids = Vec::new();
    for (name, tags) in [
        ("one", vec![tag("env", "lab"), tag("team", "a")]),
        ("two", vec![tag("env", "prod")]),
        ("three", vec![]),
    ] {
        let id = app.create_vault(name).await;
        if !tags.is_empty() {
            app.post(&format!("/vault/{id}/tags/action"), &batch("create", &tags))
                .await
                .expect(204);
        }
        ids.push(id);
    }
    let in_use = json!({"tags": [{"key": "env", "values": ["lab", "prod"]},
                                 {"key": "team", "values": ["a"]}]});
    assert_eq!(app.get("/vault/tags").await.expect(200).body, in_use);

    let path = "/vault/resource_instances/action";
    let names = async |mut body: Value| {
        body["action"] = json!("filter");
        let found = app.post(path, &body).await.expect(200).body;
        let count = found["resources"].as_array().unwrap().iter();
        let names: Vec<String> =
            count.map(|row| row["resource_name"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), found["total_count"].as_u64().unwrap())
    };
    assert_eq!(names(json!({})).await, ("three two one".into(), 3));
    assert_eq!(names(json!({"without_any_tag": true})).await, ("three".into(), 1));
    let env = |values: &[&str]| json!([{"key": "env", "values": values}]);
    assert_eq!(names(json!({"tags": env(&[])})).await, ("two one".into(), 2));
    assert_eq!(names(json!({"tags": env(&["*ro"])})).await, ("two".into(), 1));
    assert_eq!(names(json!({"not_tags_any": env(&["lab"])})).await, ("three two".into(), 2));
    assert_eq!(names(json!({"limit": "1", "offset": 1})).await, ("two".into(), 3));
    let named = json!([{"key": "resource_name", "value": "o"}]);
    assert_eq!(names(json!({"matches": named})).await, ("two one".into(), 2));
    assert_eq!(names(json!({"object_type": "server"})).await, (String::new(), 0));
    let system = json!([{"key": "_sys_enterprise_project_id", "values": ["0"]}]);
    assert_eq!(names(json!({"sys_tags": system})).await.1, 3);

    let count = json!({"action": "count", "tags": env(&["lab", "prod"])});
    assert_eq!(app.post(path, &count).await.expect(200).body, json!({"total_count": 2}));
    let found = app.post(path, &json!({"action": "filter", "tags": env(&["lab"])})).await.body;
    let row = &found["resources"][0];
    assert_eq!(row["resource_id"], ids[0].as_str());
    assert_eq!(row["resource_detail"]["vault"]["id"], ids[0].as_str());
    assert_eq!((&row["tags"][1], &row["sys_tags"]), (&tag("team", "a"), &json!([])));

    for bad in [
        json!({"action": "find"}),
        json!({"action": "filter", "tags": []}),
        json!({"action": "filter", "limit": "1001"}),
        json!({"action": "count", "offset": "0"}),
        json!({"action": "filter", "tags": [{"key": "k", "values": ["a", "a"]}]}),
    ] {
        assert_eq!(app.post(path, &bad).await.expect(400).code(), "BackupService.9900", "{bad}");
    }
    let elsewhere = "/vault/resource_instances/action?enterprise_project_id=other";
    let count = json!({"action": "count"});
    assert_eq!(app.post(elsewhere, &count).await.body["total_count"], 0);
    let anywhere = "/vault/resource_instances/action?enterprise_project_id=all_granted_eps";
    assert_eq!(app.post(anywhere, &count).await.body["total_count"], 3);
}
