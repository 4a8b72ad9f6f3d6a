//! Refusals on the wire.
//!
//! [`ErrorCode`] is the one table of codes and statuses. A handler returns an
//! [`ApiError`]; its answer carries it until the outermost layer (`answer`), which
//! knows the request id and the path, writes the body in the shape that part of
//! the contract uses (contract A.5).

mod api_error;
mod code;
mod from_service;
mod reference;
mod shape;

pub use api_error::ApiError;
pub use code::ErrorCode;
pub(crate) use from_service::sentence;
pub use reference::reference_markdown;
pub(crate) use shape::Shape;
