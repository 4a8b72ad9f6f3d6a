//! The repository: what callers open, list, write, read and delete with.

mod arbitration;
mod audit;
mod delete;
mod keys;
mod notes;
mod open;
mod read;
mod reencrypt;
mod session;
mod sizes;
mod trash;
mod versions;
mod watch;

pub use audit::{AuditReport, ChainAudit};
pub use keys::{KeyStatus, TenantKeyStatus};
pub use notes::Noted;
pub use open::Repository;
pub use reencrypt::{ReencryptPlan, Reencrypted};
pub use session::Session;
pub use versions::Contents;
