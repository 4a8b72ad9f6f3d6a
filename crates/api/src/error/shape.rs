//! The body of a refusal: its shape depends on the service of the path (contract A.5).

use serde_json::{Value, json};

use super::ApiError;

/// Which shape a refusal takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// `{"error_code", "error_msg"}`: CBR and its neighbours.
    Service,
    /// `{"error": {"code", "message", "title"}}`: Keystone.
    Keystone,
}

impl Shape {
    /// The shape of refusals under `path`.
    pub(crate) fn of(path: &str) -> Self {
        let mut segments = path.split('/').skip(1);
        match (segments.next(), segments.next()) {
            (Some("v3"), None | Some("auth" | "projects" | "regions" | "users")) => Self::Keystone,
            _ => Self::Service,
        }
    }

    /// The body.
    pub(crate) fn body(self, error: &ApiError, request_id: &str) -> Value {
        let (status, code) = error.code.wire();
        match self {
            Self::Keystone => json!({"error": {
                "code": status.as_u16(),
                "message": error.message,
                "title": status.canonical_reason().unwrap_or("Error"),
            }}),
            // The gateway's refusals carry the request id in the body as well.
            Self::Service if code.starts_with("APIG.") => json!({
                "error_code": code,
                "error_msg": error.message,
                "request_id": request_id,
            }),
            Self::Service => json!({"error_code": code, "error_msg": error.message}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    /// Contract A.5.
    #[test]
    fn each_service_has_its_shape() {
        let error = ApiError::new(ErrorCode::Unauthenticated, "no");
        assert_eq!(
            Shape::of("/v3/auth/tokens").body(&error, "r"),
            json!({"error": {"code": 401, "message": "no", "title": "Unauthorized"}})
        );
        assert_eq!(
            Shape::of("/v3/0605767b5780d5762fc5c0118072a564/vaults").body(&error, "r"),
            json!({"error_code": "APIG.0301", "error_msg": "no", "request_id": "r"})
        );
        let absent = ApiError::new(ErrorCode::VaultNotFound, "gone");
        assert_eq!(
            Shape::of("/v2/x/cloudvolumes/y").body(&absent, "r"),
            json!({"error_code": "BackupService.6105", "error_msg": "gone"})
        );
        assert_eq!(Shape::of("/v3"), Shape::Keystone);
        assert_eq!(Shape::of("/"), Shape::Service);
    }
}
