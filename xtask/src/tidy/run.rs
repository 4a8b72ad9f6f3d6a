//! Runs every rule.

use crate::frozen;
use crate::generate;
use crate::tidy::{Complaint, dependencies, documents, exceptions, form, sizes};
use crate::tree::Tree;

/// What is wrong with the tree.
pub(crate) fn check(tree: &Tree) -> anyhow::Result<Vec<Complaint>> {
    let mut complaints = dependencies::check(&dependencies::packages(&tree.root)?);
    complaints.extend(form::check(tree));
    complaints.extend(sizes::check(tree));
    complaints.extend(documents::check(tree));
    complaints.extend(frozen::check(tree)?);
    complaints.extend(generate::check(tree)?);
    exceptions::apply(tree, complaints)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn the_tree_is_tidy() {
        let complaints = check(&Tree::load(&tree::root()).unwrap()).unwrap();
        let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{}\n", lines.join("\n"));
    }
}
