//! The one at the end of a subscription agrees. It has no credential: it has what it was sent.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::on;

use crate::error::ApiError;
use crate::extract::{PathId, SubscriptionInPath};
use crate::operation::{Admission, Form, Operation, Parameter, Verb, parameter};
use crate::query::Query;
use crate::state::Api;
use cbr_model::audit::Event;

const PATH: &str = "/smn/subscriptions/{subscription_id}/confirm";
const TOKEN: &[Parameter] = &[parameter("token", Form::Text, "What was sent there.")];

pub(crate) const SHOW: Operation = Operation {
    name: "ShowConfirmation",
    verb: Verb::Get,
    path: PATH,
    group: "Notifications",
    summary: "Shows a page with a button. Looking at it confirms nothing: programmes that check mails \
              follow its links.",
    admission: Admission::Anyone,
    action: None,
    event: None,
    success: 200,
    query: TOKEN,
    request: None,
    response: None,
    mount: |filter| on(filter, show),
};

pub(crate) const CONFIRM: Operation = Operation {
    name: "ConfirmSubscription",
    verb: Verb::Post,
    path: PATH,
    group: "Notifications",
    summary: "Confirms a subscription with what was sent there.",
    admission: Admission::Anyone,
    action: None,
    event: Some(Event::new("confirmSubscription", "subscription")),
    success: 200,
    query: TOKEN,
    request: None,
    response: None,
    mount: |filter| on(filter, confirm),
};

const PAGE: &str = "<!doctype html><meta charset=\"utf-8\"><title>cbr</title>\
    <p>Somebody wants messages of a backup service to be sent to you.</p>\
    <p>有人希望将备份服务的消息发送给您。</p>\
    <form method=\"post\"><button>Confirm / 确认订阅</button></form>";
const DONE: &str = "<!doctype html><meta charset=\"utf-8\"><title>cbr</title>\
    <p>Confirmed. / 订阅已确认。</p>";

/// `GET /smn/subscriptions/{subscription_id}/confirm`
#[tracing::instrument(name = "api.confirm.show", skip_all)]
async fn show(PathId(_): PathId<SubscriptionInPath>) -> Response {
    page(PAGE)
}

/// `POST /smn/subscriptions/{subscription_id}/confirm`
#[tracing::instrument(name = "api.confirm", skip_all)]
async fn confirm(
    State(api): State<Api>,
    PathId(id): PathId<SubscriptionInPath>,
    query: Query,
) -> Result<Response, ApiError> {
    api.services.topics.confirm(id, query.text("token").unwrap_or("")).await?;
    Ok(page(DONE))
}

/// A page that loads nothing and sends its address to nobody.
fn page(text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}
