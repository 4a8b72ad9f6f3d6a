//! Sealing a tenant's data anew, after one of its keys became known to others (engine §7.13).
//!
//! A new key of the tenant protects what is written from then on. What is there was sealed with data
//! keys that the old one opens, so every pack is rewritten: its slots are sealed under a new data
//! key, which the newest key of the tenant seals. It is a compaction that drops nothing, under the
//! same rules (R6), so it may run beside everything, be interrupted anywhere, and run again: what is
//! done is told by the packs themselves.
//!
//! Not rewritten are the records of the logs, which are put once and for all: who has the old key and the
//! objects reads the names and sizes of versions and their cards, but no block.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Repository;
use crate::backend::{Backend, BackendExt};
use crate::chain::{ChainLog, Verdict};
use crate::crypto::KeyRing;
use crate::delete::list_packs;
use crate::delete::plan::PackName;
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, DomainId, PackKind, PackRef, SessionNonce};
use crate::format::pack::{PackIndex, Patch};
use crate::format::place::{self, Place};
use crate::heal::reseal_patch;
use crate::job::{Job, Meter};
use crate::packs::Packs;

/// What a reencryption would do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReencryptPlan {
    /// Whose data.
    pub tenant: Uuid,
    /// The number of the key that everything will be sealed with.
    pub key: u32,
    /// Packs, and patches of packs, that an older key opens.
    pub objects: u64,
    /// Their bytes: what is read, written again, and then removed.
    pub bytes: u64,
    /// Those of them that cannot be sealed anew now: damaged, or written by a backup that still runs.
    pub blocked: Vec<String>,
    /// Records that an older key opens and that stay: versions' names, sizes and cards, no data.
    pub records: u64,
    domains: Vec<Domain>,
}

impl ReencryptPlan {
    /// Whether there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.objects == 0 && self.blocked.is_empty()
    }

    /// Everything that an older key opens.
    fn into_names(self) -> Vec<String> {
        let mut names = self.blocked;
        for domain in &self.domains {
            let pack = |(kind, id): &PackName| PackRef {
                domain: domain.chain.domain(),
                kind: *kind,
                id: *id,
            };
            names.extend(domain.packs.keys().map(|name| place::pack(&pack(name), 0).to_string()));
            let patches = domain.patches.iter();
            names.extend(patches.map(|(of, number, _)| place::patch(of, *number).to_string()));
        }
        names
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Domain {
    chain: ChainRef,
    packs: BTreeMap<PackName, BTreeMap<u32, u64>>,
    patches: Vec<(PackRef, u32, u64)>,
}

/// What a reencryption did.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Reencrypted {
    /// Packs and patches that only the newest key opens now.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that an older key still opens: run it again later, after a repair if they are damaged.
    pub left: Vec<String>,
}

impl Repository {
    /// What of a tenant's data an older key than the newest opens. Reads the end of every pack.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tenant has no key; [`Error::Shredded`], [`Error::NoKey`],
    /// [`Error::Cancelled`].
    pub fn plan_reencrypt(&self, tenant: Uuid, job: &Job) -> Result<ReencryptPlan> {
        self.check_holds_master()?;
        self.forget_tenant(tenant);
        let no_data = || Error::Invalid { what: format!("tenant {tenant} has no keys") };
        let keys = self.tenant(tenant)?.ok_or_else(no_data)?;
        let mut plan = ReencryptPlan {
            tenant,
            key: keys.sealing_id(),
            objects: 0,
            bytes: 0,
            blocked: Vec::new(),
            records: self.older_records(tenant, keys.sealing_id())?,
            domains: Vec::new(),
        };
        let chains: Vec<ChainRef> =
            self.chains()?.into_iter().filter(|chain| chain.tenant == tenant).collect();
        let mut domains: BTreeMap<DomainId, Vec<ChainLog>> = BTreeMap::new();
        for chain in chains {
            domains.entry(chain.domain()).or_default().extend(self.log(&chain)?);
        }
        let meter = Meter::new(job, domains.len() as u64);
        for logs in domains.values() {
            self.plan_domain_reencrypt(logs, &mut plan, &meter)?;
            meter.add(1, 0);
        }
        Ok(plan)
    }

