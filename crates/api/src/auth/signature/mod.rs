//! Requests signed with an access key (contract A.2).
//!
//! A client proves that it knows the secret of an access key by an HMAC over a
//! canonical form of its request. Verifying is done in two steps, because the
//! secret must be looked up between them: [`Signed::parse`] reads what the
//! request claims, [`Signed::verify`] checks it.
//!
//! Promises: the comparison takes the same time for every wrong signature; a
//! body that is not covered by the signature is refused unless the operator
//! allowed it; no input makes this code fail otherwise than by refusing.
//!
//! Not here: whether a valid signature was seen before (`auth::replay`), and
//! whom the key belongs to (the service).

mod canonical;
mod claim;
mod verify;

#[cfg(test)]
mod tests;

pub use claim::{Algorithm, Signed};
pub use verify::{Limits, RequestText};

/// Why a signed request is refused. All end in 401; the text helps the owner of
/// the key and tells nobody else anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The `Authorization` header has another form.
    #[error("the Authorization header is malformed")]
    Malformed,
    /// Only the HMAC algorithms are known here.
    #[error("the signing algorithm is not supported")]
    UnknownAlgorithm,
    /// `X-Sdk-Date` is absent, unsigned or not of the form `20200224T093600Z`.
    #[error("X-Sdk-Date is missing, unsigned or malformed")]
    NoDate,
    /// The request is too old or from the future (P27).
    #[error("X-Sdk-Date is too far from the time of the service")]
    Skewed,
    /// A header named in `SignedHeaders` is not in the request.
    #[error("a signed header is missing")]
    HeaderMissing,
    /// The body is not covered by the signature.
    #[error("the body is not covered by the signature")]
    UnsignedBody,
    /// The date, region or service of a derived key does not fit the request.
    #[error("the credential scope does not fit the request")]
    Scope,
    /// Another secret or another request.
    #[error("verify aksk signature fail")]
    WrongSignature,
}
