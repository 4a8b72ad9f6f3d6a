//! A session: one attempt to add a version to a chain.
//!
//! ```text
//! begin ──▶ write ──▶ commit ──▶ version
//!   │         │          └─ fails if somebody aborted the session meanwhile
//!   └─────────┴──▶ abort (or dropped: the claim stays until `abort_unfinished`)
//! ```
//! The claim is durable before anything is decided, and what the session builds on is looked at
//! again after that: a deletion either sees the claim or is seen.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use cbr_env::RandomExt;

use super::Repository;
use crate::chain::{ChainLog, History};
use crate::dedup::{Borrower, Domains};
use crate::delete::shared::Books;
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, Scope, SessionNonce};
use crate::format::place;
use crate::format::record::{
    CARD_BYTES_MAX, Claim, Commit, Outcome, PackSummary, Root, TEXT_BYTES_MAX,
};
use crate::heal::{Healer, Patches, Source, Spot, Wanted, bad_ranges, lost_nodes};
use crate::job::Job;
use crate::map::MapReader;
use crate::map::geometry::BLOCK_BYTES;
use crate::options::Options;
use crate::packs::{Packs, Scratch};
use crate::planted::{self, Bug};
use crate::source::BlockSource;
use crate::version::{VersionInfo, VersionRef, WriteStats};
use crate::write::packer::Author;
use crate::write::pipeline::{Pipeline, Written};
use crate::write::plan::Plan;

/// How often a session begins again because its parent was deleted under it.
const BEGIN_MAX: usize = 8;

/// An unfinished version.
#[derive(Debug)]
pub struct Session {
    log: ChainLog,
    packs: Arc<Packs>,
    options: Options,
    dedup: Arc<Domains>,
    version: VersionRef,
    claim: Claim,
    parent: Option<Parent>,
    /// No version was live when it began: what the tenant sees is a first backup.
    is_first: bool,
    /// The log as it was when the session began.
    history: History,
    distrusted: Vec<Spot>,
    written: Option<Finished>,
}

#[derive(Debug)]
struct Parent {
    seq: u64,
    hash: [u8; 32],
    commit: Commit,
}

#[derive(Debug)]
struct Finished {
    written: Written,
    disk_bytes: u64,
    stats: WriteStats,
}

impl Repository {
    /// Claims the next version of a chain for `owner` (a task's id).
    ///
    /// # Errors
    /// [`Error::ChainBusy`] if a session is unfinished, also if it is the same owner's: end it
    /// with [`Repository::abort_unfinished`] first.
    pub fn begin(&self, chain: &ChainRef, owner: &str) -> Result<Session> {
        self.check_writable()?;
        if owner.len() > TEXT_BYTES_MAX {
            return Err(Error::Invalid { what: "the owner's name is too long".to_owned() });
        }
        let log = self.log_or_new(chain)?;
        for _ in 0..BEGIN_MAX {
            let history = log.read()?.sound()?;
            if let Some((_, claim)) = history.open().next() {
                return Err(Error::ChainBusy { owner: claim.owner.clone() });
            }
            log.fold(&history);
            let seq = history.next_seq();
            let claim = Claim {
                nonce: SessionNonce(self.random.bytes()),
                parent: history.head(),
                owner: owner.to_owned(),
                node: String::new(),
                retired: match chain.scope {
                    Scope::Volume => None,
                    Scope::Tenant => Some(log.retire_log().head()?),
                },
            };
            if !log.put_claim(seq, &claim)? {
                continue;
            }
            // From here on the claim pins its parent, unless a deletion was faster.
            let history = log.read_on(history)?.sound()?;
            let is_blind = planted::has(Bug::ParentSeenBeforeClaim);
            if is_blind || claim.parent.is_none_or(|parent| history.is_kept(parent)) {
                return Ok(self.session(log, seq, claim, history));
            }
            log.put_abort(seq, &claim, "the parent was deleted")?;
        }
        Err(Error::ChainBusy { owner: "others who begin and delete all the time".to_owned() })
    }

