//! Alarms over metrics and events (MON-06 … MON-10).

mod builtin;
mod checks;
mod error;
mod evaluate;
mod events;
mod levels;
mod record;
mod requests;
mod service;
mod text;
mod watched;

pub use cbr_db::RecordFilter;
pub use error::AlarmError;
pub(crate) use events::NewEvent;
pub(crate) use levels::note_usage;
pub use requests::{AlarmChange, AlarmView, NewAlarm, NewTemplate};
pub use service::Alarms;
