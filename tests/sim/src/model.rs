//! What the users of the store know: what was acknowledged, what was asked for, what must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cbr_store::{DomainId, Spot};

use crate::disk::Disk;

/// The first master key of every simulated repository.
pub(crate) const MASTER: [u8; 32] = [0x51; 32];

/// A version as its maker knows it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// What it must restore to.
    pub(crate) disk: Arc<Disk>,
    /// Somebody asked for its deletion.
    pub(crate) delete_asked: bool,
    /// Somebody was told that it is deleted.
    pub(crate) is_deleted: bool,
    /// Somebody put it into the trash or took it out; the records say what became of it.
    pub(crate) is_moved: bool,
}

/// How far a master key's life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reign {
    /// Somebody began to introduce it.
    Coming,
    /// It opens the repository.
    InForce,
    /// Somebody began to end it.
    Ending,
    /// It opens nothing any more.
    Over,
}

/// A master key.
#[derive(Clone, Debug)]
pub(crate) struct Master {
    pub(crate) bytes: [u8; 32],
    pub(crate) reign: Reign,
}

/// How far the destruction of a tenant's keys is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shred {
    Asked,
    Done,
}

/// What the users of the store know.
#[derive(Debug)]
pub(crate) struct Model {
    /// Versions that were acknowledged.
    pub(crate) versions: BTreeMap<(usize, u64), Known>,
    /// What each owner backs up; one owner, one content.
    pub(crate) owners: BTreeMap<(usize, String), Arc<Disk>>,
    /// The disk of each chain as it is now, and who backed it up last.
    pub(crate) disks: BTreeMap<usize, (Arc<Disk>, String)>,
    /// All master keys, in the order in which they came.
    pub(crate) masters: Vec<Master>,
    /// Tenants whose keys are destroyed.
    pub(crate) shredded: BTreeMap<usize, Shred>,
    /// What scrubs and checks found damaged.
    pub(crate) spots: BTreeMap<DomainId, BTreeSet<Spot>>,
    /// The repairs that somebody began to undo.
    pub(crate) undone: BTreeSet<String>,
    /// Notes that were acknowledged, by chain and actor, in their order.
    pub(crate) notes: BTreeMap<(usize, usize), Vec<String>>,
    /// How often a master key's life changed.
    pub(crate) reigns: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            versions: BTreeMap::new(),
            owners: BTreeMap::new(),
            disks: BTreeMap::new(),
            masters: vec![Master { bytes: MASTER, reign: Reign::InForce }],
            shredded: BTreeMap::new(),
            spots: BTreeMap::new(),
            undone: BTreeSet::new(),
            notes: BTreeMap::new(),
            reigns: 0,
        }
    }
}

impl Model {
    /// The numbers of the master keys in this part of their life.
    pub(crate) fn reigning(&self, reign: Reign) -> Vec<usize> {
        (0..self.masters.len()).filter(|at| self.masters[*at].reign == reign).collect()
    }

    /// A master key's life goes on.
    pub(crate) fn reign(&mut self, number: usize, reign: Reign) {
        self.masters[number].reign = reign;
        self.reigns += 1;
    }

    /// Whether a tenant's keys are half destroyed.
    pub(crate) fn is_shredding(&self) -> bool {
        self.shredded.values().any(|shred| *shred == Shred::Asked)
    }

    /// Whether the master keys are being changed, so that a key may be missing for a while.
    pub(crate) fn is_changing_masters(&self) -> bool {
        self.reigning(Reign::InForce).len() != 1
            || !self.reigning(Reign::Ending).is_empty()
            || !self.reigning(Reign::Coming).is_empty()
    }
}
