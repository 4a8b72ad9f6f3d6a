//! The client commands against a real service.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::server::{Place, Server, cbr, text, write_disk};

/// Requirement 9 of the issue: the main job by the command line alone.
#[test]
fn the_main_job_runs_by_the_command_line() {
    let place = Place::new();
    let server = place.start();
    let disk = place.data().join("pool/disk.raw");
    let run = |arguments: &[&str]| place.json(&server, arguments);
    write_disk(&disk, 1);
    run(&["vault", "create", "v", "--type", "disk", "--size", "10", "--tag", "env=lab"]);
    let vault = run(&["vault", "bind", "v", "disk.raw"]);
    assert_eq!(vault["resources"][0]["name"], "disk.raw");

    let first = run(&["backup", "create", "v", "--name", "first"]);
    assert_eq!(first["backups"][0]["status"], "available");
    assert_eq!(first["backups"][0]["incremental"], false);
    assert!(first["backups"][0]["sizes"]["stored_bytes"].as_u64().unwrap() > 0);
    let content = fs::read(&disk).unwrap();
    let mut changed = content.clone();
    changed[..4096].fill(7);
    fs::write(&disk, changed).unwrap();
    let second = run(&["backup", "create", "v", "--name", "second"]);
    assert_eq!(second["backups"][0]["incremental"], true);

    run(&["restore", "first", "--yes"]);
    assert!(fs::read(&disk).unwrap() == content, "the disks differ");
    run(&["volume", "create", "copy", "--from-backup", "first"]);
    let copies: Vec<_> = fs::read_dir(place.data().join("pool"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| *path != disk && path.extension().is_some_and(|kind| kind == "raw"))
        .collect();
    let [copy] = &copies[..] else { panic!("{copies:?}") };
    assert!(fs::read(copy).unwrap()[..content.len()] == content, "the copy differs");

    run(&["backup", "rename", "second", "renamed"]);
    // VLT-85: what a deletion frees is known before, and asking deletes nothing.
    let sizes = run(&["backup", "size", "first", "renamed"]);
    let of = |pointer: &str| sizes.pointer(pointer).unwrap().as_u64().unwrap();
    let shared = [of("/backups/0/shared_bytes"), of("/backups/1/shared_bytes")];
    assert!(shared[0] > 0 && shared[0] == shared[1], "{sizes}");
    let dry = run(&["backup", "delete", "--dry-run", "first", "renamed"]);
    assert_eq!(dry["dry_run"], true);
    assert_eq!(dry["what_if"], sizes);
    let all = of("/backups/0/unique_bytes") + of("/backups/1/unique_bytes") + shared[0];
    assert_eq!(of("/freed_bytes"), all, "both together free what they share, too");
    assert_eq!(names(&run(&["backup", "list"])), ["renamed", "first"], "nothing was deleted");
    check_export(&place, &server, first["backups"][0]["id"].as_str().unwrap());
    let first_only = run(&["backup", "size", "first"])["freed_bytes"].clone();
    // P8: the repository alone says the same.
    let mut alone = cbr();
    alone
        .args(["repo", "sizes", "-o", "json", "--repository"])
        .arg(place.data().join("repository"));
    let alone = alone.arg("--key").arg(place.data().join("master.key")).output().unwrap();
    assert!(alone.status.success(), "{}", text(&alone));
    let alone: Value = serde_json::from_slice(&alone.stdout).unwrap();
    let alone = alone.as_array().unwrap().iter();
    let unique: Vec<_> = alone.map(|version| &version["unique_bytes"]).collect();
    assert!(unique.len() == 2 && unique.contains(&&first_only), "{unique:?}");
    run(&["backup", "delete", "first", "--yes"]);
    let left = run(&["backup", "list", "--vault", "v"]);
    assert_eq!(names(&left), ["renamed"]);
    run(&["volume", "delete", "copy", "--yes"]);
    run(&["vault", "unbind", "v", "disk.raw", "--yes"]);
    run(&["vault", "delete", "v", "--yes"]);
    assert_eq!(run(&["vault", "list"]), serde_json::json!([]));
    let tasks = run(&["task", "list"]);
    assert!(tasks.as_array().unwrap().iter().all(|task| task["status"] == "success"), "{tasks}");
    server.stop();
}

/// BAK-55: the list as it is filtered, for a spreadsheet.
fn check_export(place: &Place, server: &Server, first: &str) {
    let exported = place.client(server, &["backup", "list", "--name", "first", "-o", "csv"]);
    let exported = String::from_utf8(exported.stdout).unwrap();
    let [head, row] = exported.lines().collect::<Vec<_>>()[..] else { panic!("{exported}") };
    assert!(head.contains(",NAME,") && row.contains(",first,"), "{exported}");
    assert!(row.contains(first), "{exported}");
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|thing| thing["name"].as_str().unwrap()).collect()
}