    fn session(&self, log: ChainLog, seq: u64, claim: Claim, history: History) -> Session {
        let parent = claim.parent.and_then(|seq| {
            let committed = history.committed(seq)?;
            Some(Parent { seq, hash: committed.hash, commit: committed.commit.clone() })
        });
        let packs = self.packs(&log);
        let version = VersionRef { chain: log.chain, seq };
        let (options, dedup) = (self.options.clone(), Arc::clone(&self.dedup));
        let is_first = history.live().is_empty();
        Session {
            log,
            packs,
            options,
            dedup,
            version,
            claim,
            parent,
            is_first,
            history,
            distrusted: Vec::new(),
            written: None,
        }
    }
}

impl Session {
    /// The version this session will have made.
    pub const fn version(&self) -> &VersionRef {
        &self.version
    }

    /// The version that unchanged blocks are shared with; none in a first backup.
    pub const fn parent(&self) -> Option<u64> {
        self.claim.parent
    }

    /// Whether no version was live when it began: then its logical size is that of a first backup,
    /// though it may build on a version in the trash (BAK-31).
    pub const fn is_first(&self) -> bool {
        self.is_first
    }

    /// Says before [`Session::write`] what is known to be damaged in the chain.
    ///
    /// The new version does not build on it. Blocks that lie there are read whatever the change
    /// map says, and where one still is what was lost, the versions that have lost it become whole
    /// again.
    pub fn distrust(&mut self, spots: &[Spot]) {
        self.distrusted.extend_from_slice(spots);
    }

    /// Stores the whole of `source`, once per session.
    ///
    /// `changed`, if given, names every byte range that may differ from the parent; the rest is
    /// taken over unread. Without a parent it is ignored and everything is read.
    ///
    /// # Errors
    /// [`Error::Source`], [`Error::Cancelled`], [`Error::SelfCheck`], [`Error::Backend`]. After
    /// an error the session can only be aborted.
    pub fn write(
        &mut self,
        source: &dyn BlockSource,
        changed: Option<&[Range<u64>]>,
        job: &Job,
    ) -> Result<WriteStats> {
        if self.written.is_some() {
            return Err(Error::Invalid { what: "the session has been written".to_owned() });
        }
        let disk_bytes = source.size_bytes();
        let extents = source.extents().map_err(|source| Error::Source { offset: 0, source })?;
        let parent = self.parent.as_ref().map(|parent| {
            MapReader::new(Arc::clone(&self.packs), parent.commit.root, parent.commit.disk_bytes)
        });
        let hasher = self.log.keys.block_hasher(&self.version.chain.domain())?;
        let wanted = Wanted::of(&self.packs, &self.distrusted, &mut Scratch::new()?)?;
        let plan = self.plan(&extents, disk_bytes, (parent.as_ref(), changed), &wanted)?;
        let random = self.log.random.as_ref();
        let lost = if wanted.has_nodes() {
            lost_nodes(&self.history, &self.packs, &mut Scratch::new()?)?
        } else {
            Vec::new()
        };
        let healer = (!wanted.is_empty()).then(|| {
            let by = format!("session {}", hex::encode(self.claim.nonce.0));
            let patches = Patches::new(&self.packs, &hasher, random, by);
            Healer::new(wanted, Source::of(&lost), patches)
        });
        let borrower = self.borrower()?;
        let pipeline = Pipeline {
            packs: &self.packs,
            hasher: &hasher,
            random,
            options: &self.options,
            author: Author { nonce: self.claim.nonce, seq: self.version.seq },
            parent: parent.as_ref(),
            healer: healer.as_ref(),
            borrower: borrower.as_ref(),
        };
        let written = pipeline.run(source, &plan, job)?;
        let finish = |healer: &Healer<'_>| healer.finish(&self.history, &self.packs);
        let healed = healer.as_ref().map(finish).transpose()?.unwrap_or_default();
        let mut stats = self.stats(&written, &plan);
        stats.healed_bytes = healed.blocks * BLOCK_BYTES;
        self.written = Some(Finished { written, disk_bytes, stats });
        Ok(stats)
    }

