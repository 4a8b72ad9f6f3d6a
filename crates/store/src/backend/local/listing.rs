//! Listing a directory tree in the order of the keys.

use std::io;
use std::path::Path;

use super::files::is_absent;
use crate::backend::{BackendError, Entry, Key, LIST_PAGE_MAX, Op, Page};

pub(super) fn list(root: &Path, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
    let directory = prefix.rfind('/').map_or("", |slash| &prefix[..slash]);
    if !directory.is_empty() && !Key::is_valid(directory) {
        let (key, reason) = (prefix.to_owned(), "not the beginning of an object name".to_owned());
        return Err(BackendError::Refused { op: Op::List, key, reason });
    }
    let mut listing =
        Listing { root, prefix, after: after.map_or("", Key::as_str), entries: Vec::new() };
    let name = if directory.is_empty() { String::new() } else { format!("{directory}/") };
    listing.walk(&name).map_err(|source| BackendError::Unavailable {
        op: Op::List,
        key: prefix.to_owned(),
        source,
    })?;
    let is_last = listing.entries.len() <= LIST_PAGE_MAX;
    listing.entries.truncate(LIST_PAGE_MAX);
    Ok(Page { entries: listing.entries, is_last })
}

struct Listing<'a> {
    root: &'a Path,
    prefix: &'a str,
    after: &'a str,
    entries: Vec<Entry>,
}

impl Listing<'_> {
    /// Adds what is in `directory` (empty, or ending in `/`), until one more than a page is found.
    fn walk(&mut self, directory: &str) -> io::Result<()> {
        for (name, is_directory) in self.names(directory)? {
            if self.entries.len() > LIST_PAGE_MAX {
                break;
            }
            if is_directory {
                self.walk(&name)?;
            } else {
                self.add(name)?;
            }
        }
        Ok(())
    }

    /// What of `directory` can matter, in the order of the keys: a directory sorts as its name with
    /// a slash, because that is how all keys in it begin.
    fn names(&self, directory: &str) -> io::Result<Vec<(String, bool)>> {
        let entries = match std::fs::read_dir(self.root.join(directory)) {
            Ok(entries) => entries,
            Err(e) if is_absent(&e) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // What is no part of a key (our own files, lost+found) is no object.
            let Some(name) = entry.file_name().to_str().map(|name| format!("{directory}{name}"))
            else {
                continue;
            };
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                Err(e) if is_absent(&e) => continue,
                Err(e) => return Err(e),
            };
            if !Key::is_valid(&name) {
                continue;
            }
            if kind.is_file() && self.is_wanted(&name) {
                names.push((name, false));
            } else if kind.is_dir() && self.may_contain_wanted(&format!("{name}/")) {
                names.push((format!("{name}/"), true));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn is_wanted(&self, key: &str) -> bool {
        key.starts_with(self.prefix) && key > self.after
    }

    fn may_contain_wanted(&self, directory: &str) -> bool {
        let fits = directory.starts_with(self.prefix) || self.prefix.starts_with(directory);
        fits && (directory > self.after || self.after.starts_with(directory))
    }

    fn add(&mut self, name: String) -> io::Result<()> {
        match std::fs::symlink_metadata(self.root.join(&name)) {
            Ok(about) => {
                let key = Key::from_parts(name);
                self.entries.push(Entry { key, size_bytes: about.len() });
                Ok(())
            }
            // Deleted while we were listing.
            Err(e) if is_absent(&e) => Ok(()),
            Err(e) => Err(e),
        }
    }
}
