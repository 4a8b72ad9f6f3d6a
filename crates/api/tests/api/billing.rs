//! Money below `/x/`: balances, metered hours, orders and their payment.

use std::sync::Arc;

use cbr_api::Settings;
use cbr_service::billing::{BillingSettings, Prepayment, PriceList, Prices};
use serde_json::{Value, json};

use crate::app::{App, vault_body};
use crate::client::{Call, send};

const ABSENT: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

/// One that charges a cent for a GB and month.
async fn charging() -> App {
    let disk =
        Prices { hour: "0.01".parse().unwrap(), month: "1".parse().unwrap(), ..Prices::default() };
    let billing = BillingSettings {
        driver: Arc::new(Prepayment { credit_limit: 0, releases: false }),
        prices: PriceList { disk, ..PriceList::default() },
        freezes: true,
        ..BillingSettings::default()
    };
    App::start_billed(Settings::default(), billing).await
}

fn ordered(name: &str, auto_pay: bool) -> Value {
    let mut body = vault_body(name);
    let billing = &mut body["vault"]["billing"];
    billing["charging_mode"] = json!("pre_paid");
    billing["period_type"] = json!("month");
    billing["period_num"] = json!(2);
    billing["is_auto_pay"] = json!(auto_pay);
    body
}

async fn credit(app: &App, amount: i64, reference: &str) -> Value {
    let body = json!({"amount": amount, "reference": reference});
    app.post("/x/billing/credits", &body).await.expect(200).body["account"].take()
}

/// BIL-01, BIL-09: nothing is charged by default; what is metered is listed.
#[tokio::test]
async fn an_account_says_what_things_cost() {
    let app = App::start().await;
    let shown = app.get("/x/billing/account").await.expect(200).body;
    assert_eq!((&shown["driver"], &shown["freezes"]), (&json!("showback"), &json!(false)));
    assert_eq!((&shown["grace_hours"], &shown["retention_days"]), (&json!(24), &json!(15)));
    assert_eq!(shown["account"]["balance"], 0);
    assert_eq!(shown["prices"]["disk"]["hour"], "0.000000");
    assert_eq!(shown["metering"], json!({"until": null, "is_held": false, "exported_until": null}));
    let order = app.post("/vaults/order", &ordered("a", false)).await.expect(200).body;
    assert_eq!(order["orders"][0]["subscribeResult"], 1, "nobody has to pay");
    let hours = app.get("/x/billing/metering").await.expect(200).body;
    assert_eq!(hours, json!({"hours": [], "count": 0, "amount_millionths": 0}));
    let bad = app.get("/x/billing/metering?from=yesterday").await.expect(400);
    assert_eq!(bad.code(), "BackupService.9900");
    let bad = app.get("/x/billing/entries?limit=0").await.expect(400);
    assert_eq!(bad.code(), "BackupService.9900");
}

/// BIL-01: metered hours can be exported, with what they cost and together.
#[tokio::test]
async fn metered_hours_are_listed() {
    let app = charging().await;
    app.meter().await;
    let vault = app.create_vault("a").await;
    app.clock.advance(std::time::Duration::from_hours(3));
    app.meter().await;
    let listed =
        app.get(&format!("/x/billing/metering?vault_id={vault}&limit=1")).await.expect(200).body;
    assert_eq!((&listed["count"], &listed["amount_millionths"]), (&json!(3), &json!(3_000_000)));
    let want = json!({"vault_id": vault, "image_id": null, "hour": "2026-01-15T08:00:00.000000",
        "spec_code": "vault.backup.volume.normal", "size": 100, "price": "0.010000",
        "amount_millionths": 1_000_000, "currency": "EUR"});
    assert_eq!(listed["hours"], json!([want]));
    let part = "/x/billing/metering?from=2026-01-15T09:00:00Z&until=2026-01-15T10:00:00Z";
    assert_eq!(app.get(part).await.expect(200).body["count"], 1);
    let entries = app.get("/x/billing/entries").await.expect(200).body;
    assert_eq!((&entries["count"], &entries["entries"][0]["amount"]), (&json!(3), &json!(-1)));
    app.post("/x/billing/resume", &json!({})).await.expect(204);
}

/// BIL-01: what is exported is said, for hours that are metered only.
#[tokio::test]
async fn exported_hours_are_noted() {
    let app = charging().await;
    app.meter().await;
    app.clock.advance(std::time::Duration::from_hours(3));
    app.meter().await;
    let note = async |until: &str| app.post("/x/billing/exported", &json!({"until": until})).await;
    let noted = note("2026-01-15T10:00:00Z").await.expect(200).body;
    assert_eq!(noted, json!({"exported_until": "2026-01-15T10:00:00.000000"}));
    let account = app.get("/x/billing/account").await.expect(200).body;
    assert_eq!(account["metering"]["exported_until"], "2026-01-15T10:00:00.000000");
    for bad in ["2026-01-15T12:00:00Z", "yesterday"] {
        let refused = note(bad).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{bad}");
    }
    // Whose hours they are does not say that they are in somebody's books.
    let until = json!({"until": "2026-01-15T10:00:00Z"});
    let (token, project) = app.stranger().await;
    let call = Call::new("POST", format!("/v3/{project}/x/billing/exported"));
    let refused = send(&app.router, call.token(&token).json(&until).build()).await.expect(403);
    assert_eq!(refused.code(), "BackupService.0403");
    let of = |project: &str| json!({"until": "2026-01-15T10:00:00Z", "project_id": project});
    app.post("/x/billing/exported", &of(&project)).await.expect(200);
    for bad in ["0605767b5780d5762fc5c0118072a564", "no id"] {
        let refused = app.post("/x/billing/exported", &of(bad)).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{bad}");
    }
}

