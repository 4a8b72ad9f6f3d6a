//! Exceptions from the rules: a rule, a path and a reason, in one file.

use anyhow::Context as _;
use serde::Deserialize;

use crate::tidy::Complaint;
use crate::tree::{File, Tree};

const LIST: &str = "xtask/exceptions.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    #[serde(default)]
    exception: Vec<Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    rule: String,
    path: String,
    reason: String,
}

/// The complaints without those that are excepted, and with one for each exception that
/// gives no reason or that nothing needs any more.
pub(crate) fn apply(tree: &Tree, complaints: Vec<Complaint>) -> anyhow::Result<Vec<Complaint>> {
    let text = tree.find(LIST).map(File::text).unwrap_or_default();
    let list: Exceptions = toml::from_str(text).context(LIST)?;
    let fits = |exception: &Exception, complaint: &Complaint| {
        exception.rule == complaint.rule && exception.path == complaint.path
    };
    let idle = list.exception.iter().filter_map(|exception| {
        let used = complaints.iter().any(|complaint| fits(exception, complaint));
        let text = match (used, exception.reason.trim().is_empty()) {
            (false, _) => format!("{} no longer needs its exception", exception.path),
            (true, true) => format!("{} is excepted without a reason", exception.path),
            (true, false) => return None,
        };
        Some(Complaint::new("exceptions", LIST, 0, text))
    });
    let mut left: Vec<_> = idle.collect();
    left.extend(
        complaints
            .into_iter()
            .filter(|complaint| !list.exception.iter().any(|e| fits(e, complaint))),
    );
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_silences_its_complaint_and_must_be_needed() {
        let list = "[[exception]]\nrule = \"size\"\npath = \"a.rs\"\nreason = \"a table\"\n";
        let tree = Tree::of(&[(LIST, list)]);
        let complaint = |path| Complaint::new("size", path, 0, "too long");
        assert!(apply(&tree, vec![complaint("a.rs")]).unwrap().is_empty());
        let left = apply(&tree, vec![complaint("b.rs")]).unwrap();
        assert_eq!(left.len(), 2);
        assert_eq!(left[0].rule, "exceptions");
    }
}
