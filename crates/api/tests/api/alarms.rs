//! Alarm rules, their templates and history (contract F.6, MON-06 to MON-09).

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::App;
use crate::client::Answer;

const ABSENT: &str = "al0000000000000000000000";
const QUARTER: Duration = Duration::from_mins(15);

impl App {
    pub(crate) async fn v1(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.call(method, &format!("/V1.0/{}{path}", self.project()), body).await
    }

    pub(crate) async fn v2(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.clock.advance(Duration::from_millis(1));
        self.call(method, &format!("/v2/{}{path}", self.project()), body).await
    }

    fn topic_urn(&self, name: &str) -> String {
        format!("urn:smn:local-1:{}:{name}", self.project())
    }

    async fn make_rule(&self, body: &Value) -> String {
        let made = self.v2("POST", "/alarms", Some(body)).await.expect(201).body;
        let id = made["alarm_id"].as_str().unwrap().to_owned();
        assert!(id.len() == 24 && id.starts_with("al"), "{id}");
        id
    }
}

fn older(vault: &str) -> Value {
    json!({"alarm_name": "full", "metric": {"namespace": "SYS.CBR", "metric_name": "vault_util",
            "dimensions": [{"name": "instance_id", "value": vault}]},
        "condition": {"comparison_operator": ">=", "count": 1, "filter": "average", "period": 1,
            "unit": "%", "value": 80, "suppress_duration": 0}})
}

fn newer(vaults: &[&str]) -> Value {
    let resource = |vault: &&str| json!([{"name": "instance_id", "value": vault}]);
    json!({"name": "usage", "namespace": "SYS.CBR", "type": "MULTI_INSTANCE", "enabled": true,
        "notification_enabled": true, "resources": vaults.iter().map(resource).collect::<Vec<_>>(),
        "policies": [
            {"metric_name": "vault_util", "period": 300, "filter": "max",
             "comparison_operator": ">", "value": 80.5, "unit": "%", "count": 3, "level": 1,
             "suppress_duration": 3600},
            {"metric_name": "used_vault_size", "value": 50}]})
}

/// MON-06, contract F.6: a rule of the older interface from its making to its end.
#[tokio::test]
async fn a_rule_is_made_shown_changed_switched_and_deleted() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    app.v2("POST", "/notifications/topics", Some(&json!({"name": "ops"}))).await.expect(201);
    let urn = app.topic_urn("ops");
    let mut body = older(&vault);
    body["alarm_actions"] = json!([{"type": "notification", "notificationList": [urn]}]);
    body["ok_actions"] = json!([[{"type": "notification", "notificationList": [urn]}]]);
    body["alarm_action_begin_time"] = json!("00:00");
    body["alarm_action_end_time"] = json!("08:00");
    let made = app.v1("POST", "/alarms", Some(&body)).await.expect(201).body;
    let id = made["alarm_id"].as_str().unwrap();
    let shown = app.v1("GET", &format!("/alarms/{id}"), None).await.expect(200).body;
    let rule = &shown["metric_alarms"][0];
    assert_eq!(rule["alarm_state"], "insufficient_data");
    assert_eq!((&rule["alarm_level"], &rule["alarm_enabled"]), (&json!(2), &json!(true)));
    assert_eq!(rule["metric"], body["metric"]);
    let condition = json!({"period": 1, "filter": "average", "comparison_operator": ">=",
        "value": 80.0, "unit": "%", "count": 1, "suppress_duration": 0});
    assert_eq!(rule["condition"], condition);
    let actions = json!([{"type": "notification", "notificationList": [urn]}]);
    assert_eq!((&rule["alarm_actions"], &rule["ok_actions"]), (&actions, &actions));
    assert_eq!(rule["alarm_action_end_time"], "08:00");
    let listed = app.v1("GET", "/alarms?limit=1", None).await.expect(200).body;
    assert_eq!(listed["metric_alarms"][0], *rule);
    assert_eq!(listed["meta_data"], json!({"count": 1, "total": 1, "marker": id}));
    let rest = app.v1("GET", &format!("/alarms?start={id}"), None).await.expect(200).body;
    assert_eq!(rest["meta_data"], json!({"count": 0, "total": 1, "marker": ""}));

    let change = json!({"alarm_name": "fuller", "alarm_level": 1, "alarm_actions": [],
        "alarm_action_end_time": "09:30",
        "condition": {"comparison_operator": ">", "value": 90, "period": 1, "count": 2}});
    app.v1("PUT", &format!("/alarms/{id}"), Some(&change)).await.expect(204);
    let off = json!({"alarm_enabled": false});
    app.v1("PUT", &format!("/alarms/{id}/action"), Some(&off)).await.expect(204);
    let shown = app.v1("GET", &format!("/alarms/{id}"), None).await.body;
    let rule = &shown["metric_alarms"][0];
    assert_eq!((&rule["alarm_name"], &rule["alarm_level"]), (&json!("fuller"), &json!(1)));
    assert_eq!(
        (&rule["condition"]["value"], &rule["condition"]["count"]),
        (&json!(90.0), &json!(2))
    );
    assert_eq!((&rule["alarm_enabled"], &rule["alarm_actions"]), (&json!(false), &json!([])));
    assert_eq!(rule["alarm_action_begin_time"], "00:00");
    assert_eq!(rule["alarm_action_end_time"], "09:30");
    app.v1("DELETE", &format!("/alarms/{id}"), None).await.expect(204);
    for (method, rest, body) in [
        ("GET", "", None),
        ("PUT", "", Some(&change)),
        ("PUT", "/action", Some(&off)),
        ("DELETE", "", None),
    ] {
        for id in [id, ABSENT, "no-id"] {
            let gone = app.v1(method, &format!("/alarms/{id}{rest}"), body).await.expect(404);
            assert_eq!(gone.code(), "CES.0404", "{method} {rest}");
        }
    }
}

