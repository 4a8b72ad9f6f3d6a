//! Notes how operations answered, for the test target `coverage`, which runs after this one: it says which
//! operation never succeeded, which never refused, and which error codes no test has produced.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use cbr_api::OPERATIONS;

/// Where notes are kept. `coverage.rs` has the same.
const FILE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/api-answers");

/// What was noted, so that each line is written once; and the file, once it is open.
static NOTED: Mutex<(BTreeSet<String>, Option<File>)> = Mutex::new((BTreeSet::new(), None));

/// Adds a line `operation status code` for an answer.
pub(crate) fn note(verb: &str, path: &str, status: StatusCode, code: &str) {
    let operation = operation(verb, path).unwrap_or("-");
    let line = format!("{operation} {} {code}\n", status.as_u16());
    let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    let (lines, file) = &mut *noted;
    if lines.insert(line.clone()) {
        file.get_or_insert_with(begin).write_all(line.as_bytes()).unwrap();
    }
}

/// A new file. Its first line says whether all tests of this target run.
fn begin() -> File {
    let kind = if chooses(std::env::args().skip(1)) { "part" } else { "whole" };
    let file = Path::new(FILE);
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(file).unwrap();
    writeln!(file, "{kind}").unwrap();
    file
}

/// Whether the arguments of a run choose some of its tests.
fn chooses(mut arguments: impl Iterator<Item = String>) -> bool {
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--test-threads" | "--color" | "--format" | "--logfile" | "-Z" => {
                drop(arguments.next());
            }
            "--skip" | "--exact" | "--ignored" => return true,
            other if other.starts_with('-') => {}
            _ => return true,
        }
    }
    false
}

/// The operation behind a path; where several fit, the one with most fixed segments.
fn operation(verb: &str, path: &str) -> Option<&'static str> {
    let fixed = |template: &str| {
        let (mut wanted, mut given) = (template.split('/'), path.split('/'));
        let mut fixed = 0;
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return Some(fixed),
                (Some(wanted), Some(_)) if wanted.starts_with('{') => {}
                (Some(wanted), Some(given)) if wanted == given => fixed += 1,
                _ => return None,
            }
        }
    };
    let of_verb = OPERATIONS.iter().filter(|operation| operation.verb.as_str() == verb);
    let fitting = of_verb.filter_map(|operation| Some((fixed(operation.path)?, operation.name)));
    fitting.max_by_key(|(fixed, _)| *fixed).map(|(_, name)| name)
}

#[test]
fn fixed_segments_win() {
    assert_eq!(operation("GET", "/v3/p/vaults/summary"), Some("ShowSummary"));
    assert_eq!(operation("GET", "/v3/p/vaults/x"), Some("ShowVault"));
    assert_eq!(operation("GET", "/v3/p/nothing"), None);
}

#[test]
fn a_run_of_some_tests_is_told_from_one_of_all() {
    let chosen = |text: &str| chooses(text.split_whitespace().map(str::to_owned));
    for all in ["", "--quiet", "--test-threads 1", "--nocapture --color always"] {
        assert!(!chosen(all), "{all}");
    }
    for some in ["vaults::", "--skip vaults", "--quiet --exact vaults::a"] {
        assert!(chosen(some), "{some}");
    }
}
