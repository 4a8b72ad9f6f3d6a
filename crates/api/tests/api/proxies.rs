//! Many behind one proxy: each is whom the proxy says it asks for.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use cbr_api::Settings;
use serde_json::json;

use crate::app::{App, DOMAIN_NAME};
use crate::client::{Call, send};
use crate::people::{Office, PASSWORD};

const PROXY: &str = "10.0.0.5:443";

async fn app() -> App {
    let trusted_proxies = vec!["10.0.0.0/24".parse().unwrap()];
    App::start_with(Settings { trusted_proxies, ..Settings::default() }).await
}

/// A login that comes from `peer`, for whom the header says.
async fn log_in(app: &App, peer: &str, header: (&str, &str), password: &str) -> u16 {
    let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": "alice", "password": password, "domain": {"name": DOMAIN_NAME}}}},
        "scope": {"domain": {"name": DOMAIN_NAME}}}});
    let call = Call::new("POST", "/v3/auth/tokens").header(header.0, header.1).json(&body);
    let mut request = call.build();
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    send(&app.router, request).await.status.as_u16()
}

/// P27: wrong passwords from behind a trusted proxy lock the address they come from, and nobody else behind it.
#[tokio::test]
async fn behind_a_trusted_proxy_everybody_has_an_address() {
    let app = app().await;
    Office::open(&app).await.user("alice").await;
    let from = |client: &'static str| ("x-forwarded-for", client);
    for _ in 0..5 {
        assert_eq!(log_in(&app, PROXY, from("192.0.2.66"), "Wrong-0-Guess").await, 401);
    }
    assert_eq!(log_in(&app, PROXY, from("192.0.2.66"), PASSWORD).await, 401, "locked");
    assert_eq!(log_in(&app, PROXY, from("192.0.2.7"), PASSWORD).await, 201);
    let standard = ("forwarded", "for=192.0.2.66;proto=https");
    assert_eq!(log_in(&app, PROXY, standard, PASSWORD).await, 401, "the same client");
    // Whatever it writes itself stands to the left of what the proxy says.
    let lied = ("x-forwarded-for", "192.0.2.7, 192.0.2.66");
    assert_eq!(log_in(&app, PROXY, lied, PASSWORD).await, 401);
}

/// P27: who is not trusted changes its address by no header, so that five guesses are five.
#[tokio::test]
async fn nobody_else_chooses_an_address() {
    let app = app().await;
    Office::open(&app).await.user("alice").await;
    let guesser = "198.51.100.9:1234";
    for n in 0..5 {
        let lie = format!("192.0.2.{n}");
        let status = log_in(&app, guesser, ("x-forwarded-for", &lie), "Wrong-0-Guess").await;
        assert_eq!(status, 401);
    }
    let lie = ("x-forwarded-for", "192.0.2.99");
    assert_eq!(log_in(&app, guesser, lie, PASSWORD).await, 401, "locked");
    assert_eq!(log_in(&app, PROXY, lie, PASSWORD).await, 201, "the one it pretended to be is not");
}