/// MON-06, MON-08, MON-09: many vaults, several conditions, events, all vaults; the name is random.
#[tokio::test]
async fn rules_for_many_vaults_and_events() {
    let app = App::start().await;
    let (one, two) = (app.create_vault("one").await, app.create_vault("two").await);
    let id = app.make_rule(&newer(&[&one, &two])).await;
    let listed = app.v2("GET", &format!("/alarms?alarm_id={id}"), None).await.expect(200).body;
    assert_eq!(listed["count"], 1);
    let rule = &listed["alarms"][0];
    assert_eq!(rule["resources"].as_array().unwrap().len(), 2);
    assert_eq!(rule["resources"][0]["dimensions"][0]["name"], "instance_id");
    let policy = json!({"namespace": "SYS.CBR", "metric_name": "vault_util", "period": 300,
        "filter": "max", "comparison_operator": ">", "value": 80.5, "unit": "%", "count": 3,
        "suppress_duration": 3600, "level": 1});
    assert_eq!(rule["policies"][0], policy);
    assert_eq!(
        (&rule["type"], &rule["alarm_template_id"]),
        (&json!("MULTI_INSTANCE"), &Value::Null)
    );

    let events = json!({"namespace": "SYS.CBR", "type": "EVENT.SYS", "enabled": true,
        "notification_enabled": false, "resources": [[]],
        "policies": [{"metric_name": "backupFailed", "level": 1}, {"metric_name": "damageFound"}]});
    let id = app.make_rule(&events).await;
    let listed = app.v2("GET", &format!("/alarms?alarm_id={id}"), None).await.body;
    let name = listed["alarms"][0]["name"].as_str().unwrap();
    assert!(name.len() == 10 && name.starts_with("alarm-"), "{name}");
    assert_eq!(listed["alarms"][0]["type"], "EVENT.SYS");
    let mut all = newer(&[]);
    all["type"] = json!("ALL_INSTANCE");
    all["resources"] = json!([[{"name": "instance_id"}]]);
    let third = app.make_rule(&all).await;
    assert_eq!(app.v2("GET", "/alarms?name=usage", None).await.body["count"], 2);
    assert_eq!(
        app.v2("GET", "/alarms?limit=1&offset=1", None).await.body["alarms"][0]["alarm_id"],
        id
    );
    assert_eq!(app.v2("GET", "/alarms?namespace=SYS.ECS", None).await.body["count"], 0);
    assert_eq!(app.v2("GET", &format!("/alarms?alarm_id={ABSENT}"), None).await.body["count"], 0);
    assert_eq!(
        app.v2("GET", "/alarms?limit=101", None).await.expect(400).code(),
        "BackupService.9900"
    );

    let several = json!({"alarm_ids": [id, third], "alarm_enabled": false});
    let done = app.v2("POST", "/alarms/action", Some(&several)).await.expect(200).body;
    assert_eq!(done["alarm_ids"], several["alarm_ids"]);
    let with_absent = json!({"alarm_ids": [id, ABSENT]});
    let refused = app.v2("POST", "/alarms/batch-delete", Some(&with_absent)).await.expect(404);
    assert_eq!(refused.code(), "CES.0404");
    assert_eq!(app.v2("GET", "/alarms", None).await.body["count"], 3, "all or none");
    let both = json!({"alarm_ids": [id, third]});
    app.v2("POST", "/alarms/batch-delete", Some(&both)).await.expect(200);
    assert_eq!(app.v2("GET", "/alarms", None).await.body["count"], 1);
    let none = json!({"alarm_ids": [], "alarm_enabled": true});
    app.v2("POST", "/alarms/action", Some(&none)).await.expect(400);
}

