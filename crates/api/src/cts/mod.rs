//! The trace service: who changed what (contract F.7).

pub(crate) mod clear;
pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod operations;
pub(crate) mod trackers;
pub(crate) mod update;
mod wire;
