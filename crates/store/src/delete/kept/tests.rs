//! What is left for the next process is what was read, or nothing.

use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cbr_env::SeededRandom;
use uuid::Uuid;

use super::chunk::PLAIN_BYTES_MAX;
use super::file::{FAILURES_MAX, FILE_BYTES_MAX, KeptDomain, KeptMaps, file_name};
use crate::cache::{CacheFiles, Opened};
use crate::crypto::{SEAL_TAG_BYTES, TenantKey, TenantKeys};
use crate::delete::memory::{Below, KnownMaps, MapMemory, Run};
use crate::format::id::{ChainRef, DomainId, PackId, SessionNonce, SlotRef};
use crate::format::node::Child;

/// Files in memory, which can be looked at, damaged, and refuse to be written.
#[derive(Debug, Default)]
pub(in crate::delete) struct MemoryFiles {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    is_full: AtomicBool,
    written: Mutex<Vec<usize>>,
}

impl MemoryFiles {
    fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.lock().insert(name.to_owned(), bytes.to_vec());
    }

    /// What was written since this was asked last.
    fn written(&self) -> Vec<usize> {
        std::mem::take(&mut self.written.lock().unwrap())
    }

    fn count(&self, bytes: usize) -> io::Result<()> {
        self.written.lock().unwrap().push(bytes);
        if self.is_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl CacheFiles for MemoryFiles {
    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        let Some(bytes) = self.lock().get(name).cloned() else { return Ok(None) };
        Ok(Some((bytes.len() as u64, Box::new(Cursor::new(bytes)))))
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<Option<u64>> {
        let mut files = self.lock();
        let Some(file) = files.get_mut(name) else { return Ok(None) };
        if let Err(error) = self.count(bytes.len()) {
            // A disk that is full takes some of it.
            file.extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(error);
        }
        file.extend_from_slice(bytes);
        Ok(Some(file.len() as u64))
    }

    fn replace(&self, name: &str, pieces: &mut dyn Iterator<Item = Vec<u8>>) -> io::Result<u64> {
        let bytes = pieces.collect::<Vec<_>>().concat();
        self.count(bytes.len())?;
        self.put(name, &bytes);
        Ok(bytes.len() as u64)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.lock().remove(name);
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().keys().cloned().collect())
    }
}

fn domain(n: u128) -> DomainId {
    ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(n)).domain()
}

fn keys(seed: u64) -> TenantKeys {
    TenantKeys::derive(Uuid::from_u128(1), 1, &TenantKey::generate(&SeededRandom::new(seed)))
}

fn kept(files: &Arc<MemoryFiles>, repository: u128, seed: u64) -> KeptMaps {
    let random = Arc::new(SeededRandom::new(seed));
    KeptMaps::new(files.clone(), Uuid::from_u128(repository), random)
}

fn pack(n: u32) -> PackId {
    PackId::new(SessionNonce([1; 12]), n)
}

fn child(n: u32) -> Child {
    let slot = SlotRef { pack: pack(n / 7), slot: n, birth: n.into(), stored_bytes: 100 + n };
    Child { slot, hash: [u8::try_from(n % 251).unwrap(); 16] }
}

/// What node `n` really says: one in five is an inner node above the four before it.
fn truth(n: u32) -> (Option<u8>, Vec<Run>, Vec<Child>) {
    if n % 5 == 4 {
        return (Some(1), Vec::new(), (n - 4..n).map(child).collect());
    }
    let run = |at: u32| Run { pack: pack(n + at), first: at, last: at + n % 3 };
    (None, (0..n % 4).map(run).collect(), Vec::new())
}

fn learn(memory: &mut MapMemory, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let id = memory.place(&child(n)).unwrap();
        match truth(n) {
            (None, runs, _) => memory.put_leaf(id, runs.into()),
            (Some(level), _, children) => drop(memory.put_inner(id, level, children.iter())),
        }
    }
}

