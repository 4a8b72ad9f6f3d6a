//! Who may depend on whom (docs/ARCHITECTURE.md): our crates only downwards, and
//! each outside library that carries a layer's meaning only in that layer.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::tidy::Complaint;

const RULE: &str = "dependencies";

/// Our crates and the crates of ours they may use. This table is the law.
const EDGES: &[(&str, &[&str])] = &[
    ("cbr-env", &[]),
    ("cbr-directio", &[]),
    ("cbr-model", &["cbr-env"]),
    ("cbr-store", &["cbr-directio", "cbr-env"]),
    ("cbr-nbd", &["cbr-env"]),
    ("cbr-provider", &["cbr-directio", "cbr-env", "cbr-model"]),
    ("cbr-db", &["cbr-env", "cbr-model"]),
    ("cbr-task", &["cbr-env", "cbr-model", "cbr-db"]),
    (
        "cbr-service",
        &["cbr-env", "cbr-model", "cbr-store", "cbr-nbd", "cbr-provider", "cbr-db", "cbr-task"],
    ),
    ("cbr-api", &["cbr-env", "cbr-model", "cbr-service"]),
    (
        "cbr-server",
        &[
            "cbr-env",
            "cbr-model",
            "cbr-store",
            "cbr-nbd",
            "cbr-provider",
            "cbr-db",
            "cbr-task",
            "cbr-service",
            "cbr-api",
        ],
    ),
    ("cbr-testkit", &["cbr-env"]),
    ("cbr-sim", &["cbr-env", "cbr-store"]),
    (
        "cbr-fuzz",
        &[
            "cbr-env",
            "cbr-model",
            "cbr-store",
            "cbr-nbd",
            "cbr-provider",
            "cbr-db",
            "cbr-service",
            "cbr-api",
        ],
    ),
    ("xtask", &[]),
];

/// For tests only: any crate may use it there, none elsewhere.
const TESTKIT: &str = "cbr-testkit";

/// Outside libraries that belong to a layer, and the crates that may use them.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["cbr-db"]),
    ("axum", &["cbr-api", "cbr-server", "cbr-fuzz"]),
    ("axum-server", &["cbr-server"]),
    ("http", &["cbr-api", "cbr-server"]),
    ("hyper", &["cbr-api", "cbr-server"]),
    ("tower", &["cbr-api", "cbr-server", "cbr-fuzz"]),
    ("tower-http", &["cbr-api", "cbr-server"]),
    ("utoipa", &["cbr-api"]),
    ("reqwest", &["cbr-server", "cbr-store"]),
    ("lettre", &["cbr-server"]),
    ("object_store", &["cbr-store"]),
    ("clap", &["cbr-server"]),
    ("anyhow", &["cbr-server", "xtask"]),
    ("zstd", &["cbr-store"]),
    ("imago", &["cbr-provider"]),
];

const MEMBERS_MAX: usize = 15;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A crate of the workspace, as `cargo metadata` tells it.
#[derive(Deserialize)]
pub(crate) struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or none for a normal one.
    kind: Option<String>,
}

/// The crates of the workspace at `root`.
pub(crate) fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let answer = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("run cargo metadata")?;
    if !answer.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&answer.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&answer.stdout).context("cargo metadata")?;
    Ok(metadata.packages)
}

/// Edges that are not in the tables.
pub(crate) fn check(packages: &[Package]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if packages.len() > MEMBERS_MAX {
        complaints.push(Complaint::new(RULE, "Cargo.toml", 0, "too many workspace members"));
    }
    for package in packages {
        let manifest = format!("{} (Cargo.toml)", package.name);
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            complaints.push(Complaint::new(RULE, &manifest, 0, "is not in the table of edges"));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let in_tests = dependency.kind.as_deref() == Some("dev");
            let ours = EDGES.iter().any(|(crate_name, _)| *crate_name == name);
            let in_table = allowed.contains(&name);
            let for_tests = in_tests
                && (name == TESTKIT || name == package.name || is_below(&package.name, name));
            if ours && !in_table && !for_tests {
                let text = format!("may not depend on {name}");
                complaints.push(Complaint::new(RULE, &manifest, 0, text));
            }
            let owners = ONLY_IN.iter().find(|(library, _)| *library == name);
            if owners.is_some_and(|(_, owners)| !owners.contains(&package.name.as_str())) {
                let text = format!("may not use {name}: it belongs to another layer");
                complaints.push(Complaint::new(RULE, &manifest, 0, text));
            }
        }
    }
    complaints
}

/// Whether `lower` is what `upper` is made of. Tests may put the whole of it together.
fn is_below(upper: &str, lower: &str) -> bool {
    let direct = EDGES.iter().find(|(name, _)| *name == upper).map_or(&[][..], |(_, below)| below);
    direct.iter().any(|below| *below == lower || is_below(below, lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(package: &str, dependency: &str, kind: Option<&str>) -> usize {
        let dependency =
            Dependency { name: dependency.into(), kind: kind.map(std::borrow::ToOwned::to_owned) };
        check(&[Package { name: package.into(), dependencies: vec![dependency] }]).len()
    }

    #[test]
    fn a_crate_depends_downwards_only() {
        assert_eq!(complaints("cbr-service", "cbr-store", None), 0);
        assert_eq!(complaints("cbr-store", "cbr-model", None), 1);
        assert_eq!(complaints("cbr-store", "cbr-model", Some("dev")), 1);
        assert_eq!(complaints("cbr-new", "serde", None), 1);
    }

    #[test]
    fn a_test_may_put_together_all_that_is_below_its_crate() {
        assert_eq!(complaints("cbr-api", "cbr-db", None), 1);
        assert_eq!(complaints("cbr-api", "cbr-db", Some("dev")), 0);
        assert_eq!(complaints("cbr-db", "cbr-api", Some("dev")), 1);
    }

    #[test]
    fn the_test_kit_stays_in_tests() {
        assert_eq!(complaints("cbr-db", "cbr-testkit", Some("dev")), 0);
        assert_eq!(complaints("cbr-db", "cbr-testkit", None), 1);
    }

    #[test]
    fn sql_is_in_the_db_crate_only() {
        assert_eq!(complaints("cbr-db", "sqlx", None), 0);
        assert_eq!(complaints("cbr-service", "sqlx", None), 1);
    }

    #[test]
    fn the_table_itself_has_no_cycle() {
        // Each crate may use only crates that stand above it in the table.
        for (at, (name, below)) in EDGES.iter().enumerate() {
            for used in *below {
                let position = EDGES.iter().position(|(other, _)| other == used);
                assert!(position.is_some_and(|position| position < at), "{name} → {used}");
            }
        }
    }
}
