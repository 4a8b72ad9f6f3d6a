//! A full disk harms nothing (P19): on a real small file system, with the local backend.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cbr_store::Error;
use cbr_store::backend::{Backend, BackendError, LocalBackend, LocalOptions};

use crate::world::{
    CHAIN, Disk, Expected, Seeds, assert_no_leak, assert_versions, backup, backup_again, open,
};

#[test]
fn on_a_full_disk_backups_fail_cleanly_restores_work_and_deleting_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let mount = directory.path().join("small");
    std::fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m", "cbr-test"])
        .arg(&mount)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        // Not by a macro: the harness would keep it to itself.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: a full disk needs root to mount a tmpfs\n",
        );
        return;
    }
    let outcome = std::panic::catch_unwind(|| fill_use_and_empty(&mount));
    Command::new("umount").arg(&mount).status().unwrap();
    outcome.unwrap();
}

fn fill_use_and_empty(mount: &Path) {
    let local = LocalBackend::create(&mount.join("store"), LocalOptions::default()).unwrap();
    let backend: Arc<dyn Backend> = Arc::new(local);
    let seeds = Seeds::new(1);
    let repository = open(&backend, &seeds).unwrap();
    let mut expected = Expected::new();
    // Every version is all new, about half a megabyte, until one does not fit any more.
    let failed = (0u64..64).find_map(|n| {
        let blocks: Vec<u64> = (0..16).map(|block| 1 + n * 16 + block).collect();
        let disk = Disk::of(&blocks);
        match backup(&repository, &format!("task {n}"), &disk) {
            Ok(info) => {
                expected.insert(info.version.seq, disk);
                None
            }
            Err(error) => Some((n, disk, error)),
        }
    });
    let (n, disk, error) = failed.unwrap();
    assert!(matches!(error, Error::Backend(BackendError::NoSpace { .. })), "{error:?}");
    assert!(expected.len() >= 4, "{} versions", expected.len());
    fill_to_the_last_byte(mount);
    assert_versions(&repository, &expected);

    // The failed task gives up, and versions are deleted, with nothing free but the reserve.
    repository.abort_unfinished(&CHAIN, &format!("task {n}")).unwrap();
    assert_no_leak(backend.as_ref());
    fill_to_the_last_byte(mount);
    let oldest: Vec<u64> = expected.keys().copied().take(2).collect();
    let freed = repository.delete(&CHAIN, &oldest).unwrap();
    assert!(freed.removed_object_bytes > 800_000, "{freed:?}");
    expected.retain(|seq, _| !oldest.contains(seq));
    assert_versions(&repository, &expected);

    // There is room for one more now.
    let info = backup_again(&repository, &format!("task {n}"), &disk).unwrap();
    expected.insert(info.version.seq, disk);
    assert_versions(&repository, &expected);
}

/// Somebody else's file takes whatever is free.
fn fill_to_the_last_byte(mount: &Path) {
    use std::io::Write;
    let mut other =
        std::fs::OpenOptions::new().create(true).append(true).open(mount.join("other")).unwrap();
    while other.write_all(&[1; 4096]).is_ok() {}
}