    /// What is read: all, or what the change map and known damage say.
    fn plan(
        &self,
        extents: &[Range<u64>],
        disk_bytes: u64,
        (parent, changed): (Option<&MapReader>, Option<&[Range<u64>]>),
        wanted: &Wanted,
    ) -> Result<Plan> {
        let whole = || Plan::whole(disk_bytes, extents);
        let (Some(parent), Some(changed)) = (parent, changed) else { return Ok(whole()) };
        let mut changed = changed.to_vec();
        let scratch = &mut Scratch::new()?;
        if wanted.has_nodes() {
            return Ok(whole());
        }
        if !wanted.is_empty() {
            let Some(maps) = self.maps_of_domain()? else { return Ok(whole()) };
            for (root, disk_bytes) in maps {
                let map = MapReader::new(Arc::clone(&self.packs), root, disk_bytes);
                let Some(bad) = bad_ranges(&map, wanted, scratch)? else { return Ok(whole()) };
                changed.extend(bad);
            }
        }
        let plan = Plan::changed(disk_bytes, extents, parent.disk_bytes(), &changed);
        // A leaf that cannot be read says nothing about the blocks the change map leaves out.
        for leaves in plan.leaves() {
            if !parent.is_readable(leaves, scratch)? {
                return Ok(whole());
            }
        }
        Ok(plan)
    }

