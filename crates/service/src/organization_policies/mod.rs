//! Policies of whole accounts, and their copies in every project.

mod requests;
mod service;
mod sync;

pub use requests::{NewOrganizationPolicy, OrganizationPolicyChange};
pub use service::{OrganizationPolicies, PolicyCopy};
