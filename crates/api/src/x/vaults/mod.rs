//! What the contract has no word for: the end of a prepaid vault's order, and freezing (extensions).

pub(crate) mod auto_renew;
pub(crate) mod freeze;
pub(crate) mod renew;
pub(crate) mod unfreeze;
pub(crate) mod unsubscribe;
pub(crate) mod usage;
