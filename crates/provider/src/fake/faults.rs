//! Faults on demand.

use std::collections::HashMap;

use crate::error::{ProviderError, Result};

/// What can be made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// Listing and showing.
    Inventory,
    /// Opening a snapshot, before anything happened.
    Open,
    /// Opening a snapshot, after it was taken: the answer is lost.
    OpenAnswer,
    /// Opening a reader.
    Reader,
    /// Confirming a snapshot.
    Confirm,
    /// Closing a snapshot, before anything happened.
    Close,
    /// Preparing a restore.
    Prepare,
    /// Opening a writer.
    Writer,
    /// Finishing a restore, before anything happened.
    Finish,
    /// Finishing a restore, after the disk was handed back: the answer is lost.
    FinishAnswer,
    /// Abandoning a restore.
    Abandon,
    /// Switching a server, before anything happened.
    Power,
    /// Switching a server, after it was done: the answer is lost.
    PowerAnswer,
    /// Creating a volume, before anything happened.
    Create,
    /// Creating a volume, after it was made: the answer is lost.
    CreateAnswer,
    /// Deleting a volume.
    Delete,
    /// Making a server, before anything happened.
    CreateServer,
    /// Changing or deleting a server that was made.
    ChangeServer,
}

/// How it fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Asking again may help.
    Unavailable,
    /// Asking again will not help.
    Refused,
}

/// The faults still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    planned: HashMap<Operation, (usize, Fault)>,
}

impl Faults {
    pub(crate) fn plan(&mut self, operation: Operation, times: usize, fault: Fault) {
        self.planned.insert(operation, (times, fault));
    }

    /// Fails if a fault is planned, and uses it up.
    pub(crate) fn strike(&mut self, operation: Operation) -> Result<()> {
        let Some((times @ 1.., fault)) = self.planned.get_mut(&operation) else { return Ok(()) };
        *times -= 1;
        let what = format!("{operation:?}");
        Err(match fault {
            Fault::Unavailable => ProviderError::unavailable(what, "as the test wanted"),
            Fault::Refused => ProviderError::refused(what, "as the test wanted"),
        })
    }
}