fn code(place: &Place, server: &Server, arguments: &[&str]) -> Option<i32> {
    place.client(server, arguments).status.code()
}

#[test]
fn exit_codes_tell_failures_apart() {
    let place = Place::new();
    let server = place.start();
    write_disk(&place.data().join("pool/disk.raw"), 1);
    for _ in 0..2 {
        place.json(&server, &["vault", "create", "twin", "--type", "disk", "--size", "10"]);
    }
    assert_eq!(code(&place, &server, &["vault", "show", "twin"]), Some(2), "ambiguous");
    assert_eq!(code(&place, &server, &["vault", "shwo", "twin"]), Some(2), "misspelt");
    assert_eq!(code(&place, &server, &["vault", "show", "nope"]), Some(3), "not found");
    let id = "00000000-0000-4000-8000-000000000000";
    assert_eq!(code(&place, &server, &["task", "show", id]), Some(3), "not found by id");
    let vault = ["vault", "create", "x", "--type", "disk", "--size", "0"];
    assert_eq!(code(&place, &server, &vault), Some(4), "refused");
    let url = ["vault", "list", "--url", "http://127.0.0.1:1"];
    assert_eq!(code(&place, &server, &url), Some(5), "unreachable");
    let wrong = cbr()
        .args(["vault", "list"])
        .env("CBR_URL", &server.url)
        .env("CBR_ACCESS_KEY", "AK")
        .env("CBR_SECRET_KEY", "SK")
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(6), "{}", text(&wrong));
    let refused = place.client(&server, &["vault", "show", "nope"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("why:") && said.contains("next:"), "{said}");
}

#[test]
fn a_refusal_by_the_service_shows_its_code_and_the_request() {
    let place = Place::new();
    let server = place.start();
    let vault = ["vault", "create", "x", "--type", "disk", "--size", "0"];
    let refused = place.client(&server, &vault);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("code: BackupService.") && said.contains("request: "), "{said}");
    let chinese = [&vault[..], &["--lang", "zh-CN"]].concat();
    let refused = place.client(&server, &chinese);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("错误"));
}

#[test]
fn without_waiting_the_ids_of_the_tasks_are_told_and_can_be_watched() {
    let place = Place::new();
    let server = place.start();
    write_disk(&place.data().join("pool/disk.raw"), 1);
    place.json(&server, &["vault", "create", "v", "--type", "disk", "--size", "10"]);
    place.json(&server, &["vault", "bind", "v", "disk.raw"]);
    let started = place.json(&server, &["backup", "create", "v", "--no-wait"]);
    let task = started["task_ids"][0].as_str().unwrap();
    let watched = place.client(&server, &["task", "watch", task, "-o", "json"]);
    assert!(watched.status.success(), "{}", text(&watched));
    let states: Vec<serde_json::Value> = String::from_utf8_lossy(&watched.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(states.iter().all(|state| state["id"] == task), "{states:?}");
    let last = states.last().unwrap();
    assert_eq!(last["status"], "success");
    assert_eq!(last["extra_info"]["common"]["progress"], 100);
    let checkpoint = started["checkpoint"]["id"].as_str().unwrap();
    let shown = place.json(&server, &["checkpoint", "show", checkpoint]);
    assert_eq!(shown["status"], "available");
}

#[test]
fn a_login_is_tried_kept_privately_and_used() {
    let place = Place::new();
    let server = place.start();
    let account = place.account();
    let home = place.path("home");
    let cbr_at_home = || {
        let mut command = cbr();
        command.env("XDG_CONFIG_HOME", &home);
        command
    };
    let field = |name: &str| account[name].as_str().unwrap().to_owned();
    let login = |password: &str| {
        cbr_at_home()
            .args(["login", "--url", &server.url, "--user", &field("user_name")])
            .args(["--domain", &field("domain_name")])
            .env("CBR_PASSWORD", password)
            .output()
            .unwrap()
    };
    let wrong = login("wrong");
    assert_eq!(wrong.status.code(), Some(6), "{}", text(&wrong));
    assert!(!home.join("cbr/profiles.toml").exists(), "a failed login is not kept");
    let right = login(&field("password"));
    assert!(right.status.success(), "{}", text(&right));
    let list = cbr_at_home().args(["vault", "list", "-o", "json"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&list.stdout).trim(), "[]", "{}", text(&list));
    let profiles = cbr_at_home().args(["profile", "list"]).output().unwrap();
    assert!(!text(&profiles).contains(&field("password")));
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let place = Place::new();
    let mut child = cbr()
        .args(["config", "example"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    drop(place);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(output.stderr.is_empty());
}
