//! Pools that cannot be read, and what must not be concluded from that (RGN-07).
//!
//! One pool is in the way of no other: what lies in the others is listed and used as ever. But what is not found
//! may lie in the one that cannot be read, and what is found elsewhere under the same id may be a copy of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use cbr_model::ResourceId;
use serde::{Deserialize, Serialize};

use super::catalogue::Catalogue;
use super::service::Shared;
use crate::error::{ProviderError, Result};

/// Of the volumes that claim the same id, the pool of the one that has it.
pub(crate) type Twins = BTreeMap<ResourceId, String>;

/// Which pool has the volume whose id a copy of it claims too. Kept over restarts: while that pool cannot be
/// read, the copy must not be taken for the volume.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Keeper {
    pub(crate) pool: String,
}

/// The pools that could not be read, by name, and why.
#[derive(Default, Debug)]
pub(crate) struct UnreachablePools(BTreeMap<String, String>);

impl UnreachablePools {
    pub(crate) fn add(&mut self, pool: &str, error: &ProviderError) {
        self.0.insert(pool.to_owned(), described(error));
    }

    pub(crate) fn contains(&self, pool: &str) -> bool {
        self.0.contains_key(pool)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why what was not found may be there all the same; none: every pool was read. Names only: tenants
    /// read it, and what the machine said names paths (ADR 6).
    pub(crate) fn why(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        Some(format!("it may lie in pool {}, which cannot be read", names.join(" or ")))
    }
}

/// The error with its cause, for people.
pub(crate) fn described(error: &ProviderError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Shared {
    /// What lies there and is configured, as far as it can be read.
    pub(super) fn read(&self) -> Result<Catalogue> {
        let mut known = Twins::new();
        for name in self.state.twins.names()? {
            let Ok(id) = name.parse() else { continue };
            if let Some(keeper) = self.state.twins.get(&name)? {
                known.insert(id, keeper.pool);
            }
        }
        let catalogue = Catalogue::read(&self.config, &known);
        self.tell(&catalogue.unreachable);
        self.remember_twins(&known, &catalogue)?;
        Ok(catalogue)
    }

    /// Before anybody is told what there is. Only what all pools together say replaces what is known.
    fn remember_twins(&self, known: &Twins, catalogue: &Catalogue) -> Result<()> {
        for (id, pool) in &catalogue.twins {
            if known.get(id).is_none_or(|keeper| keeper != pool) {
                let keeper = Keeper { pool: pool.clone() };
                self.state.twins.put(&id.to_string(), &keeper)?;
            }
        }
        if catalogue.unreachable.is_empty() {
            for id in known.keys().filter(|id| !catalogue.twins.contains_key(id)) {
                self.state.twins.remove(&id.to_string())?;
            }
        }
        Ok(())
    }

    /// Says once, not with every list, that a pool cannot be read, and that it can be read again.
    fn tell(&self, unreachable: &UnreachablePools) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now: BTreeSet<String> = unreachable.0.keys().cloned().collect();
        for (pool, why) in &unreachable.0 {
            if !told.contains(pool) {
                tracing::error!(
                    pool.name = pool,
                    error = why,
                    "a pool cannot be read; what lies in it is out of reach, and not gone"
                );
            }
        }
        for pool in told.difference(&now) {
            tracing::info!(pool.name = pool, "the pool can be read again");
        }
        *told = now;
    }
}
