//! Images of whole servers, as IMS and Glance show them (contract F.2).

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod glance;
pub(crate) mod list;
pub(crate) mod quota;
pub(crate) mod tags;
pub(crate) mod update;
pub(crate) mod wire;
