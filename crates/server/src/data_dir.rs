//! The data directory: what lies where, and that only one process uses it.
//!
//! ```text
//! DATA/
//!   master.key     opens the repository; nothing opens it without. Keep a copy elsewhere
//!   master.key.next, master.key.before-N   while the master key is changed, and after
//!   cbr.db         rows (unless database.url names a server)
//!   repository/    backups (unless repository.path names another place)
//!   pool/          disk images, when the configuration names no pool
//!   cache/         what was read of maps; may be removed at any time
//!   exports/       sockets of exported backups, and what is written to them
//!   local/         what the local provider has open
//!   node           this machine's name; tasks on its disks run here only
//!   server.lock    held by the running service
//!   account.new    the first account's secrets until somebody has got them
//! ```
//!
//! A master key is made only where there is nothing yet that another key could
//! have sealed: a missing key beside existing data is an error, never a new key.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cbr_env::{Random, RandomExt};
use cbr_store::MasterKey;

use crate::config::Config;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    /// The machine refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The operation, to be read after "cannot".
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
    /// Another process uses it.
    #[error("another cbr process uses {}; stop it first", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Others can read what is in it.
    #[error("others can access {} (mode {mode:o}); run: chmod 700 {}", path.display(), path.display())]
    TooOpen {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is data, but not the key that opens it.
    #[error(
        "{} is missing, but {} exists: put the key back from your copy; a new key could not \
         open what is there", key.display(), data.display()
    )]
    KeyLost {
        /// Where the key should be.
        key: PathBuf,
        /// What it would open.
        data: PathBuf,
    },
    /// The master key is being changed.
    #[error(
        "a change of the master key was interrupted ({} is there); finish it with: \
         cbr repo key rotate-master --data-dir {}", next.display(), data.display()
    )]
    KeyChanging {
        /// The new key.
        next: PathBuf,
        /// The data directory.
        data: PathBuf,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    Key(#[from] cbr_store::Error),
}

/// A data directory.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
}

/// The right to use a data directory; ends with the value.
#[derive(Debug)]
pub(crate) struct DataDirLock {
    _file: File,
}

impl DataDir {
    /// Makes the directory if need be; it and what is in it is for its owner alone.
    pub(crate) fn create(path: &Path) -> Result<Self, DataDirError> {
        let path = std::path::absolute(path).map_err(|source| failed("find", path, source))?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|source| failed("create", &path, source))?;
        Self { path }.checked()
    }

    /// An existing directory.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let path = std::path::absolute(path).map_err(|source| failed("find", path, source))?;
        Self { path }.checked()
    }

    fn checked(self) -> Result<Self, DataDirError> {
        let about =
            fs::metadata(&self.path).map_err(|source| failed("open", &self.path, source))?;
        let mode = about.mode() & 0o777;
        // Reading by the group is left to the operator; writing by others never is.
        if mode & 0o027 != 0 {
            return Err(DataDirError::TooOpen { path: self.path, mode });
        }
        Ok(self)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps other processes out for as long as the lock lives.
    pub(crate) fn lock(&self) -> Result<DataDirLock, DataDirError> {
        let path = self.path.join("server.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| failed("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(DataDirLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse { path: self.path.clone() }),
            Err(TryLockError::Error(source)) => Err(failed("lock", &path, source)),
        }
    }

    /// The file with the master key.
    pub(crate) fn key_path(&self) -> PathBuf {
        self.path.join("master.key")
    }

    /// Whether there is one, or something in its place.
    pub(crate) fn has_key(&self) -> bool {
        self.key_path().symlink_metadata().is_ok()
    }

    /// Where the first account's secrets wait for somebody to get them.
    pub(crate) fn account_path(&self) -> PathBuf {
        self.path.join("account.new")
    }

    /// What the engine leaves for its next process. It may be lost.
    pub(crate) fn cache_path(&self) -> PathBuf {
        self.path.join("cache")
    }

    /// What the local provider keeps.
    pub(crate) fn provider_path(&self) -> PathBuf {
        self.path.join("local")
    }

    /// Where exported backups have their sockets, unless the configuration says otherwise.
    pub(crate) fn exports_path(&self) -> PathBuf {
        self.path.join("exports")
    }

    /// The pool there is when the configuration names none.
    pub(crate) fn pool_path(&self) -> PathBuf {
        self.path.join("pool")
    }

    /// Where backups are.
    pub(crate) fn repository_path(&self, config: &Config) -> PathBuf {
        config.repository.path.clone().unwrap_or_else(|| self.path.join("repository"))
    }

    /// The SQLite file there is when the configuration names no database.
    pub(crate) fn database_path(&self) -> PathBuf {
        self.path.join("cbr.db")
    }

    /// Reads the master key; makes one where there is nothing yet that needs another.
    ///
    /// The caller holds the lock.
    pub(crate) fn key(
        &self,
        config: &Config,
        random: &dyn Random,
    ) -> Result<MasterKey, DataDirError> {
        let path = self.key_path();
        if self.has_next_key() {
            return Err(DataDirError::KeyChanging {
                next: self.next_path(),
                data: self.path.clone(),
            });
        }
        if self.has_key() {
            return Ok(MasterKey::read_file(&path)?);
        }
        for data in [self.repository_path(config), self.database_path()] {
            if holds_data(&data) {
                return Err(DataDirError::KeyLost { key: path, data });
            }
        }
        self.make_key(&path, random)
    }

    /// Writes a new key beside and renames it: a crash leaves no half a key under the name.
    fn make_key(&self, path: &Path, random: &dyn Random) -> Result<MasterKey, DataDirError> {
        let draft = self.path.join("master.key.new");
        match fs::remove_file(&draft) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &draft, source));
            }
            _ => {}
        }
        let key = MasterKey::generate(random);
        key.write_new_file(&draft)?;
        fs::rename(&draft, path).map_err(|source| failed("create", path, source))?;
        sync_directory(&self.path)?;
        Ok(key)
    }

    fn next_path(&self) -> PathBuf {
        self.path.join("master.key.next")
    }

    /// Whether the master key is being changed.
    pub(crate) fn has_next_key(&self) -> bool {
        self.next_path().symlink_metadata().is_ok()
    }

    /// The key that comes after the present one, the same until [`DataDir::take_next_key`].
    ///
    /// The caller holds the lock.
    pub(crate) fn next_key(&self, random: &dyn Random) -> Result<MasterKey, DataDirError> {
        if self.has_next_key() {
            return Ok(MasterKey::read_file(&self.next_path())?);
        }
        self.make_key(&self.next_path(), random)
    }

    /// Makes the next key the key; returns where the one before it is kept.
    pub(crate) fn take_next_key(&self, number: u32) -> Result<PathBuf, DataDirError> {
        let before = self.path.join(format!("master.key.before-{number}"));
        match fs::hard_link(self.key_path(), &before) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("keep", &before, source));
            }
            _ => {}
        }
        let (next, path) = (self.next_path(), self.key_path());
        fs::rename(&next, &path).map_err(|source| failed("replace", &path, source))?;
        sync_directory(&self.path)?;
        Ok(before)
    }

    /// The name of this machine among the nodes of a database, made once.
    ///
    /// The caller holds the lock.
    pub(crate) fn node_name(&self, random: &dyn Random) -> Result<String, DataDirError> {
        if let Some(name) = self.known_node_name()? {
            return Ok(name);
        }
        let path = self.path.join("node");
        let name = format!("node-{}", random.uuid());
        let draft = self.path.join("node.new");
        File::create(&draft)
            .and_then(|mut file| {
                file.write_all(name.as_bytes())?;
                file.sync_all()
            })
            .map_err(|source| failed("write", &draft, source))?;
        fs::rename(&draft, &path).map_err(|source| failed("create", &path, source))?;
        sync_directory(&self.path)?;
        Ok(name)
    }

    /// The name of this machine among the nodes of a database, if it has one yet.
    pub(crate) fn known_node_name(&self) -> Result<Option<String>, DataDirError> {
        let path = self.path.join("node");
        match fs::read_to_string(&path) {
            Ok(name) => Ok(Some(name.trim().to_owned()).filter(|name| !name.is_empty())),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &path, source)),
        }
    }

    /// Makes a directory of ours inside, durably, if need be.
    pub(crate) fn make(&self, path: &Path) -> Result<(), DataDirError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| failed("create", path, source))?;
        sync_directory(&self.path)
    }
}

