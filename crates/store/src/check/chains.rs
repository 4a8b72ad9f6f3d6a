//! Checking all domains, one after the other; a domain with all its chains.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::affected::{Elsewhere, MapCheck};
use super::found::Found;
use super::packs::{Listed, PackCheck};
use super::patches::PatchCheck;
use super::references::audit;
use super::report::{CheckReport, Problem};
use crate::backend::{BackendExt, Entry, Key};
use crate::chain::history::Session;
use crate::chain::{ChainLog, History, Verdict, read_list};
use crate::crypto::TenantKeys;
use crate::error::{Error, Result};
use crate::format::envelope::ObjectKind;
use crate::format::id::{ChainRef, DomainId, PackKind, PackRef, Scope, SessionNonce};
use crate::format::place::{self, Place};
use crate::format::record::{Domain, Record};
use crate::job::{Job, Meter};
use crate::map::MapReader;
use crate::packs::{Packs, Scratch};
use crate::planted::{self, Bug};
use crate::repository::Repository;
use crate::version::{CheckDepth, VersionRef};

/// How often a chain that changes meanwhile is looked at before what is wrong is believed.
const LOOKS_MAX: usize = 12;

impl Repository {
    /// Looks at everything, changes nothing.
    ///
    /// # Errors
    /// Only if the check itself cannot go on; what is wrong with the repository is in the report.
    pub fn check(&self, depth: CheckDepth, job: &Job) -> Result<CheckReport> {
        self.check_holds_master()?;
        let mut report = CheckReport::default();
        let survey = self.survey(&mut report)?;
        let meter = Meter::new(job, survey.total_bytes);
        meter.add(0, 0);
        let read_bytes = AtomicU64::new(0);
        for (domain, Surveyed { chains, objects, patches }) in survey.domains {
            let mut found = Found::default();
            // Nobody can read them; they wait for `Repository::remove_shredded`.
            let shredded = || Seen {
                leftover_bytes: objects.iter().map(|(_, _, bytes)| bytes).sum(),
                ..Seen::default()
            };
            match self.logs(&domain, &chains) {
                Ok(Some(logs)) => {
                    let counted = (&meter, &read_bytes);
                    let known = (&domain, &Found::default());
                    let seen = self.check_domain(&logs, objects.clone(), depth, known, counted);
                    let seen = seen.and_then(|seen| {
                        self.check_patches(&domain, &patches, depth, (&seen.found, counted))?;
                        Ok(seen)
                    });
                    let seen = match seen {
                        // While it was looked at.
                        Err(Error::Shredded { .. }) => shredded(),
                        seen => seen?,
                    };
                    report.versions += seen.versions;
                    report.leftover_bytes += seen.leftover_bytes;
                    found = seen.found;
                }
                Ok(None) => found.record(place::tenant(domain.tenant), "the tenant's key is gone"),
                Err(Error::Shredded { .. }) => report.leftover_bytes += shredded().leftover_bytes,
                Err(error) if error.is_no_verdict() => return Err(error),
                Err(error) => found.record(place::tenant(domain.tenant), error),
            }
            report.healed += found.healed_count();
            report.problems.extend(found.into_problems(domain));
        }
        report.read_bytes = read_bytes.into_inner();
        Ok(report)
    }

