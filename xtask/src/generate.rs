//! Generated files that are committed: written by `cargo xtask gen`, compared by tidy.

use std::fs;

use anyhow::Context as _;

use crate::requirements;
use crate::tidy::Complaint;
use crate::tree::Tree;

type Generator = fn(&Tree) -> anyhow::Result<String>;

/// Every generated file and what makes it.
const FILES: &[(&str, Generator)] = &[("docs/requirements-coverage.md", requirements::coverage)];

/// Writes the files that are stale; returns their paths.
pub(crate) fn write(tree: &Tree) -> anyhow::Result<Vec<&'static str>> {
    let stale = stale(tree)?;
    for (path, text) in &stale {
        let place = tree.root.join(path);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&place, text).with_context(|| format!("write {path}"))?;
    }
    Ok(stale.into_iter().map(|(path, _)| path).collect())
}

/// The files that do not say what they would say if they were made now.
pub(crate) fn check(tree: &Tree) -> anyhow::Result<Vec<Complaint>> {
    let text = "is stale: cargo xtask gen";
    Ok(stale(tree)?.iter().map(|(path, _)| Complaint::new("generated", path, 0, text)).collect())
}

fn stale(tree: &Tree) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut stale = Vec::new();
    for (path, generator) in FILES {
        let text = generator(tree).with_context(|| format!("make {path}"))?;
        if tree.find(path).is_none_or(|file| file.text() != text) {
            stale.push((*path, text));
        }
    }
    Ok(stale)
}
