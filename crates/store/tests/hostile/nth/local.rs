//! Faults of the system calls of the local backend.
//!
//! Reads are not among them: they change nothing, and how a failing one is reported `backend.rs` shows.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use cbr_store::Error;
use cbr_store::backend::{BackendError, FileOps, LocalBackend, LocalOptions, Os};
use rustix::io::Errno;

use super::operations::changing;
use super::process::Process;
use super::starts::Objects;
use super::{Case, SEED, every_call, judge};
use crate::world::Seeds;

/// See [`every_call`].
const STEP: u64 = 11;
const NO_RESERVE: LocalOptions = LocalOptions { reserve_bytes: 0, accepts_network: false };

/// What becomes of a system call. A write that fails has written half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// It fails with this error, without effect.
    Fails(Errno),
    /// It has its effect, and then fails with this error.
    HappensAndFails(Errno),
}

/// Fails call number `at`, and perhaps all later ones, until it is healed.
#[derive(Clone, Debug)]
struct Failing(Arc<Mutex<Script>>);

#[derive(Debug)]
struct Script {
    calls: u64,
    at: u64,
    from_then_on: bool,
    fault: Option<Fault>,
}

impl Failing {
    fn next(&self) -> Option<Fault> {
        let mut script = self.0.lock().unwrap();
        let call = script.calls;
        script.calls += 1;
        let is_now = call == script.at || script.from_then_on && call > script.at;
        script.fault.filter(|_| is_now)
    }

    fn call<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.next() {
            None => work(),
            Some(Fault::Fails(errno)) => Err(errno.into()),
            Some(Fault::HappensAndFails(errno)) => work().and_then(|_| Err(errno.into())),
        }
    }
}

impl FileOps for Failing {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.call(|| Os.create(path))
    }

    fn write(&self, file: &File, parts: &[&[u8]]) -> io::Result<()> {
        let written = self.call(|| Os.write(file, parts));
        if written.is_err() {
            let bytes = parts.concat();
            let _ = Os.write(file, &[&bytes[..bytes.len() / 2]]);
        }
        written
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.call(|| Os.sync_file(file))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| Os.link(from, to))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|| Os.sync_dir(path))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.call(|| Os.unlink(path))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|| Os.make_dir(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|| Os.remove_dir(path))
    }
}

/// A directory in memory if the machine has such a place: what is durable the simulation tests.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn write_all(root: &Path, objects: &Objects) {
    for (key, object) in objects {
        let path = root.join(key.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, object).unwrap();
    }
}

fn under(fault: Fault, kind: fn(&Error) -> bool) {
    every_call(&changing(), &fault, STEP, &|case: &Case<'_>| {
        let directory = scratch();
        let root = directory.path();
        write_all(root, &case.operation.start.objects);
        let (at, from_then_on) = (case.call, case.from_then_on);
        let script = Script { calls: 0, at, from_then_on, fault: None };
        let failing = Failing(Arc::new(Mutex::new(script)));
        let opened = LocalBackend::open_with(root, NO_RESERVE, Box::new(failing.clone())).unwrap();
        *failing.0.lock().unwrap() = Script { calls: 0, at, from_then_on, fault: Some(fault) };
        let seeds = Seeds::new(SEED + at);
        let heal = || {
            let mut script = failing.0.lock().unwrap();
            script.fault = None;
            script.calls > at
        };
        let look = || {
            let local = LocalBackend::open(root, NO_RESERVE).unwrap();
            let left = std::fs::read_dir(root.join(".incoming")).unwrap().count();
            assert_eq!(left, 0, "{case}: temporary files stay after opening");
            Process::with(Arc::new(local), seeds.random())
        };
        let mut process = Process::with(Arc::new(opened), seeds.random());
        judge(case, &mut process, kind, &heal, &look)
    });
}

fn is_io(error: &Error) -> bool {
    let kinds = [
        matches!(error, Error::Backend(BackendError::Unavailable { .. })),
        matches!(error, Error::Backend(BackendError::ReadOnly { .. })),
    ];
    kinds.contains(&true)
}

fn is_no_space(error: &Error) -> bool {
    error.is_transient() && matches!(error, Error::Backend(BackendError::NoSpace { .. }))
}

/// P20: EIO, of writes, of syncs of files and directories, of names.
#[test]
fn an_input_output_error_at_any_system_call_of_any_operation() {
    under(Fault::Fails(Errno::IO), is_io);
}

/// P20: what a network file system answers when it did what it was asked.
#[test]
fn an_input_output_error_after_the_fact_at_any_system_call_of_any_operation() {
    under(Fault::HappensAndFails(Errno::IO), is_io);
}

/// P19: no space and an exceeded quota, also for a name, a directory, a sync and a removal.
#[test]
fn no_space_at_any_system_call_of_any_operation() {
    for errno in [Errno::NOSPC, Errno::DQUOT] {
        under(Fault::Fails(errno), is_no_space);
    }
}

/// The file system has become read-only under us: the kernel's answer to errors of the disk.
#[test]
fn a_file_system_that_turns_read_only_at_any_system_call_of_any_operation() {
    under(Fault::Fails(Errno::ROFS), is_io);
}