    /// The maps in which lost blocks are looked for: whoever has the same block at the same place
    /// can give it back, so all chains that share blocks count. `None` if not all are known; what is
    /// wrong with another disk must not keep this one from being backed up (P5, P7).
    fn maps_of_domain(&self) -> Result<Option<Vec<(Root, u64)>>> {
        if self.version.chain.scope == Scope::Volume {
            return Ok(Some(maps(&self.history).collect()));
        }
        match Books::read(&self.log, ChainLog::read) {
            Ok(books) => Ok(Some(books.histories.iter().flat_map(maps).collect())),
            Err(error) if error.is_transient() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// What finds blocks of the tenant's other chains. The retire log is read here, after the claim
    /// is durable; if it cannot be understood nothing is borrowed, and the backup goes on.
    fn borrower(&self) -> Result<Option<Borrower>> {
        if self.version.chain.scope == Scope::Volume {
            return Ok(None);
        }
        match self.dedup.borrower(&self.log, &self.packs, self.version.seq) {
            Ok(borrower) => Ok(Some(borrower)),
            Err(error @ Error::Backend(_)) => Err(error),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(chain = %self.version.chain, error, "nothing is shared this time");
                Ok(None)
            }
        }
    }

    fn stats(&self, written: &Written, plan: &Plan) -> WriteStats {
        let disk_bytes = plan.disk_bytes();
        let before = self.parent.as_ref().map_or(0, |parent| parent.commit.used_bytes);
        let gained = written.map.used_blocks_gained * BLOCK_BYTES;
        // Of an unreadable parent nobody knows what was lost; but then all was read anew.
        let used = if plan.is_whole() {
            gained
        } else {
            (before.next_multiple_of(BLOCK_BYTES) + gained)
                .saturating_sub(written.map.used_blocks_lost * BLOCK_BYTES)
        };
        WriteStats {
            read_bytes: written.read_bytes,
            changed_bytes: (written.changed_blocks * BLOCK_BYTES).min(disk_bytes),
            used_bytes: used.min(disk_bytes),
            stored_bytes: written.stored_bytes,
            healed_bytes: 0,
            borrowed_bytes: (written.borrowed_blocks * BLOCK_BYTES).min(disk_bytes),
        }
    }

    /// Makes the version valid, with the caller's `card`.
    ///
    /// # Errors
    /// [`Error::SessionLost`] if somebody aborted the session meanwhile. After any other error
    /// ask [`Repository::find_by_owner`] whether the version is there.
    pub fn commit(self, card: &[u8]) -> Result<VersionInfo> {
        let finished = self.written.as_ref().ok_or_else(|| Error::Invalid {
            what: "a session is committed before it is written".to_owned(),
        })?;
        if card.len() > CARD_BYTES_MAX {
            return Err(Error::Invalid { what: "the card is too large".to_owned() });
        }
        if !planted::has(Bug::UploadUnchecked) {
            self.verify_objects(&finished.written)?;
        }
        let commit = self.commit_record(finished, card);
        let seq = self.version.seq;
        let is_ours = self.log.put_outcome(seq, &Outcome::Commit(Box::new(commit.clone())))?;
        if !is_ours && !planted::has(Bug::VerdictIgnored) {
            return Err(lost("it has another outcome"));
        }
        // The claim might have been aborted, cleaned away and given to somebody else.
        match self.log.claim(seq)? {
            Some(claim) if claim.nonce == self.claim.nonce => {}
            _ => return Err(lost("its claim is gone")),
        }
        Ok(crate::chain::history::info(self.version.chain, seq, &self.claim, &commit))
    }

    /// Every object the version needs from this session is there, whole.
    fn verify_objects(&self, written: &Written) -> Result<()> {
        for uploaded in &written.uploaded {
            let key = place::pack(&self.packs.pack(uploaded.kind, uploaded.id), 0);
            match self.packs.backend().size(&key)? {
                Some(size) if size == uploaded.object_bytes => {}
                Some(_) => return Err(Error::damaged(&key, "its size is not what was written")),
                None => return Err(lost("a pack it wrote is gone")),
            }
        }
        Ok(())
    }

    fn commit_record(&self, finished: &Finished, card: &[u8]) -> Commit {
        let Finished { written, disk_bytes, stats } = finished;
        let died: &BTreeMap<u64, u64> = &written.map.died_bytes;
        let summary = |pack: &crate::write::packer::Uploaded| PackSummary {
            kind: pack.kind,
            id: pack.id,
            object_bytes: pack.object_bytes,
        };
        Commit {
            nonce: self.claim.nonce,
            parent: self.parent.as_ref().map(|parent| (parent.seq, parent.hash)),
            root: written.map.root,
            disk_bytes: *disk_bytes,
            // The tenant does not see what is in the trash, though the version builds on it (BAK-31).
            logical_bytes: if self.is_first { stats.used_bytes } else { stats.changed_bytes },
            used_bytes: stats.used_bytes,
            added_bytes: written.stored_bytes,
            packs: written.uploaded.iter().map(summary).collect(),
            deaths: written.map.lists.clone(),
            death_totals: died.iter().map(|(birth, bytes)| (*birth, *bytes)).collect(),
            borrowed: written.map.borrowed.clone(),
            card: card.to_vec(),
        }
    }

    /// Ends the session without a version and removes what it wrote.
    pub fn abort(self) -> Result<()> {
        let seq = self.version.seq;
        if !self.log.put_abort(seq, &self.claim, "aborted by its owner")? {
            // A verdict is final. An abort given by somebody else is as good as ours.
            let is_committed = self.log.read_version(seq)?.is_some();
            return if is_committed { Err(lost("it was committed")) } else { Ok(()) };
        }
        crate::delete::remove_session(&self.packs, &self.log, self.claim.nonce)
    }
}

fn lost(what: &str) -> Error {
    Error::SessionLost { what: what.to_owned() }
}

/// The maps of the versions that are not gone, and the sizes of their disks.
fn maps(history: &History) -> impl Iterator<Item = (Root, u64)> {
    let commits = history.kept().into_iter().filter_map(|seq| history.committed(seq));
    commits.map(|one| (one.commit.root, one.commit.disk_bytes))
}
