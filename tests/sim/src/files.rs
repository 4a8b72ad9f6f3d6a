//! A directory as a value, and a file system that remembers what was asked of it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cbr_store::backend::{FileOps, Os};

/// Files with their bytes, and directories (`None`), by path below a root.
pub(crate) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Reads everything below `root`.
pub(crate) fn read_tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut rest = vec![root.to_owned()];
    while let Some(directory) = rest.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                tree.insert(name, None);
                rest.push(path);
            } else {
                tree.insert(name, Some(std::fs::read(&path).unwrap()));
            }
        }
    }
    tree
}

/// Writes a tree below `root`, which is empty.
pub(crate) fn write_tree(root: &Path, tree: &Tree) {
    for (name, content) in tree {
        let path = root.join(name);
        match content {
            None => std::fs::create_dir(&path).unwrap(),
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        }
    }
}

/// A new directory in memory if the machine has such a place.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A change that was asked for and made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A new file, of that number, under that name.
    Create(PathBuf, usize),
    /// Bytes at its end.
    Write(usize, Vec<u8>),
    /// Its content is durable.
    SyncFile(usize),
    /// One more name.
    Link(PathBuf, usize),
    /// The names in a directory are durable.
    SyncDirectory(PathBuf),
    /// A name less.
    Unlink(PathBuf),
    /// A new directory.
    MakeDirectory(PathBuf),
    /// An empty directory less.
    RemoveDirectory(PathBuf),
}

/// Makes changes and remembers them.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    root: PathBuf,
    state: Arc<Mutex<Recorded>>,
}

#[derive(Debug, Default)]
struct Recorded {
    effects: Vec<Effect>,
    /// Inode number → our number; a number that is used again belongs to the newer file.
    files: HashMap<u64, usize>,
    next: usize,
}

impl Recorder {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: std::fs::canonicalize(root).unwrap(), state: Arc::default() }
    }

    /// How many changes so far.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().effects.len()
    }

    /// All of them.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        self.state.lock().unwrap().effects.clone()
    }

    fn name(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    fn number(&self, inode: u64) -> usize {
        self.state.lock().unwrap().files[&inode]
    }

    fn add(&self, effect: Effect) {
        self.state.lock().unwrap().effects.push(effect);
    }
}

impl FileOps for Recorder {
    fn create(&self, path: &Path) -> io::Result<File> {
        let file = Os.create(path)?;
        let inode = file.metadata()?.ino();
        let mut state = self.state.lock().unwrap();
        let number = state.next;
        state.next += 1;
        state.files.insert(inode, number);
        drop(state);
        self.add(Effect::Create(self.name(path), number));
        Ok(file)
    }

    fn write(&self, file: &File, parts: &[&[u8]]) -> io::Result<()> {
        Os.write(file, parts)?;
        self.add(Effect::Write(self.number(file.metadata()?.ino()), parts.concat()));
        Ok(())
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.add(Effect::SyncFile(self.number(file.metadata()?.ino())));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        Os.link(from, to)?;
        let inode = std::fs::metadata(to)?.ino();
        self.add(Effect::Link(self.name(to), self.number(inode)));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?;
        self.add(Effect::SyncDirectory(self.name(path)));
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        Os.unlink(path)?;
        self.add(Effect::Unlink(self.name(path)));
        Ok(())
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        Os.make_dir(path)?;
        self.add(Effect::MakeDirectory(self.name(path)));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        Os.remove_dir(path)?;
        self.add(Effect::RemoveDirectory(self.name(path)));
        Ok(())
    }
}
