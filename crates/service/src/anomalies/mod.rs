//! Backups that look unlike those before them (anomaly hold): found when they are complete, and confirmed
//! by somebody. Until then nothing of their resource expires.

mod service;

pub use service::Anomalies;
pub(crate) use service::{figures, look};
