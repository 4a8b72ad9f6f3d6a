//! Policies, the vaults they work for, and what their retention does.

mod preview;
mod refusal;
mod requests;
mod service;
mod standard;

pub(crate) use preview::end_of;
pub use preview::{
    Governed, PREVIEW_DAYS_MAX, PREVIEW_RESOURCES_MAX, PreviewRequest, Previewed, RetentionPreview,
};
pub use refusal::PolicyRefusal;
pub use requests::{NewPolicy, NewTrigger, PolicyChange, TriggerChange, WindowChange};
pub use service::Policies;
pub(crate) use service::{bind_in, existing};

pub use crate::rules::retention::plan::{KeepReason, Verdict};