/// A directory without entries, or nothing at all, holds no data.
pub(crate) fn holds_data(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.symlink_metadata().is_ok(),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), DataDirError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| failed("sync", path, source))
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> DataDirError {
    DataDirError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use cbr_env::SystemRandom;

    use super::*;

    fn fresh() -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::create(&folder.path().join("a/b")).unwrap();
        (folder, data)
    }

    #[test]
    fn the_key_is_made_once_and_is_private() {
        let (_folder, data) = fresh();
        let (config, random) = (Config::default(), SystemRandom::default());
        data.key(&config, &random).unwrap();
        let first = fs::read(data.key_path()).unwrap();
        assert_eq!(fs::metadata(data.key_path()).unwrap().permissions().mode() & 0o777, 0o600);
        data.key(&config, &random).unwrap();
        assert_eq!(fs::read(data.key_path()).unwrap(), first);
    }

    /// Losing the key must not be hidden behind a new one that opens nothing.
    #[test]
    fn a_missing_key_beside_existing_data_is_never_replaced() {
        let (_folder, data) = fresh();
        let config = Config::default();
        fs::create_dir(data.path().join("repository")).unwrap();
        fs::write(data.path().join("repository/store.v1"), "x").unwrap();
        let error = data.key(&config, &SystemRandom::default()).unwrap_err();
        assert!(matches!(error, DataDirError::KeyLost { .. }), "{error}");
        assert!(!data.key_path().exists());
    }

    #[test]
    fn a_crash_while_the_key_was_written_leaves_a_directory_that_starts() {
        let (_folder, data) = fresh();
        fs::write(data.path().join("master.key.new"), "cbr-master").unwrap();
        fs::create_dir(data.path().join("repository")).unwrap();
        data.key(&Config::default(), &SystemRandom::default()).unwrap();
        assert!(!data.path().join("master.key.new").exists());
    }

    #[test]
    fn two_processes_cannot_share_a_data_directory() {
        let (_folder, data) = fresh();
        let first = data.lock().unwrap();
        assert!(matches!(data.lock(), Err(DataDirError::InUse { .. })));
        drop(first);
        data.lock().unwrap();
    }

    #[test]
    fn a_directory_that_others_can_read_is_refused() {
        let (_folder, data) = fresh();
        fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(DataDir::open(data.path()), Err(DataDirError::TooOpen { .. })));
    }
}
