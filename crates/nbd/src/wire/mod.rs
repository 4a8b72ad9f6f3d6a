//! The bytes of the protocol, as pure values: no socket, no state.
//!
//! Every parser here is total: any bytes give a value or [`Malformed`], and
//! nothing is allocated by a length that was not checked.

pub(crate) mod fields;
pub(crate) mod numbers;
pub(crate) mod option;
pub(crate) mod reply;
pub(crate) mod request;

#[cfg(test)]
mod tests;

pub(crate) use fields::{Fields, Malformed};
