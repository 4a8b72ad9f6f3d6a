//! What holds for every operation: ids of requests, shapes of refusals, limits (reliability 10.3, P24, P29).

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::Request;
use cbr_api::Settings;
use serde_json::{Value, json};

use crate::app::{App, vault_body};
use crate::client::{Call, send};

/// Contract A.5, A.7.
#[tokio::test]
async fn every_answer_has_a_request_id_of_32_hexadecimal_digits() {
    let app = App::start().await;
    let calls = [
        Call::new("GET", "/healthz"),
        Call::new("GET", "/nowhere"),
        Call::new("PATCH", "/healthz"),
        Call::new("GET", format!("/v3/{}/vaults", app.project())),
        Call::new("GET", format!("/v3/{}/vaults", app.project())).token(app.token()),
    ];
    let mut seen = std::collections::HashSet::new();
    for call in calls {
        let answer = send(&app.router, call.build()).await;
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        assert!(id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
        assert!(seen.insert(id), "ids are not repeated");
    }
}

/// ADR 6: the answer names no cause, but its request id leads to the cause in the log.
#[tokio::test]
async fn the_log_has_the_cause_under_the_id_that_the_caller_was_told() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::ERROR)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let app = App::start().await;
    app.close_database().await;
    let logging = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    let answer = app.get("/vaults").await.expect(500);
    drop(logging);
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains(id) && log.contains("request failed"), "{id}: {log}");
}

/// Log lines in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_json() {
    let app = App::start().await;
    let unknown =
        send(&app.router, Call::new("GET", "/v3/x/policies/y/z").build()).await.expect(404);
    assert_eq!(unknown.code(), "APIG.0101");
    assert!(unknown.body["request_id"].is_string());
    let method =
        send(&app.router, Call::new("PATCH", "/v2/x/cloudvolumes/y").build()).await.expect(405);
    assert_eq!(method.code(), "APIG.0106");
    assert!(method.headers["allow"].to_str().unwrap().contains("DELETE"));
}

