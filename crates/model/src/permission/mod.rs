//! Who may do what: policies, and what several of them together allow (IAM-03 to IAM-12).
//!
//! A policy is a document of statements; each allows or denies actions. Nothing is
//! allowed that no statement allows, and a denial wins over everything (IAM-11).

mod decide;
mod document;
mod pattern;
mod system;

pub use decide::{Decision, decide};
pub use document::{DOCUMENT_BYTES_MAX, Document, Effect, InvalidDocument, Statement};
pub use pattern::{InvalidPattern, Pattern};
pub use system::{SYSTEM_ROLES, SystemRole, system_role};
