//! The logs of all chains of a domain, and what their lists say about shared slots.
//!
//! A chain that shares with no other is the only one of its domain: all the same holds, and its
//! lists say nothing about shared slots.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ledger::Ledger;
use crate::backend::Key;
use crate::chain::{ChainLog, History, Lineage, Verdict, read_list};
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, PackId, PackKind, Scope, SessionNonce, SlotRef};
use crate::format::place::{self, Place};
use crate::format::record::Commit;
use crate::packs::{Packs, Scratch};

/// The logs of a domain's chains, in the order of the chains' ids.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) histories: Vec<History>,
    authors: HashMap<SessionNonce, (usize, u64)>,
}

/// The end of the one reference to a slot that nobody borrows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainDeath {
    pub(crate) chain: usize,
    pub(crate) death: u64,
    pub(crate) kind: PackKind,
    pub(crate) slot: SlotRef,
}

/// What the lists say.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    pub(crate) ledger: Ledger,
    /// Packs of which it is not known what is borrowed: nothing of theirs may be removed.
    pub(crate) frozen: BTreeSet<PackId>,
    /// Chains that borrow or lend.
    pub(crate) involved: BTreeSet<usize>,
}

impl Books {
    pub(crate) fn of(histories: Vec<History>) -> Self {
        let mut authors = HashMap::new();
        for (chain, history) in histories.iter().enumerate() {
            for (seq, session) in &history.sessions {
                authors.insert(session.claim.nonce, (chain, *seq));
            }
        }
        Self { histories, authors }
    }

    /// Reads the logs of all chains of the domain that `log` belongs to, each with `read`.
    ///
    /// # Errors
    /// Any record that cannot be read: what follows from half of the logs is not known. A chain
    /// that a listing leaves out shows as a pack without a session ([`Books::author`]).
    pub(crate) fn read(
        log: &ChainLog,
        read: impl Fn(&ChainLog) -> Result<History>,
    ) -> Result<Self> {
        let read = |chain| read(&ChainLog { chain, ..log.clone() })?.sound();
        Ok(Self::of(chains(log)?.into_iter().map(read).collect::<Result<_>>()?))
    }

    /// What these books say and what came since, of new chains as well. Records that were seen are
    /// not asked for again: they never change.
    pub(crate) fn read_on(self, log: &ChainLog) -> Result<Self> {
        let known = self.histories.into_iter().map(|history| (history.chain, history));
        let mut known: BTreeMap<ChainRef, History> = known.collect();
        let mut all = chains(log)?;
        all.extend(known.keys().copied());
        let mut histories = Vec::with_capacity(all.len());
        for chain in all {
            let log = ChainLog { chain, ..log.clone() };
            let read = match known.remove(&chain) {
                Some(history) => log.read_on(history),
                None => log.read_all_names(),
            };
            histories.push(read?.sound()?);
        }
        Ok(Self::of(histories))
    }

    /// The same books with one chain's log gone on.
    pub(crate) fn change(
        mut self,
        chain: &ChainRef,
        change: impl FnOnce(History) -> Result<History>,
    ) -> Result<Self> {
        if let Some(own) = self.position(chain) {
            let history = change(self.histories.remove(own))?;
            self.histories.insert(own, history.sound()?);
        }
        Ok(Self::of(self.histories))
    }

    /// The place of a chain in these books.
    pub(crate) fn position(&self, chain: &ChainRef) -> Option<usize> {
        self.histories.iter().position(|history| history.chain == *chain)
    }

    /// What is live or pinned, of every chain.
    pub(crate) fn lineages(&self) -> Result<Vec<Lineage>> {
        self.histories.iter().map(|history| history.lineage(history.needed())).collect()
    }

    /// The chain and the version that wrote a pack.
    pub(crate) fn author(&self, pack: &PackId) -> Option<(usize, u64)> {
        self.authors.get(&pack.session()).copied()
    }

    pub(crate) fn verdict(&self, (chain, seq): (usize, u64)) -> Option<&Verdict> {
        self.histories[chain].sessions.get(&seq).map(|session| &session.verdict)
    }

    pub(crate) fn commit(&self, (chain, seq): (usize, u64)) -> Option<&Commit> {
        self.histories[chain].committed(seq).map(|committed| &committed.commit)
    }

