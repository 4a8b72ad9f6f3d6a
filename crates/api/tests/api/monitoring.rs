//! How full vaults are over time (contract F.6, MON-01 to MON-05).

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Call, send};

/// 2026-01-15T08:00:00Z, when the clock of the tests starts, in milliseconds.
const START: i64 = 1_768_464_000_000;
const QUARTER: Duration = Duration::from_mins(15);

async fn get(app: &App, path: &str) -> crate::client::Answer {
    app.call("GET", &format!("/V1.0/{}{path}", app.project()), None).await
}

async fn batch(app: &App, body: &Value) -> crate::client::Answer {
    let path = format!("/V1.0/{}/batch-query-metric-data", app.project());
    app.call("POST", &path, Some(body)).await
}

fn data(vault: &str, metric: &str, rest: &str) -> String {
    format!("/metric-data?namespace=SYS.CBR&metric_name={metric}&dim.0=instance_id,{vault}{rest}")
}

/// MON-01, MON-02, MON-03, MON-04: three metrics of each vault, with their units.
#[tokio::test]
async fn metrics_of_vaults_are_listed_in_pages() {
    let app = App::start().await;
    let mut vaults = [app.create_vault("one").await, app.create_vault("two").await];
    vaults.sort();
    let all = get(&app, "/metrics?namespace=SYS.CBR&order=asc").await.expect(200).body;
    assert_eq!(all["meta_data"], json!({"count": 6, "total": 6, "marker": ""}));
    let first = json!({"namespace": "SYS.CBR", "metric_name": "used_vault_size", "unit": "GB",
        "dimensions": [{"name": "instance_id", "value": vaults[0]}]});
    assert_eq!(all["metrics"][0], first);
    assert_eq!(all["metrics"][1]["metric_name"], "vault_util");
    assert_eq!(
        (&all["metrics"][1]["unit"], &all["metrics"][2]["unit"]),
        (&json!("%"), &json!("%"))
    );
    assert_eq!(all["metrics"][2]["metric_name"], "vault_util_raw");

    let page = get(&app, "/metrics?order=asc&limit=4").await.body;
    let marker = page["meta_data"]["marker"].as_str().unwrap();
    assert_eq!(marker, format!("SYS.CBR.used_vault_size.instance_id:{}", vaults[1]));
    let rest = get(&app, &format!("/metrics?order=asc&limit=4&start={marker}")).await.body;
    assert_eq!(rest["meta_data"], json!({"count": 2, "total": 6, "marker": ""}));
    let one = format!("/metrics?metric_name=vault_util&dim.0=instance_id,{}", vaults[1]);
    assert_eq!(get(&app, &one).await.body["meta_data"]["total"], 1);
    assert_eq!(get(&app, "/metrics?namespace=SYS.ECS").await.body["metrics"], json!([]));
    let of_vaults = "namespace=SYS.CBR&dim.0=disk,x";
    for bad in ["limit=0", "limit=1001", "order=up", "start=x", "dim.0=disk", of_vaults] {
        let refused = get(&app, &format!("/metrics?{bad}")).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{bad}");
    }
    let (token, project) = app.stranger().await;
    let call = Call::new("GET", format!("/V1.0/{project}/metrics")).token(&token);
    assert_eq!(send(&app.router, call.build()).await.body["metrics"], json!([]));
}

