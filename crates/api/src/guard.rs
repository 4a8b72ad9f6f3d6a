//! The guard before every handler: reads the body within its limits, checks the
//! credential, lets the caller into the project of the path.
//!
//! Of a body that needs a credential nothing is read before there is one: a good token, or
//! a signature that names an access key there is.
//!
//! What it finds out it puts into the request, where only the extractors of
//! `extract` look. A handler behind no guard finds nothing and refuses.

use std::net::{IpAddr, SocketAddr};

use axum::RequestPartsExt;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cbr_model::ProjectId;
use cbr_model::identity::Caller;
use cbr_model::network::{is_in, network_of};
use cbr_service::audit::Refused;
use cbr_service::identity::SigningKey;
use cbr_service::{Access, Error};

use crate::answer::RequestId;
use crate::auth::replay::digest_of;
use crate::auth::signature::{Limits, RequestText, Signed};
use crate::body::{ANONYMOUS_BYTES_MAX, Share, too_large};
use crate::error::{ApiError, ErrorCode};
use crate::forwarded::client;
use crate::operation::{Admission, Operation};
use crate::shares::Place;
use crate::standing::Standing;
use crate::state::Api;

/// A longer body is not kept in the record of a change.
const RECORDED_BYTES_MAX: usize = 8 << 10;

/// A guard of one operation.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) api: Api,
    pub(crate) operation: &'static Operation,
}

/// A credential, as the headers show it.
pub(crate) enum Shown {
    /// A token that is good, and whom it speaks for.
    Token(Caller),
    /// A signature, and the key it names.
    Signature(Signed, SigningKey),
}

/// Who turned out to ask, with which request, for the record of a refusal.
#[derive(Default)]
struct Known(Option<Asking>);

struct Asking {
    caller: Caller,
    project: Option<ProjectId>,
    request: cbr_service::Request,
}

/// Guards a request and gives the answer of a success its status.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut known = Known::default();
    // The body keeps its room, and who has no credential its place, until there is an answer.
    let (request, _held) = match guard.admit(request, &mut known).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            guard.note_refusal(refusal.status(), known).await;
            return refusal.into_response();
        }
    };
    let mut response = tokio::select! {
        response = next.run(request) => response,
        () = guard.api.clock.sleep(guard.api.settings.request_timeout) => {
            let message = "The request took too long. Try again in a moment.";
            ApiError::new(ErrorCode::TooManyRequests, message).into_response()
        }
    };
    guard.note_refusal(response.status(), known).await;
    if response.status() == StatusCode::OK
        && let Ok(success) = StatusCode::from_u16(guard.operation.success)
    {
        *response.status_mut() = success;
    }
    response
}

impl Guard {
    async fn admit(
        &self,
        request: Request,
        known: &mut Known,
    ) -> Result<(Request, (Share, Option<Place<IpAddr>>)), ApiError> {
        let (mut parts, body) = request.into_parts();
        let admission = self.operation.admission;
        let is_anonymous = matches!(admission, Admission::Anyone | Admission::Optional);
        let has_body = !body.is_end_stream();
        // Who sends no body takes no room: the checks of a load balancer are never refused.
        let place = if is_anonymous && has_body { self.place_of(&parts)? } else { None };
        // After the body it is looked at again: it may be taken back while the body arrives.
        if !is_anonymous && has_body {
            self.shown(&parts.headers).await?;
        }
        let (body, share) = self.read(&parts, body, is_anonymous).await?;
        self.let_in(&mut parts, &body, known).await?;
        Ok((Request::from_parts(parts, Body::from(body)), (share, place)))
    }

    /// A place of its address for a request without a credential, so that one address cannot take all the room
    /// there is for them (P24). Who is on this machine, such as a proxy, speaks for many, unless it says for whom.
    fn place_of(&self, parts: &Parts) -> Result<Option<Place<IpAddr>>, ApiError> {
        let Some((peer, asking)) = self.addresses(parts) else { return Ok(None) };
        if peer.is_loopback() && !is_in(&self.api.settings.trusted_proxies, peer) {
            return Ok(None);
        }
        let place = self.api.anonymous.take(network_of(asking));
        place.map(Some).ok_or_else(|| {
            let message =
                "Too many requests of this address are being served. Try again in a moment.";
            ApiError::new(ErrorCode::TooManyRequests, message)
        })
    }

    /// Who is connected, and who asks: another, if a trusted proxy is connected.
    fn addresses(&self, parts: &Parts) -> Option<(IpAddr, IpAddr)> {
        let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        // A socket for both families shows an address of IPv4 as one of IPv6.
        let peer = peer.ip().to_canonical();
        Some((peer, client(peer, &parts.headers, &self.api.settings.trusted_proxies)))
    }