    fn check_patches(
        &self,
        domain: &DomainId,
        patches: &[(PackRef, u32, u64)],
        depth: CheckDepth,
        (found, counted): (&Found, (&Meter<'_>, &AtomicU64)),
    ) -> Result<()> {
        let Some(keys) = self.tenant(domain.tenant)? else { return Ok(()) };
        let hasher = keys.block_hasher(domain)?;
        let packs = Packs::new(Arc::clone(&self.backend), keys, *domain);
        PatchCheck { packs: &packs, hasher: &hasher, depth, found }.run(patches, counted)
    }

    /// What is wrong in one domain, and whom it and what was `known` before hurts.
    pub(super) fn settle(
        &self,
        domain: &DomainId,
        known: &Found,
        job: &Job,
    ) -> Result<Vec<Problem>> {
        let mut found = Found::default();
        let (mut chains, mut objects) = (BTreeSet::new(), Vec::new());
        for entry in self.backend.list_all(&place::domain(domain))? {
            match Place::parse(&entry.key) {
                Some(Place::Pack(pack, generation)) => {
                    objects.push((pack, generation, entry.size_bytes));
                }
                Some(Place::Claim(chain, _) | Place::Outcome(chain, _) | Place::Fold(chain, _)) => {
                    chains.insert(chain);
                }
                _ => {}
            }
        }
        match self.logs(domain, &chains) {
            Ok(Some(logs)) => {
                let counted = (&Meter::new(job, 0), &AtomicU64::new(0));
                let depth = CheckDepth::Structure;
                match self.check_domain(&logs, objects, depth, (domain, known), counted) {
                    // While it was looked at.
                    Err(Error::Shredded { .. }) => {}
                    seen => found = seen?.found,
                }
            }
            Ok(None) => found.record(place::tenant(domain.tenant), "the tenant's key is gone"),
            // Nobody can read them; they wait for `Repository::remove_shredded`.
            Err(Error::Shredded { .. }) => {}
            Err(error) if error.is_no_verdict() => return Err(error),
            Err(error) => found.record(place::tenant(domain.tenant), error),
        }
        Ok(found.into_problems(*domain))
    }

    /// The logs of a domain's chains; of scope volume that is the one chain, whatever is listed.
    fn logs(
        &self,
        domain: &DomainId,
        listed: &BTreeSet<ChainRef>,
    ) -> Result<Option<Vec<ChainLog>>> {
        let mut chains = listed.clone();
        if domain.scope == Scope::Volume {
            chains.insert(domain.chain(domain.sharer));
        }
        chains.iter().map(|chain| self.log(chain)).collect()
    }

    /// `logs`, and those of chains that began meanwhile. Objects were listed before `chains` was:
    /// so what wrote them is known.
    fn with_listed(&self, logs: &[ChainLog], chains: &[Entry]) -> Result<Vec<ChainLog>> {
        let mut all: BTreeSet<ChainRef> = logs.iter().map(|log| log.chain).collect();
        let chains = if planted::has(Bug::NewChainUnknown) { &[] } else { chains };
        all.extend(chains.iter().filter_map(|entry| match Place::parse(&entry.key) {
            Some(Place::Claim(chain, _) | Place::Outcome(chain, _)) => Some(chain),
            _ => None,
        }));
        all.iter().filter_map(|chain| self.log(chain).transpose()).collect()
    }

    /// Looks at one domain; again if something was wrong while it changed, because then what
    /// was missed may have been deleted under our eyes, or sealed with a key that is newer than ours.
    ///
    /// `known` was found before; whom it hurts is found here.
    pub(super) fn check_domain(
        &self,
        logs: &[ChainLog],
        mut objects: Vec<(PackRef, u32, u64)>,
        depth: CheckDepth,
        (domain, known): (&DomainId, &Found),
        (meter, read_bytes): (&Meter<'_>, &AtomicU64),
    ) -> Result<Seen> {
        let mut looks = 1;
        loop {
            let Some(keys) = self.tenant(domain.tenant)? else { return Ok(Seen::default()) };
            let before = self.backend.list_all(&place::chains(domain))?;
            let logs = &self.with_listed(logs, &before)?;
            let mut seen = Seen::default();
            let found = &seen.found;
            let (repository, keys) = (self, &keys);
            let check = DomainCheck {
                repository,
                domain,
                keys,
                logs,
                depth,
                known,
                found,
                meter,
                read_bytes,
            };
            (seen.versions, seen.leftover_bytes) = check.run(objects)?;
            if seen.found.is_empty()
                || looks >= LOOKS_MAX
                || !keys.is_stale() && self.backend.list_all(&place::chains(domain))? == before
            {
                return Ok(seen);
            }
            looks += 1;
            let listed = self.backend.list_all(&place::domain(domain))?;
            let pack = |entry: &Entry| match Place::parse(&entry.key) {
                Some(Place::Pack(pack, generation)) => Some((pack, generation, entry.size_bytes)),
                _ => None,
            };
            objects = listed.iter().filter_map(pack).collect();
        }
    }

    fn check_key(&self, key: &Key, kind: ObjectKind, report: &mut CheckReport) -> Result<()> {
        match self.verify_key_object(key, kind) {
            Ok(()) => Ok(()),
            Err(error) if error.is_no_verdict() => Err(error),
            Err(error) => {
                report.problems.push(Problem::of_key(key, &error));
                Ok(())
            }
        }
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
                        let domain = survey.domains.entry(pack.domain).or_default();
                        domain.objects.push((pack, generation, entry.size_bytes));
                    }
                    Some(Place::Patch(pack, number)) => {
                        survey.total_bytes += entry.size_bytes;
                        let domain = survey.domains.entry(pack.domain).or_default();
                        domain.patches.push((pack, number, entry.size_bytes));
                    }
                    Some(
                        Place::Claim(chain, _) | Place::Outcome(chain, _) | Place::Fold(chain, _),
                    ) => {
                        let domain = survey.domains.entry(chain.domain()).or_default();
                        domain.chains.insert(chain);
                    }
                    Some(Place::Note(tenant, subject, n)) => {
                        report.problems.extend(self.check_note((tenant, subject, n))?);
                    }
                    Some(place) => {
                        if let Some(kind) = key_kind(place) {
                            self.check_key(&entry.key, kind, report)?;
                        }
                    }
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

/// The kind of an object that belongs to no domain.
pub(super) const fn key_kind(place: Place) -> Option<ObjectKind> {
    match place {
        Place::Descriptor | Place::DescriptorOf(_) => Some(ObjectKind::Descriptor),
        Place::TenantKey(..) | Place::TenantKeyBy(..) => Some(ObjectKind::TenantKey),
        Place::MaintenanceRing(..) => Some(ObjectKind::MaintenanceRing),
        Place::Shredded(..) => Some(ObjectKind::Shredded),
        _ => None,
    }
}

#[derive(Default)]
struct Survey {
    domains: BTreeMap<DomainId, Surveyed>,
    total_bytes: u64,
}

#[derive(Default)]
struct Surveyed {
    chains: BTreeSet<ChainRef>,
    objects: Vec<(PackRef, u32, u64)>,
    patches: Vec<(PackRef, u32, u64)>,
}

/// What was seen of one domain.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) found: Found,
    versions: u64,
    /// Bytes of packs that no session needs.
    leftover_bytes: u64,
}

struct DomainCheck<'a> {
    repository: &'a Repository,
    domain: &'a DomainId,
    keys: &'a Arc<TenantKeys>,
    logs: &'a [ChainLog],
    depth: CheckDepth,
    known: &'a Found,
    found: &'a Found,
    meter: &'a Meter<'a>,
    read_bytes: &'a AtomicU64,
}

impl DomainCheck<'_> {
    /// Looks at everything; the numbers of versions and of bytes nobody needs.
    fn run(&self, objects: Vec<(PackRef, u32, u64)>) -> Result<(u64, u64)> {
        self.domain_record()?;
        let histories =
            self.logs.iter().map(ChainLog::read_all_records).collect::<Result<Vec<_>>>()?;
        for (log, history) in self.logs.iter().zip(&histories) {
            for error in &history.unreadable {
                self.found.record(place::chain(&history.chain), error);
            }
            self.links(history);
            for (fold, what) in log.wrong_folds(history)? {
                self.found.record(fold, what);
            }
        }
        let (backend, keys) = (Arc::clone(&self.repository.backend), Arc::clone(self.keys));
        let packs = Arc::new(Packs::new(backend, keys, *self.domain));
        let (listed, leftover_bytes) = self.listed(&histories, objects);
        let largest = listed.iter().map(|one| one.object_bytes).max().unwrap_or(1).max(1);
        let fit = crate::size::to_usize(self.repository.options.memory_bytes / largest).max(1);
        let hasher = self.keys.block_hasher(self.domain)?;
        PackCheck {
            packs: &packs,
            hasher: &hasher,
            depth: self.depth,
            found: self.found,
            meter: self.meter,
            read_bytes: self.read_bytes,
        }
        .run(&listed, self.repository.options.threads.min(fit))?;
        let sessions = histories.iter().flat_map(|history| history.sessions.values());
        let is_kept = |session: &&Session| !matches!(session.verdict, Verdict::Aborted);
        let kept: BTreeSet<_> = sessions.filter(is_kept).map(|one| one.claim.nonce).collect();
        self.found.adopt(self.known, &|pack| kept.contains(&pack.session()));
        self.maps(&histories, &packs)?;
        if let (Scope::Tenant, Some(log)) = (self.domain.scope, self.logs.first()) {
            audit(log, &packs, self.found)?;
        }
        Ok((histories.iter().map(|history| history.kept().len() as u64).sum(), leftover_bytes))
    }

    fn domain_record(&self) -> Result<()> {
        let key = place::domain_record(self.domain);
        match self.repository.backend.get(&key) {
            Err(error) if error.is_damage() => self.found.record(&key, error),
            Err(error) => return Err(error.into()),
            Ok(None) => self.found.record(&key, "it is missing"),
            Ok(Some(object)) => {
                if let Err(error) = Domain::open(&object, &key, self.keys.as_ref()) {
                    self.found.record(&key, error);
                }
            }
        }
        Ok(())
    }

    /// Every version names its parent's record by hash, so none can vanish or be exchanged.
    fn links(&self, history: &History) {
        let chain = &history.chain;
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

    /// The packs to check, and the bytes of those nobody needs.
    fn listed(
        &self,
        histories: &[History],
        objects: Vec<(PackRef, u32, u64)>,
    ) -> (Vec<Listed>, u64) {
        let sessions = histories.iter().flat_map(|history| history.sessions.values());
        let is_needed: BTreeMap<SessionNonce, bool> = sessions
            .map(|session| (session.claim.nonce, !matches!(session.verdict, Verdict::Aborted)))
            .collect();
        let mut sizes = BTreeMap::new();
        for committed in histories.iter().flat_map(History::all_committed) {
            for pack in &committed.commit.packs {
                sizes.insert((pack.kind, pack.id), pack.object_bytes);
            }
        }
        let mut newest = BTreeMap::new();
        for (pack, generation, _) in &objects {
            let newest = newest.entry((pack.kind, pack.id)).or_insert(*generation);
            *newest = (*newest).max(*generation);
        }
        let (mut listed, mut leftover_bytes) = (Vec::with_capacity(objects.len()), 0);
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
                let has_newer = newest.get(&(pack.kind, pack.id)).is_some_and(|n| *n > generation);
                listed.push(Listed { pack, generation, object_bytes, expected_bytes, has_newer });
            } else {
                leftover_bytes += object_bytes;
                self.meter.add(object_bytes, 0);
            }
        }
        (listed, leftover_bytes)
    }

