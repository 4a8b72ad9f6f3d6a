//! Progress of tasks as server-sent events.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::app::{App, VOLUMES};
use crate::client::{Call, send};

/// As many as a project may have (P24).
const STREAMS_MAX: usize = 16;

/// A stream that a test reads.
struct Stream {
    body: Body,
    text: String,
}

/// An event of a stream.
#[derive(Debug)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

impl Stream {
    async fn open(app: &App, call: Call) -> Self {
        let response = app.router.clone().oneshot(call.build()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next event; `None`: it has ended. The clock goes on while it is waited for.
    async fn next(&mut self, app: &App) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (parsed(event), rest.to_owned());
                self.text = rest;
                if let Some(event) = event {
                    return Some(event);
                }
                continue;
            }
            let body = &mut self.body;
            let frame =
                std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context));
            let frame = tokio::select! {
                biased;
                frame = frame => frame?.unwrap(),
                () = passing(app) => unreachable!("time does not end"),
            };
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }
}

/// Moves the clock on for ever, no faster than the database answers.
async fn passing(app: &App) {
    loop {
        app.get("/operation-logs?limit=1").await.expect(200);
        app.clock.advance(Duration::from_millis(100));
    }
}

/// An event; `None`: a comment.
fn parsed(text: &str) -> Option<Event> {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_default().to_owned()
    };
    let data = field("data");
    let data = serde_json::from_str(&data).ok()?;
    Some(Event { id: field("id"), name: field("event"), data })
}

fn status(event: &Event) -> &str {
    event.data["operation_log"]["status"].as_str().unwrap()
}

/// Backups of both disks that are under way: their tasks.
async fn two_tasks(app: &App) -> (String, String) {
    let vault = app.create_vault("v").await;
    let resources = VOLUMES.map(|id| json!({"id": id, "type": "OS::Cinder::Volume"}));
    app.post(&format!("/vaults/{vault}/addresources"), &json!({"resources": resources}))
        .await
        .expect(200);
    app.post("/checkpoints", &json!({"checkpoint": {"vault_id": vault}})).await.expect(200);
    let logs = app.get("/operation-logs?operation_type=backup").await.expect(200).body;
    let id = |index: usize| logs["operation_logs"][index]["id"].as_str().unwrap().to_owned();
    (id(0), id(1))
}

fn watch(app: &App, tasks: &[&str]) -> Call {
    let path = format!("/v3/{}/x/operation-logs/events", app.project());
    Call::new("GET", format!("{path}?operation_log_id={}", tasks.join(","))).token(app.token())
}

/// TSK-05: every state to the end comes by itself, also after the reader was away.
#[tokio::test]
async fn tasks_are_followed_to_their_end() {
    let app = App::start().await;
    let (first, second) = two_tasks(&app).await;
    let mut stream = Stream::open(&app, watch(&app, &[&first, &second])).await;
    let mut last = String::new();
    for task in [&first, &second] {
        let event = stream.next(&app).await.unwrap();
        assert_eq!((event.name.as_str(), status(&event)), ("operation-log", "waiting"));
        assert_eq!(event.data["operation_log"]["id"], **task);
        let shown = app.get(&format!("/operation-logs/{task}")).await.expect(200).body;
        assert_eq!(event.data, shown, "an event is the operation log");
        last = event.id;
    }
    drop(stream);

    // What happens while nobody looks is told first to who comes back, whoever answers.
    app.settle().await;
    let again = watch(&app, &[&first, &second]).header("last-event-id", &last);
    let answer = app.another_router().oneshot(again.build()).await.unwrap();
    let mut stream = Stream { body: answer.into_body(), text: String::new() };
    for task in [&first, &second] {
        let event = stream.next(&app).await.unwrap();
        assert_eq!((&event.data["operation_log"]["id"], status(&event)), (&json!(task), "success"));
        last = event.id;
    }
    assert_eq!(stream.next(&app).await.unwrap().name, "end");
    assert!(stream.next(&app).await.is_none());

    // Who has everything need not come again; who lost its place gets all of it.
    let again = watch(&app, &[&first, &second]).header("last-event-id", &last).build();
    assert_eq!(send(&app.router, again).await.expect(204).bytes.len(), 0);
    for wrong in ["", "nonsense", "a.b.c", &last.replace('.', "x")] {
        let again = watch(&app, &[&first, &second]).header("last-event-id", wrong).build();
        let answer = send(&app.router, again).await.expect(200);
        let text = String::from_utf8(answer.bytes).unwrap();
        assert_eq!(text.matches("event: operation-log").count(), 2, "{wrong:?}: {text}");
    }
    // Of two tasks it has the first one's state only.
    let half = format!("{}.-", last.split('.').next().unwrap());
    let again = watch(&app, &[&first, &second]).header("last-event-id", half).build();
    let text = String::from_utf8(send(&app.router, again).await.expect(200).bytes).unwrap();
    assert_eq!(text.matches("event: operation-log").count(), 1, "{text}");
    assert!(text.contains(&second));
}

