//! Checking all chains, one after the other.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::affected::MapCheck;
use super::found::Found;
use super::packs::{Listed, PackCheck};
use super::report::CheckReport;
use crate::backend::Key;
use crate::chain::{ChainLog, History, Verdict};
use crate::error::Result;
use crate::format::deaths::Deaths;
use crate::format::id::{ChainRef, DomainId, PackKind, PackRef, SessionNonce};
use crate::format::place::{self, Place};
use crate::format::record::{Domain, Record};
use crate::job::{Job, Meter};
use crate::map::MapReader;
use crate::packs::{Packs, Scratch};
use crate::repository::Repository;
use crate::version::{CheckDepth, VersionRef};

impl Repository {
    /// Looks at everything, changes nothing.
    ///
    /// # Errors
    /// Only if the check itself cannot go on; what is wrong with the repository is in the report.
    pub fn check(&self, depth: CheckDepth, job: &Job) -> Result<CheckReport> {
        let mut report = CheckReport::default();
        let survey = self.survey(&mut report)?;
        let meter = Meter::new(job, survey.total_bytes);
        meter.add(0, 0);
        let read_bytes = AtomicU64::new(0);
        for (domain, objects) in survey.domains {
            let found = Found::default();
            // Of a domain with scope volume the volume is the one chain.
            let chain =
                ChainRef { tenant: domain.tenant, epoch: domain.epoch, chain: domain.volume };
            match self.log(&chain) {
                Ok(Some(log)) => {
                    let check = ChainCheck {
                        repository: self,
                        log: &log,
                        depth,
                        found: &found,
                        meter: &meter,
                        read_bytes: &read_bytes,
                    };
                    check.run(objects, &mut report)?;
                }
                Ok(None) => found.record(place::tenant(chain.tenant), "the tenant's key is gone"),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => found.record(place::tenant(chain.tenant), error),
            }
            report.problems.extend(found.into_problems());
        }
        report.read_bytes = read_bytes.into_inner();
        Ok(report)
    }

    /// Every object by its name.
    fn survey(&self, report: &mut CheckReport) -> Result<Survey> {
        let mut survey = Survey::default();
        let mut after: Option<Key> = None;
        loop {
            let page = self.backend.list("", after.as_ref())?;
            for entry in &page.entries {
                report.objects += 1;
                match Place::parse(&entry.key) {
                    Some(Place::Pack(pack, generation)) => {
                        survey.total_bytes += entry.size_bytes;
                        let objects = survey.domains.entry(pack.domain).or_default();
                        objects.push((pack, generation, entry.size_bytes));
                    }
                    Some(Place::Claim(chain, _) | Place::Outcome(chain, _)) => {
                        survey.domains.entry(chain.domain()).or_default();
                    }
                    Some(_) => {}
                    None => report.unknown_objects += 1,
                }
            }
            after = page.entries.into_iter().next_back().map(|entry| entry.key);
            if page.is_last || after.is_none() {
                return Ok(survey);
            }
        }
    }
}

#[derive(Default)]
struct Survey {
    domains: BTreeMap<DomainId, Vec<(PackRef, u32, u64)>>,
    total_bytes: u64,
}

struct ChainCheck<'a> {
    repository: &'a Repository,
    log: &'a ChainLog,
    depth: CheckDepth,
    found: &'a Found,
    meter: &'a Meter<'a>,
    read_bytes: &'a AtomicU64,
}

