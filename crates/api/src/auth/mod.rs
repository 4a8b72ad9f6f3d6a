//! Who sends a request: signatures made with an access key, and tokens.

pub mod replay;
pub mod signature;
