//! The backend itself: opening, reading, and the calls put together.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock, fstatfs, syncfs};

use super::durable::make_dirs;
use super::files::{FileOps, Os, is_absent, is_medium_damage, is_no_space, open_object};
use super::listing;
use super::reserve::Reserve;
use crate::backend::{Backend, BackendError, Key, OBJECT_BYTES_MAX, Op, Page, Put};

/// Where unfinished puts are.
pub(super) const INCOMING: &str = ".incoming";

/// Settings of a local backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalOptions {
    /// Space kept free for small objects on a full disk, in bytes; at most 1/64 of the file system.
    pub reserve_bytes: u64,
    /// The operator knows that the directory lies on a network file system.
    pub accepts_network: bool,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self { reserve_bytes: 64 * 1024 * 1024, accepts_network: false }
    }
}

/// Objects as files below one directory.
#[derive(Debug)]
pub struct LocalBackend {
    pub(super) root: PathBuf,
    pub(super) files: Box<dyn FileOps>,
    /// Numbers the temporary files of this process.
    pub(super) temp_counter: AtomicU64,
    /// Directories known to be durable, up to the root.
    pub(super) known_dirs: Mutex<HashSet<PathBuf>>,
    /// Why nothing may be written any more (P20).
    read_only: Mutex<Option<String>>,
    pub(super) reserve: Reserve,
}

impl LocalBackend {
    /// Makes the directory if need be, and opens it.
    ///
    /// # Errors
    /// [`BackendError::Refused`] if it lies on a network file system that nobody accepted.
    pub fn create(root: &Path, options: LocalOptions) -> Result<Self, BackendError> {
        let root = std::path::absolute(root).map_err(|e| at(Op::Open, root, e))?;
        make_dirs(&Os, &root, None).map_err(|e| at(Op::Open, &root, e))?;
        Self::open(&root, options)
    }

    /// Opens an existing directory and sweeps what crashed puts left.
    ///
    /// On a file system that cannot be written it opens for reading only.
    pub fn open(root: &Path, options: LocalOptions) -> Result<Self, BackendError> {
        Self::open_with(root, options, Box::new(Os))
    }

    /// As [`LocalBackend::open`], with every change made through `files`: tests record or fail them.
    pub fn open_with(
        root: &Path,
        options: LocalOptions,
        files: Box<dyn FileOps>,
    ) -> Result<Self, BackendError> {
        let root = std::fs::canonicalize(root).map_err(|e| at(Op::Open, root, e))?;
        let directory = File::open(&root).map_err(|e| at(Op::Open, &root, e))?;
        refuse_network(&root, &directory, options)?;
        let backend = Self {
            reserve: Reserve::new(&root, options.reserve_bytes),
            root,
            files,
            temp_counter: AtomicU64::new(0),
            known_dirs: Mutex::default(),
            read_only: Mutex::default(),
        };
        match backend.prepare(&directory) {
            Ok(()) => backend.reserve.refill(),
            Err(e) if is_unwritable(&e) => {
                backend.set_read_only(&format!("the directory cannot be written: {e}"));
            }
            Err(e) if is_no_space(&e) => {}
            Err(e) => return Err(at(Op::Open, &backend.root, e)),
        }
        Ok(backend)
    }

