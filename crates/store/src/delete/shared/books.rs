//! The logs of all chains of a domain, and what their lists say about shared slots.

use std::collections::{BTreeSet, HashMap};

use super::ledger::Ledger;
use crate::backend::BackendExt;
use crate::chain::{ChainLog, History, Lineage, Verdict, read_list};
use crate::error::{Error, Result};
use crate::format::id::{PackId, PackKind, SessionNonce, SlotRef};
use crate::format::place::{self, Place};
use crate::format::record::Commit;
use crate::packs::{Packs, Scratch};
use crate::planted::{self, Bug};

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
}

impl Books {
    /// Reads the logs of all chains of the domain that `log` belongs to, each with `read`.
    ///
    /// # Errors
    /// Any record that cannot be read: what follows from half of the logs is not known. A chain
    /// that a listing leaves out shows as a pack without a session ([`Books::author`]).
    pub(crate) fn read(
        log: &ChainLog,
        read: impl Fn(&ChainLog) -> Result<History>,
    ) -> Result<Self> {
        let domain = log.chain.domain();
        let mut chains = BTreeSet::new();
        for entry in log.backend.list_all(&place::chains(&domain))? {
            if let Some(Place::Claim(chain, _) | Place::Outcome(chain, _)) =
                Place::parse(&entry.key)
            {
                chains.insert(chain);
            }
        }
        let read = |chain| read(&ChainLog { chain, ..log.clone() })?.sound();
        let histories = chains.into_iter().map(read).collect::<Result<Vec<History>>>()?;
        let mut authors = HashMap::new();
        for (chain, history) in histories.iter().enumerate() {
            for (seq, session) in &history.sessions {
                authors.insert(session.claim.nonce, (chain, *seq));
            }
        }
        Ok(Self { histories, authors })
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

    /// The last retire record that every unfinished session knows of.
    pub(crate) fn known_to_all(&self) -> u64 {
        if planted::has(Bug::OpenBorrowerIgnored) {
            return u64::MAX;
        }
        let open = self.histories.iter().flat_map(History::open);
        open.map(|(_, claim)| claim.retired.unwrap_or(0)).min().unwrap_or(u64::MAX)
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
        let mut involved = BTreeSet::new();
        for (chain, seq, commit) in self.members(lineages) {
            let Some(borrowed) = &commit.borrowed else { continue };
            for lender in &borrowed.lenders {
                involved.insert(chain);
                involved.extend(self.author(&lender.pack).map(|(chain, _)| chain));
            }
            let place = (&self.histories[chain].chain, seq);
            for list in &borrowed.lists {
                let Some(list) = readable(read_list(packs, place, list, &mut scratch))? else {
                    shares.frozen.extend(borrowed.lenders.iter().map(|lender| lender.pack));
                    continue;
                };
                for (_, slot, times) in list {
                    self.lend(&mut shares.ledger, lineages, &slot);
                    shares.ledger.begin(chain, &slot, times);
                }
            }
        }
        for (chain, seq, commit) in self.members(lineages) {
            if !involved.contains(&chain) && !wants(chain, seq, commit) {
                continue;
            }
            let place = (&self.histories[chain].chain, seq);
            for list in &commit.deaths {
                // What it would have set free stays; nothing else has to stay for that (P5).
                let list = readable(read_list(packs, place, list, &mut scratch))?;
                for (kind, slot, times) in list.unwrap_or_default() {
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
