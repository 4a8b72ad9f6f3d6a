//! What the contract leaves to the billing centre: orders are listed, paid and given up (extensions; BIL-08).

pub(crate) mod cancel;
pub(crate) mod list;
pub(crate) mod pay;
pub(crate) mod wire;
