//! Backups that look suspicious, over HTTP (extension).

use cbr_model::anomaly::Anomaly;
use serde_json::json;

use crate::app::App;

const BACKUP: &str = "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01";

#[tokio::test]
async fn an_anomaly_is_listed_and_confirmed_once() {
    let app = App::start().await;
    assert_eq!(app.get("/x/anomalies").await.expect(200).body, json!({"anomalies": []}));
    let id = BACKUP.parse().unwrap();
    let anomaly = Anomaly {
        backup: id,
        project: app.project().parse().unwrap(),
        vault: BACKUP.parse().unwrap(),
        resource: BACKUP.parse().unwrap(),
        clean: None,
        what: "90 % of the disk changed".into(),
        found_at: cbr_model::Timestamp(0),
        confirmed_at: None,
    };
    app.add_anomaly(&anomaly).await;
    let listed = app.get("/x/anomalies").await.expect(200).body;
    assert_eq!(listed["anomalies"][0]["message"], "90 % of the disk changed");
    let path = format!("/x/anomalies/{BACKUP}/confirm");
    let confirmed = app.post(&path, &json!({})).await.expect(200).body;
    assert!(confirmed["anomaly"]["confirmed_at"].is_string());
    assert_eq!(app.get("/x/anomalies").await.expect(200).body, json!({"anomalies": []}));
    let all = app.get("/x/anomalies?all=true").await.expect(200).body;
    assert_eq!(all["anomalies"].as_array().unwrap().len(), 1);
    let twice = app.post(&path, &json!({})).await.expect(404);
    assert_eq!(twice.code(), "BackupService.6200");
    app.get("/x/anomalies?all=x").await.expect(400);
}
