//! What a deletion sets free: predicted exactly, from logs and lists.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::shared::ledger::Ledger;
use super::shared::{Books, Shares};
use crate::chain::lifetime::Account;
use crate::chain::{History, Lineage};
use crate::error::{Error, Result};
use crate::format::id::ChainRef;
use crate::format::place;
use crate::packs::Packs;
use crate::version::Prediction;

/// Versions of chains of one domain.
pub(crate) type Chosen = BTreeMap<ChainRef, BTreeSet<u64>>;

/// Sealed bytes by the version with which they died and the one with which they were born.
type Died = BTreeMap<(u64, u64), u64>;

/// What the books of a domain say about its bytes, for any number of questions.
#[derive(Debug)]
pub(crate) struct Foresight<'a> {
    books: &'a Books,
    ledger: Ledger,
    /// Of every chain, without the slots that anybody borrows.
    accounts: Vec<BTreeMap<u64, Account>>,
}

impl<'a> Foresight<'a> {
    /// Reads the lists of chains that borrow or lend. `deleted` may be asked about as well: versions
    /// that were deleted already, as if they were not.
    ///
    /// # Errors
    /// [`Error::NoKey`] where lists had to be read with a key that does not open them.
    pub(crate) fn of(books: &'a Books, packs: &Packs, deleted: &Chosen) -> Result<Self> {
        let lineages = books.histories.iter().map(|history| {
            let seqs = chosen(deleted, history);
            history.lineage(before(history, seqs, &after(history, seqs))?)
        });
        let lineages = lineages.collect::<Result<Vec<_>>>()?;
        if !packs.opens_data() {
            let is_shared = !books.shares_unread(&lineages).frozen.is_empty();
            if is_shared && let Some(history) = books.histories.first() {
                return Err(Error::NoKey { object: place::domain(&history.chain.domain()) });
            }
        }
        let mut died = vec![Died::new(); books.histories.len()];
        let shares = books.shares(packs, &lineages, &|_, _, _| false, &mut |end| {
            *died[end.chain].entry((end.death, end.slot.birth)).or_default() +=
                u64::from(end.slot.stored_bytes);
        })?;
        let accounts = accounts(books, &shares, &died);
        Ok(Self { books, ledger: shares.ledger, accounts })
    }

    /// What happens when these versions are deleted, all of them together.
    ///
    /// Versions that are deleted already count as if they were not, so a repeated deletion reports
    /// the same figure. A version on which an open session builds frees nothing yet.
    pub(crate) fn prediction(&self, seqs: &Chosen) -> Result<Prediction> {
        let (mut befores, mut afters) = (Vec::new(), Vec::new());
        for history in &self.books.histories {
            let seqs = chosen(seqs, history);
            let left = after(history, seqs);
            befores.push(history.lineage(before(history, seqs, &left)?)?);
            afters.push(history.lineage(left)?);
        }
        let own = |lineages: &[Lineage]| self.own_bytes(lineages);
        let mut freed_bytes = own(&befores).saturating_sub(own(&afters));
        let (mut kept_bytes, mut kept_by) = (0, BTreeSet::<Uuid>::new());
        for (_, _, slot) in self.ledger.slots() {
            let needed: BTreeSet<usize> = slot.needed_by(&befores).collect();
            let left: BTreeSet<usize> = slot.needed_by(&afters).collect();
            if left.is_empty() && !needed.is_empty() {
                freed_bytes += slot.stored_bytes;
            } else if needed.difference(&left).next().is_some() {
                kept_bytes += slot.stored_bytes;
                kept_by.extend(left.iter().map(|chain| self.books.histories[*chain].chain.chain));
            }
        }
        Ok(Prediction { freed_bytes, kept_bytes, kept_by: kept_by.len() as u64 })
    }

    /// The bytes of what only one chain can need.
    fn own_bytes(&self, lineages: &[Lineage]) -> u64 {
        lineages
            .iter()
            .zip(&self.accounts)
            .map(|(lineage, accounts)| lineage.needed_bytes(accounts))
            .sum()
    }

    /// What the versions that are not gone need, without the lists themselves.
    pub(crate) fn booked_bytes(mut self) -> Result<u64> {
        for account in self.accounts.iter_mut().flat_map(BTreeMap::values_mut) {
            account.list_bytes = 0;
        }
        let kept = |history: &History| history.lineage(history.kept());
        let lineages = self.books.histories.iter().map(kept).collect::<Result<Vec<_>>>()?;
        let shared = self.ledger.slots().filter(|(_, _, slot)| slot.is_needed(&lineages));
        let shared: u64 = shared.map(|(_, _, slot)| slot.stored_bytes).sum();
        Ok(self.own_bytes(&lineages) + shared)
    }
}

/// The accounts of all chains without the slots that anybody borrows. Chains that neither borrow nor
/// lend have them in their logs.
fn accounts(books: &Books, shares: &Shares, died: &[Died]) -> Vec<BTreeMap<u64, Account>> {
    let mut all: Vec<_> = books.histories.iter().map(History::accounts).collect();
    for chain in &shares.involved {
        for account in all[*chain].values_mut() {
            account.died_bytes.clear();
        }
        for ((death, birth), bytes) in &died[*chain] {
            if let Some(account) = all[*chain].get_mut(death) {
                account.died_bytes.insert(*birth, *bytes);
            }
        }
    }
    for (pack, _, slot) in shares.ledger.slots() {
        if let Some((chain, birth)) = books.author(&pack)
            && let Some(account) = all[chain].get_mut(&birth)
        {
            account.born_bytes = account.born_bytes.saturating_sub(slot.stored_bytes);
        }
    }
    all
}

fn chosen<'a>(seqs: &'a Chosen, history: &History) -> &'a BTreeSet<u64> {
    static NONE: BTreeSet<u64> = BTreeSet::new();
    seqs.get(&history.chain).unwrap_or(&NONE)
}

/// The same of a chain that shares with no other, from its log alone.
#[cfg(test)]
pub(crate) fn freed_bytes(history: &History, seqs: &BTreeSet<u64>) -> Result<u64> {
    let after = after(history, seqs);
    let before = before(history, seqs, &after)?;
    let accounts = history.accounts();
    let needed =
        |live: BTreeSet<u64>| history.lineage(live).map(|lineage| lineage.needed_bytes(&accounts));
    Ok(needed(before)?.saturating_sub(needed(after)?))
}

/// What is needed when `seqs` are deleted.
fn after(history: &History, seqs: &BTreeSet<u64>) -> BTreeSet<u64> {
    let kept_by_sessions: BTreeSet<u64> =
        history.open().filter_map(|(_, claim)| claim.parent).collect();
    let mut after = history.needed();
    after.retain(|seq| !seqs.contains(seq) || kept_by_sessions.contains(seq));
    after
}

/// What was needed before, if `after` is what is left.
fn before(history: &History, seqs: &BTreeSet<u64>, after: &BTreeSet<u64>) -> Result<BTreeSet<u64>> {
    let mut before = after.clone();
    before.extend(seqs.iter().copied().filter(|seq| history.committed(*seq).is_some()));
    // A deleted version beside the lineage has long been without anything of its own.
    if let Some(head) = before.last().copied() {
        let lineage = history.lineage(BTreeSet::from([head]))?;
        before.retain(|seq| lineage.has(*seq) || after.contains(seq));
    }
    Ok(before)
}
