//! Servers as the server service has them (ECS, contract F.4).

mod changes;
mod error;
mod service;
mod views;

pub use error::ServerError;
pub use service::Servers;
pub(crate) use views::view;
pub use views::{
    NewServerRequest, PowerAction, ServerFilter, ServerJobStarted, ServerStatus, ServerView,
    ServerVolume,
};
