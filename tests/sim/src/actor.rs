//! An actor: the operations of a plan, repeated after failures as the service would.
//!
//! What it does is in `backup.rs`, `upkeep.rs`, `heal.rs` and `officer.rs`.

use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::{ChainRef, Error, MasterKey, Options, Repository, Result, ScrubCursor};

use crate::cache::Cache;
use crate::model::Reign;
use crate::plan::{Op, Plan, Setting};
use crate::port::Port;
use crate::upkeep::Reading;
use crate::world::World;

/// How often an operation is tried.
pub(crate) const ATTEMPTS_MAX: usize = 6;

/// Tiny packs, no threads.
pub(crate) fn options(compact_below_percent: u8, setting: &Setting) -> Options {
    let usual = Options::default();
    Options {
        threads: 0,
        memory_bytes: 32 << 20,
        zstd_level: 1,
        frame_blocks: 2,
        pack_bytes: setting.pack_bytes.max(1 << 10),
        map_pack_bytes: 1 << 10,
        compact_below_percent,
        dedup_ram_bytes: setting.dedup_ram_bytes,
        fold_after: if setting.fold_after == 0 { usual.fold_after } else { setting.fold_after },
        ..usual
    }
}

/// An actor at work.
pub(crate) struct Actor {
    pub(crate) world: Arc<World>,
    pub(crate) me: usize,
    pub(crate) setting: Setting,
    pub(crate) options: Options,
    pub(crate) cursor: ScrubCursor,
    pub(crate) reading: Option<Reading>,
    seed: u64,
    process: Option<Process>,
    /// Numbers its processes and its backups.
    count: u64,
}

/// A living process.
struct Process {
    life: u64,
    /// Which of the model's master keys it was started with.
    master: usize,
    repository: Repository,
}

/// What an operation began with.
#[derive(Clone, Copy)]
pub(crate) struct Began {
    pub(crate) faults: u64,
    pub(crate) reigns: u64,
}

impl Actor {
    pub(crate) fn new(world: &Arc<World>, me: usize, plan: &Plan) -> Self {
        Self {
            world: Arc::clone(world),
            me,
            setting: plan.setting,
            options: options(plan.compact_below_percent, &plan.setting),
            cursor: ScrubCursor::default(),
            reading: None,
            seed: plan.seed,
            process: None,
            count: 0,
        }
    }

    /// Does one operation.
    pub(crate) fn perform(&mut self, op: &Op) {
        match op {
            Op::Backup { chain, end, .. } => {
                let (chain, end) = (*chain, *end);
                let (owner, disk) = self.edit(op);
                let with_map = matches!(op, Op::Backup { with_map: true, .. });
                self.back_up(crate::backup::Task { chain, owner, disk, with_map, end }, false);
            }
            Op::TakeOver { chain } => self.take_over(*chain),
            Op::Delete { chain, choice, count } => self.delete(*chain, *choice, *count),
            Op::Reclaim { chain } => {
                let of = self.chain(*chain);
                self.repeat("reclaim", Some(*chain), |r| r.reclaim(&of).map(drop));
            }
            Op::Trash { chain, choice } => self.trash(*chain, *choice),
            Op::Undelete { chain, choice } => self.undelete(*chain, *choice),
            Op::Purge { chain, choice } => self.purge(*chain, *choice),
            Op::Note { chain } => self.note(*chain),
            Op::PlannedReclaim { chain } => self.planned_reclaim(*chain),
            Op::Audit => self.audit(),
            Op::Scrub => self.scrub(),
            Op::Verify { chain, choice } => self.verify(*chain, *choice),
            Op::Repair => self.repair(),
            Op::Undo { choice } => self.undo(*choice),
            Op::RotateTenant { tenant } => self.rotate_tenant(*tenant),
            Op::RotateMaster => self.rotate_master(),
            Op::RetireMaster => self.retire_master(),
            Op::Shred { tenant } => self.shred(*tenant),
            Op::Check { deep } => self.check(*deep),
            Op::Restore { chain, choice } => self.restore(*chain, *choice),
            Op::RestoreDeleted { chain, choice } => self.restore_deleted(*chain, *choice),
            Op::Read { chain, choice } => self.read(*chain, *choice),
            Op::Corrupt { harm, choice } => self.corrupt(*harm, *choice),
        }
        self.world.lock().doing(self.me, "");
    }

    /// The chain of that number.
    pub(crate) fn chain(&self, number: usize) -> ChainRef {
        self.setting.chain(number)
    }

