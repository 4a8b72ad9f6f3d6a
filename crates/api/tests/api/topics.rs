//! Topics, subscriptions and deliveries (MON-07).

use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Call, send};

const TOPICS: &str = "/notifications/topics";

impl App {
    async fn topic(&self, name: &str) -> String {
        let body = json!({"name": name, "display_name": "Backups"});
        let made = self.v2("POST", TOPICS, Some(&body)).await.expect(201).body;
        made["topic_urn"].as_str().unwrap().to_owned()
    }

    async fn subscribe(&self, urn: &str, protocol: &str, endpoint: &str) -> crate::client::Answer {
        let body = json!({"protocol": protocol, "endpoint": endpoint, "remark": "r"});
        self.v2("POST", &format!("{TOPICS}/{urn}/subscriptions"), Some(&body)).await
    }

    /// Confirms as the one at the end does.
    async fn confirm(&self, id: &str, token: &str) -> crate::client::Answer {
        let path = format!("/smn/subscriptions/{id}/confirm?token={token}");
        send(&self.router, Call::new("POST", path).build()).await
    }
}

/// MON-07: a topic from its making to its end.
#[tokio::test]
async fn a_topic_is_made_shown_changed_and_deleted() {
    let app = App::start().await;
    let urn = app.topic("ops").await;
    assert_eq!(urn, format!("urn:smn:local-1:{}:ops", app.project()));
    let shown = app.v2("GET", &format!("{TOPICS}/{urn}"), None).await.expect(200).body;
    assert_eq!((&shown["name"], &shown["display_name"]), (&json!("ops"), &json!("Backups")));
    assert_eq!(shown["x-vault_notices"], false);
    let taken = app.v2("POST", TOPICS, Some(&json!({"name": "ops"}))).await.expect(409);
    assert_eq!(taken.code(), "SMN.0409");
    for bad in ["", "a b", "-a", "ä"] {
        app.v2("POST", TOPICS, Some(&json!({"name": bad}))).await.expect(400);
    }
    app.topic("other").await;
    let listed = app.v2("GET", TOPICS, None).await.expect(200).body;
    assert_eq!(
        (&listed["topic_count"], &listed["topics"][0]["name"]),
        (&json!(2), &json!("other"))
    );
    assert_eq!(app.v2("GET", &format!("{TOPICS}?name=op"), None).await.body["topic_count"], 1);
    app.v2("GET", &format!("{TOPICS}?limit=101"), None).await.expect(400);
    let change = json!({"display_name": "B", "x-vault_notices": true});
    let changed = app.v2("PUT", &format!("{TOPICS}/{urn}"), Some(&change)).await.expect(200).body;
    assert_eq!(
        (&changed["display_name"], &changed["x-vault_notices"]),
        (&json!("B"), &json!(true))
    );
    let bad = json!({"display_name": "a\nb"});
    app.v2("PUT", &format!("{TOPICS}/{urn}"), Some(&bad)).await.expect(400);
    app.v2("DELETE", &format!("{TOPICS}/{urn}"), None).await.expect(200);
    for (method, rest, body) in [
        ("GET", "", None),
        ("PUT", "", Some(json!({}))),
        ("DELETE", "", None),
        ("POST", "/publish", Some(json!({"message": "m"}))),
        ("GET", "/subscriptions", None),
        (
            "POST",
            "/subscriptions",
            Some(json!({"protocol": "https", "endpoint": "https://a.example"})),
        ),
    ] {
        for urn in [urn.as_str(), "no-urn"] {
            let gone = app.v2(method, &format!("{TOPICS}/{urn}{rest}"), body.as_ref()).await;
            assert_eq!(gone.expect(404).code(), "SMN.0404", "{method} {rest}");
        }
    }
}