    /// The versions of all lineages, with what they recorded.
    fn members<'a>(
        &'a self,
        lineages: &'a [Lineage],
    ) -> impl Iterator<Item = (usize, u64, &'a Commit)> + 'a {
        lineages.iter().enumerate().flat_map(move |(chain, lineage)| {
            let commit = move |seq| Some((chain, seq, self.commit((chain, seq))?));
            lineage.members().filter_map(commit)
        })
    }

    /// The packs from which any of these versions borrows.
    fn lenders(&self, lineages: &[Lineage]) -> BTreeSet<PackId> {
        self.members(lineages)
            .flat_map(|(_, _, commit)| commit.lenders())
            .map(|lender| lender.pack)
            .collect()
    }

    /// What is known of shared slots by who cannot read lists: from which packs nobody borrows.
    pub(crate) fn shares_unread(&self, lineages: &[Lineage]) -> Shares {
        Shares { frozen: self.lenders(lineages), ..Shares::default() }
    }

    /// Reads what is borrowed, and what ended of it. Of slots that nobody borrows `plain` gets the
    /// ends: of chains of which `wants` says so, and of every list that was read anyway.
    pub(crate) fn shares(
        &self,
        packs: &Packs,
        lineages: &[Lineage],
        wants: &dyn Fn(usize, u64, &Commit) -> bool,
        plain: &mut dyn FnMut(PlainDeath),
    ) -> Result<Shares> {
        let (mut shares, mut scratch) = (Shares::default(), Scratch::new()?);
        for (chain, seq, commit) in self.members(lineages) {
            let Some(borrowed) = &commit.borrowed else { continue };
            for lender in &borrowed.lenders {
                shares.involved.insert(chain);
                shares.involved.extend(self.author(&lender.pack).map(|(chain, _)| chain));
            }
            let place = (&self.histories[chain].chain, seq);
            for list in &borrowed.lists {
                let Some(list) = readable(read_list(packs, place, list, &mut scratch))? else {
                    shares.frozen.extend(borrowed.lenders.iter().map(|lender| lender.pack));
                    continue;
                };
                for (_, slot, times) in list.iter() {
                    self.lend(&mut shares.ledger, lineages, slot);
                    shares.ledger.begin(chain, slot, *times);
                }
            }
        }
        for (chain, seq, commit) in self.members(lineages) {
            if !shares.involved.contains(&chain) && !wants(chain, seq, commit) {
                continue;
            }
            let place = (&self.histories[chain].chain, seq);
            for list in &commit.deaths {
                // What it would have set free stays; nothing else has to stay for that (P5).
                let list = readable(read_list(packs, place, list, &mut scratch))?;
                for (kind, slot, times) in list.iter().flat_map(|list| list.iter().copied()) {
                    let is_shared =
                        kind == PackKind::Data && shares.ledger.end(chain, &slot, seq, times);
                    if !is_shared {
                        plain(PlainDeath { chain, death: seq, kind, slot });
                    }
                }
            }
        }
        Ok(shares)
    }

    /// A slot that is borrowed has the reference with which it was written, too.
    fn lend(&self, ledger: &mut Ledger, lineages: &[Lineage], slot: &SlotRef) {
        if ledger.knows(slot) {
            return;
        }
        if let Some((chain, birth)) = self.author(&slot.pack)
            && lineages[chain].has(birth)
        {
            ledger.begin(chain, &SlotRef { birth, ..*slot }, 1);
        }
    }
}

/// The chains of the domain that `log` belongs to. What a chain's log holds is passed over in one
/// step.
fn chains(log: &ChainLog) -> Result<BTreeSet<ChainRef>> {
    if log.chain.scope == Scope::Volume {
        return Ok(BTreeSet::from([log.chain]));
    }
    let prefix = place::chains(&log.chain.domain());
    let mut chains = BTreeSet::new();
    let mut after: Option<Key> = None;
    loop {
        let page = log.backend.list(&prefix, after.as_ref())?;
        for entry in &page.entries {
            if let Some(Place::Claim(chain, _) | Place::Outcome(chain, _)) =
                Place::parse(&entry.key)
            {
                chains.insert(chain);
            }
        }
        let Some(last) = page.entries.last().filter(|_| !page.is_last) else { return Ok(chains) };
        after = Some(match chains.last() {
            Some(chain) if last.key.as_str().starts_with(&place::chain(chain)) => {
                Key::new(format!("{}zz", place::chain(chain)))?
            }
            _ => last.key.clone(),
        });
    }
}

/// `None` for damage. A list that is gone is no damage to live with: whoever removed it may have
/// removed more.
fn readable<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(list) => Ok(Some(list)),
        Err(error @ Error::Missing { .. }) => Err(error),
        Err(error) if error.is_damage() => {
            tracing::error!(error = &error as &dyn std::error::Error, "an unreadable list");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