/// Contract F.6: one wrong value each.
#[tokio::test]
async fn what_cannot_be_decided_or_told_is_refused() {
    type Break = fn(&mut Value);
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    let cases: [(Break, u16); 16] = [
        (|it| it["namespace"] = json!("SYS.ECS"), 400),
        (|it| it["type"] = json!("RESOURCE_GROUP"), 400),
        (|it| it["resource_group_id"] = json!("rg1"), 400),
        (|it| it["resources"] = json!([]), 400),
        (|it| it["resources"] = json!([[{"name": "disk", "value": "x"}]]), 400),
        (|it| it["resources"] = json!([[{"name": "instance_id", "value": "x"}]]), 400),
        (|it| it["policies"] = json!([]), 400),
        (|it| it["policies"][0]["metric_name"] = json!("backupFailed"), 400),
        (|it| it["policies"][0]["count"] = json!(181), 400),
        (|it| it["policies"][0]["period"] = json!(900), 400),
        (|it| it["policies"][0]["level"] = json!(5), 400),
        (|it| it["name"] = json!("<b>"), 400),
        (|it| it["notification_begin_time"] = json!("8"), 400),
        (|it| it["effective_timezone"] = json!("Mars"), 400),
        (
            |it| {
                it["alarm_notifications"] =
                    json!([{"type": "autoscaling", "notification_list": []}]);
            },
            400,
        ),
        (|it| it["alarm_template_id"] = json!("at0"), 404),
    ];
    for (at, (break_it, status)) in cases.into_iter().enumerate() {
        let mut body = newer(&[&vault]);
        break_it(&mut body);
        let refused = app.v2("POST", "/alarms", Some(&body)).await;
        assert_eq!(refused.status.as_u16(), status, "{at}: {}", refused.body);
    }
    let mut body = newer(&[&vault]);
    let absent = app.topic_urn("nobody");
    body["alarm_notifications"] = json!([{"type": "notification", "notification_list": [absent]}]);
    let refused = app.v2("POST", "/alarms", Some(&body)).await.expect(404);
    assert_eq!(refused.code(), "SMN.0404", "an alarm that nobody hears of is none");
    let mut body = older(&vault);
    body["insufficientdata_actions"] = json!([{"type": "notification", "notificationList": ["x"]}]);
    assert_eq!(
        app.v1("POST", "/alarms", Some(&body)).await.expect(400).code(),
        "BackupService.9900"
    );
    for bad in ["limit=0", "limit=101", "order=up", "start=x"] {
        app.v1("GET", &format!("/alarms?{bad}"), None).await.expect(400);
    }
}

