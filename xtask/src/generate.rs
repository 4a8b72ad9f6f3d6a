//! Generated files that are committed: written by `cargo xtask gen`.
//!
//! Two kinds. What this program makes itself is compared by tidy. What the API
//! crate says about itself is printed by its example `document` and compared by
//! its own test, so that tidy runs without building the product.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::requirements;
use crate::tidy::Complaint;
use crate::tree::Tree;

type Generator = fn(&Tree) -> anyhow::Result<String>;

/// Made here, and what makes them.
const OURS: &[(&str, Generator)] = &[
    ("docs/requirements-coverage.md", requirements::coverage),
    ("docs/requirements.md", requirements::table),
];

/// Made by the API crate, and the name its example knows them by.
const OF_THE_API: &[(&str, &str)] =
    &[("openapi/v3.json", "openapi"), ("docs/api/errors.md", "errors")];

/// Writes the files that are stale; returns their paths.
pub(crate) fn write(tree: &Tree) -> anyhow::Result<Vec<&'static str>> {
    let mut stale = stale(tree)?;
    for (path, document) in OF_THE_API {
        let text = of_the_api(tree, document)?;
        if tree.find(path).is_none_or(|file| file.text() != text) {
            stale.push((*path, text));
        }
    }
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
    for (path, generator) in OURS {
        let text = generator(tree).with_context(|| format!("make {path}"))?;
        if tree.find(path).is_none_or(|file| file.text() != text) {
            stale.push((*path, text));
        }
    }
    Ok(stale)
}

fn of_the_api(tree: &Tree, document: &str) -> anyhow::Result<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let run = ["run", "--quiet", "--package", "cbr-api", "--example", "document", "--", document];
    let answer = Command::new(cargo).args(run).current_dir(&tree.root).output()?;
    ensure!(
        answer.status.success(),
        "print {document}: {}",
        String::from_utf8_lossy(&answer.stderr)
    );
    String::from_utf8(answer.stdout).with_context(|| format!("print {document}"))
}
