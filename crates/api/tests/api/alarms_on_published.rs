//! Alarm rules on metrics that the project publishes itself (contract F.6, MON-06 to MON-09).

use std::time::Duration;

use cbr_env::Clock as _;
use serde_json::{Value, json};

use crate::app::App;

/// More than 100 open orders at two web servers.
fn newer() -> Value {
    json!({"name": "orders", "namespace": "Shop.orders", "type": "MULTI_INSTANCE", "enabled": true,
        "notification_enabled": true,
        "resources": [[{"name": "host", "value": "web-2"}, {"name": "area", "value": "b"}],
                      [{"name": "host", "value": "web-1"}]],
        "policies": [{"metric_name": "open", "period": 300, "filter": "average",
            "comparison_operator": ">", "value": 100, "unit": "orders", "count": 1, "level": 1}]})
}

type Break = fn(&mut Value);

async fn publish(app: &App, host: &str, value: f64) {
    let at = app.clock.now().0 / 1000;
    let body = json!([{"metric": {"namespace": "Shop.orders", "metric_name": "open",
            "dimensions": [{"name": "host", "value": host}]},
        "ttl": 172_800, "collect_time": at, "value": value, "unit": "orders"}]);
    app.v1("POST", "/metric-data", Some(&body)).await.expect(201);
}

/// MON-06, MON-08, MON-09: made, shown, decided, in the history, found by its namespace.
#[tokio::test]
async fn a_rule_on_a_metric_of_ones_own_from_its_making_to_its_history() {
    let app = App::start().await;
    let id = app.v2("POST", "/alarms", Some(&newer())).await.expect(201).body;
    let id = id["alarm_id"].as_str().unwrap().to_owned();
    let listed = app.v2("GET", "/alarms?namespace=Shop.orders", None).await.expect(200).body;
    let rule = &listed["alarms"][0];
    assert_eq!(
        (&rule["namespace"], &rule["type"]),
        (&json!("Shop.orders"), &json!("MULTI_INSTANCE"))
    );
    let things = json!([{"dimensions": [{"name": "area", "value": "b"}, {"name": "host", "value": "web-2"}]},
        {"dimensions": [{"name": "host", "value": "web-1"}]}]);
    assert_eq!(rule["resources"], things, "the order of dimensions says nothing");
    let policy = json!({"namespace": "Shop.orders", "metric_name": "open", "period": 300,
        "filter": "average", "comparison_operator": ">", "value": 100.0, "unit": "orders", "count": 1,
        "suppress_duration": 0, "level": 1});
    assert_eq!(rule["policies"], json!([policy]));
    for namespace in ["SYS.CBR", "Shop.other"] {
        let path = format!("/alarms?namespace={namespace}");
        assert_eq!(app.v2("GET", &path, None).await.expect(200).body["count"], 0, "{namespace}");
        let path = format!("/alarms?namespace={namespace}&alarm_id={id}");
        assert_eq!(app.v2("GET", &path, None).await.expect(200).body["count"], 0, "{namespace}");
    }
    publish(&app, "web-1", 150.0).await;
    app.clock.advance(Duration::from_mins(17));
    app.decide().await;
    let history =
        app.v2("GET", "/alarm-histories?namespace=Shop.orders", None).await.expect(200).body;
    let record = &history["alarm_histories"][0];
    assert_eq!((&record["status"], &history["count"]), (&json!("alarm"), &json!(1)));
    let metric = json!({"namespace": "Shop.orders", "metric_name": "open",
        "dimensions": [{"name": "host", "value": "web-1"}]});
    assert_eq!(record["metric"], metric);
    assert_eq!(record["additional_info"]["resource_id"], "host:web-1");
    let older =
        app.v1("GET", "/alarm-histories?namespace=Shop.orders", None).await.expect(200).body;
    assert_eq!(older["alarm_histories"][0]["metric"], metric);
    for of_vaults in ["/alarm-histories?namespace=SYS.CBR", "/alarm-histories?namespace=Shop.other"]
    {
        assert_eq!(
            app.v2("GET", of_vaults, None).await.expect(200).body["count"],
            0,
            "{of_vaults}"
        );
    }
}

