//! What the rules need to know about a Rust file, read from text that `rustfmt` laid out.
//!
//! No parser: `rustfmt` puts an item's closing brace at the item's own
//! indentation, which is all that counting lines needs.

/// A function: name, first line (from 1) and number of lines.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// A trait: name, first line (from 1) and number of methods.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Trait {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) methods: usize,
}

/// The lines before the first `#[cfg(test)]` module.
pub(crate) fn production_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let test_module = |at: usize| {
        lines[at].trim() == "#[cfg(test)]"
            && lines.get(at + 1).is_some_and(|next| {
                ["mod ", "pub(crate) mod ", "pub(super) mod "].iter().any(|it| next.starts_with(it))
            })
    };
    (0..lines.len()).find(|at| test_module(*at)).unwrap_or(lines.len())
}

/// Whether the file holds tests only.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.starts_with("tests/") || path.ends_with("/tests.rs")
}

/// The functions with a body.
pub(crate) fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let named = lines.iter().enumerate().filter_map(|(at, line)| Some((at, function_name(line)?)));
    named
        .filter_map(|(at, name)| {
            let end = block_end(&lines, at)?;
            Some(Function { name: name.to_owned(), line: at + 1, lines: end - at + 1 })
        })
        .collect()
}

/// The traits.
pub(crate) fn traits(text: &str) -> Vec<Trait> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = item_name(line, "trait ") else { continue };
        let Some(end) = block_end(&lines, at) else { continue };
        let inner = indentation(line) + 4;
        // A trait on one line ends where it begins.
        let methods = lines
            .get(at + 1..end)
            .unwrap_or_default()
            .iter()
            .filter(|line| indentation(line) == inner && function_name(line).is_some())
            .count();
        found.push(Trait { name: name.to_owned(), line: at + 1, methods });
    }
    found
}

/// The name of the function that starts on this line.
pub(crate) fn function_name(line: &str) -> Option<&str> {
    item_name(line, "fn ")
}

fn item_name<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    const BEFORE: &[&str] =
        &["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe ", "default "];
    let mut rest = line.trim_start();
    while let Some(shorter) = BEFORE.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = shorter;
    }
    let name = rest.strip_prefix(keyword)?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    (end > 0).then(|| &name[..end])
}

/// The line that closes the item which starts at `start`; none if it has no body.
fn block_end(lines: &[&str], start: usize) -> Option<usize> {
    let indent = indentation(lines[start]);
    for (at, line) in lines.iter().enumerate().skip(start) {
        let line = line.trim_end();
        let here = indentation(line) == indent;
        let closed = at > start && here && line.trim_start().starts_with('}');
        let on_one_line = at == start && line.contains('{') && line.ends_with('}');
        if closed || on_one_line {
            return Some(at);
        }
        if here && line.ends_with(';') {
            return None;
        }
    }
    None
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
//! Doc.
pub trait Disk {
    fn size(&self) -> u64;
    async fn read(
        &self,
    ) -> u8;
    fn empty(&self) -> bool {
        self.size() == 0
    }
}
pub(crate) const fn one() -> u8 { 1 }
pub fn long(
    a: u8,
) -> u8 {
    a
}
#[cfg(test)]
mod tests {
    fn inside() {}
}
";

    #[test]
    fn functions_are_found_with_their_lengths() {
        let found: Vec<_> =
            functions(SAMPLE).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        let wanted = [("empty", 7, 3), ("one", 11, 1), ("long", 12, 5), ("inside", 19, 1)];
        assert_eq!(found, wanted.map(|(name, line, lines)| (name.to_owned(), line, lines)));
    }

    #[test]
    fn methods_of_a_trait_are_counted() {
        assert_eq!(traits(SAMPLE), [Trait { name: "Disk".into(), line: 2, methods: 3 }]);
        let short = Trait { name: "Any".into(), line: 1, methods: 0 };
        assert_eq!(traits("trait Any: Send {}"), [short]);
    }

    #[test]
    fn tests_do_not_count_as_production() {
        assert_eq!(production_lines(SAMPLE), 16);
        let shared = SAMPLE.replace("mod tests", "pub(crate) mod tests");
        assert_eq!(production_lines(&shared), 16);
        assert_eq!(production_lines("//! Doc.\n#[cfg(test)]\nfn x() {}\n"), 3);
    }
}
