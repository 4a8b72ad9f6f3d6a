//! A versioned, encrypted block repository over a backend.
//!
//! Usable with the control plane gone: everything needed to list and restore
//! versions lies in the backend's objects, plus the master key. Knows no
//! vault, no HTTP, no SQL. Synchronous: callers bring the threads.

pub mod backend;
pub mod cache;
mod chain;
mod check;
pub mod contract;
pub mod crypto;
mod dedup;
mod delete;
mod error;
pub mod format;
mod heal;
mod job;
mod map;
mod options;
mod packs;
mod partial;
#[cfg(feature = "planted-bugs")]
pub mod planted;
#[cfg(not(feature = "planted-bugs"))]
mod planted;
mod repository;
mod restore;
mod size;
mod source;
mod target;
mod version;
mod write;

pub use backend::LocalBackend;
pub use chain::Usage;
pub use check::{
    Affected, CheckReport, InvalidCursor, Problem, ScrubBudget, ScrubCursor, ScrubLevel, ScrubStep,
    ScrubbedObject, Verified,
};
pub use crypto::{MaintenanceKey, MasterKey};
pub use delete::{
    ChainReclaim, ReclaimAction, ReclaimPlan, ReclaimReason, ReclaimStep, Unexplained,
};
pub use error::{Error, Result};
pub use format::id::{ChainRef, DomainId, Scope};
pub use heal::{InvalidSpot, PastRepair, RepairPlan, Repaired, Spot};
pub use job::{Job, Progress};
pub use options::Options;
pub use partial::PartialFile;
pub use repository::{
    AuditReport, ChainAudit, Contents, KeyStatus, Noted, ReencryptPlan, Reencrypted, Repository,
    Session, TenantKeyStatus,
};
pub use restore::{DiskExtent, DiskReader, ExtentKind};
pub use source::{BlockSource, FileSource};
pub use target::{BlockTarget, FileTarget, NewFileTarget};
pub use version::{
    CheckDepth, Freed, Prediction, RestoreStats, VersionInfo, VersionRef, VersionSizes, WriteStats,
};
