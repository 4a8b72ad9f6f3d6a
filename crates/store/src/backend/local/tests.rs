//! What the local backend does when the operating system fails it (P2, P19, P20).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::directory::{INCOMING, LocalBackend, LocalOptions, failed_read};
use super::files::{FileOps, Os};
use crate::backend::{Backend, BackendError, BackendExt, Key, Op, Put};

const NO_RESERVE: LocalOptions = LocalOptions { reserve_bytes: 0, accepts_network: false };

/// Writes down every call, and fails those it is told to.
#[derive(Clone, Debug, Default)]
struct Watched(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    calls: Vec<String>,
    /// Fails calls that begin with this text, this many times.
    failures: Vec<(&'static str, usize, Errno)>,
    /// Fails the call with this position among all.
    fail_at: Option<(usize, Errno)>,
}

impl Watched {
    fn fail(&self, call: &'static str, times: usize, errno: Errno) {
        self.0.lock().unwrap().failures.push((call, times, errno));
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    fn call(&self, name: &str, path: Option<&Path>) -> io::Result<()> {
        let mut script = self.0.lock().unwrap();
        let last = path.and_then(Path::file_name).map(|n| format!(" {}", n.to_string_lossy()));
        let text = format!("{name}{}", last.unwrap_or_default());
        let position = script.calls.len();
        script.calls.push(text.clone());
        if let Some((at, errno)) = script.fail_at
            && at == position
        {
            return Err(errno.into());
        }
        for (call, times, errno) in &mut script.failures {
            if text.starts_with(*call) && *times > 0 {
                *times -= 1;
                return Err((*errno).into());
            }
        }
        Ok(())
    }
}

impl FileOps for Watched {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.call("create", None)?;
        Os.create(path)
    }

    fn write(&self, file: &File, parts: &[&[u8]]) -> io::Result<()> {
        self.call("write", None).inspect_err(|_| {
            // A failing disk took a part of it.
            let bytes = parts.concat();
            let _ = Os.write(file, &[&bytes[..bytes.len() / 2]]);
        })?;
        Os.write(file, parts)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.call("sync file", None)?;
        Os.sync_file(file)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("link", Some(to))?;
        Os.link(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call("sync dir", Some(path))?;
        Os.sync_dir(path)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let is_temp = path.parent().is_some_and(|parent| parent.ends_with(INCOMING));
        self.call("unlink", (!is_temp).then_some(path))?;
        Os.unlink(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.call("make dir", Some(path))?;
        Os.make_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call("remove dir", Some(path))?;
        Os.remove_dir(path)
    }
}

fn store() -> (tempfile::TempDir, LocalBackend, Watched) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("store")).unwrap();
    let watched = Watched::default();
    let files = Box::new(watched.clone());
    let backend =
        LocalBackend::open_with(&directory.path().join("store"), NO_RESERVE, files).unwrap();
    watched.calls();
    (directory, backend, watched)
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn incoming(backend: &LocalBackend) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(backend.root.join(INCOMING)).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// A directory that somebody else removes because it is empty is made again; that is no failing disk, and
/// stops nothing (P20).
#[test]
fn a_put_makes_directories_again_that_somebody_prunes() {
    for call in ["make dir b", "link", "sync dir b"] {
        let (_directory, backend, watched) = store();
        assert_eq!(backend.put_new(&key("a/first"), &[b"x"]).unwrap(), Put::Created);
        watched.fail(call, 3, Errno::NOENT);
        let put = backend.put_new(&key("a/b/one"), &[b"x"]).unwrap();
        assert!(put == Put::Created || call.starts_with("sync"), "{call}: {put:?}");
        assert_eq!(backend.put_new(&key("c"), &[b"x"]).unwrap(), Put::Created, "{call}");
        assert_eq!(incoming(&backend), Vec::<PathBuf>::new());
    }
    let (_directory, backend, _) = store();
    assert_eq!(backend.put_new(&key("a/b/one"), &[b"x"]).unwrap(), Put::Created);
    assert_eq!(backend.put_new(&key("a/c/d/two"), &[b"x"]).unwrap(), Put::Created);
    backend.delete(&key("a/c/d/two")).unwrap();
    backend.prune("a/");
    assert!(backend.root.join("a/b/one").exists() && !backend.root.join("a/c").exists());
    assert_eq!(backend.put_new(&key("a/c/d/two"), &[b"x"]).unwrap(), Put::Created);
}

/// P2: the content is durable before the name, the name and all directories before the answer,
/// and the temporary name goes last.
#[test]
fn a_put_syncs_content_then_name_and_every_new_directory_up_to_the_root() {
    let (_directory, backend, watched) = store();
    assert_eq!(backend.put_new(&key("a/b/one"), &[b"x", b"y"]).unwrap(), Put::Created);
    let expected = [
        "make dir a",
        "sync dir store",
        "make dir b",
        "sync dir a",
        "create",
        "write",
        "sync file",
        "link one",
        "sync dir b",
        "unlink",
    ];
    assert_eq!(watched.calls(), expected);
    assert_eq!(backend.put_new(&key("a/b/two"), &[b"x"]).unwrap(), Put::Created);
    let expected = ["create", "write", "sync file", "link two", "sync dir b", "unlink"];
    assert_eq!(watched.calls(), expected);
}

/// P2: "it existed" is as durable as "I created it", even if its creator died in between.
#[test]
fn an_existing_object_is_made_durable_before_it_is_reported() {
    let (_directory, backend, watched) = store();
    std::fs::create_dir(backend.root.join("d")).unwrap();
    std::fs::write(backend.root.join("d/there"), b"x").unwrap();
    assert_eq!(backend.put_new(&key("d/there"), &[b"y"]).unwrap(), Put::Existed);
    assert_eq!(watched.calls(), ["make dir d", "sync dir store", "sync dir d"]);
}

#[test]
fn a_delete_is_synced_also_when_the_object_is_gone_already() {
    let (_directory, backend, watched) = store();
    assert_eq!(backend.put_new(&key("d/one"), &[b"x"]).unwrap(), Put::Created);
    watched.calls();
    for _ in 0..2 {
        backend.delete(&key("d/one")).unwrap();
        assert_eq!(watched.calls(), ["unlink one", "sync dir d"]);
    }
}

/// P20: a handle that failed is never used again; the put starts over with a new file, once.
#[test]
fn one_failed_write_or_sync_is_repaired_by_a_new_file() {
    for call in ["write", "sync file"] {
        let (_directory, backend, watched) = store();
        watched.fail(call, 1, Errno::IO);
        assert_eq!(backend.put_new(&key("d/one"), &[b"whole"]).unwrap(), Put::Created);
        assert_eq!(watched.calls().iter().filter(|call| *call == "create").count(), 2, "{call}");
        assert_eq!(backend.get(&key("d/one")).unwrap().unwrap(), b"whole");
        assert_eq!(incoming(&backend), Vec::<PathBuf>::new());
    }
}

/// P20: after two failures nothing more is written, everything can still be read, and opening
/// the store again starts afresh.
#[test]
fn two_failed_syncs_in_a_row_make_the_store_read_only() {
    let (directory, backend, watched) = store();
    assert_eq!(backend.put_new(&key("d/old"), &[b"old"]).unwrap(), Put::Created);
    watched.fail("sync file", 2, Errno::IO);
    let failed = backend.put_new(&key("d/new"), &[b"new"]);
    assert!(matches!(failed, Err(BackendError::Unavailable { .. })), "{failed:?}");
    let refused = backend.put_new(&key("d/new"), &[b"new"]);
    assert!(matches!(refused, Err(BackendError::ReadOnly { .. })), "{refused:?}");
    let refused = backend.delete(&key("d/old"));
    assert!(matches!(refused, Err(BackendError::ReadOnly { .. })), "{refused:?}");
    assert_eq!(backend.get(&key("d/old")).unwrap().unwrap(), b"old");
    assert_eq!(backend.list_all("").unwrap().len(), 1);
    assert_eq!(incoming(&backend), Vec::<PathBuf>::new());
    let again = LocalBackend::open(&directory.path().join("store"), NO_RESERVE).unwrap();
    assert_eq!(again.put_new(&key("d/new"), &[b"new"]).unwrap(), Put::Created);
}

/// P20: a failed sync of a directory leaves unknown what is durable, so nobody hears "created".
#[test]
fn a_failed_sync_of_a_directory_makes_the_store_read_only_at_once() {
    let (_directory, backend, watched) = store();
    watched.fail("sync dir d", 1, Errno::IO);
    backend.put_new(&key("d/one"), &[b"x"]).unwrap_err();
    let refused = backend.put_new(&key("d/one"), &[b"x"]);
    assert!(matches!(refused, Err(BackendError::ReadOnly { .. })), "{refused:?}");
}

/// P3, P20: whichever call fails, in whichever way, the object is whole or absent, success means
/// it is there, and no temporary file stays.
#[test]
fn whichever_call_fails_an_object_is_whole_or_absent() {
    for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS] {
        for position in 0.. {
            let (_directory, backend, watched) = store();
            watched.0.lock().unwrap().fail_at = Some((position, errno));
            let put = backend.put_new(&key("a/b/one"), &[b"first ", b"second"]);
            let calls = watched.calls();
            let object = backend.get(&key("a/b/one")).unwrap();
            assert!(object.as_deref().is_none_or(|bytes| bytes == b"first second"));
            if matches!(put, Ok(Put::Created)) {
                assert!(object.is_some(), "{errno} at {position}");
            }
            let unlink_failed = calls.get(position).is_some_and(|call| call == "unlink");
            assert!(incoming(&backend).is_empty() || unlink_failed, "{errno} at {position}");
            if calls.len() <= position {
                assert_eq!(put.unwrap(), Put::Created);
                break;
            }
        }
    }
}

/// P19: a full disk is said to be full, and does not turn the store read-only.
#[test]
fn no_space_is_not_mistaken_for_a_broken_disk() {
    let (_directory, backend, watched) = store();
    for call in ["create", "write", "sync file", "link"] {
        watched.fail(call, 1, Errno::NOSPC);
        let full = backend.put_new(&key("d/one"), &[b"x"]);
        assert!(matches!(full, Err(BackendError::NoSpace { .. })), "{call}: {full:?}");
    }
    backend.delete(&key("d/one")).unwrap();
    assert_eq!(backend.put_new(&key("d/one"), &[b"x"]).unwrap(), Put::Created);
}

/// P2, P3: what a killed put left is swept by the next opening, unless its writer still lives.
#[test]
fn leftovers_of_the_dead_are_swept_and_files_of_the_living_are_not() {
    let (directory, backend, _watched) = store();
    assert_eq!(backend.put_new(&key("d/one"), &[b"x"]).unwrap(), Put::Created);
    let dead = backend.root.join(INCOMING).join("4000000-0");
    std::fs::hard_link(backend.root.join("d/one"), &dead).unwrap();
    let alive = backend.root.join(INCOMING).join("4000000-1");
    let file = Os.create(&alive).unwrap();
    flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    LocalBackend::open(&directory.path().join("store"), NO_RESERVE).unwrap();
    assert_eq!(incoming(&backend), [alive]);
    assert_eq!(backend.get(&key("d/one")).unwrap().unwrap(), b"x");
}

#[test]
fn names_that_are_no_objects_are_neither_listed_nor_followed() {
    let (directory, backend, _watched) = store();
    std::fs::write(directory.path().join("secret"), b"secret").unwrap();
    std::os::unix::fs::symlink(directory.path().join("secret"), backend.root.join("link")).unwrap();
    std::fs::create_dir(backend.root.join("lost+found")).unwrap();
    std::fs::create_dir(backend.root.join("dir")).unwrap();
    assert_eq!(backend.list_all("").unwrap(), []);
    assert!(backend.get(&key("link")).is_err(), "a link is not followed");
    assert_eq!(backend.get(&key("dir")).unwrap(), None);
    let refused = backend.put_new(&key("dir"), &[b"x"]);
    assert!(matches!(refused, Err(BackendError::Refused { .. })), "{refused:?}");
    let refused = backend.list("../", None);
    assert!(matches!(refused, Err(BackendError::Refused { .. })), "{refused:?}");
}

/// P24, P29: a file of impossible size is refused, not read.
#[test]
fn an_object_larger_than_any_is_not_read_into_memory() {
    let (_directory, backend, _watched) = store();
    File::create(backend.root.join("huge")).unwrap().set_len(1 << 42).unwrap();
    let refused = backend.get(&key("huge"));
    assert!(matches!(refused, Err(BackendError::Oversized { .. })), "{refused:?}");
    backend.get_range(&key("huge"), 1 << 41, &mut [0; 16]).unwrap().unwrap();
}

/// P29: a pipe in the place of an object or of a temporary file holds nobody up.
#[test]
fn a_pipe_is_no_object_and_is_not_waited_for() {
    let (_directory, backend, _watched) = store();
    for name in ["pipe".to_owned(), format!("{INCOMING}/pipe")] {
        let made = Command::new("mkfifo").arg(backend.root.join(name)).status();
        assert!(made.unwrap().success());
    }
    assert_eq!(backend.get(&key("pipe")).unwrap(), None);
    assert_eq!(backend.list_all("").unwrap(), []);
    LocalBackend::open(&backend.root, NO_RESERVE).unwrap();
}

/// P5: a bad sector does not get better by asking again; a disk that is busy may.
#[test]
fn what_the_medium_cannot_read_is_damage_and_no_passing_failure() {
    let error = |errno: Errno| failed_read(Op::Get, &key("a"), errno.into());
    for errno in [Errno::IO, Errno::UCLEAN, Errno::BADMSG] {
        let error = error(errno);
        assert!(error.is_damage() && !error.is_transient(), "{error:?}");
    }
    for errno in [Errno::MFILE, Errno::NOMEM, Errno::INTR, Errno::STALE] {
        let error = error(errno);
        assert!(!error.is_damage() && error.is_transient(), "{error:?}");
    }
}

/// P19 on a real full file system: packs are refused, records use the reserve, deleting works, and
/// afterwards the reserve is there again.
#[test]
fn on_a_full_disk_records_can_still_be_written_and_objects_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let mount = directory.path().join("small");
    std::fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=32m", "cbr-test"])
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
    let outcome = std::panic::catch_unwind(|| fill_and_empty(&mount));
    Command::new("umount").arg(&mount).status().unwrap();
    outcome.unwrap();
}

