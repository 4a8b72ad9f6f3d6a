//! Refusals on the wire.
//!
//! [`ErrorCode`] is the one table of codes and statuses. A handler returns an
//! [`ApiError`]; its answer carries it until the outermost layer (`answer`), which
//! knows the request id and the path, writes the body in the shape that part of
//! the contract uses (contract A.5).

mod code;
mod from_service;
mod reference;
mod shape;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

pub use code::ErrorCode;
pub(crate) use from_service::sentence;
pub use reference::reference_markdown;
pub(crate) use shape::Shape;

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
