//! Which meta contexts an export has, and which of them a client chose.

use crate::export::Export;
use crate::wire::numbers::{BASE_ALLOCATION, DIRTY_BITMAP};
use crate::wire::option::query_matches;

/// A set of an export's contexts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Contexts {
    pub(super) allocation: bool,
    pub(super) changes: bool,
}

impl Contexts {
    pub(super) fn any(self) -> bool {
        self.allocation || self.changes
    }

    /// Those of the export's contexts that the queries mean. Listing without queries means all.
    pub(super) fn chosen(export: &dyn Export, queries: &[&str], listing: bool) -> Self {
        let meant = |context: &str| {
            (listing && queries.is_empty())
                || queries.iter().any(|query| query_matches(query, context, listing))
        };
        Self {
            allocation: meant(BASE_ALLOCATION),
            changes: changes_name(export).is_some_and(|name| meant(&name)),
        }
    }

    /// Their names.
    pub(super) fn names(self, export: &dyn Export) -> Vec<String> {
        let allocation = self.allocation.then(|| BASE_ALLOCATION.to_owned());
        let changes = if self.changes { changes_name(export) } else { None };
        allocation.into_iter().chain(changes).collect()
    }
}

/// The name of the context of the export's changes.
pub(super) fn changes_name(export: &dyn Export) -> Option<String> {
    export.changes().map(|changes| format!("{DIRTY_BITMAP}{}", changes.name()))
}
