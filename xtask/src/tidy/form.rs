//! The form of a Rust file: it says what it is, module tables hold no code,
//! names say something, and ignored tests say how to run them.

use crate::source::{function_name, is_test_file};
use crate::tidy::Complaint;
use crate::tree::{File, Tree};

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "tools"];

/// Marks of unfinished work. They belong into the tracker.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// What is out of form.
pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        check_file(file, &mut complaints);
    }
    complaints
}

fn check_file(file: &File, complaints: &mut Vec<Complaint>) {
    let path = &file.path;
    if !file.text().starts_with("//!") {
        complaints.push(Complaint::new("module-doc", path, 1, "does not start with `//!`"));
    }
    for segment in path.split('/') {
        if EMPTY_NAMES.contains(&segment.trim_end_matches(".rs")) {
            let text = format!("`{segment}` says nothing about what is inside");
            complaints.push(Complaint::new("module-name", path, 0, text));
        }
    }
    // In `tests/` a `mod.rs` is what integration tests share: cargo leaves no other name for it.
    let is_table = matches!(file.name(), "lib.rs" | "mod.rs") && !is_test_file(path);
    for (at, line) in file.text().lines().enumerate() {
        let mut complain = |rule, text: &str| {
            complaints.push(Complaint::new(rule, path, at + 1, text));
        };
        if is_table && function_name(line).is_some() {
            complain("module-table", "a table of modules contains a function");
        }
        let attribute = line.trim_start();
        if attribute.starts_with("#[ignore") && !attribute.contains("cargo ") {
            complain("ignored-test", "an ignored test names the command that runs it");
        }
        if attribute.starts_with("#[allow(") {
            complain("allow", "use #[expect(…, reason = \"…\")]");
        }
        if MARKS.iter().any(|mark| line.contains(mark)) {
            complain("unfinished", "unfinished work is written down here");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        check(&Tree::of(&[(path, text)])).iter().map(|complaint| complaint.rule).collect()
    }

    #[test]
    fn every_file_says_what_it_is() {
        assert_eq!(rules("crates/x/src/a.rs", "use std::fs;\n"), ["module-doc"]);
        assert!(rules("crates/x/src/a.rs", "//! Files.\n").is_empty());
    }

    #[test]
    fn names_say_something() {
        assert_eq!(rules("crates/x/src/util.rs", "//! Doc.\n"), ["module-name"]);
        assert_eq!(rules("crates/x/src/helpers/a.rs", "//! Doc.\n"), ["module-name"]);
    }

    #[test]
    fn tables_of_modules_hold_no_code() {
        assert_eq!(rules("crates/x/src/lib.rs", "//! Doc.\npub fn f() {}\n"), ["module-table"]);
        assert_eq!(rules("crates/x/src/mod.rs", "//! Doc.\n    fn f() {}\n"), ["module-table"]);
        assert!(rules("crates/x/src/mod.rs", "//! Doc.\nmod a;\npub use a::f;\n").is_empty());
        assert!(rules("crates/x/tests/disk/mod.rs", "//! Doc.\nfn f() {}\n").is_empty());
    }

    #[test]
    fn an_ignored_test_says_how_to_run_it() {
        assert_eq!(rules("a.rs", "//! Doc.\n#[ignore]\n"), ["ignored-test"]);
        assert_eq!(rules("a.rs", "//! Doc.\n#[ignore = \"slow\"]\n"), ["ignored-test"]);
        assert!(
            rules("a.rs", "//! Doc.\n#[ignore = \"slow: cargo test -- --ignored\"]\n").is_empty()
        );
    }

    #[test]
    fn unfinished_work_is_not_left_in_the_code() {
        assert_eq!(rules("a.rs", &format!("//! Doc.\n// {}: later\n", MARKS[0])), ["unfinished"]);
        assert_eq!(rules("a.rs", "//! Doc.\n#[allow(dead_code)]\n"), ["allow"]);
    }
}
