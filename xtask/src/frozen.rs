//! Files that never change once they are on the list: migrations and golden repositories.
//!
//! A released format is read forever, and a migration that ran somewhere cannot
//! be edited: both grow by new files only. The list is `xtask/frozen.txt`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, bail};

use crate::tidy::Complaint;
use crate::tree::{File, Tree};

const LIST: &str = "xtask/frozen.txt";
const RULE: &str = "frozen";

/// Changed, vanished or unlisted files.
pub(crate) fn check(tree: &Tree) -> anyhow::Result<Vec<Complaint>> {
    let listed = listed(tree)?;
    let mut complaints: Vec<_> = listed
        .keys()
        .filter(|path| tree.find(path).is_none())
        .map(|path| Complaint::new(RULE, path, 0, "is on the list of frozen files but is gone"))
        .collect();
    for file in tree.files.iter().filter(|file| must_freeze(file)) {
        let complaint = match listed.get(file.path.as_str()) {
            None => "is not frozen yet: cargo xtask freeze",
            Some(hash) if **hash != *hash_of(file) => "is frozen and has changed: add a new file",
            Some(_) => continue,
        };
        complaints.push(Complaint::new(RULE, &file.path, 0, complaint));
    }
    Ok(complaints)
}

/// Puts new files on the list; refuses if a listed one has changed.
pub(crate) fn freeze(tree: &Tree) -> anyhow::Result<usize> {
    let mut lines: BTreeMap<&str, String> =
        listed(tree)?.into_iter().map(|(path, hash)| (path, hash.to_owned())).collect();
    let before = lines.len();
    for file in tree.files.iter().filter(|file| must_freeze(file)) {
        let hash = hash_of(file);
        let kept = lines.entry(&file.path).or_insert_with(|| hash.clone());
        if *kept != hash {
            bail!("{} is frozen and has changed", file.path);
        }
    }
    let text: Vec<String> = lines.iter().map(|(path, hash)| format!("{hash}  {path}")).collect();
    fs::write(tree.root.join(LIST), text.join("\n") + "\n").context("write the list")?;
    Ok(lines.len() - before)
}

fn must_freeze(file: &File) -> bool {
    let migration = file.path.starts_with("crates/db/migrations/") && file.has_extension("sql");
    migration || file.path.contains("/golden/v")
}

fn hash_of(file: &File) -> String {
    blake3::hash(&file.bytes).to_hex().to_string()
}

fn listed(tree: &Tree) -> anyhow::Result<BTreeMap<&str, &str>> {
    let text = tree.find(LIST).map(File::text).unwrap_or_default();
    text.lines()
        .map(|line| {
            let (hash, path) = line.split_once("  ").with_context(|| format!("{LIST}: {line}"))?;
            Ok((path, hash))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "crates/db/migrations/0001_one.sql";

    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        let found = check(&Tree::of(files)).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_migration_is_listed_and_never_changes() {
        let list = format!("{}  {SQL}\n", blake3::hash(b"create").to_hex());
        assert!(complaints(&[(SQL, "create"), (LIST, &list)]).is_empty());
        assert!(complaints(&[(SQL, "create!"), (LIST, &list)])[0].contains("has changed"));
        assert!(complaints(&[(LIST, &list)])[0].contains("is gone"));
        assert!(complaints(&[(SQL, "create")])[0].contains("not frozen yet"));
    }
}