/// The nodes of which something is known; all of it must be so.
fn knows(memory: &MapMemory, most: u32) -> Vec<u32> {
    let mut known = Vec::new();
    for id in memory.known() {
        let n = (0..most).find(|n| child(*n) == memory.child(id)).expect("a node that is known");
        match (memory.said(id).unwrap(), truth(n)) {
            (Below::Leaf(runs), (None, really, _)) => assert_eq!(**runs, *really, "{n}"),
            (Below::Inner(level, children), (Some(really), _, those)) => {
                assert_eq!(*level, really, "{n}");
                assert!(children.iter().map(|id| memory.child(*id)).eq(those), "{n}");
            }
            (said, _) => panic!("node {n} says {said:?}"),
        }
        known.push(n);
    }
    known.sort_unstable();
    known
}

fn load(kept: &KeptDomain<'_>) -> MapMemory {
    let mut memory = KnownMaps::default().take(&domain(1));
    kept.load(&mut memory);
    memory
}

fn all(most: u32) -> Vec<u32> {
    (0..most).collect()
}

#[test]
fn a_new_process_knows_what_others_have_read() {
    let files = Arc::new(MemoryFiles::default());
    for (seed, most) in [(1, 20), (2, 40), (3, 300)] {
        let kept = kept(&files, 1, seed);
        let kept = kept.of(domain(1), &keys(1)).unwrap();
        let mut memory = load(&kept);
        let before = u32::try_from(knows(&memory, 300).len()).unwrap();
        learn(&mut memory, before..most);
        kept.save(&mut memory);
        assert_eq!(knows(&load(&kept), 300), all(most));
        assert_eq!(files.written().len(), 1);
        // Nothing new, nothing written.
        kept.save(&mut memory);
        kept.save(&mut load(&kept));
        assert!(files.written().is_empty());
    }
    let text = format!("{:?}", files.all());
    assert!(!text.contains("map memory"), "the associated data is not in the file");
}

/// What another domain, repository or tenant key sealed is not believed, and its file goes: the bytes of one are
/// put in the place of the other, as somebody could who may write the directory.
#[test]
fn what_was_kept_for_something_else_is_not_believed() {
    let files = Arc::new(MemoryFiles::default());
    let (one, other_repository) = (kept(&files, 1, 1), kept(&files, 2, 2));
    let (mine, other_key) = (keys(1), keys(2));
    let fill = |kept: &KeptDomain<'_>| {
        let mut memory = MapMemory::with_room(1 << 20);
        learn(&mut memory, 0..20);
        kept.save(&mut memory);
        files.all()[&kept.name].clone()
    };
    let of_mine = one.of(domain(1), &mine).unwrap();
    for other in [
        one.of(domain(2), &mine).unwrap(),
        one.of(ChainRef::alone(Uuid::from_u128(1), 1, Uuid::from_u128(1)).domain(), &mine).unwrap(),
        one.of(ChainRef::sharing(Uuid::from_u128(1), 0, Uuid::from_u128(1)).domain(), &mine)
            .unwrap(),
        other_repository.of(domain(1), &mine).unwrap(),
        one.of(domain(1), &other_key).unwrap(),
    ] {
        let bytes = fill(&other);
        files.put(&of_mine.name, &bytes);
        assert!(load(&of_mine).is_empty());
        assert!(!files.all().contains_key(&of_mine.name), "it goes");
        // After what is right it is no better.
        let right = fill(&of_mine);
        files.put(&of_mine.name, &[right.as_slice(), &bytes].concat());
        assert_eq!(knows(&load(&of_mine), 20), all(20));
        assert!(!files.all().contains_key(&of_mine.name), "it goes");
    }
    // The second key of a tenant does not open what the first one sealed.
    let random = SeededRandom::new(1);
    let first = TenantKey::generate(&random);
    let both = BTreeMap::from([(1, first), (2, TenantKey::generate(&random))]);
    let rotated = TenantKeys::of_rotations(Uuid::from_u128(1), &both);
    fill(&of_mine);
    assert!(load(&one.of(domain(1), &rotated).unwrap()).is_empty());
}