    fn maps(&self, histories: &[History], packs: &Arc<Packs>) -> Result<()> {
        let (scratch, seen) = (Scratch::new()?, HashSet::new());
        let mut maps =
            MapCheck { packs, found: self.found, scratch, seen, elsewhere: Elsewhere::new()? };
        let mut kept: Vec<(VersionRef, MapReader)> = Vec::new();
        for history in histories {
            kept.extend(history.kept().into_iter().filter_map(|seq| {
                let commit = &history.committed(seq)?.commit;
                let map = MapReader::new(Arc::clone(packs), commit.root, commit.disk_bytes);
                Some((VersionRef { chain: history.chain, seq }, map))
            }));
        }
        for (_, map) in &kept {
            self.meter.check_cancelled()?;
            maps.follow(map)?;
        }
        for history in histories {
            self.death_lists(history, packs, &mut maps.scratch)?;
        }
        if self.found.has_spots() {
            for (version, map) in &kept {
                self.meter.check_cancelled()?;
                maps.hurt(map, *version)?;
            }
        }
        Ok(())
    }

    /// Deletions need these; restores do not.
    fn death_lists(&self, history: &History, packs: &Packs, scratch: &mut Scratch) -> Result<()> {
        let lineage = match history.lineage(history.needed()) {
            Ok(lineage) => lineage,
            Err(error) => {
                self.found.record(place::chain(&history.chain), error);
                return Ok(());
            }
        };
        for seq in lineage.members() {
            let Some(committed) = history.committed(seq) else { continue };
            for list in committed.commit.lists() {
                let what = match read_list(packs, (&history.chain, seq), list, scratch) {
                    Err(error) if error.is_no_verdict() => return Err(error),
                    Err(error) => error.to_string(),
                    Ok(_) => continue,
                };
                let object = place::pack(&packs.pack(PackKind::Meta, list.pack), 0);
                self.found.record(object, format!("a list of version {seq}: {what}"));
            }
        }
        Ok(())
    }
}
