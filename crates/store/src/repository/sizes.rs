//! What versions cost and what deletions would free. Everything comes from the log (P8, P17).

use std::collections::{BTreeMap, BTreeSet};

use super::Repository;
use crate::chain::{ChainLog, Usage};
use crate::delete::account::{Chosen, Foresight};
use crate::delete::shared::Books;
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, DomainId, Scope};
use crate::version::{VersionRef, VersionSizes};

impl Repository {
    /// What the versions of a chain cost, for any number of questions; nothing of an unknown chain.
    /// What other disks share with it is not looked at: see [`Repository::exact`].
    ///
    /// # Errors
    /// [`Error::Damaged`] if any record of the chain cannot be read: the numbers would be wrong.
    pub fn usage(&self, chain: &ChainRef) -> Result<Usage> {
        match self.log(chain)? {
            Some(log) => Usage::of(&log.read()?.sound()?),
            None => Ok(Usage::none()),
        }
    }

    /// What each live version of a chain costs, oldest first. Also what other disks keep that the
    /// chain itself no longer needs: only the stored lists tell, and they are read once.
    pub fn sizes(&self, chain: &ChainRef) -> Result<Vec<VersionSizes>> {
        let usage = self.usage(chain)?;
        let sizes: Vec<VersionSizes> = usage.versions().copied().collect();
        self.exact(sizes)
    }

    /// The same sizes of live versions of any chains, also where other disks share blocks with them.
    pub fn exact(&self, mut sizes: Vec<VersionSizes>) -> Result<Vec<VersionSizes>> {
        let mut domains: BTreeMap<DomainId, Vec<&mut VersionSizes>> = BTreeMap::new();
        for sizes in &mut sizes {
            let chain = sizes.version.chain;
            if chain.scope == Scope::Tenant {
                domains.entry(chain.domain()).or_default().push(sizes);
            }
        }
        for all in domains.into_values() {
            let Some(first) = all.first() else { continue };
            let Some(log) = self.log(&first.version.chain)? else { continue };
            let books = Books::read(&log, ChainLog::read)?;
            let foresight = Foresight::of(&books, &self.packs_for_books(&log), &Chosen::new())?;
            for sizes in all {
                let VersionRef { chain, seq } = sizes.version;
                let alone = Chosen::from([(chain, BTreeSet::from([seq]))]);
                let needed = sizes.unique_bytes + sizes.shared_bytes;
                sizes.unique_bytes = foresight.prediction(&alone)?.freed_bytes;
                sizes.shared_bytes = needed.saturating_sub(sizes.unique_bytes);
            }
        }
        Ok(sizes)
    }

    /// The stored bytes that deleting these live versions together would free.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] if one of them is not live.
    pub fn what_if(&self, chain: &ChainRef, seqs: &[u64]) -> Result<u64> {
        let usage = self.usage(chain)?;
        match seqs.iter().find(|seq| usage.version(**seq).is_none()) {
            Some(seq) => Err(Error::NoSuchVersion { chain: chain.to_string(), seq: *seq }),
            None if chain.scope == Scope::Tenant => {
                Ok(self.predict_delete(chain, seqs)?.freed_bytes)
            }
            None => Ok(usage.freed_bytes(&seqs.iter().copied().collect())),
        }
    }
}
