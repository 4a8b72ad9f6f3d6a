//! What versions cost and what deletions would free. Everything comes from the log (P8, P17).

use super::Repository;
use crate::chain::Usage;
use crate::error::{Error, Result};
use crate::format::id::ChainRef;
use crate::version::VersionSizes;

impl Repository {
    /// What the versions of a chain cost, for any number of questions; nothing of an unknown chain.
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
        Ok(self.usage(chain)?.versions().copied().collect())
    }

    /// The stored bytes that deleting these live versions together would free.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] if one of them is not live.
    pub fn what_if(&self, chain: &ChainRef, seqs: &[u64]) -> Result<u64> {
        let usage = self.usage(chain)?;
        match seqs.iter().find(|seq| usage.version(**seq).is_none()) {
            Some(seq) => Err(Error::NoSuchVersion { chain: chain.to_string(), seq: *seq }),
            None => Ok(usage.freed_bytes(&seqs.iter().copied().collect())),
        }
    }
}
