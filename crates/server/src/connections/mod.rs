//! Connections: so many at a time, a share of them for each address, and none for who takes no answer or asks
//! nothing (P24).

mod activity;
mod places;

pub(crate) use places::{Places, note_failed};
