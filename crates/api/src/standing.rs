//! Whether a caller may still do what it was let in for. An answer that goes on for long asks again.

use std::fmt;

use axum::http::HeaderMap;
use cbr_model::ProjectId;

use crate::error::ApiError;
use crate::guard::{Guard, Shown};

/// A caller's credential, and what it was let in for.
#[derive(Clone)]
pub(crate) struct Standing {
    guard: Guard,
    credential: HeaderMap,
    project: ProjectId,
    request: cbr_service::Request,
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credential is a secret.
        f.debug_struct("Standing").field("project", &self.project).finish_non_exhaustive()
    }
}

impl Standing {
    pub(crate) fn new(
        guard: &Guard,
        headers: &HeaderMap,
        project: ProjectId,
        request: cbr_service::Request,
    ) -> Self {
        let mut credential = HeaderMap::new();
        for name in ["x-auth-token", "authorization", "x-sdk-date", "x-security-token"] {
            if let Some(value) = headers.get(name) {
                credential.insert(name, value.clone());
            }
        }
        Self { guard: guard.clone(), credential, project, request }
    }

    /// Refuses when the token or key is not good any more, or the caller may not do it any more.
    pub(crate) async fn holds(&self) -> Result<(), ApiError> {
        let caller = match self.guard.credential(&self.credential).await? {
            Shown::Token(caller) => caller,
            // The signature was right when the caller was let in; its date is of then, and may be old by now.
            Shown::Signature(_, key) => key.caller,
        };
        let identity = &self.guard.api.services.identity;
        let action = self.guard.operation.action;
        identity.access(caller, self.project, action, self.request.clone()).await?;
        Ok(())
    }
}