    /// Records that somebody who is known asked for a change and may not make it (AUD-01).
    async fn note_refusal(&self, status: StatusCode, known: Known) {
        let (Some(event), Some(known)) = (self.operation.event, known.0) else { return };
        if status == StatusCode::FORBIDDEN {
            let Asking { caller, project, request } = &known;
            let refused = Refused::to(caller, *project, (event, status.as_u16()), request);
            self.api.services.identity.note_refused(refused).await;
        }
    }

    /// Puts into the request what the operation's admission says there must be.
    async fn let_in(
        &self,
        parts: &mut Parts,
        body: &Bytes,
        known: &mut Known,
    ) -> Result<(), ApiError> {
        let admission = self.operation.admission;
        if matches!(admission, Admission::Anyone | Admission::Optional) {
            if admission == Admission::Optional
                && let Ok(caller) = self.authenticate(parts, body).await
            {
                parts.extensions.insert(caller);
            }
            // Who has no credential yet may send secrets: nothing of the body is recorded.
            let request = self.request(parts, None)?;
            parts.extensions.insert(request);
            return Ok(());
        }
        let caller = self.authenticate(parts, body).await?;
        let project = match admission {
            Admission::OwnProject => own_project(parts, &caller).ok(),
            _ => project_of_path(parts).await,
        };
        let request = self.request(parts, None)?;
        known.0 = Some(Asking { caller: caller.clone(), project, request });
        let identity = &self.api.services.identity;
        match (admission, self.operation.action) {
            (Admission::Project | Admission::OwnProject, _) => {
                let access = self.enter(parts, caller.clone(), body).await?;
                parts.extensions.insert(access);
            }
            (Admission::Account, action) => {
                let action = action.ok_or_else(ApiError::unknown)?;
                let request = self.request(parts, None)?;
                let access = identity.account(caller.clone(), action, request).await?;
                parts.extensions.insert(access);
            }
            (_, Some(action)) => {
                let request = self.request(parts, None)?;
                let access = identity.own(caller.clone(), action, request).await?;
                parts.extensions.insert(access);
            }
            (_, None) => {
                let request = self.request(parts, None)?;
                parts.extensions.insert(request);
            }
        }
        parts.extensions.insert(caller);
        Ok(())
    }

