//! Logins, projects and the catalogue, as the OpenStack client, the SDK and Terraform use them (contract A.3, E, F.1).

use serde_json::{Value, json};

use crate::app::{App, DOMAIN_NAME, PROJECT_NAME, USER_NAME};
use crate::client::{Answer, Call, send};

fn login_body(password: &str, scope: &Value) -> Value {
    json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": USER_NAME, "password": password, "domain": {"name": DOMAIN_NAME}}}},
        "scope": scope}})
}

async fn login(app: &App, password: &str, scope: &Value) -> Answer {
    let call = Call::new("POST", "/v3/auth/tokens").json(&login_body(password, scope));
    send(&app.router, call.build()).await
}

/// Contract A.3: the sequence of the OpenStack command line.
#[tokio::test]
async fn the_openstack_client_discovers_logs_in_and_finds_the_service() {
    let app = App::start().await;
    let version = send(&app.router, Call::new("GET", "/v3").build()).await.expect(200);
    assert!(version.body["version"]["id"].as_str().unwrap().starts_with("v3"));
    let root = send(&app.router, Call::new("GET", "/").build()).await.expect(300);
    assert!(root.body["versions"]["values"][0]["links"][0]["href"].is_string());

    let scope = json!({"project": {"name": PROJECT_NAME, "domain": {"id": "default"}}});
    let answer = login(&app, app.password(), &scope).await.expect(201);
    let secret = answer.headers["x-subject-token"].to_str().unwrap().to_owned();
    let token = &answer.body["token"];
    assert_eq!(token["project"]["id"], app.project());
    assert_eq!(token["user"]["domain"]["name"], DOMAIN_NAME);
    assert!(token["expires_at"].as_str().unwrap().ends_with("000Z"), "{token}");
    let catalog = token["catalog"].as_array().unwrap();
    let cbr = catalog.iter().find(|service| service["type"] == "cbr").unwrap();
    let url = cbr["endpoints"][0]["url"].as_str().unwrap();
    assert!(url.ends_with(&format!("/v3/{}", app.project())), "{url}");

    let vaults = Call::new("GET", format!("/v3/{}/vaults", app.project())).token(&secret);
    send(&app.router, vaults.build()).await.expect(200);
}

/// Contract F.1, A.5: Keystone's shape; which part was wrong is not told.
#[tokio::test]
async fn a_wrong_login_is_told_nothing() {
    let app = App::start().await;
    let scope = json!({"project": {"id": app.project()}});
    let wrong = login(&app, "wrong", &scope).await.expect(401);
    assert_eq!(wrong.body["error"]["title"], "Unauthorized");
    assert!(!wrong.headers.contains_key("x-subject-token"));
    let nobody = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": "nobody", "password": "wrong", "domain": {"name": DOMAIN_NAME}}}}}});
    let nobody =
        send(&app.router, Call::new("POST", "/v3/auth/tokens").json(&nobody).build()).await;
    assert_eq!(nobody.expect(401).body, wrong.body);
    let elsewhere = json!({"project": {"id": "0605767b5780d5762fc5c0118072a564"}});
    assert_eq!(login(&app, app.password(), &elsewhere).await.expect(401).body, wrong.body);
}

#[tokio::test]
async fn a_token_can_be_looked_at_and_revoked() {
    let app = App::start().await;
    let scope = json!({"project": {"id": app.project()}});
    let answer = login(&app, app.password(), &scope).await.expect(201);
    let secret = answer.headers["x-subject-token"].to_str().unwrap().to_owned();
    let about = |method: &str| {
        Call::new(method, "/v3/auth/tokens?nocatalog")
            .token(app.token())
            .header("x-subject-token", &secret)
    };
    let shown = send(&app.router, about("GET").build()).await.expect(200);
    assert_eq!(shown.body["token"]["project"]["id"], app.project());
    assert!(shown.body["token"].get("catalog").is_none());

    let (stranger, _) = app.stranger().await;
    let foreign =
        Call::new("GET", "/v3/auth/tokens").token(&stranger).header("x-subject-token", &secret);
    send(&app.router, foreign.build()).await.expect(404);

    send(&app.router, about("DELETE").build()).await.expect(204);
    let after = Call::new("GET", format!("/v3/{}/vaults", app.project())).token(&secret);
    send(&app.router, after.build()).await.expect(401);
}

/// Contract E.1: the SDK finds its project by the region's name; exactly one row.
#[tokio::test]
async fn the_sdk_finds_its_project_with_its_access_key() {
    let app = App::start().await;
    let signed = |path: String| {
        Call::new("GET", path).signed(app.access_key(), app.secret_key(), &app.date(0)).build()
    };
    let path = format!("/v3/projects?name={PROJECT_NAME}");
    let found = send(&app.router, signed(path)).await.expect(200);
    assert_eq!(found.body["projects"].as_array().unwrap().len(), 1);
    assert_eq!(found.body["projects"][0]["id"], app.project());
    let none = send(&app.router, signed("/v3/projects?name=elsewhere".into())).await.expect(200);
    assert_eq!(none.body["projects"], json!([]));

    let one =
        send(&app.router, signed(format!("/v3/projects/{}", app.project()))).await.expect(200);
    assert_eq!(one.body["project"]["name"], PROJECT_NAME);
    let absent = signed("/v3/projects/0605767b5780d5762fc5c0118072a564".into());
    assert_eq!(send(&app.router, absent).await.expect(404).body["error"]["code"], 404);

    let domains = send(&app.router, signed("/v3/auth/domains".into())).await.expect(200);
    assert_eq!(domains.body["domains"][0]["name"], DOMAIN_NAME);
    let regions = send(&app.router, signed("/v3/regions".into())).await.expect(200);
    assert_eq!(regions.body["regions"].as_array().unwrap().len(), 1);
    let services = send(&app.router, signed("/v3/services?type=cbr".into())).await.expect(200);
    let service = services.body["services"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v3/endpoints?interface=public&service_id={service}");
    let endpoints = send(&app.router, signed(path)).await.expect(200);
    assert_eq!(endpoints.body["endpoints"].as_array().unwrap().len(), 1);
    assert_eq!(endpoints.body["endpoints"][0]["service_id"], service);
    let catalog = send(&app.router, signed("/v3/auth/catalog".into())).await.expect(200);
    assert!(catalog.body["catalog"].as_array().unwrap().len() >= 4);
}
