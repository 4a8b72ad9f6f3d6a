//! What only a bucket can be asked, with requests that the client library does not make.
//!
//! No rule of safety depends on an answer: they are noted and shown (`probe.rs`). A question that the
//! store does not understand, or that the account may not ask, is left out.

use std::time::Duration;

use chrono::DateTime;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpRequest};
use reqwest::Method;
use reqwest::header::{DATE, HeaderName, HeaderValue};

use super::answer::Failure;
use super::backend::S3Backend;
use super::calls::Problem;
use super::options::S3Options;
use super::watch::element;
use crate::backend::probe::{CHECKS_SUMS, CLOCKS_AGREE, LOCKS, NO_OLD_VERSIONS};
use crate::format::record::Probe;

const BODY: &str = "a probe";
/// SHA-256, in base 64, of that body.
const RIGHT_SUM: &str = "L1CVPJUEsBB4PsMjsEDfi8mfkGaJ//TL+v+1M9pj6e8=";
/// SHA-256, in base 64, of another body.
const WRONG_SUM: &str = "hnrYwQomsuknP3Phfk0ABcd7VMhf3r4WizVN7klHfX4=";
/// A clock that differs by more is worth a look; requests are refused from 15 minutes on.
const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_mins(1);
/// The most of an answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Makes requests of any kind.
pub(super) struct Asker {
    http: HttpClient,
    credential: AwsCredential,
    region: String,
    /// The bucket's own address.
    bucket: String,
    sends_checksum: bool,
}

/// An answer of the store, whatever it says.
struct Answer {
    status: u16,
    body: String,
    /// Seconds since the epoch by the store's clock.
    date: Option<i64>,
}

impl Answer {
    const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

struct Request<'a> {
    method: Method,
    /// Below the bucket's address, with the query.
    path: String,
    headers: &'a [(&'static str, &'static str)],
    body: &'static str,
}

impl Asker {
    pub(super) fn new(http: HttpClient, options: &S3Options) -> Self {
        let credential = AwsCredential {
            key_id: options.credentials.access_key().to_owned(),
            secret_key: options.credentials.secret_key().to_owned(),
            token: None,
        };
        let bucket = if options.path_style {
            format!("{}/{}", options.url(), options.bucket)
        } else {
            options.url()
        };
        let (region, sends_checksum) = (options.region.clone(), options.send_checksum);
        Self { http, credential, region, bucket, sends_checksum }
    }

    fn request(&self, asked: &Request<'_>) -> Result<HttpRequest, Problem> {
        let mut request = HttpRequest::new(asked.body.to_owned().into());
        *request.method_mut() = asked.method.clone();
        let uri = format!("{}{}", self.bucket, asked.path);
        *request.uri_mut() =
            uri.parse().map_err(|_| Problem::Answer(format!("{uri} is no address")))?;
        for (name, value) in asked.headers {
            let name = HeaderName::from_static(name);
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        AwsAuthorizer::new(&self.credential, "s3", &self.region)
            .try_authorize(&mut request, None)?;
        Ok(request)
    }
}

impl S3Backend {
    /// Asks everything; objects made for that lie under `base` and are removed by the caller.
    pub(super) fn ask_bucket(&self, base: &str) -> Vec<Probe> {
        let mut probes = Vec::new();
        let mut note = |name: &str, holds: Option<bool>| {
            probes.extend(holds.map(|holds| Probe { name: name.to_owned(), holds }));
        };
        if let Some(answer) = self.subresource("versioning") {
            note(CLOCKS_AGREE, answer.date.map(|date| self.agrees_with(date)));
            // `VersioningConfiguration`; moto calls it `GetBucketVersioningResponse`.
            let says = answer.body.contains("Versioning");
            let is_on = element(&answer.body, "Status").is_some_and(|status| status == "Enabled");
            note(NO_OLD_VERSIONS, (answer.is_success() && says).then_some(!is_on));
        }
        if self.asker.sends_checksum {
            note(CHECKS_SUMS, self.checks_sums(&format!("{base}/sum")));
        }
        note(LOCKS, self.locks());
        probes
    }

    fn subresource(&self, name: &str) -> Option<Answer> {
        let path = format!("?{name}");
        self.put_question(Request { method: Method::GET, path, headers: &[], body: "" })
    }

    fn agrees_with(&self, date: i64) -> bool {
        let difference = Duration::from_secs(date.abs_diff(self.now().seconds()));
        if difference > CLOCK_DIFFERENCE_MAX {
            tracing::warn!(?difference, "the clock of the object store and ours differ");
        }
        difference <= CLOCK_DIFFERENCE_MAX
    }

    /// Whether bytes that do not match their checksum are refused. A refusal says so only if the same
    /// request with the right sum is none.
    fn checks_sums(&self, key: &str) -> Option<bool> {
        let put = |sum| {
            let (path, headers) = (self.object(key), &summed(sum));
            self.put_question(Request { method: Method::PUT, path, headers, body: BODY })
        };
        let wrong = put(WRONG_SUM)?;
        match wrong.status {
            400 => put(RIGHT_SUM)?.is_success().then_some(true),
            _ => wrong.is_success().then_some(false),
        }
    }

    /// Whether object lock is on for the bucket.
    fn locks(&self) -> Option<bool> {
        let answer = self.subresource("object-lock")?;
        let code = element(&answer.body, "Code");
        match (answer.status, code.unwrap_or_default()) {
            (200, _) => Some(element(&answer.body, "ObjectLockEnabled")? == "Enabled"),
            // None is configured; or there is no such thing.
            (404, "ObjectLockConfigurationNotFoundError")
            | (405, "MethodNotAllowed")
            | (501, "NotImplemented") => Some(false),
            // No bucket, no right to ask, a page of some proxy: no answer.
            _ => None,
        }
    }

    fn object(&self, key: &str) -> String {
        format!("/{}{key}", self.prefix())
    }

    /// Asks, and asks again as with every request; `None` if there is no answer worth its name.
    fn put_question(&self, request: Request<'_>) -> Option<Answer> {
        let tried = self.calls().call(BODY.len() as u64, || {
            let http = self.asker.http.clone();
            let signed = self.asker.request(&request);
            async move { answer(http.execute(signed?).await.map_err(generic)?).await }
        });
        tried.result.map_err(|Failure { text, .. }| tracing::debug!(text, "left out")).ok()
    }
}

/// The headers of a body with this checksum.
const fn summed(sum: &'static str) -> [(&'static str, &'static str); 2] {
    [("x-amz-sdk-checksum-algorithm", "SHA256"), ("x-amz-checksum-sha256", sum)]
}

fn generic(source: impl std::error::Error + Send + Sync + 'static) -> Problem {
    Problem::Request(object_store::Error::Generic { store: "S3", source: Box::new(source) })
}

async fn answer(found: object_store::client::HttpResponse) -> Result<Answer, Problem> {
    let status = found.status().as_u16();
    let header = |name: &str| found.headers().get(name).and_then(|value| value.to_str().ok());
    let date = header(DATE.as_str()).and_then(|text| DateTime::parse_from_rfc2822(text).ok());
    let date = date.map(|date| date.timestamp());
    if matches!(status, 429 | 500 | 502..=504) {
        return Err(Problem::Answer(format!("the store answers {status}")));
    }
    let body = super::watch::read(found.into_body(), ANSWER_BYTES_MAX).await.map_err(generic)?;
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), date })
}
