//! What handlers take out of a request.
//!
//! [`Authorised`] and [`Authenticated`] exist only where the guard put them: a
//! handler that takes one cannot be reached without the check.

use std::convert::Infallible;
use std::marker::PhantomData;

use axum::body::to_bytes;
use axum::extract::{
    FromRequest, FromRequestParts, OptionalFromRequestParts, RawPathParams, Request,
};
use axum::http::request::Parts;
use cbr_model::id::{self, Id, Kind};
use cbr_model::identity::Caller;
use cbr_service::{Access, AccountAccess, OwnAccess};
use serde::de::DeserializeOwned;

use crate::error::{ApiError, ErrorCode, sentence};
use crate::query::Query;
use crate::standing::Standing;
use crate::state::Api;

/// The header with which a client asks for the contract's fields and no others.
const COMPATIBILITY: &str = "x-cbr-compatibility";
const STRICT: &str = "strict";

/// A caller in a project it may use.
#[derive(Debug)]
pub(crate) struct Authorised(pub(crate) Access);

/// A caller with a good credential.
#[derive(Debug)]
pub(crate) struct Authenticated(pub(crate) Caller);

/// A caller who may do the operation in its account as a whole.
#[derive(Debug)]
pub(crate) struct OverAccount(pub(crate) AccountAccess);

/// A caller who may do the operation to itself, and perhaps to others.
#[derive(Debug)]
pub(crate) struct OverOwn(pub(crate) OwnAccess);

/// The credential of a caller whose answer goes on for long.
#[derive(Debug)]
pub(crate) struct StillStanding(pub(crate) Standing);

/// What is known of a request of somebody who needs no credential.
#[derive(Debug)]
pub(crate) struct Asked(pub(crate) cbr_service::Request);

macro_rules! put_by_the_guard {
    ($($name:ident: $type:ty),+) => {$(
        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                parts.extensions.remove::<$type>().map(Self).ok_or_else(unguarded)
            }
        }
    )+};
}

put_by_the_guard!(
    Authorised: Access,
    Authenticated: Caller,
    OverAccount: AccountAccess,
    OverOwn: OwnAccess,
    StillStanding: Standing,
    Asked: cbr_service::Request
);

impl<S: Send + Sync> OptionalFromRequestParts<S> for Authenticated {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.remove::<Caller>().map(Self))
    }
}

fn unguarded() -> ApiError {
    ApiError::new(ErrorCode::Unauthenticated, "Incorrect IAM authentication information.")
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = Self::parse(parts.uri.query().unwrap_or(""));
        match query.with_zero() {
            Some(key) => Err(ApiError::invalid(key, NO_ZERO)),
            None => Ok(query),
        }
    }
}

/// Whether fields that the contract does not have are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extensions {
    is_strict: bool,
}

impl Extensions {
    /// Only what the contract has may be in the answer.
    pub(crate) const fn are_hidden(self) -> bool {
        self.is_strict
    }
}

impl FromRequestParts<Api> for Extensions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Infallible> {
        let is_asked_for = parts.headers.get(COMPATIBILITY).is_some_and(|value| value == STRICT);
        Ok(Self { is_strict: api.settings.is_strict || is_asked_for })
    }
}

/// PostgreSQL keeps no such text, so nothing is called like this.
const NO_ZERO: &str = "no text has the character 0";

/// Whether a text in this JSON has the character 0. It can only be written as an escape; one whose backslash is
/// itself escaped is none.
fn has_zero(json: &[u8]) -> bool {
    let is_escape = |at: usize| {
        let before = json[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        before % 2 == 0
    };
    json.windows(6).enumerate().any(|(at, six)| six == br"\u0000" && is_escape(at))
}

/// A JSON body. Unknown keys are ignored (contract A.4), whatever the content type says.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        // The guard has limited it already.
        let bytes =
            to_bytes(request.into_body(), usize::MAX).await.map_err(|_| ApiError::unknown())?;
        if has_zero(&bytes) {
            return Err(ApiError::invalid("body", NO_ZERO));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| ApiError::invalid("body", error))
    }
}

/// An id in the path.
///
/// Text that is not an id looks like an id that does not exist: the command line
/// tries names in the place of ids and needs a 404 to go on (contract C4).
#[derive(Debug)]
pub(crate) struct PathId<P: IdParameter>(pub(crate) Id<P::Kind>);

/// A path parameter that holds an id.
pub(crate) trait IdParameter {
    /// What it is the id of.
    type Kind: Kind;
    /// Name of the parameter.
    const NAME: &'static str;
    /// What is said when there is no such thing.
    const ABSENT: ErrorCode;
}

