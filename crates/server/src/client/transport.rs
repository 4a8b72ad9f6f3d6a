//! Carrying requests to the service.
//!
//! A request is sent once. Whether it may be sent again is known only to the
//! caller: reading may, making something may not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cbr_env::{Clock, RandomExt};
use chrono::DateTime;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::connection::{Connection, Credential};
use super::error::ApiError;
use super::events::{EventStream, Opened};
use super::profile::Secret;
use super::signer;
use crate::failure::{Failure, Kind};
use crate::text::Lang;
use crate::world::World;

const CONNECT_SECONDS: u64 = 10;
const ANSWER_SECONDS: u64 = 60;
/// Longer than the service lets a stream live.
const STREAM_LIFETIME: Duration = Duration::from_hours(2);
/// What a service says that has no such operation.
const UNKNOWN_PATH: &str = "APIG.0101";

/// The pairs of a query, not encoded.
pub(crate) type Query = Vec<(String, String)>;

/// A service, as seen by one project of one credential.
pub(crate) struct Client {
    http: reqwest::Client,
    connection: Connection,
    project: String,
    world: World,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, project {})", self.connection.url, self.project)
    }
}

/// An answer without error.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The body; null when there was none.
    pub(crate) body: Value,
    /// `X-Subject-Token`, where the answer carries a new token.
    pub(crate) token: Option<String>,
}

impl Client {
    /// Gets ready to talk to the service and finds the project when none is named.
    pub(crate) async fn connect(
        connection: Connection,
        world: World,
        lang: Lang,
    ) -> Result<Self, Failure> {
        let http = http(&connection, lang)?;
        let named = connection.project.clone();
        let mut client = Self { http, connection, project: String::new(), world };
        client.project = match named {
            Some(project) => project,
            None => client.only_project(lang).await?,
        };
        Ok(client)
    }

    /// The project the requests work in.
    pub(crate) fn project(&self) -> &str {
        &self.project
    }

