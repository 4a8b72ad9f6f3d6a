//! At rest: the trash is what the records say; half of it is taken back, half is purged, and both are
//! exact.

use std::collections::BTreeSet;

use cbr_store::{Repository, Result};

use super::Rest;

impl Rest<'_> {
    pub(super) fn trash(&self, repository: &Repository, number: usize) -> Result<()> {
        let chain = self.plan.setting.chain(number);
        let found: BTreeSet<u64> =
            repository.trashed(&chain)?.iter().map(|info| info.version.seq).collect();
        let expected = self.lock().oracle.trashed(chain);
        let what = format!("in the trash is {found:?}, by the records {expected:?}");
        self.demand(found == expected, &what);
        // Damage may keep anything from being removed.
        let is_back = |seq: &u64| self.is_harmed || seq.is_multiple_of(2);
        let (back, gone): (Vec<u64>, Vec<u64>) = found.into_iter().partition(is_back);
        if !back.is_empty() {
            repository.undelete(&chain, &back, None, "at rest")?;
        }
        if gone.is_empty() {
            return Ok(());
        }
        let before = self.stored_bytes();
        let said = repository.preview_delete(&chain, &gone)?;
        let freed = repository.purge(&chain, &gone, None, "at rest")?.freed_bytes;
        let removed = before - self.stored_bytes();
        let is_exact =
            self.plan.compact_below_percent == 100 && !repository.versions(&chain)?.is_empty();
        if is_exact {
            let what = format!("purge: said {said}, reported {freed}, freed {removed}");
            self.demand(said == freed && freed == removed, &what);
        }
        Ok(())
    }
}
