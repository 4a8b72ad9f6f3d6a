//! What versions cost and what deletions would free. Everything comes from the log (P8, P17).

use super::Repository;
use crate::chain::Usage;
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, Scope};
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

    /// What each live version of a chain costs, oldest first.
    pub fn sizes(&self, chain: &ChainRef) -> Result<Vec<VersionSizes>> {
        self.usage(chain)?.versions().map(|sizes| self.exact(sizes)).collect()
    }

    /// The same sizes, also where other disks share blocks with this one: they may keep what the
    /// chain itself no longer needs, and only the stored lists tell.
    pub fn exact(&self, sizes: &VersionSizes) -> Result<VersionSizes> {
        let VersionRef { chain, seq } = sizes.version;
        if chain.scope == Scope::Volume {
            return Ok(*sizes);
        }
        let needed = sizes.unique_bytes + sizes.shared_bytes;
        let unique_bytes = self.predict_delete(&chain, &[seq])?.freed_bytes;
        let shared_bytes = needed.saturating_sub(unique_bytes);
        Ok(VersionSizes { unique_bytes, shared_bytes, ..*sizes })
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
