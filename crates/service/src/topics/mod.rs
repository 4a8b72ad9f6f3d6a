//! Topics, their subscriptions, and messages to them (MON-07).

mod courier;
mod deliver;
mod error;
mod requests;
mod secrets;
mod service;
mod tell;

pub use courier::{Confirmation, Courier, Letter, RecordingCourier, Undelivered};
pub(crate) use deliver::DeliverTask;
pub use error::TopicError;
pub use requests::{NewSubscription, TopicChange, TopicList};
pub(crate) use secrets::owner_of;
pub use service::Topics;
pub(crate) use service::existing;
pub(crate) use tell::{Told, tell};
