//! What a deletion sets free, from the log alone. Pure.

use std::collections::BTreeSet;

use crate::chain::History;
use crate::error::Result;

/// The stored bytes that stop being needed when `seqs` are deleted.
///
/// Versions that are deleted already count as if they were not, so a repeated deletion reports
/// the same figure. A version on which an open session builds frees nothing yet.
pub(crate) fn freed_bytes(history: &History, seqs: &BTreeSet<u64>) -> Result<u64> {
    let after = after(history, seqs);
    let before = before(history, seqs, &after)?;
    let accounts = history.accounts();
    let needed =
        |live: BTreeSet<u64>| history.lineage(live).map(|lineage| lineage.needed_bytes(&accounts));
    Ok(needed(before)?.saturating_sub(needed(after)?))
}

/// What is needed when `seqs` are deleted.
pub(super) fn after(history: &History, seqs: &BTreeSet<u64>) -> BTreeSet<u64> {
    let kept_by_sessions: BTreeSet<u64> =
        history.open().filter_map(|(_, claim)| claim.parent).collect();
    let mut after = history.needed();
    after.retain(|seq| !seqs.contains(seq) || kept_by_sessions.contains(seq));
    after
}

/// What was needed before, if `after` is what is left.
pub(super) fn before(
    history: &History,
    seqs: &BTreeSet<u64>,
    after: &BTreeSet<u64>,
) -> Result<BTreeSet<u64>> {
    let mut before = after.clone();
    before.extend(seqs.iter().copied().filter(|seq| history.committed(*seq).is_some()));
    // A deleted version beside the lineage has long been without anything of its own.
    if let Some(head) = before.last().copied() {
        let lineage = history.lineage(BTreeSet::from([head]))?;
        before.retain(|seq| lineage.has(*seq) || after.contains(seq));
    }
    Ok(before)
}