/// MON-02, MON-05: a vault is measured every 15 minutes, and any period is joined from that.
#[tokio::test]
async fn what_was_measured_is_shown_by_period_and_filter() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    for _ in 0..5 {
        assert_eq!(app.measure().await, 1);
        assert_eq!(app.measure().await, 0, "a slot is measured once");
        app.clock.advance(QUARTER);
    }
    let range = format!("&from={START}&to={}", START + 7_200_000);
    let path = data(&vault, "used_vault_size", &format!("&filter=max&period=1{range}"));
    let shown = get(&app, &path).await.expect(200).body;
    let points = shown["datapoints"].as_array().unwrap();
    assert_eq!(shown["metric_name"], "used_vault_size");
    assert_eq!(points.len(), 5);
    assert_eq!(points[1], json!({"max": 0.0, "timestamp": START + 900_000, "unit": "GB"}));
    let path = data(&vault, "vault_util", &format!("&filter=average&period=3600{range}"));
    let hours = get(&app, &path).await.body["datapoints"].clone();
    let hour = |n: i64| json!({"average": 0.0, "timestamp": START + n * 3_600_000, "unit": "%"});
    assert_eq!(hours, json!([hour(0), hour(1)]));

    let metric = |name: &str, vault: &str| {
        json!({"namespace": "SYS.CBR", "metric_name": name,
            "dimensions": [{"name": "instance_id", "value": vault}]})
    };
    let mut body = json!({"metrics": [metric("vault_util_raw", "no-id"), metric("vault_util", &vault)],
        "period": "1200", "filter": "min", "from": START, "to": START + 3_600_000});
    let all = batch(&app, &body).await.expect(200).body;
    assert_eq!(all["metrics"][0]["datapoints"], json!([]));
    assert_eq!(all["metrics"][1]["unit"], "%");
    let points = all["metrics"][1]["datapoints"].as_array().unwrap();
    assert_eq!(points.len(), 4, "{points:?}");
    assert_eq!(points[0], json!({"min": 0.0, "timestamp": START}));

    for bad in [
        data(&vault, "cpu_util", &format!("&filter=max&period=1{range}")),
        data(&vault, "vault_util", &format!("&filter=mean&period=1{range}")),
        data(&vault, "vault_util", &format!("&filter=max&period=900{range}")),
        data(&vault, "vault_util", &format!("&filter=max&period=1&from={START}")),
        data(&vault, "vault_util", &format!("&filter=max&period=1&from={START}&to={START}")),
        data(&vault, "vault_util", "&filter=max&period=1&from=0&to=1768464000000"),
    ] {
        assert_eq!(get(&app, &bad).await.expect(400).code(), "BackupService.9900", "{bad}");
    }
    body["metrics"] = json!([]);
    assert_eq!(batch(&app, &body).await.expect(400).code(), "BackupService.9900");
    body["metrics"] = json!(vec![metric("vault_util", &vault); 501]);
    assert_eq!(batch(&app, &body).await.expect(400).code(), "BackupService.9900");
    body["metrics"] =
        json!([{"namespace": "SYS.CBR", "metric_name": "vault_util", "dimensions": []}]);
    assert_eq!(batch(&app, &body).await.expect(400).code(), "BackupService.9900");
}

/// P26: the series of another's vault is as empty as that of one that never was.
#[tokio::test]
async fn anothers_measurements_are_not_shown() {
    let app = App::start().await;
    let vault = app.create_vault("v").await;
    app.measure().await;
    let (token, project) = app.stranger().await;
    let query =
        data(&vault, "vault_util", &format!("&filter=max&period=1&from=0&to={}", START + 1));
    let query = query.replace("from=0", &format!("from={}", START - 1000));
    let call = Call::new("GET", format!("/V1.0/{project}{query}")).token(&token);
    assert_eq!(send(&app.router, call.build()).await.expect(200).body["datapoints"], json!([]));
    assert_eq!(get(&app, &query).await.body["datapoints"].as_array().unwrap().len(), 1);
}

fn own(name: &str, host: &str) -> Value {
    json!({"namespace": "Shop.orders", "metric_name": name,
        "dimensions": [{"name": "host", "value": host}]})
}

fn value(metric: &Value, at: i64, value: f64) -> Value {
    json!({"metric": metric, "ttl": 3600, "collect_time": at, "value": value, "unit": "1/min",
        "type": "float"})
}

async fn publish(app: &App, values: &Value) -> crate::client::Answer {
    app.call("POST", &format!("/V1.0/{}/metric-data", app.project()), Some(values)).await
}

