//! The first account: told once, private, never lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::server::{Place, text};

#[test]
fn the_account_file_is_private_complete_and_works() {
    let place = Place::new();
    let server = place.start();
    let mode = fs::metadata(place.account_file()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let account = place.account();
    let fields: Vec<&str> = account.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "url",
        "domain_name",
        "domain_id",
        "project_name",
        "project_id",
        "region",
        "user_name",
        "password",
        "access_key",
        "secret_key",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!(account["url"], server.url.as_str());
    assert_eq!(place.json(&server, &["vault", "list"]), serde_json::json!([]));
    // What waits for being told is gone once it was told.
    assert!(!place.data().join("account.new").exists());
    server.stop();
    // A restart with the same arguments is nothing new.
    let before = place.account();
    place.start().stop();
    assert_eq!(place.account(), before);
}

#[test]
fn without_a_file_the_account_is_printed_once() {
    let place = Place::new();
    let server = place.start_with(&[]);
    assert!(server.printed.contains("\"secret_key\""), "{}", server.printed);
    server.stop();
    let server = place.start_with(&[]);
    assert!(!server.printed.contains("secret_key"), "{}", server.printed);
}

/// A start that dies between making the account and telling it must not lock the operator out.
#[test]
fn an_account_that_was_made_but_not_told_is_told_by_the_next_start() {
    let place = Place::new();
    let nowhere = place.path("no/such/folder/account.json");
    let output = place.serve(&["--bootstrap-file", nowhere.to_str().unwrap()]).output().unwrap();
    assert!(!output.status.success());
    assert!(place.data().join("account.new").exists(), "{}", text(&output));
    let server = place.start();
    assert_eq!(place.json(&server, &["vault", "list"]), serde_json::json!([]));
    assert!(!place.data().join("account.new").exists());
}

/// P32.
#[test]
fn no_secret_is_in_the_log() {
    let place = Place::new();
    let config = place.path("cbr.toml");
    fs::write(&config, "[log]\nfilter = \"trace\"\nformat = \"json\"\n").unwrap();
    let file = place.account_file();
    let server = place.start_with(&[
        "--config",
        config.to_str().unwrap(),
        "--bootstrap-file",
        file.to_str().unwrap(),
    ]);
    place.json(&server, &["vault", "list"]);
    server.stop();
    let (log, account) = (place.log(), place.account());
    assert!(log.contains("/v3/"), "requests are in the log");
    for secret in ["password", "secret_key"] {
        assert!(!log.contains(account[secret].as_str().unwrap()), "{secret} is in the log");
    }
    let key = fs::read_to_string(place.data().join("master.key")).unwrap();
    assert!(!log.contains(key.split_whitespace().last().unwrap()), "the master key is in the log");
}

/// P32: a core file would hold all of them.
#[test]
fn the_service_leaves_no_core_file() {
    let place = Place::new();
    let server = place.start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let limit: Vec<&str> = line.split_whitespace().skip(4).take(2).collect();
    assert_eq!(limit, ["0", "0"], "{line}");
}
