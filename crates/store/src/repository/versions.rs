//! Listing chains and versions. Everything comes from the objects (P8).

use std::collections::BTreeSet;

use super::Repository;
use crate::backend::Key;
use crate::chain::{ChainLog, Verdict};
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, Scope};
use crate::format::place::{self, Place};
use crate::version::VersionInfo;

/// What a repository holds.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Contents {
    /// What can be restored.
    pub live: Vec<VersionInfo>,
    /// What was deleted and can be taken back.
    pub trashed: Vec<VersionInfo>,
}

impl Repository {
    /// The live versions of a chain, oldest first; none if the chain is unknown.
    ///
    /// # Errors
    /// [`Error::Damaged`] if any record of the chain cannot be read: the list would be wrong.
    pub fn versions(&self, chain: &ChainRef) -> Result<Vec<VersionInfo>> {
        let Some(log) = self.log(chain)? else { return Ok(Vec::new()) };
        let history = log.read()?.sound()?;
        let live = history.live().into_iter();
        live.filter_map(|seq| log.info(&history, seq).transpose()).collect()
    }

    /// The latest live version that `owner` made: a task that was interrupted finds here what it
    /// had already finished.
    pub fn find_by_owner(&self, chain: &ChainRef, owner: &str) -> Result<Option<VersionInfo>> {
        let Some(log) = self.log(chain)? else { return Ok(None) };
        let history = log.read()?.sound()?;
        let is_theirs = |seq: &u64| {
            history.sessions.get(seq).is_some_and(|session| session.claim.owner == owner)
        };
        match history.live().into_iter().rev().find(is_theirs) {
            Some(seq) => log.info(&history, seq),
            None => Ok(None),
        }
    }

    /// The chain as it has a log already, whatever its scope; one that has none gets the scope of
    /// new chains (`Options::new_chains`). So a chain stays where it began.
    pub fn resolve(&self, chain: &ChainRef) -> Result<ChainRef> {
        for scope in [Scope::Volume, Scope::Tenant] {
            let chain = ChainRef { scope, ..*chain };
            if self.backend.size(&place::claim(&chain, 1))?.is_some() {
                return Ok(chain);
            }
        }
        Ok(ChainRef { scope: self.options.new_chains, ..*chain })
    }

    /// Every chain that has a log.
    pub fn chains(&self) -> Result<Vec<ChainRef>> {
        let mut chains = BTreeSet::new();
        let mut after: Option<Key> = None;
        loop {
            let page = self.backend.list("t/", after.as_ref())?;
            let mut skip = None;
            for entry in &page.entries {
                match Place::parse(&entry.key) {
                    Some(
                        Place::Claim(chain, _)
                        | Place::Outcome(chain, _)
                        | Place::Delete(chain, _)
                        | Place::Fold(chain, _),
                    ) => drop(chains.insert(chain)),
                    // Logs come before packs in a domain; what follows is skipped in one step.
                    Some(Place::Pack(pack, _) | Place::Patch(pack, _)) => {
                        skip = Some(Key::new(format!("{}zz", place::domain(&pack.domain)))?);
                        break;
                    }
                    _ => {}
                }
            }
            match (skip, page.entries.last()) {
                (Some(skip), _) => after = Some(skip),
                (None, _) if page.is_last => return Ok(chains.into_iter().collect()),
                (None, Some(last)) => after = Some(last.key.clone()),
                (None, None) => {
                    return Err(Error::Implausible {
                        what: "the backend lists an empty page that is not the last".to_owned(),
                    });
                }
            }
        }
    }

    /// All live versions of all chains, as [`Repository::contents`] says.
    pub fn catalogue(&self) -> Result<Vec<VersionInfo>> {
        self.contents().map(|contents| contents.live)
    }

    /// All versions of all chains, from the objects alone. What cannot be read is logged and left
    /// out; [`Repository::check`] names it.
    pub fn contents(&self) -> Result<Contents> {
        let mut contents = Contents::default();
        for chain in self.chains()? {
            let log = match self.log(&chain) {
                Ok(Some(log)) => log,
                // Destroyed on purpose: there is nothing to list.
                Ok(None) | Err(Error::Shredded { .. }) => continue,
                Err(error) => return Err(error),
            };
            let history = log.read()?;
            let unreadable = |error: &Error| {
                let error = error as &dyn std::error::Error;
                tracing::error!(%chain, error, "unreadable record");
            };
            history.unreadable.iter().for_each(unreadable);
            for seq in history.kept() {
                let is_live = history.is_live(seq);
                let into = if is_live { &mut contents.live } else { &mut contents.trashed };
                match log.info(&history, seq) {
                    Ok(info) => into.extend(info),
                    Err(error) if error.is_damage() => unreadable(&error),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(contents)
    }

    /// Who has unfinished sessions on the chain. A caller that knows one of them to be dead
    /// ends its sessions with [`Repository::abort_unfinished`].
    pub fn unfinished(&self, chain: &ChainRef) -> Result<Vec<String>> {
        let Some(log) = self.log(chain)? else { return Ok(Vec::new()) };
        let history = log.read()?.sound()?;
        Ok(history.open().map(|(_, claim)| claim.owner.clone()).collect())
    }

    /// Ends every unfinished session of `owner` on the chain and removes what it wrote.
    ///
    /// A session that had committed before is left alone: see [`Repository::find_by_owner`].
    pub fn abort_unfinished(&self, chain: &ChainRef, owner: &str) -> Result<()> {
        self.check_writable()?;
        let Some(log) = self.log(chain)? else { return Ok(()) };
        let history = log.read()?.sound()?;
        let mine = history.open().filter(|(_, claim)| claim.owner == owner);
        for (seq, claim) in mine {
            log.put_abort(seq, claim, "taken over by the same owner")?;
        }
        let was_aborted = history.sessions.values().any(|session| {
            session.claim.owner == owner && !matches!(session.verdict, Verdict::Committed(_))
        });
        match chain.scope {
            _ if !was_aborted => Ok(()),
            Scope::Volume => self.reclaim(chain).map(drop),
            Scope::Tenant => self.remove_aborted(&log, owner),
        }
    }

    /// Where blocks are shared no sweep is made for this: what is wrong with another disk of the
    /// domain must not keep this one from being backed up (P5, P7).
    fn remove_aborted(&self, log: &ChainLog, owner: &str) -> Result<()> {
        let history = log.read()?.sound()?;
        let mine = history.sessions.values().filter(|session| session.claim.owner == owner);
        for session in mine.filter(|session| matches!(session.verdict, Verdict::Aborted)) {
            crate::delete::remove_session(&self.packs(log), log, session.claim.nonce)?;
        }
        Ok(())
    }
}