/// MON-09: templates, own and built in, and rules made from them.
#[tokio::test]
async fn rules_are_made_from_templates() {
    let app = App::start().await;
    let body = json!({"template_name": "mine", "template_type": 0, "template_description": "d",
        "policies": [{"metric_name": "vault_util", "value": 70, "alarm_level": 3}]});
    let made = app.v2("POST", "/alarm-templates", Some(&body)).await.expect(201).body;
    let own = made["template_id"].as_str().unwrap();
    let taken = app.v2("POST", "/alarm-templates", Some(&body)).await.expect(409);
    assert_eq!(taken.code(), "CES.0409");
    let listed = app.v2("GET", "/alarm-templates", None).await.expect(200).body;
    assert_eq!(listed["count"], 3);
    let types: Vec<_> = listed["alarm_templates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["template_type"].clone())
        .collect();
    assert_eq!(types, [json!("custom"), json!("system"), json!("system_event")]);
    let page = app.v2("GET", "/alarm-templates?limit=1&offset=2", None).await.body;
    assert_eq!(page["alarm_templates"][0], listed["alarm_templates"][2]);
    app.v2("GET", "/alarm-templates?limit=0", None).await.expect(400);
    let shown = app.v2("GET", &format!("/alarm-templates/{own}"), None).await.expect(200).body;
    assert_eq!(shown["policies"][0]["alarm_level"], 3);

    let built_in = listed["alarm_templates"][1]["template_id"].as_str().unwrap();
    for (template, conditions) in [(own, 1), (built_in, 2)] {
        let mut rule = newer(&[]);
        (rule["type"], rule["policies"]) = (json!("ALL_INSTANCE"), json!([]));
        rule["alarm_template_id"] = json!(template);
        let id = app.make_rule(&rule).await;
        let listed = app.v2("GET", &format!("/alarms?alarm_id={id}"), None).await.body;
        assert_eq!(listed["alarms"][0]["policies"].as_array().unwrap().len(), conditions);
        assert_eq!(listed["alarms"][0]["alarm_template_id"], template);
    }
    let delete = async |id: &str| {
        let body = json!({"template_ids": [id]});
        app.v2("POST", "/alarm-templates/batch-delete", Some(&body)).await
    };
    assert_eq!(delete(built_in).await.expect(409).code(), "CES.0409");
    assert_eq!(delete(own).await.expect(200).body["template_ids"], json!([own]));
    assert_eq!(delete(own).await.expect(404).code(), "CES.0404");
    app.v2("GET", &format!("/alarm-templates/{own}"), None).await.expect(404);
    let mut rules = body.clone();
    rules["template_type"] = json!(1);
    app.v2("POST", "/alarm-templates", Some(&rules)).await.expect(400);
    assert_eq!(app.v2("GET", "/alarms", None).await.body["count"], 2, "rules stay");
}

/// MON-08: what a rule decided is in its history, in both interfaces.
#[tokio::test]
async fn the_history_shows_each_change() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    let mut rule = newer(&[&vault]);
    rule["policies"] =
        json!([{"metric_name": "vault_util", "comparison_operator": "<", "value": 1}]);
    let id = app.make_rule(&rule).await;
    app.clock.advance(QUARTER);
    app.measure().await;
    app.decide().await;
    let history = app.v2("GET", "/alarm-histories", None).await.expect(200).body;
    assert_eq!(history["count"], 1);
    let record = &history["alarm_histories"][0];
    assert_eq!((&record["alarm_id"], &record["status"]), (&json!(id), &json!("alarm")));
    assert!(record["record_id"].as_str().unwrap().starts_with("ah"));
    assert_eq!(record["metric"]["dimensions"][0]["value"], vault);
    assert_eq!(record["data_points"], json!([{"value": 0.0}]));
    assert_eq!(record["additional_info"]["untold"], "the rule names no topic");
    assert_eq!(record["end_time"], Value::Null);
    for (query, count) in [
        ("status=alarm", 1),
        ("status=ok", 0),
        ("level=2", 1),
        ("level=1", 0),
        ("alarm_type=event", 0),
        ("name=usage", 1),
        ("from=2026-01-15T09:00:00Z", 0),
    ] {
        let found =
            app.v2("GET", &format!("/alarm-histories?{query}"), None).await.expect(200).body;
        assert_eq!(found["count"], count, "{query}");
    }
    let of = format!("alarm_id={id}&resource_id={vault}");
    assert_eq!(app.v2("GET", &format!("/alarm-histories?{of}"), None).await.body["count"], 1);
    let older = app.v1("GET", "/alarm-histories?alarm_status=alarm", None).await.expect(200).body;
    assert_eq!(older["meta_data"]["total"], 1);
    assert_eq!(older["alarm_histories"][0]["alarm_status"], "alarm");
    for bad in
        ["status=up", "level=x", "alarm_type=x", "alarm_id=x", "limit=0", "namespace=SYS.ECS"]
    {
        app.v2("GET", &format!("/alarm-histories?{bad}"), None).await.expect(400);
    }
    app.v1("GET", "/alarm-histories?alarm_status=up", None).await.expect(400);
    let events = app.get("/x/events").await.expect(200).body;
    assert_eq!(events, json!({"events": [], "count": 0}));
    app.get("/x/events?event=x").await.expect(400);
}
