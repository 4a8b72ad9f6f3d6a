//! A refusal on its way to the wire.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::ErrorCode;

/// A refused or failed request.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// What kind.
    pub code: ErrorCode,
    /// For people; free text.
    pub message: String,
}

impl ApiError {
    /// A refusal of the kind `code`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A value of the request that breaks its rule.
    pub fn invalid(field: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidParameter, format!("Invalid {field} provided: {reason}."))
    }

    /// What the caller learns of a fault of ours.
    pub fn unknown() -> Self {
        Self::new(ErrorCode::Unknown, "Unknown error.")
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.code.wire().0
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
