//! The catalogue and the store: rebuilding one from the other (P8), and the doctor's checks.

mod moves;
mod owners;
mod plan;
mod report;
mod repository;
mod service;

pub use report::{Finding, Health, Rebuilt};
pub use repository::{Expected, Lack, NotAccepted, accept, expected, keep, lack};
pub use service::Catalogue;
