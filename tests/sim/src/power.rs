//! What a disk may contain after a power cut: every unsynced change may be there or not (P2).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::chance::Chance;
use crate::files::{Effect, Tree};

/// How the file system treats what nobody synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// All of it is lost.
    Lost,
    /// All of it survives: a kill, not a power cut.
    Kept,
    /// Names survive, content does not: empty files.
    NamesOnly,
    /// A journal: changes of names survive in order up to some point.
    Journal,
    /// Any subset survives; content is cut off at a sector.
    Torn,
    /// Most survives; sectors of content are zeros.
    Holey,
}

/// All policies.
pub const POLICIES: [Policy; 6] =
    [Policy::Lost, Policy::Kept, Policy::NamesOnly, Policy::Journal, Policy::Torn, Policy::Holey];

const SECTOR: usize = 512;

#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    synced: usize,
}

#[derive(Clone)]
enum Name {
    Directory,
    File(usize),
    Gone,
}

/// What is on the disk after `effects` on top of `base`, and a power cut.
pub(crate) fn after_power_cut(
    base: &Tree,
    effects: &[Effect],
    policy: Policy,
    chance: &mut Chance,
) -> Tree {
    let mut inodes: BTreeMap<usize, Inode> = BTreeMap::new();
    let mut durable: BTreeMap<PathBuf, Name> = BTreeMap::new();
    let mut pending: Vec<(PathBuf, Name)> = Vec::new();
    for effect in effects {
        match effect {
            Effect::Create(path, file) | Effect::Link(path, file) => {
                inodes.entry(*file).or_default();
                pending.push((path.clone(), Name::File(*file)));
            }
            Effect::Write(file, bytes) => {
                inodes.entry(*file).or_default().bytes.extend_from_slice(bytes);
            }
            Effect::SyncFile(file) => {
                let inode = inodes.entry(*file).or_default();
                inode.synced = inode.bytes.len();
            }
            Effect::SyncDirectory(directory) => {
                pending.retain(|(path, name)| {
                    let is_here = path.parent() == Some(directory);
                    if is_here {
                        durable.insert(path.clone(), name.clone());
                    }
                    !is_here
                });
            }
            Effect::Unlink(path) | Effect::RemoveDirectory(path) => {
                pending.push((path.clone(), Name::Gone));
            }
            Effect::MakeDirectory(path) => pending.push((path.clone(), Name::Directory)),
        }
    }
    let until = usize::try_from(chance.below(pending.len() as u64 + 1)).unwrap();
    for (at, (path, name)) in pending.into_iter().enumerate() {
        let is_kept = match policy {
            Policy::Lost => false,
            Policy::Kept | Policy::NamesOnly => true,
            Policy::Journal => at < until,
            Policy::Torn => chance.one_in(2),
            Policy::Holey => !chance.one_in(4),
        };
        if is_kept {
            durable.insert(path, name);
        }
    }
    let mut tree = base.clone();
    for (path, name) in durable {
        match name {
            Name::Directory => drop(tree.insert(path, None)),
            Name::File(file) => {
                drop(tree.insert(path, Some(content(&inodes[&file], policy, chance))));
            }
            Name::Gone => drop(tree.remove(&path)),
        }
    }
    without_orphans(tree)
}

fn content(inode: &Inode, policy: Policy, chance: &mut Chance) -> Vec<u8> {
    let (all, synced) = (&inode.bytes, inode.synced);
    match policy {
        Policy::Lost | Policy::NamesOnly => all[..synced].to_vec(),
        Policy::Kept | Policy::Journal => all.clone(),
        Policy::Torn => {
            let sectors = (all.len() - synced).div_ceil(SECTOR) as u64;
            let kept = usize::try_from(chance.below(sectors + 1)).unwrap() * SECTOR;
            all[..(synced + kept).min(all.len())].to_vec()
        }
        Policy::Holey => {
            let mut bytes = all.clone();
            for sector in bytes[synced..].chunks_mut(SECTOR) {
                if chance.one_in(2) {
                    sector.fill(0);
                }
            }
            bytes
        }
    }
}

/// What lies in a directory that is not there is not there.
fn without_orphans(tree: Tree) -> Tree {
    let has = |path: &Path, tree: &Tree| {
        path.as_os_str().is_empty() || matches!(tree.get(path), Some(None))
    };
    let is_reachable = |path: &PathBuf| path.ancestors().skip(1).all(|above| has(above, &tree));
    let reachable: Vec<PathBuf> = tree.keys().filter(|path| is_reachable(path)).cloned().collect();
    let mut tree = tree;
    tree.retain(|path, _| reachable.binary_search(path).is_ok());
    tree
}