    async fn read(
        &self,
        parts: &Parts,
        body: Body,
        is_anonymous: bool,
    ) -> Result<(Bytes, Share), ApiError> {
        let settings = &self.api.settings;
        let most = settings.body_bytes_max;
        let limit = if is_anonymous { most.min(ANONYMOUS_BYTES_MAX) } else { most };
        let announced = parts
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > limit as u64) {
            return Err(too_large(limit));
        }
        tokio::select! {
            read = self.api.bodies.read(body, limit, is_anonymous) => read,
            () = self.api.clock.sleep(settings.body_timeout) => {
                Err(ApiError::new(ErrorCode::BodyTooSlow, "The body did not arrive in time."))
            }
        }
    }

    /// What the headers of a request that has just come show. Of a signature it says whose it would be,
    /// not that it is right.
    async fn shown(&self, headers: &HeaderMap) -> Result<Shown, ApiError> {
        if !headers.contains_key("x-auth-token") {
            // An unknown key and a wrong signature are told apart by nobody, so what is wrong with
            // the rest is said before the key is looked up.
            signature_of(headers)?
                .check_date(headers, self.api.clock.now(), self.limits())
                .map_err(|why| refused(&why.to_string()))?;
        }
        self.credential(headers).await
    }

    /// The credential that the headers show, whenever they were sent.
    pub(crate) async fn credential(&self, headers: &HeaderMap) -> Result<Shown, ApiError> {
        let identity = &self.api.services.identity;
        if let Some(token) = headers.get("x-auth-token") {
            let token = token.to_str().map_err(|_| refused("the token is malformed"))?;
            return identity
                .verify_token(token)
                .await
                .map(|token| Shown::Token(token.caller))
                .map_err(|error| {
                    unauthenticated(error, "the token is unknown, expired or revoked")
                });
        }
        let signed = signature_of(headers)?;
        let security_token = match headers.get("x-security-token") {
            Some(value) => {
                Some(value.to_str().map_err(|_| refused("the security token is malformed"))?)
            }
            None => None,
        };
        let key = identity
            .signing_key(&signed.access_key, security_token)
            .await
            .map_err(|error| unauthenticated(error, "verify aksk signature fail"))?;
        Ok(Shown::Signature(signed, key))
    }

    async fn authenticate(&self, parts: &Parts, body: &Bytes) -> Result<Caller, ApiError> {
        let identity = &self.api.services.identity;
        let (signed, key) = match self.shown(&parts.headers).await? {
            Shown::Token(caller) => return Ok(caller),
            Shown::Signature(signed, key) => (signed, key),
        };
        let now = self.api.clock.now();
        signed
            .verify(&text(parts, body), key.secret.as_bytes(), now, self.limits())
            .map_err(|why| refused(&why.to_string()))?;
        let (digest, is_mutating) = (digest_of(&signed.signature), self.operation.is_mutating());
        let is_new = self.api.seen.admit(digest, is_mutating, now)
            && (!is_mutating
                || identity.use_signature(digest, self.api.seen.expires_at(now)).await?);
        if !is_new {
            return Err(refused("the signature was used already"));
        }
        if key.notes_use
            && let Err(error) = identity.note_use(&signed.access_key).await
        {
            // Nobody is kept out because of it.
            tracing::warn!(error = &error as &dyn std::error::Error, "a use was not noted");
        }
        Ok(key.caller)
    }

    fn limits(&self) -> Limits {
        let settings = &self.api.settings;
        Limits {
            skew_seconds_max: i64::try_from(settings.signature_skew.as_secs()).unwrap_or(i64::MAX),
            accepts_unsigned_payload: settings.accepts_unsigned_payload,
        }
    }

    async fn enter(
        &self,
        parts: &mut Parts,
        caller: Caller,
        body: &Bytes,
    ) -> Result<Access, ApiError> {
        let project = match self.operation.admission {
            Admission::OwnProject => own_project(parts, &caller)?,
            // A client without a project id sends the literal `{project_id}` (contract A.1).
            _ => project_of_path(parts).await.ok_or_else(|| {
                ApiError::invalid("project_id", "it must be 32 hexadecimal digits")
            })?,
        };
        let request = self.request(parts, Some(body))?;
        if self.operation.is_stream() {
            let standing = Standing::new(self, &parts.headers, project, request.clone());
            parts.extensions.insert(standing);
        }
        let action = self.operation.action;
        let entered = self.api.services.identity.access(caller, project, action, request);
        entered.await.map_err(|error| {
            match error {
                // Another's project and no project look alike (P26).
                Error::ProjectNotFound(_) | Error::Forbidden => ApiError::new(
                    ErrorCode::Forbidden,
                    "The project is not accessible with this credential.",
                ),
                other => other.into(),
            }
        })
    }

    /// What a record of the change will say about the request.
    fn request(
        &self,
        parts: &Parts,
        body: Option<&Bytes>,
    ) -> Result<cbr_service::Request, ApiError> {
        let id = parts.extensions.get::<RequestId>().copied().ok_or_else(ApiError::unknown)?;
        let event = self.operation.event;
        let is_short = |body: &&Bytes| !body.is_empty() && body.len() <= RECORDED_BYTES_MAX;
        let body = body.filter(|_| event.is_some()).filter(is_short);
        let text = body.and_then(|body| std::str::from_utf8(body).ok());
        Ok(cbr_service::Request {
            id: id.log(),
            event,
            source_ip: self.addresses(parts).map(|(_, asking)| asking),
            body: text.map(str::to_owned),
        })
    }
}

/// The project that the path names, if it names one.
async fn project_of_path(parts: &mut Parts) -> Option<ProjectId> {
    let params = parts.extract::<RawPathParams>().await.ok()?;
    params.iter().find(|(name, _)| *name == "project_id").and_then(|(_, value)| value.parse().ok())
}

/// The project of a request whose path has none (contract F.2). A key is good for many, so its requests
/// name one in a header (contract A.2); a token is for one.
fn own_project(parts: &Parts, caller: &Caller) -> Result<ProjectId, ApiError> {
    const NAME: &str = "X-Project-Id";
    match parts.headers.get(NAME) {
        Some(value) => {
            let project = value.to_str().ok().and_then(|text| text.parse().ok());
            project.ok_or_else(|| ApiError::invalid(NAME, "it must be 32 hexadecimal digits"))
        }
        None => caller.project.as_ref().map(|project| project.id).ok_or_else(|| {
            ApiError::invalid(NAME, "the header, or a token for a project, must say which project")
        }),
    }
}

fn text<'a>(parts: &'a Parts, body: &'a Bytes) -> RequestText<'a> {
    RequestText {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or(""),
        headers: &parts.headers,
        authority: parts.uri.authority().map(axum::http::uri::Authority::as_str),
        body,
    }
}

/// The signature that the headers show.
fn signature_of(headers: &HeaderMap) -> Result<Signed, ApiError> {
    Signed::parse(headers)
        .ok_or_else(|| refused("neither X-Auth-Token nor a signature was sent"))?
        .map_err(|why| refused(&why.to_string()))
}

fn refused(why: &str) -> ApiError {
    let message = format!("Incorrect IAM authentication information: {why}");
    ApiError::new(ErrorCode::Unauthenticated, message)
}

fn unauthenticated(error: Error, why: &str) -> ApiError {
    match error {
        Error::CredentialRefused => refused(why),
        other => other.into(),
    }
}