/// P26, P24: what is not there, or another's, has no stream; and there are not too many.
#[tokio::test]
async fn streams_are_refused_as_the_log_itself_is_and_when_there_are_too_many() {
    let app = App::start().await;
    let (first, second) = two_tasks(&app).await;
    let call = |token: &str, project: &str, tasks: &str| {
        let path = format!("/v3/{project}/x/operation-logs/events");
        Call::new("GET", format!("{path}?operation_log_id={tasks}")).token(token).build()
    };
    let (stranger, theirs) = app.stranger().await;
    let absent = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
    for task in [first.as_str(), absent, "no-id"] {
        let refused = send(&app.router, call(&stranger, &theirs, task)).await.expect(404);
        assert_eq!(refused.code(), "BackupService.6500");
    }
    let both = format!("{first},{absent}");
    send(&app.router, call(app.token(), &app.project(), &both)).await.expect(404);
    send(&app.router, call(app.token(), &app.project(), "")).await.expect(400);
    let many = vec![first.as_str(); 51].join(",");
    send(&app.router, call(app.token(), &app.project(), &many)).await.expect(400);

    let mut streams = Vec::new();
    for _ in 0..STREAMS_MAX {
        streams.push(Stream::open(&app, watch(&app, &[&first, &second])).await);
    }
    let refused = send(&app.router, watch(&app, &[&first]).build()).await.expect(429);
    assert_eq!(refused.code(), "APIG.0308");
    // Who reads nothing loses the place; who reads keeps it.
    let mut reader = streams.pop().unwrap();
    for _ in 0..2 {
        reader.next(&app).await.unwrap();
    }
    let free = async {
        while app.router.clone().oneshot(watch(&app, &[&first]).build()).await.unwrap().status()
            != StatusCode::OK
        {
            app.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    free.await;
    app.settle().await;
    assert_eq!(status(&reader.next(&app).await.unwrap()), "success", "a reader is not disturbed");
}

/// P27: a stream ends with the token it was opened with, and with the key.
#[tokio::test]
async fn a_stream_ends_with_its_credential() {
    let app = App::start().await;
    let (first, _) = two_tasks(&app).await;
    let revoke = |token: &str| {
        let call = Call::new("DELETE", "/v3/auth/tokens").token(app.token());
        call.header("x-subject-token", token).build()
    };
    let other = app.another_token().await;
    let path = format!("/v3/{}/x/operation-logs/events?operation_log_id={first}", app.project());
    let mut stream = Stream::open(&app, Call::new("GET", path.as_str()).token(&other)).await;
    stream.next(&app).await.unwrap();
    let began = cbr_env::Clock::now(&app.clock);
    send(&app.router, revoke(&other)).await.expect(204);
    assert!(stream.next(&app).await.is_none(), "ended without a word");
    let took = cbr_env::Clock::now(&app.clock).micros_since(began);
    assert!(took < 60_000_000, "{took} microseconds");

    let signed = Call::new("GET", path.as_str());
    let signed = signed.signed(app.access_key(), app.secret_key(), &app.date(0));
    let mut stream = Stream::open(&app, signed).await;
    stream.next(&app).await.unwrap();
    let off = json!({"credential": {"status": "inactive"}});
    let key = format!("/v3.0/OS-CREDENTIAL/credentials/{}", app.access_key());
    crate::people::Office::open(&app).await.call("PUT", &key, Some(off)).await.expect(200);
    assert!(stream.next(&app).await.is_none());
}

/// A service that stops waits for no stream; its reader finds the state where it comes back.
#[tokio::test]
async fn a_stream_ends_with_the_service() {
    let settings = cbr_api::Settings::default();
    let stopping = settings.stopping.clone();
    let app = App::start_with(settings).await;
    let (first, _) = two_tasks(&app).await;
    let mut stream = Stream::open(&app, watch(&app, &[&first])).await;
    stream.next(&app).await.unwrap();
    stopping.cancel();
    assert!(stream.next(&app).await.is_none());
}

/// A connection on which nothing comes could be dead: proxies and readers are told that it is not.
#[tokio::test]
async fn a_silent_stream_shows_signs_of_life() {
    let app = App::start().await;
    let (first, _) = two_tasks(&app).await;
    let mut stream = Stream::open(&app, watch(&app, &[&first])).await;
    stream.next(&app).await.unwrap();
    let body = &mut stream.body;
    let beat = std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context));
    let beat = tokio::select! {
        biased;
        beat = beat => beat.unwrap().unwrap(),
        () = passing(&app) => unreachable!("time does not end"),
    };
    assert_eq!(beat.into_data().unwrap(), ": \n\n", "a comment");
}