/// A pointer that differs in anything is another node.
#[test]
fn what_is_kept_of_a_node_is_not_known_of_another_one() {
    let files = Arc::new(MemoryFiles::default());
    let kept = kept(&files, 1, 1);
    let kept = kept.of(domain(1), &keys(1)).unwrap();
    let mut memory = MapMemory::with_room(1 << 20);
    learn(&mut memory, 0..20);
    kept.save(&mut memory);
    let mut memory = load(&kept);
    let Child { slot, hash } = child(3);
    for other in [
        Child { slot, hash: [9; 16] },
        Child { slot: SlotRef { slot: 99, ..slot }, hash },
        Child { slot: SlotRef { pack: pack(99), ..slot }, hash },
        Child { slot: SlotRef { birth: 99, ..slot }, hash },
        Child { slot: SlotRef { stored_bytes: 99, ..slot }, hash },
    ] {
        let id = memory.place(&other).unwrap();
        assert!(memory.said(id).is_none(), "{other:?}");
    }
    let id = memory.place(&child(3)).unwrap();
    assert!(memory.said(id).is_some());
}

/// Whatever happens to the file: what is believed of it is true, and a file that is not whole goes.
#[test]
fn of_a_damaged_file_nothing_wrong_is_believed() {
    let files = Arc::new(MemoryFiles::default());
    let kept = kept(&files, 1, 1);
    let kept = kept.of(domain(1), &keys(1)).unwrap();
    let mut memory = MapMemory::with_room(1 << 20);
    learn(&mut memory, 0..10);
    kept.save(&mut memory);
    let first = files.all()[&kept.name].len();
    learn(&mut memory, 10..15);
    kept.save(&mut memory);
    let whole = files.all()[&kept.name].clone();
    let mut damaged: Vec<Vec<u8>> = (1..whole.len()).map(|end| whole[..end].to_vec()).collect();
    damaged.remove(first - 1);
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        damaged.push(bytes);
    }
    damaged.push([&whole[..], &[0; 20]].concat());
    damaged.push([&whole[..], &[0xff; 20]].concat());
    for bytes in damaged {
        files.put(&kept.name, &bytes);
        let mut memory = load(&kept);
        let known = knows(&memory, 20).len();
        assert!([0, 10, 15].contains(&known), "{known}");
        assert!(!files.all().contains_key(&kept.name), "it goes");
        // And is made anew as soon as something is read, with what was believed.
        learn(&mut memory, 15..20);
        kept.save(&mut memory);
        assert_eq!(knows(&load(&kept), 20).len(), known + 5);
    }
    files.put(&kept.name, &vec![0; usize::try_from(FILE_BYTES_MAX).unwrap() + 1]);
    assert!(load(&kept).is_empty() && files.all().is_empty(), "too large: it goes");
    files.put(&kept.name, b"");
    assert!(load(&kept).is_empty());
}

/// An older file, the chunks of a file in another order, twice or without some, and files that two processes wrote
/// at once: each chunk is true by itself.
#[test]
fn chunks_are_true_in_any_order_and_at_any_age() {
    let files = Arc::new(MemoryFiles::default());
    let (one, two) = (kept(&files, 1, 1), kept(&files, 1, 2));
    let (one, two) = (one.of(domain(1), &keys(1)).unwrap(), two.of(domain(1), &keys(1)).unwrap());
    let mut memory = MapMemory::with_room(1 << 20);
    let mut ends = vec![0];
    for n in 0..4 {
        learn(&mut memory, n * 5..n * 5 + 5);
        // In turns, by processes that know nothing of each other.
        if n % 2 == 0 {
            one.save(&mut memory);
        } else {
            two.save(&mut memory);
        }
        ends.push(files.all()[&one.name].len());
    }
    let whole = files.all()[&one.name].clone();
    let chunks: Vec<&[u8]> = ends.windows(2).map(|ends| &whole[ends[0]..ends[1]]).collect();
    for order in 0..256 {
        let picked = [order % 4, order / 4 % 4, order / 16 % 4, order / 64];
        let bytes: Vec<u8> = picked.iter().flat_map(|at| chunks[*at].to_vec()).collect();
        files.put(&one.name, &bytes);
        let mut expected: Vec<u32> =
            picked.iter().flat_map(|at| all(20)[at * 5..at * 5 + 5].to_vec()).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(knows(&load(&one), 20), expected, "{picked:?}");
        assert!(files.all().contains_key(&one.name));
    }
}