    /// The clock waiting goes by.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.world.clock
    }

    /// The same, for those who keep it.
    pub(crate) fn clock_handle(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.world.clock)
    }

    /// The path of a CBR resource: `/v3/<project>/<rest>`.
    pub(crate) fn cbr(&self, rest: &str) -> String {
        format!("/v3/{}/{rest}", self.project)
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str, query: Query) -> Result<Value, ApiError> {
        Ok(self.send(Method::GET, path, query, None).await?.body)
    }

    /// Makes something or starts work.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        Ok(self.send(Method::POST, path, Query::new(), Some(body)).await?.body)
    }

    /// Changes something.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        Ok(self.send(Method::PUT, path, Query::new(), Some(body)).await?.body)
    }

    /// Changes what the body names.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        Ok(self.send(Method::PATCH, path, Query::new(), Some(body)).await?.body)
    }

    /// Deletes something.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, ApiError> {
        Ok(self.send(Method::DELETE, path, Query::new(), None).await?.body)
    }

    /// Deletes something as the body says.
    pub(crate) async fn delete_with(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        Ok(self.send(Method::DELETE, path, Query::new(), Some(body)).await?.body)
    }

    /// Opens the stream of these tasks' progress; `last` is the id of the event the caller has already.
    pub(crate) async fn task_events(&self, ids: &[String], last: Option<&str>) -> Opened {
        let query: Query =
            ids.iter().map(|id| ("operation_log_id".to_owned(), id.clone())).collect();
        let path = self.cbr("x/operation-logs/events");
        let request = match self.request(&Method::GET, &path, &query, None) {
            Ok(request) => request,
            Err(error) => return Opened::Failed(error),
        };
        let last = last.map(|last| ("last-event-id", last));
        let request =
            last.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        // It takes as long as the tasks do; who listens notices when nothing comes.
        let response = match request.timeout(STREAM_LIFETIME).send().await {
            Ok(response) => response,
            Err(error) => return Opened::Failed(self.unreachable(&error)),
        };
        match response.status() {
            StatusCode::OK => Opened::Stream(EventStream::new(response, self.clock())),
            StatusCode::NO_CONTENT => Opened::Nothing,
            StatusCode::TOO_MANY_REQUESTS => Opened::NotHere,
            _ => match self.answer(response).await {
                Err(ApiError::Answered { code, .. }) if code == UNKNOWN_PATH => Opened::NotHere,
                Err(error) => Opened::Failed(error),
                Ok(_) => Opened::NotHere,
            },
        }
    }

    async fn only_project(&self, lang: Lang) -> Result<String, Failure> {
        let what = || lang.what_find_project();
        let body = self
            .get("/v3/auth/projects", Query::new())
            .await
            .map_err(|error| error.failure(lang, what()))?;
        let projects = body["projects"].as_array().map_or(&[][..], Vec::as_slice);
        let named = |project: &Value| {
            let text = |key: &str| project[key].as_str().unwrap_or_default().to_owned();
            format!("{} ({})", text("id"), text("name"))
        };
        match projects {
            [only] => Ok(only["id"].as_str().unwrap_or_default().to_owned()),
            several => {
                let list: Vec<_> = several.iter().map(named).collect();
                let why = lang.why_several_projects(several.len(), list.join(", "));
                Err(Failure::new(Kind::Usage, what(), why).with_next(lang.next_several_projects()))
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: Query,
        body: Option<&Value>,
    ) -> Result<Answer, ApiError> {
        let request = self.request(&method, path, &query, body)?;
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        self.answer(response).await
    }

    /// A request with its credential.
    fn request(
        &self,
        method: &Method,
        path: &str,
        query: &Query,
        body: Option<&Value>,
    ) -> Result<reqwest::RequestBuilder, ApiError> {
        let text = body.map(Value::to_string).unwrap_or_default();
        let encoded = signer::query_string(query);
        let mark = if encoded.is_empty() { "" } else { "?" };
        let url = format!("{}{path}{mark}{encoded}", self.connection.url);
        let url = reqwest::Url::parse(&url).map_err(|error| ApiError::Malformed {
            url: self.connection.url.clone(),
            why: error.to_string(),
        })?;
        let mut request = self.http.request(method.clone(), url.clone());
        for (name, value) in self.headers(method, &url, query, &text) {
            request = request.header(name, value);
        }
        if body.is_some() {
            request = request.body(text);
        }
        Ok(request)
    }

    fn headers(
        &self,
        method: &Method,
        url: &reqwest::Url,
        query: &Query,
        body: &str,
    ) -> Vec<(String, String)> {
        let (access_key, secret_key) = match &self.connection.credential {
            Credential::Token(token) => {
                return vec![
                    ("content-type".into(), "application/json".into()),
                    ("x-auth-token".into(), token.reveal().into()),
                ];
            }
            Credential::Keys { access_key, secret_key } => (access_key, secret_key),
        };
        let date = DateTime::from_timestamp(self.world.clock.now().seconds(), 0)
            .unwrap_or_default()
            .format("%Y%m%dT%H%M%SZ")
            .to_string();
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("host".to_owned(), host),
            // Two equal requests in one second would have one signature, and a signature
            // counts only once: this tells them apart.
            ("x-client-token".to_owned(), self.world.random.uuid().to_string()),
            ("x-sdk-date".to_owned(), date.clone()),
        ];
        // A key is good for many projects, and not every path says which (contract F.2).
        if !self.project.is_empty() {
            headers.insert(3, ("x-project-id".to_owned(), self.project.clone()));
        }
        let authorization = signer::authorization(
            &signer::Request {
                method: method.as_str(),
                path: url.path(),
                query,
                headers: &headers,
                date: &date,
                body: body.as_bytes(),
            },
            access_key,
            secret_key.reveal(),
        );
        headers.retain(|(name, _)| name != "host"); // Sent by the library, in just this form.
        headers.push(("authorization".into(), authorization));
        headers
    }

    async fn answer(&self, response: reqwest::Response) -> Result<Answer, ApiError> {
        let status = response.status();
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (request_id, token) = (header("x-request-id"), header("x-subject-token"));
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            let body = if bytes.iter().all(u8::is_ascii_whitespace) {
                Value::Null
            } else {
                serde_json::from_slice(&bytes).map_err(|error| ApiError::Malformed {
                    url: self.connection.url.clone(),
                    why: error.to_string(),
                })?
            };
            return Ok(Answer { body, token });
        }
        Err(refusal(status, &bytes, request_id))
    }

    fn unreachable(&self, error: &reqwest::Error) -> ApiError {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            why = cause.to_string();
            source = cause.source();
        }
        ApiError::Unreachable { url: self.connection.url.clone(), why }
    }
}

