//! The repository: what callers open, list, write, read and delete with.

mod arbitration;
mod audit;
mod delete;
mod keys;
mod open;
mod read;
mod session;
mod sizes;
mod trash;
mod versions;

pub use audit::{AuditReport, ChainAudit};
pub use keys::{KeyStatus, TenantKeyStatus};
pub use open::Repository;
pub use session::Session;
pub use versions::Contents;
