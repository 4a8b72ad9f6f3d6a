//! Operation logs: what people see of tasks.

use cbr_model::TaskId;
use cbr_model::operation::OperationLog;
use cbr_model::query::{Listing, OperationFilter, Page};

use crate::{Access, Error, Result};

/// Use cases of operation logs.
#[derive(Debug)]
pub struct Operations {}

impl Operations {
    /// Lists operation logs, newest first (contract C51).
    pub async fn list(
        &self,
        access: &Access,
        filter: &OperationFilter,
        page: Page,
    ) -> Result<Listing<OperationLog>> {
        let _ = (access, filter, page);
        Err(later("listing operation logs"))
    }

    /// One operation log (contract C52).
    pub async fn show(&self, access: &Access, id: TaskId) -> Result<OperationLog> {
        let _ = (access, id);
        Err(later("reading an operation log"))
    }

    /// Asks a backup to stop (extension, BAK-24). Restores and deletions cannot be stopped (RST-23).
    pub async fn cancel(&self, access: &Access, id: TaskId) -> Result<OperationLog> {
        let _ = (access, id);
        Err(later("cancelling an operation"))
    }
}

fn later(doing: &'static str) -> Error {
    Error::internal(doing)("first phase")
}
