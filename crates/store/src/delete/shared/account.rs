//! What a deletion sets free where blocks are shared: predicted exactly, from logs and lists.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::books::{Books, Shares};
use crate::chain::lifetime::Account;
use crate::chain::{ChainLog, Lineage};
use crate::delete::account::{after, before};
use crate::error::Result;
use crate::packs::Packs;
use crate::version::Prediction;

/// What happens when `seqs` of the chain of `log` are deleted.
pub(crate) fn prediction(
    log: &ChainLog,
    packs: &Packs,
    seqs: &BTreeSet<u64>,
) -> Result<Prediction> {
    let books = Books::read(log, ChainLog::read)?;
    let Some(own) = books.histories.iter().position(|history| history.chain == log.chain) else {
        return Ok(Prediction::default());
    };
    let history = &books.histories[own];
    let live_after = after(history, seqs);
    let mut lineages_before = books.lineages()?;
    let mut lineages_after = lineages_before.clone();
    lineages_before[own] = history.lineage(before(history, seqs, &live_after)?)?;
    lineages_after[own] = history.lineage(live_after)?;

    let mut died: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let wants = |chain, _, _: &_| chain == own;
    let shares = books.shares(packs, &lineages_before, &wants, &mut |end| {
        if end.chain == own {
            *died.entry((end.death, end.slot.birth)).or_default() +=
                u64::from(end.slot.stored_bytes);
        }
    })?;
    let accounts = plain_accounts(&books, own, &shares, &died);
    let plain = |lineage: &Lineage| lineage.needed_bytes(&accounts);
    let mut freed = plain(&lineages_before[own]).saturating_sub(plain(&lineages_after[own]));
    let (mut kept_bytes, mut kept_by) = (0, BTreeSet::<Uuid>::new());
    for (_, _, slot) in shares.ledger.slots() {
        if !slot.is_needed(&lineages_before) {
            continue;
        }
        let others: BTreeSet<usize> = slot.needed_by(&lineages_after).collect();
        if others.is_empty() {
            freed += slot.stored_bytes;
        } else if slot.needed_by(&lineages_before).any(|chain| chain == own)
            && !others.contains(&own)
        {
            kept_bytes += slot.stored_bytes;
            kept_by.extend(others.iter().map(|chain| books.histories[*chain].chain.chain));
        }
    }
    Ok(Prediction { freed_bytes: freed, kept_bytes, kept_by: kept_by.len() as u64 })
}

/// The accounts of a chain without the slots that anybody borrows.
fn plain_accounts(
    books: &Books,
    own: usize,
    shares: &Shares,
    died: &BTreeMap<(u64, u64), u64>,
) -> BTreeMap<u64, Account> {
    let mut accounts = books.histories[own].accounts();
    for account in accounts.values_mut() {
        account.died_bytes.clear();
    }
    for ((death, birth), bytes) in died {
        if let Some(account) = accounts.get_mut(death) {
            account.died_bytes.insert(*birth, *bytes);
        }
    }
    for (pack, _, slot) in shares.ledger.slots() {
        if let Some((chain, birth)) = books.author(&pack)
            && chain == own
            && let Some(account) = accounts.get_mut(&birth)
        {
            account.born_bytes = account.born_bytes.saturating_sub(slot.stored_bytes);
        }
    }
    accounts
}
