//! The overlay: what was acknowledged as durable is there again.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use cbr_nbd::{Changes, Error, Export, Extent, Overlay, Wishes, Writes as _};
use proptest::prelude::*;

use crate::support::{MemoryDisk, Served, pattern};

const SIZE: usize = 5 * (64 << 10) + 999;

fn open(folder: &Path) -> Overlay {
    let base = Arc::new(MemoryDisk::new(pattern(SIZE), false));
    let begun = folder.join("journal").exists();
    let overlay = if begun { Overlay::open } else { Overlay::create };
    overlay(base, [1; 32], folder).unwrap()
}

fn contents(disk: &Overlay) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    disk.read_at(0, &mut bytes).unwrap();
    bytes
}

#[derive(Clone, Debug)]
enum Step {
    Write(Range<usize>, u8),
    Zero(Range<usize>, bool),
    Trim(Range<usize>),
    Flush,
    /// The process dies; what is in the files stays.
    Reopen,
    /// The power is cut: what was not flushed is lost as a whole or in part.
    Cut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range =
        (0..SIZE, 1..200_000_usize).prop_map(|(start, length)| start..(start + length).min(SIZE));
    let step = prop_oneof![
        4 => (range.clone(), 1..255_u8).prop_map(|(range, byte)| Step::Write(range, byte)),
        2 => (range.clone(), any::<bool>()).prop_map(|(range, punch)| Step::Zero(range, punch)),
        1 => range.prop_map(Step::Trim),
        2 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ];
    let cut = Just(Step::Cut);
    prop::collection::vec(prop_oneof![8 => step, 1 => cut], 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a model in memory. After a cut each 64 KiB block that was new since the last flush
    /// may be the base's again, and nothing else may differ.
    #[test]
    fn an_overlay_is_a_disk_and_flushed_writes_survive(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Some(open(folder.path()));
        let mut model = pattern(SIZE);
        let mut journalled = vec![false; SIZE.div_ceil(64 << 10)];
        for step in steps {
            let overlay = disk.as_ref().unwrap();
            match step {
                Step::Write(range, byte) => {
                    let data = vec![byte; range.len()];
                    overlay.write_at(range.start as u64, &data).unwrap();
                    model[range].fill(byte);
                }
                Step::Zero(range, punch) => {
                    overlay.zero(range.start as u64..range.end as u64, punch).unwrap();
                    model[range].fill(0);
                }
                Step::Trim(range) => {
                    overlay.trim(range.start as u64..range.end as u64).unwrap();
                    // What a trim does to the contents is its own affair; nothing outside of it.
                    let after = contents(overlay);
                    model[range.clone()].copy_from_slice(&after[range]);
                }
                Step::Flush => {
                    overlay.flush().unwrap();
                    mark(overlay, &mut journalled);
                }
                Step::Reopen => {
                    overlay.flush().unwrap();
                    mark(overlay, &mut journalled);
                    disk = None;
                    disk = Some(disk.take().unwrap_or_else(|| open(folder.path())));
                }
                Step::Cut => {
                    // The journal has only what was flushed; the data file has everything.
                    disk = None;
                    disk = Some(disk.take().unwrap_or_else(|| open(folder.path())));
                    let base = pattern(SIZE);
                    for (block, kept) in journalled.iter().enumerate() {
                        if !kept {
                            let range = block * (64 << 10)..((block + 1) * (64 << 10)).min(SIZE);
                            model[range.clone()].copy_from_slice(&base[range]);
                        }
                    }
                }
            }
            prop_assert!(contents(disk.as_ref().unwrap()) == model);
        }
    }
}

/// Notes which blocks the overlay holds.
fn mark(overlay: &Overlay, journalled: &mut [bool]) {
    for (block, kept) in journalled.iter_mut().enumerate() {
        let start = (block * (64 << 10)) as u64;
        *kept = Changes::extents(overlay, start..start + 1).unwrap()[0].is_dirty();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_over_the_socket_keeps_what_was_flushed() {
    let folder = tempfile::tempdir().unwrap();
    {
        let served = Served::of(open(folder.path()));
        let client = served.client(Wishes::new("").context("qemu:dirty-bitmap:overlay")).await;
        client.write(100, b"kept", false).await.unwrap();
        client.flush().await.unwrap();
        let changed = client.extents("qemu:dirty-bitmap:overlay", 0..SIZE as u64).await.unwrap();
        assert_eq!(changed, [Extent::dirty(65536), Extent::plain(SIZE as u64 - 65536)]);
        client.disconnect().await.unwrap();
    }
    // The server lets go of the files when its last task is done.
    let mut expected = pattern(SIZE);
    expected[100..104].copy_from_slice(b"kept");
    let again = loop {
        let base = Arc::new(MemoryDisk::new(pattern(SIZE), false));
        match Overlay::open(base, [1; 32], folder.path()) {
            Ok(overlay) => break overlay,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(contents(&again), expected);
}

#[test]
fn an_overlay_is_used_by_one_and_only_over_its_own_base() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let base = || Arc::new(MemoryDisk::new(pattern(SIZE), false));
    let second = Overlay::open(base(), [1; 32], folder.path());
    assert!(matches!(second, Err(Error::Overlay { .. })), "{second:?}");
    first.write_at(300_000, b"kept").unwrap();
    first.flush().unwrap();
    drop(first);
    let other = Overlay::open(base(), [2; 32], folder.path());
    assert!(matches!(other, Err(Error::Overlay { .. })), "{other:?}");
    let smaller = Arc::new(MemoryDisk::new(vec![0; 65536], false));
    let other = Overlay::open(smaller, [1; 32], folder.path());
    assert!(matches!(other, Err(Error::Overlay { .. })), "{other:?}");
    // And the attempts did no harm.
    assert_eq!(contents(&open(folder.path()))[300_000..300_004], *b"kept");
}

/// P2: whichever part is lost, the base is not given out as what was written.
#[test]
fn an_overlay_that_lost_a_file_is_refused_and_not_begun_anew() {
    type Loss = fn(&Path);
    let losses: [Loss; 5] = [
        |folder| std::fs::remove_file(folder.join("data")).unwrap(),
        |folder| std::fs::write(folder.join("data"), "").unwrap(),
        |folder| std::fs::remove_file(folder.join("journal")).unwrap(),
        |folder| std::fs::write(folder.join("journal"), "").unwrap(),
        |folder| std::fs::remove_dir_all(folder).unwrap(),
    ];
    for (number, lose) in losses.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("overlay");
        let overlay = open(&place);
        overlay.write_at(5, b"kept").unwrap();
        overlay.flush().unwrap();
        drop(overlay);
        lose(&place);
        let base = Arc::new(MemoryDisk::new(pattern(SIZE), false));
        // Not even the second time: trying does not make it whole.
        for _ in 0..2 {
            let opened = Overlay::open(base.clone(), [1; 32], &place);
            assert!(matches!(opened, Err(Error::Overlay { .. })), "{number}: {opened:?}");
        }
    }
}

#[test]
fn an_overlay_is_begun_once() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("a").join("b");
    drop(open(&place));
    let base = Arc::new(MemoryDisk::new(pattern(SIZE), false));
    let again = Overlay::create(base, [1; 32], &place);
    assert!(matches!(again, Err(Error::Overlay { what: "exists already", .. })), "{again:?}");
}

#[test]
fn an_overlay_takes_no_more_than_it_may_and_stays_a_good_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(folder.path()).limited(2 * (64 << 10));
    disk.write_at(10, &[7; 100]).unwrap();
    disk.write_at(20, &[8; 100]).unwrap();
    disk.zero(64 << 10..65 << 10, true).unwrap();
    let refused = disk.write_at(3 * (64 << 10) - 5, &[9; 10]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);
    let mut expected = pattern(SIZE);
    expected[10..110].fill(7);
    expected[20..120].fill(8);
    expected[64 << 10..65 << 10].fill(0);
    assert!(contents(&disk) == expected);
    disk.flush().unwrap();
    drop(disk);
    let disk = open(folder.path()).limited(2 * (64 << 10));
    disk.write_at(4 * (64 << 10), &[9; 10]).expect_err("what it holds counts after a restart");
    disk.write_at(0, &[5; 10]).unwrap();
    let more = open_again(disk, folder.path());
    more.write_at(4 * (64 << 10), &[9; 10]).expect("without a limit there is room");
}

fn open_again(disk: Overlay, folder: &Path) -> Overlay {
    drop(disk);
    open(folder)
}