    /// Makes `.incoming`, and sweeps it.
    fn prepare(&self, directory: &File) -> io::Result<()> {
        let incoming = self.root.join(INCOMING);
        match self.files.make_dir(&incoming) {
            Ok(()) => self.files.sync_dir(&self.root)?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
        let mut is_synced = false;
        for entry in std::fs::read_dir(&incoming)? {
            let path = entry?.path();
            let Ok(file) = open_object(&path) else { continue };
            // Whoever writes the file holds the lock; a dead process does not.
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            if !is_synced {
                // Its put may have linked the object without making that durable.
                syncfs(directory)?;
                is_synced = true;
            }
            match self.files.unlink(&path) {
                Err(e) if !is_absent(&e) => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// Stops all writing until the backend is opened again.
    pub(super) fn set_read_only(&self, reason: &str) {
        tracing::error!(root = %self.root.display(), reason, "the store is read-only");
        let mut read_only = self.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        read_only.get_or_insert_with(|| reason.to_owned());
    }

    pub(super) fn check_writable(&self, op: Op, key: &Key) -> Result<(), BackendError> {
        let read_only = self.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        match &*read_only {
            None => Ok(()),
            Some(reason) => {
                let (key, reason) = (key.to_string(), reason.clone());
                Err(BackendError::ReadOnly { op, key, reason })
            }
        }
    }

    /// The open object, or `None` if there is none.
    fn open_file(&self, op: Op, key: &Key) -> Result<Option<(File, u64)>, BackendError> {
        let file = match open_object(&self.path(key)) {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(failed_read(op, key, e)),
        };
        let about = file.metadata().map_err(|e| failed_read(op, key, e))?;
        Ok(about.is_file().then_some((file, about.len())))
    }
}

impl Backend for LocalBackend {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        self.put_durably(key, body)
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        let Some((file, size)) = self.open_file(Op::Get, key)? else { return Ok(None) };
        if size > OBJECT_BYTES_MAX {
            return Err(BackendError::Oversized { key: key.to_string(), size_bytes: size });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(size).read_to_end(&mut bytes).map_err(|e| failed_read(Op::Get, key, e))?;
        if bytes.len() as u64 != size {
            return Err(BackendError::Short { key: key.to_string(), end: size });
        }
        Ok(Some(bytes))
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        into: &mut [u8],
    ) -> Result<Option<()>, BackendError> {
        let Some((file, _)) = self.open_file(Op::GetRange, key)? else { return Ok(None) };
        match file.read_exact_at(into, offset) {
            Ok(()) => Ok(Some(())),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                let end = offset.saturating_add(into.len() as u64);
                Err(BackendError::Short { key: key.to_string(), end })
            }
            Err(e) => Err(failed_read(Op::GetRange, key, e)),
        }
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        match std::fs::symlink_metadata(self.path(key)) {
            Ok(about) => Ok(about.is_file().then_some(about.len())),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(failed(Op::Size, key, e)),
        }
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        listing::list(&self.root, prefix, after)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.delete_durably(key)
    }

    fn prune(&self, prefix: &str) {
        if let Ok(name) = Key::new(prefix.trim_end_matches('/'))
            && self.check_writable(Op::Delete, &name).is_ok()
        {
            self.remove_empty(&self.path(&name));
        }
    }

    fn describe(&self) -> String {
        format!("directory {}", self.root.display())
    }
}

pub(super) fn failed(op: Op, key: &Key, source: io::Error) -> BackendError {
    if is_no_space(&source) {
        return BackendError::NoSpace { op, key: key.to_string() };
    }
    BackendError::Unavailable { op, key: key.to_string(), source }
}

/// A bad sector will be bad again, and the other objects are none the worse for it (P5).
pub(super) fn failed_read(op: Op, key: &Key, source: io::Error) -> BackendError {
    if is_medium_damage(&source) {
        return BackendError::Unreadable { op, key: key.to_string(), source };
    }
    failed(op, key, source)
}

fn at(op: Op, path: &Path, source: io::Error) -> BackendError {
    BackendError::Unavailable { op, key: path.display().to_string(), source }
}

fn is_unwritable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// Network file systems neither promise a durable link nor one winner among racing clients.
fn refuse_network(
    root: &Path,
    directory: &File,
    options: LocalOptions,
) -> Result<(), BackendError> {
    const NFS: i64 = 0x6969;
    const SMB: [i64; 3] = [0x517b, 0xff53_4d42, 0xfe53_4d42];
    let about = fstatfs(directory).map_err(|e| at(Op::Open, root, e.into()))?;
    #[expect(clippy::useless_conversion, reason = "the field's width differs between targets")]
    let kind = i64::from(about.f_type);
    if options.accepts_network || (kind != NFS && !SMB.contains(&kind)) {
        return Ok(());
    }
    let reason = "it lies on a network file system, which may lose what it confirmed".to_owned();
    Err(BackendError::Refused { op: Op::Open, key: root.display().to_string(), reason })
}
