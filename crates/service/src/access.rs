//! Proof that a caller may act in a project.

use cbr_model::ProjectId;
use cbr_model::identity::Caller;

/// A caller in a project it may use, for one request.
///
/// Only [`crate::Identity::access`] makes one, so a use case that takes it cannot
/// be reached without the check.
#[derive(Clone, Debug)]
pub struct Access {
    caller: Caller,
    project: ProjectId,
    request_id: String,
}

impl Access {
    pub(crate) const fn new(caller: Caller, project: ProjectId, request_id: String) -> Self {
        Self { caller, project, request_id }
    }

    /// Who calls.
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The project the request acts in.
    pub const fn project(&self) -> ProjectId {
        self.project
    }

    /// Id of the request, as operation logs show it.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }
}
