//! Sizes: files, functions and traits small enough to read.

use crate::source::{functions, is_test_file, production_lines, traits};
use crate::tidy::Complaint;
use crate::tree::Tree;

const FILE_LINES_MAX: usize = 600;
const TEST_FILE_LINES_MAX: usize = 900;
const FUNCTION_LINES_MAX: usize = 70;
const TRAIT_METHODS_MAX: usize = 10;

/// What is too large.
pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        let (path, text) = (&file.path, file.text());
        let (lines, most) = if is_test_file(path) {
            (text.lines().count(), TEST_FILE_LINES_MAX)
        } else {
            (production_lines(text), FILE_LINES_MAX)
        };
        if lines > most {
            let text = format!("has {lines} lines, at most {most} are allowed");
            complaints.push(Complaint::new("file-size", path, 0, text));
        }
        for function in functions(text).iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
            let text = format!(
                "`{}` has {} lines, at most {FUNCTION_LINES_MAX} are allowed",
                function.name, function.lines
            );
            complaints.push(Complaint::new("function-size", path, function.line, text));
        }
        for found in traits(text).iter().filter(|found| found.methods > TRAIT_METHODS_MAX) {
            let text = format!(
                "`{}` has {} methods, at most {TRAIT_METHODS_MAX} are allowed",
                found.name, found.methods
            );
            complaints.push(Complaint::new("trait-size", path, found.line, text));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<&'static str> {
        check(&Tree::of(&[("crates/x/src/a.rs", text)])).iter().map(|c| c.rule).collect()
    }

    #[test]
    fn what_is_too_large_is_named() {
        let body = "    step();\n";
        assert!(rules(&format!("fn f() {{\n{}}}\n", body.repeat(68))).is_empty());
        assert_eq!(rules(&format!("fn f() {{\n{}}}\n", body.repeat(69))), ["function-size"]);
        assert_eq!(rules(&"// line\n".repeat(601)), ["file-size"]);
        let methods = "    fn m(&self);\n".repeat(11);
        assert_eq!(rules(&format!("trait T {{\n{methods}}}\n")), ["trait-size"]);
    }
}
