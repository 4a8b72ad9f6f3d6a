//! Watches each answer on its way to the client library.
//!
//! The library's errors leave out what decides: the code within a 404, and whether a request was
//! sent. Listings are looked at as well, because the library takes any XML for an empty one: a page
//! of some proxy must not look like "there are no objects" (P10).

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt as _;
use object_store::client::{
    HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

use super::answer::{Seen, shorten};

/// The most of an error's body that is read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// The most of a listing's page that is read: a thousand of the longest keys, and room (P24).
const LISTING_BYTES_MAX: usize = 4 << 20;

tokio::task_local! {
    /// Where the answer to the running request is noted.
    static NOTE: Arc<Mutex<Seen>>;
}

/// Runs `request` and says besides what was seen of its answer.
pub(super) async fn watched<T>(request: impl Future<Output = T>) -> (T, Seen) {
    let note = Arc::new(Mutex::new(Seen::default()));
    let result = NOTE.scope(Arc::clone(&note), request).await;
    let seen = note.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (result, seen)
}

fn note(write: impl FnOnce(&mut Seen)) {
    // Without a note nobody asked.
    let _ = NOTE.try_with(|note| write(&mut note.lock().unwrap_or_else(PoisonError::into_inner)));
}

/// A client whose answers are watched.
#[derive(Debug)]
pub(super) struct Watch(pub(super) reqwest::Client);

#[async_trait]
impl HttpService for Watch {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_listing = request.uri().query().is_some_and(|query| query.contains("list-type=2"));
        let answer = match self.0.call(request).await {
            Ok(answer) => answer,
            Err(error) => {
                note(|seen| seen.is_not_sent = error.kind() == HttpErrorKind::Connect);
                return Err(error);
            }
        };
        let status = answer.status();
        note(|seen| seen.status = Some(status.as_u16()));
        if status.is_success() && !is_listing {
            return Ok(answer);
        }
        let most = if status.is_success() { LISTING_BYTES_MAX } else { ERROR_BYTES_MAX };
        let (head, body) = answer.into_parts();
        let body = read(body, most).await?;
        if status.is_success() {
            note(|seen| seen.implausible = what_is_wrong(&body));
        } else {
            let text = String::from_utf8_lossy(&body);
            note(|seen| {
                seen.code = element(&text, "Code").map(shorten);
                seen.message = element(&text, "Message").map(shorten);
            });
        }
        Ok(HttpResponse::from_parts(head, body.into()))
    }
}

pub(super) async fn read(body: HttpResponseBody, most: usize) -> Result<Vec<u8>, HttpError> {
    let mut bytes = Vec::new();
    let mut stream = body.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part?;
        if bytes.len() + part.len() > most {
            let why = std::io::Error::other("the answer is longer than any answer may be");
            return Err(HttpError::new(HttpErrorKind::Decode, why));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Why a body is not the whole page of a listing, if it is not.
fn what_is_wrong(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let is_whole = text.contains("<ListBucketResult") && text.contains("</ListBucketResult>");
    if !is_whole && !text.contains("<ListBucketResult/>") {
        return Some("the answer to a listing is no listing".to_owned());
    }
    let announced = element(&text, "KeyCount").and_then(|count| count.trim().parse().ok());
    let found = text.matches("<Contents>").count();
    if announced.is_some_and(|announced: usize| announced != found) {
        return Some("a listing has fewer entries than it announces".to_owned());
    }
    let has_more = element(&text, "IsTruncated").is_some_and(|it| it.trim() == "true");
    if has_more && element(&text, "NextContinuationToken").is_none() {
        return Some("a listing goes on, but does not say where".to_owned());
    }
    None
}

/// The text of the first element of this name. Enough for flat answers; not a parser.
pub(super) fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P10, P21.
    #[test]
    fn what_is_no_whole_listing_is_not_taken_for_one() {
        let page = |inner: &str| {
            format!(
                "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\">{inner}</ListBucketResult>"
            )
        };
        let entry = "<Contents><Key>a</Key></Contents>";
        for good in [
            page(""),
            page(&format!("<KeyCount>1</KeyCount>{entry}")),
            page(&format!(
                "{entry}<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
            )),
        ] {
            assert_eq!(what_is_wrong(good.as_bytes()), None, "{good}");
        }
        for bad in [
            String::new(),
            "<html><body>log in</body></html>".to_owned(),
            page(entry).replace("</ListBucketResult>", ""),
            page(&format!("<KeyCount>2</KeyCount>{entry}")),
            page("<IsTruncated>true</IsTruncated>"),
        ] {
            assert!(what_is_wrong(bad.as_bytes()).is_some(), "{bad}");
        }
    }
}