impl<S: Send + Sync, P: IdParameter> FromRequestParts<S> for PathId<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::invalid(P::NAME, "it is not UTF-8"))?;
        let text = params.iter().find(|(name, _)| *name == P::NAME).map_or("", |(_, value)| value);
        id_of(text, P::ABSENT).map(Self)
    }
}

/// A text in the path.
#[derive(Debug)]
pub(crate) struct PathText<P: TextParameter>(pub(crate) String, pub(crate) PhantomData<P>);

/// A path parameter that holds a text.
pub(crate) trait TextParameter {
    /// Name of the parameter.
    const NAME: &'static str;
}

impl<S: Send + Sync, P: TextParameter> FromRequestParts<S> for PathText<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::invalid(P::NAME, "it is not UTF-8"))?;
        let text = params.iter().find(|(name, _)| *name == P::NAME).map_or("", |(_, value)| value);
        Ok(Self(text.to_owned(), PhantomData))
    }
}

/// The id that `text` says. Text that is no id is the id of nothing, so it is `absent`.
pub(crate) fn id_of<K: Kind>(text: &str, absent: ErrorCode) -> Result<Id<K>, ApiError> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(64).filter(|c| !c.is_control()).collect();
        let message = format!("{} {shown} does not exist", K::NAME);
        ApiError::new(absent, sentence(&message))
    })
}

macro_rules! id_parameters {
    ($($(#[$doc:meta])* $marker:ident: $kind:ident = $name:literal, $absent:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) enum $marker {}

        impl IdParameter for $marker {
            type Kind = id::$kind;
            const NAME: &'static str = $name;
            const ABSENT: ErrorCode = ErrorCode::$absent;
        }
    )+};
}

id_parameters! {
    /// `{agency_id}`
    AgencyInPath: Agency = "agency_id", IdentityNotFound;
    /// `{agent_id}`
    AgentInPath: Agent = "agent_id", AgentNotFound;
    /// `{backup_id}`
    BackupInPath: Backup = "backup_id", BackupNotFound;
    /// `{checkpoint_id}`
    CheckpointInPath: Checkpoint = "checkpoint_id", CheckpointNotFound;
    /// `{domain_id}`
    DomainInPath: Domain = "domain_id", IdentityNotFound;
    /// `{export_id}`
    ExportInPath: Export = "export_id", ExportNotFound;
    /// `{group_id}`
    GroupInPath: Group = "group_id", IdentityNotFound;
    /// `{image_id}`
    ImageInPath: Image = "image_id", ImageNotFound;
    /// `{instance_id}` of a protectable
    InstanceInPath: Resource = "instance_id", ResourceNotFound;
    /// `{job_id}` of a neighbour service
    JobInPath: Task = "job_id", JobNotFound;
    /// `{member_id}`: the recipient's project
    MemberInPath: Project = "member_id", MemberNotFound;
    /// `{operation_log_id}`
    OperationInPath: Task = "operation_log_id", OperationNotFound;
    /// `{organization_policy_id}`
    OrganizationPolicyInPath: OrganizationPolicy = "organization_policy_id", PolicyNotFound;
    /// `{policy_id}`
    PolicyInPath: Policy = "policy_id", PolicyNotFound;
    /// `{id}` of a project at Keystone
    ProjectInPath: Project = "id", ProjectNotFound;
    /// `{role_id}`
    RoleInPath: Role = "role_id", IdentityNotFound;
    /// `{delivery_id}`
    DeliveryInPath: Delivery = "delivery_id", TopicNotFound;
    /// `{subscription_id}`
    SubscriptionInPath: Subscription = "subscription_id", TopicNotFound;
    /// `{source_project_id}`
    SourceProjectInPath: Project = "source_project_id", ProjectNotFound;
    /// `{server_id}`
    ServerInPath: Resource = "server_id", ServerNotFound;
    /// `{user_id}`
    UserInPath: User = "user_id", IdentityNotFound;
    /// `{vault_id}`
    VaultInPath: Vault = "vault_id", VaultNotFound;
    /// `{volume_id}`
    VolumeInPath: Resource = "volume_id", VolumeNotFound;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reliability 10.3.
    #[test]
    fn the_character_0_is_found_in_json() {
        for text in [r#"{"a":"\u0000"}"#, r#""x\\\u00001""#, r#"["\n\u0000"]"#] {
            assert!(has_zero(text.as_bytes()), "{text}");
        }
        for text in ["", "{}", r#""\\u0000""#, r#""\u0001 u0000""#] {
            assert!(!has_zero(text.as_bytes()), "{text}");
        }
    }
}
