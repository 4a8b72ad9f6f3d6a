//! Contract D: each code is one that the service gives, or one of which a document says why it does not.

use std::collections::BTreeSet;

use cbr_api::error::ErrorCode;

const DOCUMENT: &str = include_str!("../../../../docs/api/codes-not-given.md");

/// The codes in the first column of the document's table.
fn not_given() -> BTreeSet<String> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| "));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let words = first.flat_map(|cell| cell.split([',', ' ']));
    let mut codes = BTreeSet::new();
    for word in words {
        match word.split_once('–') {
            Some((from, to)) => {
                let (from, to): (u16, u16) = (from.parse().unwrap(), to.parse().unwrap());
                codes.extend((from..=to).map(|code| format!("{code:04}")));
            }
            None if word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()) => {
                codes.insert(word.to_owned());
            }
            None => {}
        }
    }
    codes
}

#[test]
fn what_is_given_is_not_called_never_given() {
    let not_given = not_given();
    assert_eq!(not_given.len(), NOT_GIVEN, "{not_given:?}");
    for code in ErrorCode::ALL {
        let (_, name) = code.wire();
        if let Some(number) = name.strip_prefix("BackupService.") {
            assert!(!not_given.contains(number), "{number} is given, and said not to be");
        }
    }
    // What tasks and runs say of single resources.
    let failures = include_str!("../../../service/src/failure.rs");
    for number in failures.split("\"BackupService.").skip(1).filter_map(|rest| rest.get(..4)) {
        assert!(!not_given.contains(number), "{number} is given, and said not to be");
    }
}

/// Contract D has 172 codes of four digits.
const NOT_GIVEN: usize = 76;
