//! Notes how operations answered, so that `cargo xtask answers` can say which never succeeded, which
//! never refused, and which error codes no test has produced.

use std::fs::OpenOptions;
use std::io::Write as _;

use axum::http::StatusCode;
use cbr_api::OPERATIONS;

/// Names the file; without it nothing is noted.
const FILE: &str = "CBR_ANSWERS";

/// Adds a line `operation status code` for an answer.
pub(crate) fn note(verb: &str, path: &str, status: StatusCode, code: &str) {
    let Some(file) = std::env::var_os(FILE) else { return };
    let Some(operation) = operation(verb, path) else { return };
    let line = format!("{operation} {} {code}\n", status.as_u16());
    // One write per line, so that tests that run side by side do not mix theirs.
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(line.as_bytes()).unwrap();
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