    /// A number that this actor never had before.
    pub(crate) const fn next_count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// The repository of the living process; a dead one is replaced.
    pub(crate) fn repository(&mut self) -> Result<&Repository> {
        let life = self.world.lock().life(self.me);
        if self.process.as_ref().is_none_or(|process| process.life != life) {
            self.process = None;
            let master = {
                let mut inner = self.world.lock();
                let reigning = inner.model.reigning(Reign::InForce);
                // Most have heard of the newest key already.
                let is_old = reigning.len() > 1 && inner.below(3) == 0;
                if is_old { reigning[0] } else { reigning[reigning.len() - 1] }
            };
            let repository = self.open(master)?;
            self.process = Some(Process { life, master, repository });
        }
        let none = || Error::Invalid { what: "no repository".to_owned() };
        self.process.as_ref().map(|process| &process.repository).ok_or_else(none)
    }

    /// A new process, started with this master key.
    pub(crate) fn open(&mut self, master: usize) -> Result<Repository> {
        self.reading = None;
        let count = self.next_count();
        let seed = (self.seed << 16) ^ ((self.me as u64) << 8) ^ count;
        let random = Arc::new(SeededRandom::new(seed));
        let bytes = self.world.lock().model.masters[master].bytes;
        let backend = Port::open(&self.world, Some(self.me))?;
        let (key, options) = (MasterKey::from_bytes(bytes), self.options.clone());
        let repository = Repository::open(backend, key, random, options)?;
        if !self.setting.has_cache {
            return Ok(repository);
        }
        Ok(repository.with_cache(Arc::new(Cache::new(&self.world, Some(self.me)))))
    }

    /// Whether the process was started with a key that is no longer to be used.
    fn is_outdated(&self) -> bool {
        let inner = self.world.lock();
        let reign = |process: &Process| inner.model.masters[process.master].reign;
        self.process.as_ref().is_some_and(|process| reign(process) != Reign::InForce)
    }

    /// Tries until it works; the last error otherwise.
    pub(crate) fn repeat(
        &mut self,
        doing: &'static str,
        chain: Option<usize>,
        call: impl Fn(&Repository) -> Result<()>,
    ) -> bool {
        for _ in 0..ATTEMPTS_MAX {
            let began = self.begin(doing);
            let result = self.repository().and_then(&call);
            match result {
                Ok(()) => return true,
                Err(error) => self.refused(doing, began, &error, chain),
            }
        }
        false
    }

    pub(crate) fn begin(&self, doing: &'static str) -> Began {
        let mut inner = self.world.lock();
        inner.doing(self.me, doing);
        Began { faults: inner.faults_of(self.me), reigns: inner.model.reigns }
    }

    /// Whether something happened to this actor since.
    pub(crate) fn was_hit(&self, began: Began) -> bool {
        self.world.lock().faults_of(self.me) > began.faults
    }

    /// An operation failed: was it allowed to?
    pub(crate) fn refused(
        &mut self,
        doing: &str,
        began: Began,
        error: &Error,
        chain: Option<usize>,
    ) {
        let is_excused = self.is_excused(began, error, chain);
        let is_outdated = self.is_outdated();
        if is_outdated {
            // The operator has given the service a new key; it is started again.
            self.process = None;
        }
        let mut inner = self.world.lock();
        if is_outdated {
            inner.saw("a process met the end of its master key");
        }
        if matches!(error, Error::Implausible { .. }) {
            inner.saw("a sweep refused to delete");
        }
        if matches!(error, Error::UnknownKey { .. }) {
            inner.saw("a process met an object of a key it did not know");
        }
        if matches!(error, Error::Shredded { .. }) {
            inner.saw("a destroyed tenant was refused");
        }
        let is_legal = matches!(error, Error::ChainBusy { .. } | Error::SessionLost { .. });
        if !is_excused && !is_legal {
            inner.saw("refused without a fault");
            if !error.is_transient() && !matches!(error, Error::Implausible { .. }) {
                inner.violation(format!("{doing} failed without a fault: {error}"));
            }
        }
    }

    /// Faults, damage, and keys that are being changed or destroyed excuse a failure.
    pub(crate) fn is_excused(&self, began: Began, error: &Error, chain: Option<usize>) -> bool {
        {
            let inner = self.world.lock();
            // Others are in nobody's way once they are gone.
            let is_going = inner.model.is_shredding() || inner.model.reigns > began.reigns;
            let is_shredded = chain.map_or(is_going, |chain| {
                inner.model.shredded.contains_key(&self.setting.tenant_of(chain))
            });
            if inner.faults_of(self.me) > began.faults || inner.is_harmed() || is_shredded {
                return true;
            }
        }
        is_about_keys(error) && self.keys_changed(began)
    }

    /// Whether master keys came or went since, or this process has an old one.
    pub(crate) fn keys_changed(&self, began: Began) -> bool {
        let is_changed = {
            let inner = self.world.lock();
            inner.model.reigns > began.reigns || inner.model.is_changing_masters()
        };
        is_changed || self.is_outdated()
    }
}

fn is_about_keys(error: &Error) -> bool {
    match error {
        Error::WrongKey { .. } | Error::NoStore { .. } | Error::UnknownKey { .. } => true,
        Error::Missing { object } => object.contains("/k/") || object.starts_with("store.v1"),
        _ => false,
    }
}
