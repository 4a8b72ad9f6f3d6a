//! The gate of the API's tests: every operation of the table was seen to succeed and to refuse, and every error
//! code was seen on the wire. Measured, not read from the source: the target `api`, which cargo runs before
//! this one, notes every answer it gets.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::{BTreeMap, BTreeSet};

use cbr_api::OPERATIONS;
use cbr_api::error::ErrorCode;
use cbr_api::operation::{Admission, Form, Operation, Verb};

/// Where the target `api` keeps its notes.
const FILE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/api-answers");

/// Operations that this installation always refuses, and why. One that begins to succeed must leave the list.
const NEVER_SUCCEED: [(&str, &str); 5] = [
    (
        "CopyBackup",
        "there is one region: nothing can be copied to another (REP comes with regions)",
    ),
    ("CopyCheckpoint", "as CopyBackup"),
    ("CreateShare", "there is no provider of file systems"),
    ("ShowShare", "as CreateShare"),
    ("DeleteShare", "as CreateShare"),
];

/// Codes that no answer can have yet, and why. One that is seen must leave the list.
const NEVER_SEEN: [(&str, &str); 2] = [
    (
        "BackupService.6003",
        "replication policies cannot be bound before there are replication vaults (6116)",
    ),
    (
        "IAM.0005",
        "tokens are asked for in Keystone's shape only, which has a status and no code (A.5)",
    ),
];

/// What was seen of an operation.
#[derive(Default)]
struct Seen {
    success: bool,
    /// Of itself: not for its credential or the caller's policies.
    refusal: bool,
    shut_out: bool,
}

#[test]
fn every_operation_and_every_code_was_seen() {
    let Ok(text) = std::fs::read_to_string(FILE) else {
        println!("skipped: the target `api` has not run; `cargo test -p cbr-api` runs both");
        return;
    };
    let Some(("whole", notes)) = text.split_once('\n') else {
        println!(
            "skipped: of the target `api` only some tests ran; `cargo test -p cbr-api` runs all"
        );
        return;
    };
    let missing = missing(notes);
    assert!(missing.is_empty(), "tests of the API lack:\n{}", missing.join("\n"));
}

fn missing(notes: &str) -> Vec<String> {
    let (seen, codes) = read(notes);
    let none = Seen::default();
    let mut missing = Vec::new();
    for operation in OPERATIONS {
        let name = operation.name;
        let of = seen.get(name).unwrap_or(&none);
        match (NEVER_SUCCEED.iter().find(|(never, _)| *never == name), of.success) {
            (None, false) => missing.push(format!("{name}: a success")),
            (Some(_), true) => missing.push(format!("{name} succeeds: take it off NEVER_SUCCEED")),
            _ => {}
        }
        let is_refused = of.refusal || (of.shut_out && !has_own_refusal(operation));
        let is_open = matches!(operation.admission, Admission::Anyone | Admission::Optional);
        if !is_refused && (has_own_refusal(operation) || !is_open) {
            missing.push(format!("{name}: a refusal of its own"));
        }
    }
    for code in ErrorCode::ALL {
        let wire = code.wire().1;
        match (NEVER_SEEN.iter().find(|(never, _)| *never == wire), codes.contains(wire)) {
            (None, false) => missing.push(format!("{wire}: an answer with it")),
            (Some(_), true) => missing.push(format!("{wire} is seen: take it off NEVER_SEEN")),
            _ => {}
        }
    }
    missing
}

fn read(notes: &str) -> (BTreeMap<&str, Seen>, BTreeSet<&str>) {
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    let mut codes = BTreeSet::new();
    for line in notes.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let status: u16 = words.next().unwrap().parse().unwrap();
        let of = seen.entry(name).or_default();
        match status {
            200..=399 => of.success = true,
            401 | 403 => of.shut_out = true,
            _ => of.refusal = true,
        }
        codes.extend(words.next());
    }
    (seen, codes)
}

/// Whether there is anything about a call, beside who calls, that can be wrong.
fn has_own_refusal(operation: &Operation) -> bool {
    let inner = operation.path.replace("{project_id}", "");
    let has_form = operation.query.iter().any(|of| !matches!(of.form, Form::Text | Form::Texts));
    // An answer to HEAD has no body; that it is not so is its refusal.
    inner.contains('{') || operation.request.is_some() || has_form || operation.verb == Verb::Head
}

/// The gate bites: with nothing noted it names every operation and every code.
#[test]
fn what_nobody_noted_is_missing() {
    let all = missing("");
    let succeeding = OPERATIONS.len() - NEVER_SUCCEED.len();
    assert!(all.len() >= succeeding + ErrorCode::ALL.len() - NEVER_SEEN.len(), "{}", all.len());
    let of_one = missing("ShowVault 200 \nShowVault 404 BackupService.6105\n");
    assert_eq!(of_one.len(), all.len() - 3);
    let shared = missing("ShowVault 401 APIG.0301\n");
    assert_eq!(shared.len(), all.len() - 1, "being shut out is no refusal of its own");
}
