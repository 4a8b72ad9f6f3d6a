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
    for bad in ["limit=0", "limit=1001", "order=up", "start=x", "dim.0=disk,x"] {
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