/// What is written is in proportion to what was read, however much was read before.
#[test]
fn what_is_written_grows_with_what_is_read() {
    let files = Arc::new(MemoryFiles::default());
    let kept = kept(&files, 1, 1);
    let kept = kept.of(domain(1), &keys(1)).unwrap();
    let mut memory = MapMemory::with_room(64 << 20);
    let (mut total, mut largest) = (0, 0);
    for n in 0..400 {
        learn(&mut memory, n * 50..n * 50 + 50);
        kept.save(&mut memory);
        total += files.written().iter().sum::<usize>();
        largest = largest.max(files.all()[&kept.name].len());
    }
    let mut whole = MapMemory::with_room(64 << 20);
    learn(&mut whole, 0..20_000);
    kept.kept.forget(&domain(1));
    kept.save(&mut whole);
    let needed = files.written()[0];
    assert!(total < 4 * needed && largest < 3 * needed, "{total} and {largest} of {needed} bytes");
    // Large files have many chunks.
    let bytes = files.all()[&kept.name].clone();
    let first = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    assert!(first < needed && first <= PLAIN_BYTES_MAX + SEAL_TAG_BYTES, "{first} of {needed}");
    assert_eq!(load(&kept).known().count(), 20_000);
    // A process with less room knows less, and takes no harm.
    let mut little = MapMemory::with_room(20_000);
    kept.load(&mut little);
    assert!((1..100).contains(&little.known().count()));
}

/// A disk that is full: nothing fails, what was half written goes, and after a few times it is left alone.
#[test]
fn what_cannot_be_written_is_given_up() {
    let files = Arc::new(MemoryFiles::default());
    let kept = kept(&files, 1, 1);
    let kept = kept.of(domain(1), &keys(1)).unwrap();
    let mut memory = MapMemory::with_room(1 << 20);
    learn(&mut memory, 0..10);
    kept.save(&mut memory);
    files.is_full.store(true, Ordering::Relaxed);
    files.written();
    for n in 2..10 {
        learn(&mut memory, n * 5..n * 5 + 5);
        kept.save(&mut memory);
        assert!(files.all().is_empty());
    }
    // The first one tried to add, and wrote half.
    assert_eq!(files.written().len(), usize::from(FAILURES_MAX));
    assert_eq!(knows(&memory, 50), all(50));
}

/// SEC: destroying a tenant's keys takes its files too, and no other's. A maintenance key keeps nothing.
#[test]
fn files_of_a_tenant_go_with_its_keys() {
    let files = Arc::new(MemoryFiles::default());
    let kept = kept(&files, 1, 1);
    let other = ChainRef::alone(Uuid::from_u128(2), 0, Uuid::from_u128(1)).domain();
    for domain in [domain(1), domain(2), other] {
        let mut memory = MapMemory::with_room(1 << 20);
        learn(&mut memory, 0..10);
        kept.of(domain, &keys(1)).unwrap().save(&mut memory);
    }
    kept.forget_tenant(Uuid::from_u128(1));
    assert!(files.all().into_keys().eq([file_name(&other)]));
    let no_rings = TenantKeys::for_maintenance(Uuid::from_u128(1), []);
    assert!(kept.of(domain(1), &no_rings).is_none());
}
