//! The service for messages: topics, and who is told what is sent to them (MON-07).

pub(crate) mod confirm;
pub(crate) mod deliveries;
pub(crate) mod subscriptions;
pub(crate) mod topics;
pub(crate) mod urn;
