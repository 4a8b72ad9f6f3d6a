//! What a server gives out, by name; it may change while the server runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio_util::sync::CancellationToken;

use crate::export::Export;

/// Exports by name. The empty name is the default of most clients. Clones are the same exports.
#[derive(Clone, Default)]
pub struct Exports {
    all: Arc<RwLock<BTreeMap<String, Offered>>>,
    is_secret: bool,
}

/// An export, and how its connections learn that it is gone.
#[derive(Clone)]
pub(super) struct Offered {
    pub(super) export: Arc<dyn Export>,
    pub(super) gone: CancellationToken,
}

impl Exports {
    /// Adds an export under a name of at most 4096 bytes; replaces the one of that name.
    #[must_use]
    pub fn with(self, name: impl Into<String>, export: Arc<dyn Export>) -> Self {
        self.insert(name, export);
        self
    }

    /// The same exports, but their names are told to nobody: who enters must know one.
    #[must_use]
    pub fn unlisted(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// Adds an export, as [`Self::with`].
    pub fn insert(&self, name: impl Into<String>, export: Arc<dyn Export>) {
        let offered = Offered { export, gone: CancellationToken::new() };
        if let Some(before) = self.write().insert(name.into(), offered) {
            before.gone.cancel();
        }
    }

    /// Takes an export away, and hangs up on its clients.
    pub fn remove(&self, name: &str) {
        if let Some(offered) = self.write().remove(name) {
            offered.gone.cancel();
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Offered> {
        self.read().get(name).cloned()
    }

    /// None: they are told to nobody.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        (!self.is_secret).then(|| self.read().keys().cloned().collect())
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Offered>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Offered>> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Exports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exports").field("count", &self.read().len()).finish_non_exhaustive()
    }
}
