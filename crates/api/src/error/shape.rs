//! The body of a refusal: its shape depends on the service of the path (contract A.5).

use serde::Serialize;
use utoipa::ToSchema;

use super::ApiError;
use crate::operation::{SchemaOf, schema_of};

/// What follows `/v3/` in Keystone's paths.
const KEYSTONE_NOUNS: [&str; 10] = [
    "auth",
    "projects",
    "regions",
    "users",
    "groups",
    "roles",
    "domains",
    "services",
    "endpoints",
    "OS-INHERIT",
];

/// Which shape a refusal takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// `{"error_code", "error_msg"}`: CBR and its neighbours.
    Service,
    /// `{"error": {"code", "message", "title"}}`: Keystone.
    Keystone,
    /// Both at once, because its clients read one or the other: `/v3.0` (contract F.1).
    Both,
    /// A bare text for 400 and 403, else as [`Shape::Service`]: features (contract C68, C69).
    Bare,
}

impl Shape {
    /// The shape of refusals under `path`.
    pub(crate) fn of(path: &str) -> Self {
        let mut segments = path.split('/').skip(1);
        match (segments.next(), segments.next()) {
            (Some("v3.0"), _) => Self::Both,
            (Some("v3"), None) => Self::Keystone,
            (Some("v3"), Some(noun)) if KEYSTONE_NOUNS.contains(&noun) => Self::Keystone,
            (Some("v3"), Some(_)) if segments.next() == Some("cbr-features") => Self::Bare,
            _ => Self::Service,
        }
    }

    /// The body.
    pub(crate) fn body(self, error: &ApiError, request_id: &str) -> Body {
        let (status, code) = error.code.wire();
        let keystone = || KeystoneRefusal {
            error: KeystoneError {
                code: status.as_u16(),
                message: error.message.clone(),
                title: status.canonical_reason().unwrap_or("Error"),
            },
        };
        let service = || Refusal {
            error_code: code,
            error_msg: error.message.clone(),
            request_id: code.starts_with("APIG.").then(|| request_id.to_owned()),
        };
        match self {
            Self::Keystone => Body::Keystone(keystone()),
            Self::Both => Body::Both(BothRefusal { refusal: service(), keystone: keystone() }),
            Self::Bare if matches!(status.as_u16(), 400 | 403) => {
                Body::Bare(BareRefusal::Text(error.message.clone()))
            }
            Self::Bare => Body::Bare(BareRefusal::Whole(service())),
            Self::Service => Body::Service(service()),
        }
    }

    /// The schema of the body.
    pub(crate) const fn schema(self) -> SchemaOf {
        match self {
            Self::Keystone => schema_of::<KeystoneRefusal>(),
            Self::Both => schema_of::<BothRefusal>(),
            Self::Bare => schema_of::<BareRefusal>(),
            Self::Service => schema_of::<Refusal>(),
        }
    }
}

/// The body of a refusal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Body {
    /// Of CBR and its neighbours.
    Service(Refusal),
    /// Of Keystone.
    Keystone(KeystoneRefusal),
    /// Of identity and access under `/v3.0`.
    Both(BothRefusal),
    /// Of features.
    Bare(BareRefusal),
}

/// Why a request was refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// See docs/api/errors.md.
    error_code: &'static str,
    /// For people.
    error_msg: String,
    /// Only with `APIG.` codes; the header X-Request-Id always has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// Why a request was refused, in both forms.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct BothRefusal {
    #[serde(flatten)]
    refusal: Refusal,
    #[serde(flatten)]
    keystone: KeystoneRefusal,
}

/// Why a request about features was refused: for 400 and 403 only a text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum BareRefusal {
    /// For people.
    Text(String),
    /// As all others.
    Whole(Refusal),
}

/// Why a request was refused, as Keystone says it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct KeystoneRefusal {
    error: KeystoneError,
}

/// The particulars of Keystone's refusal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
struct KeystoneError {
    /// The HTTP status.
    code: u16,
    /// For people.
    message: String,
    /// The HTTP status in words.
    title: &'static str,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::ErrorCode;

    fn body(path: &str, error: &ApiError) -> Value {
        serde_json::to_value(Shape::of(path).body(error, "r")).unwrap()
    }

    /// Contract A.5.
    #[test]
    fn each_service_has_its_shape() {
        let error = ApiError::new(ErrorCode::Unauthenticated, "no");
        assert_eq!(
            body("/v3/auth/tokens", &error),
            json!({"error": {"code": 401, "message": "no", "title": "Unauthorized"}})
        );
        assert_eq!(
            body("/v3/0605767b5780d5762fc5c0118072a564/vaults", &error),
            json!({"error_code": "APIG.0301", "error_msg": "no", "request_id": "r"})
        );
        let absent = ApiError::new(ErrorCode::VaultNotFound, "gone");
        assert_eq!(
            body("/v2/x/cloudvolumes/y", &absent),
            json!({"error_code": "BackupService.6105", "error_msg": "gone"})
        );
        let features = "/v3/0605767b5780d5762fc5c0118072a564/cbr-features";
        let invalid = ApiError::new(ErrorCode::InvalidParameter, "no such key");
        assert_eq!(body(features, &invalid), json!("no such key"));
        assert_eq!(body(&format!("{features}/x"), &error)["error_code"], "APIG.0301");
        assert_eq!(
            body("/v3.0/OS-CREDENTIAL/credentials", &error),
            json!({"error_code": "APIG.0301", "error_msg": "no", "request_id": "r",
                "error": {"code": 401, "message": "no", "title": "Unauthorized"}})
        );
        assert_eq!(Shape::of("/v3"), Shape::Keystone);
        assert_eq!(Shape::of("/"), Shape::Service);
    }
}