fn fill_and_empty(mount: &Path) {
    let backend = LocalBackend::create(&mount.join("store"), LocalOptions::default()).unwrap();
    let reserve = backend.root.join(".reserve");
    assert_eq!(reserve.metadata().unwrap().len(), 512 * 1024, "1/64 of 32 MiB");
    let pack = vec![7; 1024 * 1024];
    let full = (0..64).find_map(|n| backend.put_new(&key(&format!("p/{n}")), &[&pack]).err());
    assert!(matches!(full, Some(BackendError::NoSpace { .. })), "{full:?}");
    // Somebody else takes the rest, and whatever becomes free.
    fill_to_the_last_byte(mount);
    for n in 0..4 {
        assert_eq!(backend.put_new(&key(&format!("r/{n}")), &[&[2; 4096]]).unwrap(), Put::Created);
        fill_to_the_last_byte(mount);
    }
    let left = reserve.metadata().unwrap().len();
    assert!((1..512 * 1024).contains(&left), "{left} bytes are left of the reserve");
    assert_eq!(backend.get(&key("p/0")).unwrap().unwrap(), pack);
    for n in 0..8 {
        backend.delete(&key(&format!("p/{n}"))).unwrap();
    }
    assert_eq!(reserve.metadata().unwrap().len(), 512 * 1024, "the reserve is taken again");
    assert_eq!(backend.put_new(&key("p/new"), &[&pack]).unwrap(), Put::Created);
    assert_eq!(incoming(&backend), Vec::<PathBuf>::new());
}

fn fill_to_the_last_byte(mount: &Path) {
    use std::io::Write;
    let file = std::fs::OpenOptions::new().create(true).append(true).open(mount.join("other"));
    let mut other = file.unwrap();
    while other.write_all(&[1; 4096]).is_ok() {}
}
