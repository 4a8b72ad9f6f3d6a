//! Disks in memory, servers on sockets, and the tools of others.

use std::io::{self, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use cbr_env::{Clock, SystemClock};
use cbr_nbd::{Changes, Client, Export, Exports, Extent, Extents, Limits, Server, Wishes, Writes};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

const GRAIN: usize = 4096;

/// A disk in memory. Runs of zeroes are holes.
pub(crate) struct MemoryDisk {
    pub(crate) bytes: Mutex<Vec<u8>>,
    pub(crate) writable: bool,
    pub(crate) changed: Option<Vec<Range<u64>>>,
    pub(crate) flushes: Mutex<u32>,
}

impl MemoryDisk {
    pub(crate) fn new(bytes: Vec<u8>, writable: bool) -> Self {
        Self { bytes: Mutex::new(bytes), writable, changed: None, flushes: Mutex::new(0) }
    }
}

/// A disk's bytes with data, holes and a ragged end.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    let byte = |at: usize| match (at / (64 << 10)) % 3 {
        0 => 0,
        _ => u8::try_from((at * 31 + at / 4096) % 251).unwrap() + 1,
    };
    (0..size).map(byte).collect()
}

fn indices(range: &Range<u64>) -> Range<usize> {
    usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
}

impl Export for MemoryDisk {
    fn size(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let range = indices(&(offset..offset + buffer.len() as u64));
        buffer.copy_from_slice(&self.bytes.lock().unwrap()[range]);
        Ok(())
    }

    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>> {
        let mut extents = Extents::default();
        for piece in self.bytes.lock().unwrap()[indices(&range)].chunks(GRAIN) {
            let length = piece.len() as u64;
            let zero = piece.iter().all(|byte| *byte == 0);
            extents.push(if zero { Extent::hole(length) } else { Extent::plain(length) });
        }
        Ok(extents.into_vec())
    }

    fn changes(&self) -> Option<&dyn Changes> {
        self.changed.as_ref().map(|_| self as &dyn Changes)
    }

    fn writes(&self) -> Option<&dyn Writes> {
        self.writable.then_some(self as &dyn Writes)
    }

    fn description(&self) -> Option<&str> {
        Some("a disk of a test")
    }
}

impl Changes for MemoryDisk {
    fn name(&self) -> &'static str {
        "since-monday"
    }

    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>> {
        let changed = self.changed.clone().unwrap_or_default();
        let mut extents = Extents::default();
        for at in range.step_by(GRAIN) {
            let dirty = changed.iter().any(|range| range.contains(&at));
            let length = GRAIN as u64;
            extents.push(if dirty { Extent::dirty(length) } else { Extent::plain(length) });
        }
        Ok(extents.into_vec())
    }
}

impl Writes for MemoryDisk {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let range = indices(&(offset..offset + data.len() as u64));
        self.bytes.lock().unwrap()[range].copy_from_slice(data);
        Ok(())
    }

    fn zero(&self, range: Range<u64>, _: bool) -> io::Result<()> {
        self.bytes.lock().unwrap()[indices(&range)].fill(0);
        Ok(())
    }

    fn trim(&self, _: Range<u64>) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        *self.flushes.lock().unwrap() += 1;
        Ok(())
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

/// A server on a Unix socket in a folder of its own, until dropped.
pub(crate) struct Served {
    pub(crate) folder: tempfile::TempDir,
    stop: CancellationToken,
}

impl Served {
    pub(crate) fn start(exports: Exports) -> Self {
        Self::limited(exports, Limits::default())
    }

    pub(crate) fn limited(exports: Exports, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let server = Server::new(exports, limits, clock());
        let until = stop.clone();
        tokio::spawn(async move { server.serve_unix(listener, until).await });
        Self { folder, stop }
    }

    pub(crate) fn of(disk: impl Export) -> Self {
        Self::start(Exports::default().with("", Arc::new(disk)))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn uri(&self) -> String {
        format!("nbd+unix:///?socket={}", self.socket().display())
    }

    pub(crate) async fn client(&self, wishes: Wishes) -> Client {
        Client::connect_unix(&self.socket(), wishes, clock()).await.unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Whether all programs are there; if not, says that the test is skipped.
pub(crate) fn have(test: &str, programs: &[&str]) -> bool {
    for program in programs {
        if Command::new(program).arg("--version").output().is_err() {
            let _ = writeln!(io::stderr(), "skipped: {test}: {program} is not installed");
            return false;
        }
    }
    true
}

/// Runs a program to its end, and gives what it said; fails if it failed.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(program).args(arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}{complained}");
    said
}