/// BIL-01, BIL-06: who runs the installation gives, and nobody to itself.
#[tokio::test]
async fn credits_are_the_operators() {
    let app = charging().await;
    let account = credit(&app, 500, "invoice 1").await;
    assert_eq!((&account["balance"], &account["is_in_arrears"]), (&json!(500), &json!(false)));
    assert_eq!(credit(&app, 500, "invoice 1").await["balance"], 500, "once");
    let entries = app.get("/x/billing/entries").await.expect(200).body;
    assert_eq!(entries["count"], 1);
    assert_eq!(entries["entries"][0]["reference"], "invoice 1");
    for bad in [
        json!({"amount": 0, "reference": "x"}),
        json!({"amount": 1, "reference": ""}),
        json!({"amount": 7, "reference": "invoice 1"}),
        json!({"amount": 1, "reference": "x", "domain_id": "0605767b5780d5762fc5c0118072a564"}),
        json!({"amount": 1, "reference": "x", "domain_id": "no id"}),
    ] {
        let refused = app.post("/x/billing/credits", &bad).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{bad}");
    }
    let (token, project) = app.stranger().await;
    for (path, body) in
        [("credits", json!({"amount": 1, "reference": "mine"})), ("resume", json!({}))]
    {
        let call = Call::new("POST", format!("/v3/{project}/x/billing/{path}"));
        let refused = send(&app.router, call.token(&token).json(&body).build()).await.expect(403);
        assert_eq!(refused.code(), "BackupService.0403", "{path}");
    }
}

/// BIL-03, BIL-08, VLT-52, contract 6109, 6110, 6123.
#[tokio::test]
async fn orders_are_paid_given_up_and_renewed() {
    let app = charging().await;
    let order = app.post("/vaults/order", &ordered("a", true)).await.expect(200).body;
    let order = &order["orders"][0];
    assert_eq!(order["subscribeResult"], 0, "there is nothing to pay it with");
    let (id, vault) = (order["orderId"].as_str().unwrap(), order["resourceId"].as_str().unwrap());
    let billing =
        app.get(&format!("/vaults/{vault}")).await.expect(200).body["vault"]["billing"].take();
    assert_eq!(
        (&billing["status"], &billing["frozen_scene"]),
        (&json!("frozen"), &json!("UNPAID"))
    );
    let pay = format!("/x/orders/{id}/pay");
    let refused = app.post(&pay, &json!({})).await.expect(400);
    assert_eq!(refused.code(), "BackupService.6110");
    credit(&app, 200, "a").await;
    let paid = app.post(&pay, &json!({})).await.expect(200).body;
    let line = &paid["orders"][0];
    assert_eq!((&line["status"], &line["amount"]), (&json!("completed"), &json!(200)));
    assert_eq!(line["ends_at"], "2026-03-15T08:00:00.000000");
    let again = app.post(&pay, &json!({})).await.expect(400);
    assert_eq!(again.code(), "BackupService.6110");
    for path in ["pay", "cancel"] {
        let absent = app.post(&format!("/x/orders/{ABSENT}/{path}"), &json!({})).await.expect(400);
        assert_eq!(absent.code(), "BackupService.6109", "{path}");
    }

    let renew = format!("/x/vaults/{vault}/renew");
    let body = json!({"period_type": "month", "period_num": 1, "is_auto_renew": true});
    let waiting = app.post(&renew, &body).await.expect(200).body;
    assert_eq!(waiting["orders"][0]["status"], "unpaid");
    let waiting = waiting["orders"][0]["order_id"].as_str().unwrap().to_owned();
    let dropped = app.post(&format!("/x/orders/{waiting}/cancel"), &json!({})).await.expect(200);
    assert_eq!(dropped.body["orders"][0]["status"], "cancelled");
    let bad = json!({"period_type": "week", "period_num": 1});
    assert_eq!(app.post(&renew, &bad).await.expect(400).code(), "BackupService.9900");
    let auto = format!("/x/vaults/{vault}/auto-renew");
    app.put(&auto, &json!({"is_auto_renew": true})).await.expect(200);
    let by_use = app.create_vault("b").await;
    let (path, body) = (format!("/x/vaults/{by_use}/auto-renew"), json!({"is_auto_renew": true}));
    let refused = app.put(&path, &body);
    assert_eq!(refused.await.expect(400).code(), "BackupService.6109");

    let charge = json!({"vault_ids": [by_use], "charging_mode": "pre_paid", "period_type": "month",
        "period_num": 1, "is_auto_pay": true});
    app.post("/vaults/change-charge-mode", &charge).await.expect(200);
    let billing =
        app.get(&format!("/vaults/{by_use}")).await.expect(200).body["vault"]["billing"].take();
    assert_eq!(
        (&billing["status"], &billing["charging_mode"]),
        (&json!("lock"), &json!("post_paid"))
    );
    let listed = app.get("/x/orders").await.expect(200).body;
    assert_eq!(listed["count"], 3);
    let of_one = app.get(&format!("/x/orders?vault_id={vault}")).await.expect(200).body;
    assert_eq!(of_one["count"], 2);
    assert_eq!(app.get("/x/orders?vault_id=x").await.expect(400).code(), "BackupService.9900");
}
