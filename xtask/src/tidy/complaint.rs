//! What a rule has to say about a file.

use std::fmt;

/// A broken rule: which, where and how.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Complaint {
    pub(crate) rule: &'static str,
    pub(crate) path: String,
    /// From 1; 0 when the whole file is meant.
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Complaint {
    pub(crate) fn new(
        rule: &'static str,
        path: &str,
        line: usize,
        text: impl Into<String>,
    ) -> Self {
        Self { rule, path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {} [{}]", self.path, self.text, self.rule),
            line => write!(f, "{}:{line}: {} [{}]", self.path, self.text, self.rule),
        }
    }
}