/// MON-06, contract F.6: the older interface names the metric with its dimensions, or all there are.
#[tokio::test]
async fn the_older_interface_makes_and_changes_rules_on_metrics_of_ones_own() {
    let app = App::start().await;
    let metric = json!({"namespace": "Shop.orders", "metric_name": "open",
        "dimensions": [{"name": "host", "value": "web-1"}]});
    let condition = json!({"comparison_operator": ">", "count": 1, "filter": "average", "period": 300,
        "unit": "orders", "value": 100, "suppress_duration": 0});
    let body = json!({"alarm_name": "orders", "metric": metric, "condition": condition});
    let made = app.v1("POST", "/alarms", Some(&body)).await.expect(201).body;
    let path = format!("/alarms/{}", made["alarm_id"].as_str().unwrap());
    let shown = app.v1("GET", &path, None).await.expect(200).body;
    let rule = &shown["metric_alarms"][0];
    assert_eq!((&rule["metric"], &rule["condition"]["unit"]), (&metric, &json!("orders")));
    let stricter = json!({"condition": {"comparison_operator": ">", "value": 50}});
    app.v1("PUT", &path, Some(&stricter)).await.expect(204);
    let shown = app.v1("GET", &path, None).await.expect(200).body;
    let rule = &shown["metric_alarms"][0];
    assert_eq!(
        (&rule["metric"], &rule["condition"]["value"]),
        (&metric, &json!(50.0)),
        "what it is about stays"
    );
    assert_eq!(rule["condition"]["unit"], "orders");
    let mut all = body.clone();
    all["metric"]["dimensions"] = json!([]);
    app.v1("POST", "/alarms", Some(&all)).await.expect(400);
    all["alarm_type"] = json!("ALL_INSTANCE");
    app.v1("POST", "/alarms", Some(&all)).await.expect(201);
}

/// MON-09: templates name the namespace; what nobody can decide is refused.
#[tokio::test]
async fn templates_and_refusals_of_metrics_of_ones_own() {
    let app = App::start().await;
    let policy = json!({"namespace": "Shop.orders", "metric_name": "open", "value": 100,
        "comparison_operator": ">"});
    let body = json!({"template_name": "orders", "policies": [policy]});
    let made = app.v2("POST", "/alarm-templates", Some(&body)).await.expect(201).body;
    let template = made["template_id"].as_str().unwrap();
    let shown = app.v2("GET", &format!("/alarm-templates/{template}"), None).await.expect(200).body;
    assert_eq!(shown["policies"][0]["namespace"], "Shop.orders");
    let mut from = newer();
    from["policies"] = json!([]);
    from["alarm_template_id"] = json!(template);
    app.v2("POST", "/alarms", Some(&from)).await.expect(201);
    let mut mixed = body.clone();
    mixed["template_name"] = json!("mixed");
    mixed["policies"] = json!([policy, {"metric_name": "vault_util", "value": 80}]);
    app.v2("POST", "/alarm-templates", Some(&mixed)).await.expect(400);
    let cases: [Break; 8] = [
        |it| it["namespace"] = json!("SYS.ECS"),
        |it| it["namespace"] = json!("Shop"),
        |it| it["type"] = json!("EVENT.SYS"),
        |it| it["policies"][0]["namespace"] = json!("SYS.CBR"),
        |it| it["policies"][0]["metric_name"] = json!("1open"),
        |it| it["resources"] = json!([]),
        |it| it["resources"][0][0]["value"] = json!(null),
        |it| it["resources"][0] = json!([{"name": "a b", "value": "x"}]),
    ];
    for (index, break_it) in cases.iter().enumerate() {
        let mut broken = newer();
        break_it(&mut broken);
        let refused = app.v2("POST", "/alarms", Some(&broken)).await;
        assert_eq!(refused.status, 400, "{index}: {:?}", refused.body);
    }
}