/// MON-07: who subscribes is asked, agrees with what was sent, is told, and can be removed.
#[tokio::test]
async fn a_subscription_is_asked_confirmed_told_and_removed() {
    let app = App::start().await;
    let urn = app.topic("ops").await;
    let made = app.subscribe(&urn, "https", "https://hooks.example.org/a").await.expect(201).body;
    let subscription = made["subscription_urn"].as_str().unwrap();
    assert_eq!(made["x-secret"].as_str().unwrap().len(), 64);
    let again = app.subscribe(&urn, "https", "https://hooks.example.org/a").await.expect(409);
    assert_eq!(again.code(), "SMN.0409");
    for (protocol, endpoint) in
        [("fax", "1"), ("sms", "+8613800000000"), ("email", "nobody"), ("https", "")]
    {
        let refused = app.subscribe(&urn, protocol, endpoint).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{protocol}");
    }
    let of_topic = format!("{TOPICS}/{urn}/subscriptions");
    let listed = app.v2("GET", &of_topic, None).await.expect(200).body;
    assert_eq!(
        (&listed["subscription_count"], &listed["subscriptions"][0]["status"]),
        (&json!(1), &json!(0))
    );
    assert!(!listed.to_string().contains(made["x-secret"].as_str().unwrap()), "shown once");

    app.carry().await;
    let letter = app.courier.taken().remove(0);
    let token = letter.confirmation.unwrap().token;
    let id = letter.subscription.to_string();
    let page = Call::new("GET", format!("/smn/subscriptions/{id}/confirm?token={}", *token));
    send(&app.router, page.build()).await.expect(200);
    let listed = app.v2("GET", &of_topic, None).await.body;
    assert_eq!(listed["subscriptions"][0]["status"], 0, "looking confirms nothing");
    for (id, token) in [(id.as_str(), "wrong"), (id.as_str(), ""), ("no-id", "x")] {
        assert_eq!(app.confirm(id, token).await.expect(404).code(), "SMN.0404", "{id} {token}");
    }
    app.confirm(&id, &token).await.expect(200);
    let all = app.v2("GET", "/notifications/subscriptions", None).await.expect(200).body;
    assert_eq!(all["subscriptions"][0]["status"], 1);
    app.v2("GET", "/notifications/subscriptions?limit=0", None).await.expect(400);

    let text = json!({"subject": "s", "message": "m"});
    let sent =
        app.v2("POST", &format!("{TOPICS}/{urn}/publish"), Some(&text)).await.expect(200).body;
    assert_eq!(sent["x-subscriptions"], 1);
    let empty = json!({"message": ""});
    app.v2("POST", &format!("{TOPICS}/{urn}/publish"), Some(&empty)).await.expect(400);
    app.carry().await;
    assert_eq!(app.courier.taken()[0].message.en.body, "m");
    let gone = format!("/notifications/subscriptions/{subscription}");
    app.v2("DELETE", &gone, None).await.expect(200);
    assert_eq!(app.v2("DELETE", &gone, None).await.expect(404).code(), "SMN.0404");
}

/// MON-07: what could not be sent is listed, and tried again by somebody.
#[tokio::test]
async fn dead_deliveries_are_listed_and_tried_again() {
    let app = App::start().await;
    let urn = app.topic("ops").await;
    app.subscribe(&urn, "https", "https://hooks.example.org/a").await.expect(201);
    app.carry().await;
    let letter = app.courier.taken().remove(0);
    let token = letter.confirmation.unwrap().token;
    app.confirm(&letter.subscription.to_string(), &token).await.expect(200);

    let text = json!({"subject": "s", "message": "m"});
    app.v2("POST", &format!("{TOPICS}/{urn}/publish"), Some(&text)).await.expect(200);
    app.courier.fail(vec![cbr_service::topics::Undelivered::Never("gone".into())]);
    app.carry().await;
    let listed = app.get("/x/deliveries?status=dead").await.expect(200).body;
    assert_eq!(listed["count"], 1);
    let dead = &listed["deliveries"][0];
    assert_eq!(dead["error"], "gone");
    assert_eq!(dead["kind"], "published");
    assert!(!listed.to_string().contains("token"), "no secret is shown");
    let id = dead["id"].as_str().unwrap();
    let retried = app.post(&format!("/x/deliveries/{id}/retry"), &json!({})).await.expect(200).body;
    assert_eq!(retried["status"], "waiting");
    let again = app.post(&format!("/x/deliveries/{id}/retry"), &json!({})).await.expect(409);
    assert_eq!(again.code(), "SMN.0409");
    app.carry().await;
    assert_eq!(app.get("/x/deliveries?status=sent").await.body["count"], 2);
    app.get("/x/deliveries?status=x").await.expect(400);
    let absent = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
    let gone = app.post(&format!("/x/deliveries/{absent}/retry"), &json!({})).await.expect(404);
    assert_eq!(gone.code(), "SMN.0404");
    let (token, project) = app.stranger().await;
    let call = Call::new("POST", format!("/v3/{project}/x/deliveries/{id}/retry")).token(&token);
    send(&app.router, call.json(&json!({})).build()).await.expect(404);
    let _: Value = listed;
}

/// MON-07: how often an address is asked is counted, so a request that died is not sent again by hand.
#[tokio::test]
async fn a_dead_request_for_agreement_is_not_sent_again() {
    let app = App::start().await;
    let urn = app.topic("ops").await;
    app.subscribe(&urn, "https", "https://hooks.example.org/a").await.expect(201);
    app.courier.fail(vec![cbr_service::topics::Undelivered::Never("gone".into())]);
    app.carry().await;
    let listed = app.get("/x/deliveries?status=dead").await.expect(200).body;
    assert_eq!(listed["deliveries"][0]["kind"], "confirmation");
    let id = listed["deliveries"][0]["id"].as_str().unwrap();
    let refused = app.post(&format!("/x/deliveries/{id}/retry"), &json!({})).await.expect(409);
    assert_eq!(refused.code(), "SMN.0409");
    assert_eq!(app.get("/x/deliveries?status=waiting").await.body["count"], 0);
}