/// Exchanges a name and password for a token; used before there is a credential.
pub(crate) async fn password_token(
    connection: &Connection,
    world: World,
    login: &Value,
    lang: Lang,
) -> Result<(Secret, Value), Failure> {
    let http = http(connection, lang)?;
    let client = Client { http, connection: connection.clone(), project: String::new(), world };
    let answer = client
        .send(Method::POST, "/v3/auth/tokens", Query::new(), Some(login))
        .await
        .map_err(|error| error.failure(lang, lang.what_log_in()))?;
    let token = answer.token.ok_or_else(|| {
        let error =
            ApiError::Malformed { url: connection.url.clone(), why: "X-Subject-Token".into() };
        error.failure(lang, lang.what_log_in())
    })?;
    Ok((Secret::new(token), answer.body))
}

fn http(connection: &Connection, lang: Lang) -> Result<reqwest::Client, Failure> {
    let unusable = |why: String| Failure::new(Kind::Usage, lang.what_no_connection(), why);
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("cbr/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
        .timeout(Duration::from_secs(ANSWER_SECONDS));
    if connection.url.starts_with("http://") {
        builder = builder.no_proxy();
    }
    if let Some(path) = &connection.ca_file {
        let broken = |why: String| unusable(format!("{}: {why}", path.display()));
        let pem = std::fs::read(path).map_err(|error| broken(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| broken(error.to_string()))?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|error| unusable(error.to_string()))
}

/// Reads all shapes of errors that the contract knows (A.5).
fn refusal(status: StatusCode, bytes: &[u8], request_id: Option<String>) -> ApiError {
    let body: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    // Some services wrap it once: {"error": {"code": 401, "message": "…"}}.
    let inner = body
        .as_object()
        .and_then(|fields| fields.values().find(|value| value.is_object()))
        .unwrap_or(&Value::Null);
    let find = |names: [&str; 2]| {
        names.iter().flat_map(|name| [&body[*name], &inner[*name]]).find_map(text)
    };
    let fallback = || {
        let raw: String = String::from_utf8_lossy(bytes).trim().chars().take(300).collect();
        if raw.is_empty() { status.canonical_reason().unwrap_or("unknown").to_owned() } else { raw }
    };
    ApiError::Answered {
        status,
        code: find(["error_code", "code"]).unwrap_or_default(),
        message: find(["error_msg", "message"]).unwrap_or_else(fallback),
        request_id: request_id.or_else(|| text(&body["request_id"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract A.5.
    #[test]
    fn all_shapes_of_errors_are_read() {
        let read = |body: &str| match refusal(StatusCode::NOT_FOUND, body.as_bytes(), None) {
            ApiError::Answered { code, message, request_id, .. } => (code, message, request_id),
            other => panic!("{other:?}"),
        };
        let own = |a: &str, b: &str, c: Option<&str>| (a.into(), b.into(), c.map(str::to_owned));
        assert_eq!(
            read(r#"{"error_code":"BackupService.6105","error_msg":"Vault Not Found"}"#),
            own("BackupService.6105", "Vault Not Found", None)
        );
        assert_eq!(
            read(r#"{"error_code":"APIG.0301","error_msg":"no","request_id":"r1"}"#),
            own("APIG.0301", "no", Some("r1"))
        );
        assert_eq!(
            read(r#"{"error":{"code":401,"message":"bad","title":"Unauthorized"}}"#),
            own("401", "bad", None)
        );
        assert_eq!(read("<html>"), own("", "<html>", None));
        assert_eq!(read(""), own("", "Not Found", None));
    }
}