/// Contract A.1: a client that knows no project sends the literal text.
#[tokio::test]
async fn a_literal_project_placeholder_is_a_bad_request() {
    let app = App::start().await;
    let call = Call::new("GET", "/v3/%7Bproject_id%7D/vaults").token(app.token());
    assert_eq!(send(&app.router, call.build()).await.expect(400).code(), "BackupService.9900");
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused_before_they_are_read() {
    let app = App::start().await;
    let call = || Call::new("POST", format!("/v3/{}/vaults", app.project())).token(app.token());
    let large = call().bytes(vec![b' '; (1 << 20) + 1]);
    assert_eq!(send(&app.router, large.build()).await.expect(413).code(), "APIG.0201");
    let announced = call().header("content-length", "999999999999");
    assert_eq!(send(&app.router, announced.build()).await.expect(413).code(), "APIG.0201");
}

/// P24: whoever has no credential makes the service hold nothing, however slowly it sends.
#[tokio::test]
async fn nothing_is_read_of_a_body_before_there_is_a_credential() {
    let app = App::start().await;
    let call = || Call::new("POST", format!("/v3/{}/vaults", app.project()));
    let unknown = "SDK-HMAC-SHA256 Access=AKNOBODY, SignedHeaders=host;x-sdk-date, Signature=00";
    for refused in [
        call(),
        call().token("nonsense"),
        call().header("authorization", unknown).header("x-sdk-date", "20260115T080000Z"),
    ] {
        let (parts, _) = refused.header("content-length", "1048575").build().into_parts();
        // If it were waited for, the test would not end: the clock stands still.
        let never = Body::from_stream(futures::stream::pending::<std::io::Result<Bytes>>());
        let answer = send(&app.router, Request::from_parts(parts, never)).await.expect(401);
        assert_eq!(answer.code(), "APIG.0301");
    }
    let long = Call::new("POST", "/v3/auth/tokens").bytes(vec![b' '; (64 << 10) + 1]);
    send(&app.router, long.build()).await.expect(413);
}

/// Reliability 10.3: hostile bodies are refused, and never as a fault of ours.
#[tokio::test]
async fn hostile_bodies_are_bad_requests() {
    let app = App::start().await;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let long = json!({"vault": {"name": "x".repeat(900_000)}}).to_string();
    let name = |name: Value| {
        let mut body = vault_body("a");
        body["vault"]["name"] = name;
        body.to_string()
    };
    let size = |size: &str| {
        vault_body("a").to_string().replace("\"size\":100", &format!("\"size\":{size}"))
    };
    let bodies = [
        String::new(),
        "{".into(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        r#"{"vault":null}"#.into(),
        r#"{"vault":{},"vault":{}}"#.into(),
        deep,
        long,
        name(json!(null)),
        name(json!(1)),
        name(json!({})),
        name(json!("")),
        name(json!("a\u{0}b")),
        name(json!("长".repeat(65))),
        size("-1"),
        size("0"),
        size("10485761"),
        size("9007199254740993"),
        size("9223372036854775808"),
        size("1e400"),
        size("1.5"),
        size("NaN"),
        size("\"100\""),
    ];
    for body in bodies {
        let call = Call::new("POST", format!("/v3/{}/vaults", app.project()))
            .token(app.token())
            .bytes(body.clone());
        let answer = send(&app.router, call.build()).await;
        let shown: String = body.chars().take(80).collect();
        assert_eq!(answer.status, 400, "{shown}: {}", answer.body);
        assert!(answer.code().starts_with("BackupService."), "{shown}");
    }
    let bad_utf8 = Call::new("POST", format!("/v3/{}/vaults", app.project()))
        .token(app.token())
        .bytes(b"{\"vault\":{\"name\":\"\xff\"}}".to_vec());
    send(&app.router, bad_utf8.build()).await.expect(400);
    assert_eq!(app.get("/vaults").await.body["count"], 0, "nothing was made");
}

/// Reliability 10.3: hostile paths and queries are refused, and never as a fault of ours.
#[tokio::test]
async fn hostile_paths_and_queries_are_refused() {
    let app = App::start().await;
    for path in [
        "/vaults/%2e%2e",
        "/vaults/%00",
        "/vaults/..%2Fx",
        "/vaults/a;b",
        "/vaults/%ff",
        "/vaults/my-vault",
        "//vaults",
        "/vaults/",
        "/backups/%7B%7D",
    ] {
        let status = app.get(path).await.status.as_u16();
        assert!(status == 404 || status == 400, "{path}: {status}");
    }
    for query in [
        "limit=-1",
        "limit=0",
        "limit=1000000000",
        "limit=99999999999999999999",
        "offset=-1",
        "marker=x",
        "status=odd",
        "id=%00",
        "name=a%00b",
    ] {
        let answer = app.get(&format!("/vaults?{query}")).await.expect(400);
        assert_eq!(answer.code(), "BackupService.9900", "{query}");
    }
    for fine in ["offset=0", "unknown=1", "%ff=%ff", "&&&", "="] {
        app.get(&format!("/vaults?{fine}")).await.expect(200);
    }
    let described = |text: &str| {
        let mut body = vault_body("plain");
        body["vault"]["description"] = json!(text);
        body
    };
    let refused = app.post("/vaults", &described("a\u{0}")).await.expect(400);
    assert_eq!(refused.code(), "BackupService.9900", "PostgreSQL has no such text");
    app.post("/vaults", &described(r"a\u0000")).await.expect(200);
}

#[tokio::test]
async fn health_and_the_document_need_no_credential() {
    let app = App::start().await;
    let health = send(&app.router, Call::new("GET", "/healthz").build()).await.expect(200);
    assert_eq!(health.body["status"], "ok");
    let document = send(&app.router, Call::new("GET", "/openapi.json").build()).await.expect(200);
    assert_eq!(document.body["openapi"], "3.1.0");
    // Not switched on in this test.
    send(&app.router, Call::new("GET", "/metrics").build()).await.expect(404);
}

#[tokio::test]
async fn metrics_are_rendered_where_they_are_switched_on() {
    let render = Arc::new(|| "cbr_up 1\n".to_owned());
    let app = App::start_with(Settings { metrics: Some(render), ..Settings::default() }).await;
    let answer = send(&app.router, Call::new("GET", "/metrics").build()).await.expect(200);
    assert_eq!(answer.bytes, b"cbr_up 1\n");
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
}

/// P29: a fault of ours is a 500 with a request id, tells nothing, and the service goes on.
#[tokio::test]
async fn a_panic_is_answered_and_survived() {
    let render = Arc::new(|| panic!("secret of the house"));
    let app = App::start_with(Settings { metrics: Some(render), ..Settings::default() }).await;
    for _ in 0..2 {
        let answer = send(&app.router, Call::new("GET", "/metrics").build()).await.expect(500);
        assert_eq!(answer.code(), "BackupService.9910");
        assert!(answer.headers.contains_key("x-request-id"));
        assert!(!String::from_utf8_lossy(&answer.bytes).contains("secret"));
    }
    send(&app.router, Call::new("GET", "/healthz").build()).await.expect(200);
}