impl ChainCheck<'_> {
    fn run(&self, objects: Vec<(PackRef, u32, u64)>, report: &mut CheckReport) -> Result<()> {
        self.domain_record()?;
        let history = self.log.read()?;
        for error in &history.unreadable {
            self.found.record(place::chain(&self.log.chain), error);
        }
        self.links(&history);
        let packs = self.repository.packs(self.log);
        let listed = self.listed(&history, objects, report);
        let largest = listed.iter().map(|one| one.object_bytes).max().unwrap_or(1).max(1);
        let fit = crate::size::to_usize(self.repository.options.memory_bytes / largest).max(1);
        let hasher = self.log.keys.block_hasher(&self.log.chain.domain());
        PackCheck {
            packs: &packs,
            hasher: &hasher,
            depth: self.depth,
            found: self.found,
            meter: self.meter,
            read_bytes: self.read_bytes,
        }
        .run(&listed, self.repository.options.threads.min(fit))?;
        report.versions += history.live().len() as u64;
        self.maps(&history, &packs)
    }

    fn domain_record(&self) -> Result<()> {
        let key = place::domain_record(&self.log.chain.domain());
        match self.log.backend.get(&key)? {
            None => self.found.record(&key, "it is missing"),
            Some(object) => {
                if let Err(error) = Domain::open(&object, &key, self.log.keys.as_ref()) {
                    self.found.record(&key, error);
                }
            }
        }
        Ok(())
    }

    /// Every version names its parent's record by hash, so none can vanish or be exchanged.
    fn links(&self, history: &History) {
        let chain = &self.log.chain;
        for (seq, session) in &history.sessions {
            let Some(committed) = history.committed(*seq) else { continue };
            let link = committed.commit.parent;
            if link.map(|(parent, _)| parent) != session.claim.parent {
                self.found.record(place::outcome(chain, *seq), "claim and commit disagree");
            }
            let Some((parent, hash)) = link else { continue };
            match history.committed(parent) {
                None => self.found.record(
                    place::outcome(chain, parent),
                    format!("version {parent} is gone, on which version {seq} was built"),
                ),
                Some(found) if found.hash != hash => self.found.record(
                    place::outcome(chain, parent),
                    format!("version {parent} is not the one on which version {seq} was built"),
                ),
                Some(_) => {}
            }
        }
    }

    /// The packs to check; those nobody needs are only counted.
    fn listed(
        &self,
        history: &History,
        objects: Vec<(PackRef, u32, u64)>,
        report: &mut CheckReport,
    ) -> Vec<Listed> {
        let sessions = history.sessions.values();
        let is_needed: BTreeMap<SessionNonce, bool> = sessions
            .map(|session| (session.claim.nonce, !matches!(session.verdict, Verdict::Aborted)))
            .collect();
        let mut sizes = BTreeMap::new();
        for committed in history.sessions.keys().filter_map(|seq| history.committed(*seq)) {
            for pack in &committed.commit.packs {
                sizes.insert((pack.kind, pack.id), pack.object_bytes);
            }
        }
        let mut listed = Vec::with_capacity(objects.len());
        for (pack, generation, object_bytes) in objects {
            let is_needed = is_needed.get(&pack.id.session()).copied();
            if is_needed.is_none() {
                // A claim is put before the first pack and is never removed.
                let what = "it belongs to no session: records of the chain are missing";
                self.found.record(place::pack(&pack, generation), what);
            }
            if is_needed == Some(true) {
                let expected_bytes =
                    sizes.get(&(pack.kind, pack.id)).copied().filter(|_| generation == 0);
                listed.push(Listed { pack, generation, object_bytes, expected_bytes });
            } else {
                report.leftover_bytes += object_bytes;
                self.meter.add(object_bytes, 0);
            }
        }
        listed
    }

    fn maps(&self, history: &History, packs: &Arc<Packs>) -> Result<()> {
        let (scratch, seen) = (Scratch::new()?, HashSet::new());
        let mut maps = MapCheck { packs, found: self.found, scratch, seen };
        let live: Vec<(u64, MapReader)> = history
            .live()
            .into_iter()
            .filter_map(|seq| Some((seq, &history.committed(seq)?.commit)))
            .map(|(seq, commit)| {
                (seq, MapReader::new(Arc::clone(packs), commit.root, commit.disk_bytes))
            })
            .collect();
        for (_, map) in &live {
            self.meter.check_cancelled()?;
            maps.follow(map)?;
        }
        self.death_lists(history, packs, &mut maps.scratch)?;
        if self.found.has_spots() {
            for (seq, map) in &live {
                self.meter.check_cancelled()?;
                maps.hurt(map, VersionRef { chain: self.log.chain, seq: *seq })?;
            }
        }
        Ok(())
    }

    /// Deletions need these; restores do not.
    fn death_lists(&self, history: &History, packs: &Packs, scratch: &mut Scratch) -> Result<()> {
        let lineage = match history.lineage(history.live_or_pinned()) {
            Ok(lineage) => lineage,
            Err(error) => {
                self.found.record(place::chain(&self.log.chain), error);
                return Ok(());
            }
        };
        for seq in lineage.members() {
            let Some(committed) = history.committed(seq) else { continue };
            for list in &committed.commit.deaths {
                let read = packs.read_slot(PackKind::Meta, list, scratch);
                let what = match read {
                    Err(error) if error.is_transient() => return Err(error),
                    Err(error) => error.to_string(),
                    Ok(()) => match Deaths::decode(&scratch.plain) {
                        Ok(_) => continue,
                        Err(error) => error.to_string(),
                    },
                };
                let object = place::pack(&packs.pack(PackKind::Meta, list.pack), 0);
                self.found.record(object, format!("a death list of version {seq}: {what}"));
            }
        }
        Ok(())
    }
}