/// Contract F.6, MON-05: metrics of a user's own are kept as they come, once, listed and shown like others, for
/// as long as they say; those of services nobody publishes.
#[tokio::test]
async fn metrics_of_ones_own_are_published_and_shown() {
    let app = App::start().await;
    app.create_vault("v").await;
    let orders = own("orders", "web-1");
    let values = json!([
        value(&orders, START, 3.5),
        value(&orders, START + 60_000, 4.5),
        value(&own("orders", "web-2"), START, 9.0),
    ]);
    for _ in 0..2 {
        publish(&app, &values).await.expect(201);
    }
    let range = format!("&from={START}&to={}", START + 3_600_000);
    let path = |rest: &str| {
        format!("/metric-data?namespace=Shop.orders&metric_name=orders{rest}&filter=sum{range}")
    };
    let shown = get(&app, &path("&dim.0=host,web-1&period=300")).await.expect(200).body;
    let want = json!({"metric_name": "orders",
        "datapoints": [{"sum": 8.0, "timestamp": START, "unit": "1/min"}]});
    assert_eq!(shown, want, "the same again is the same");
    let raw = get(&app, &path("&dim.0=host,web-1&period=1")).await.body;
    assert_eq!(raw["datapoints"].as_array().unwrap().len(), 2);
    let none = get(&app, &path("&dim.0=host,web-3&period=1")).await.expect(200).body;
    assert_eq!(none["datapoints"], json!([]));

    let listed = get(&app, "/metrics?namespace=Shop.orders&order=asc&limit=1").await.expect(200);
    let (metrics, meta) = (&listed.body["metrics"], &listed.body["meta_data"]);
    assert_eq!((&meta["total"], &metrics[0]["unit"]), (&json!(2), &json!("1/min")));
    assert_eq!(
        get(&app, "/metrics").await.body["meta_data"]["total"],
        5,
        "with those of the vault"
    );
    let one = get(&app, "/metrics?namespace=Shop.orders&dim.0=host,web-2").await.body;
    assert_eq!(one["metrics"][0]["dimensions"], own("orders", "web-2")["dimensions"]);
    let asked = json!({"metrics": [own("orders", "web-2"), orders], "period": "86400",
        "filter": "max", "from": START, "to": START + 1000});
    let all = batch(&app, &asked).await.expect(200).body;
    let day = START / 86_400_000 * 86_400_000;
    assert_eq!(all["metrics"][0]["datapoints"], json!([{"max": 9.0, "timestamp": day}]));
    assert_eq!(all["metrics"][1]["datapoints"], json!([{"max": 3.5, "timestamp": day}]));

    let (token, project) = app.stranger().await;
    let theirs = format!("/V1.0/{project}{}", path("&dim.0=host,web-1&period=1"));
    let call = Call::new("GET", theirs).token(&token);
    assert_eq!(send(&app.router, call.build()).await.expect(200).body["datapoints"], json!([]));
    app.clock.advance(Duration::from_hours(1));
    let gone = get(&app, &path("&dim.0=host,web-1&period=1")).await.expect(200).body;
    assert_eq!(gone["datapoints"].as_array().unwrap().len(), 1, "the first is too old");
}

/// Contract F.6: what is no value of a metric of one's own is refused, and with it all that came along.
#[tokio::test]
async fn what_cannot_be_published_is_refused_whole() {
    let app = App::start().await;
    let good = value(&own("orders", "web-1"), START, 1.0);
    let with = |key: &str, wrong: Value| {
        let mut one = good.clone();
        one[key] = wrong;
        one
    };
    let mut of_service = own("vault_util", "x");
    of_service["namespace"] = json!("SYS.CBR");
    for bad in [
        with("metric", of_service),
        with("metric", json!({"namespace": "a.b", "metric_name": "x", "dimensions": []})),
        with("ttl", json!(0)),
        with("ttl", json!(-1)),
        with("collect_time", json!(START - 4 * 86_400_000)),
        with("value", json!("much")),
        with("type", json!("text")),
        json!({"metric": own("x", "y"), "ttl": 1, "collect_time": START, "value": 1.5, "type": "int"}),
    ] {
        let refused = publish(&app, &json!([good, bad])).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{bad}");
    }
    for count in [0, 1001] {
        let refused = publish(&app, &json!(vec![good.clone(); count])).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{count}");
    }
    let many: Vec<Value> =
        (0..1000).map(|n| value(&own("orders", &format!("h{n}")), START, 1.0)).collect();
    publish(&app, &json!(many)).await.expect(201);
    publish(&app, &json!([value(&own("orders", "h1"), START + 1, 1.0)])).await.expect(201);
    let refused = publish(&app, &json!([good])).await.expect(400);
    assert_eq!(refused.code(), "BackupService.9900", "a thousand metrics");
    let listed = get(&app, "/metrics?namespace=Shop.orders").await.body;
    assert_eq!(listed["meta_data"]["total"], 1000);
    let of_one = get(&app, "/metrics?dim.0=host,h7").await.body;
    assert_eq!(of_one["meta_data"]["total"], 1, "whatever the namespace");
}