    fn plan_domain_reencrypt(
        &self,
        logs: &[ChainLog],
        plan: &mut ReencryptPlan,
        meter: &Meter<'_>,
    ) -> Result<()> {
        let Some(first) = logs.first() else { return Ok(()) };
        let packs = self.packs(first);
        let listed = list_packs(&packs, first)?;
        let (finished, open) = match sessions(logs) {
            Ok(sessions) => sessions,
            Err(error) if error.is_no_verdict() => return Err(error),
            // Whose packs these are cannot be known before a repair; the others go on.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(chain = %first.chain, error, "a log cannot be read");
                plan.blocked.push(place::domain(&first.chain.domain()));
                return Ok(());
            }
        };
        let is_old = |index: &PackIndex| index.sealed_by() != plan.key;
        let mut domain = Domain { chain: first.chain, packs: BTreeMap::new(), patches: Vec::new() };
        for (name, generations) in listed {
            meter.check_cancelled()?;
            let pack = packs.pack(name.0, name.1);
            let bytes: u64 = generations.values().sum();
            let mut is_any_old = false;
            for generation in generations.keys() {
                is_any_old |=
                    match PackIndex::read(packs.backend(), &pack, *generation, packs.keys()) {
                        Ok(index) => index.as_ref().is_some_and(is_old),
                        Err(error) if error.is_damage() => {
                            let key = place::pack(&pack, *generation);
                            sealed_by(packs.backend(), &key)? != Some(plan.key)
                        }
                        Err(error) => return Err(error),
                    };
            }
            let session: SessionNonce = name.1.session();
            if is_any_old && finished.contains(&session) {
                plan.objects += 1;
                plan.bytes += bytes;
                domain.packs.insert(name, generations);
            } else if is_any_old && open.contains(&session) {
                plan.objects += 1;
                plan.bytes += bytes;
                plan.blocked.push(place::pack(&pack, 0).to_string());
            }
        }
        domain.patches = older_patches(&packs, first, plan)?;
        plan.domains.push(domain);
        Ok(())
    }

    /// How many records of the tenant's logs, which are never rewritten, an older key seals.
    fn older_records(&self, tenant: Uuid, newest: u32) -> Result<u64> {
        let mut records = 0;
        for entry in self.backend.list_all(&format!("{}d/", place::tenant(tenant)))? {
            let is_record = matches!(
                Place::parse(&entry.key),
                Some(Place::Claim(..) | Place::Outcome(..) | Place::Delete(..) | Place::Domain(_))
            );
            if is_record
                && newest > 1
                && sealed_by(self.backend.as_ref(), &entry.key)? != Some(newest)
            {
                records += 1;
            }
        }
        Ok(records)
    }

    /// Does what the plan says. May be interrupted and run again; what is done is done.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or the backend does not answer. What was done stays.
    pub fn reencrypt(&self, plan: &ReencryptPlan, job: &Job) -> Result<Reencrypted> {
        self.check_holds_master()?;
        self.check_writable()?;
        let mut done = Reencrypted::default();
        let meter = Meter::new(job, plan.bytes);
        for domain in &plan.domains {
            let Some(log) = self.log(&domain.chain)? else { continue };
            let packs = self.packs(&log);
            let hasher = log.keys.block_hasher(&domain.chain.domain())?;
            // Patches first: a pack that is rewritten may leave slots to them.
            for (pack, number, bytes) in &domain.patches {
                meter.check_cancelled()?;
                let with = (&hasher, self.random.as_ref());
                if reseal_patch(&packs, with, (pack, *number))? {
                    (done.objects, done.bytes) = (done.objects + 1, done.bytes + bytes);
                }
                meter.add(*bytes, *bytes);
            }
            for (name, generations) in &domain.packs {
                meter.check_cancelled()?;
                let bytes: u64 = generations.values().sum();
                let is_done = match self.with_sweep(&log, |sweep| sweep.reseal(name, generations)) {
                    Err(error) if error.is_damage() => false,
                    is_done => is_done?,
                };
                if is_done {
                    (done.objects, done.bytes) = (done.objects + 1, done.bytes + bytes);
                }
                meter.add(bytes, bytes);
            }
        }
        // What is there now decides, not what was done: a process that had not met the new key yet may
        // have written under the old one meanwhile.
        done.left = self.plan_reencrypt(plan.tenant, &Job::quiet())?.into_names();
        Ok(done)
    }
}

/// The patches of a domain that an older key seals; what is damaged is `plan.blocked`.
fn older_patches(
    packs: &Packs,
    log: &ChainLog,
    plan: &mut ReencryptPlan,
) -> Result<Vec<(PackRef, u32, u64)>> {
    let mut patches = Vec::new();
    for kind in [PackKind::Data, PackKind::Meta] {
        let prefix = place::all_patches(&log.chain.domain(), kind);
        for entry in packs.backend().list_all(&prefix)? {
            let Some(Place::Patch(pack, number)) = Place::parse(&entry.key) else { continue };
            let patch = match Patch::read(packs.backend(), &pack, number, packs.keys()) {
                Ok(Some(patch)) => patch,
                Ok(None) => continue,
                Err(error) if error.is_damage() => {
                    if sealed_by(packs.backend(), &entry.key)? != Some(plan.key) {
                        plan.blocked.push(entry.key.to_string());
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            // A marker has nothing to hide.
            if patch.index().sealed_by() != plan.key && !patch.index().slots().is_empty() {
                plan.objects += 1;
                plan.bytes += entry.size_bytes;
                patches.push((pack, number, entry.size_bytes));
            }
        }
    }
    Ok(patches)
}

/// Of all chains of a domain: the sessions that committed, and those that are undecided.
fn sessions(logs: &[ChainLog]) -> Result<(BTreeSet<SessionNonce>, BTreeSet<SessionNonce>)> {
    let (mut finished, mut open) = (BTreeSet::new(), BTreeSet::new());
    for log in logs {
        for session in log.read()?.sound()?.sessions.values() {
            let nonces = match session.verdict {
                Verdict::Committed(_) => &mut finished,
                Verdict::Open => &mut open,
                // Garbage, which a sweep removes.
                Verdict::Aborted => continue,
            };
            nonces.insert(session.claim.nonce);
        }
    }
    Ok((finished, open))
}

/// What the header of an object says, which is not authenticated: good enough to count. Nothing if it
/// is too short to say anything.
fn sealed_by(backend: &dyn Backend, key: &crate::backend::Key) -> Result<Option<u32>> {
    let mut word = [0; 4];
    let read = match backend.get_range(key, 24, &mut word) {
        Err(error) if error.is_damage() => None,
        read => read?,
    };
    Ok(read.map(|()| u32::from_le_bytes(word)))
}
