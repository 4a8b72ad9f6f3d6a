//! The catalogue and the store: rebuilding one from the other (P8), and the doctor's checks.

mod owners;
mod plan;
mod report;
mod service;

pub use report::{Finding, Health, Rebuilt};
pub use service::Catalogue;
