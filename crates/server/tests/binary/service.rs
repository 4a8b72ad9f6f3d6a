//! `cbr serve`, `doctor` and `repo` as an operator meets them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::server::{Place, cbr, text, write_disk};

#[test]
fn two_services_cannot_share_a_data_directory() {
    let place = Place::new();
    let first = place.start();
    let second = place.serve(&[]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).contains("another cbr process"), "{}", text(&second));
    first.stop();
    place.start().stop();
}

#[test]
fn systemd_is_told_when_the_service_is_ready_and_when_it_stops() {
    let place = Place::new();
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut command = place.serve(&[]);
    command.env("NOTIFY_SOCKET", place.path("notify"));
    let server = place.start_command(command);
    let mut buffer = [0; 200];
    let length = socket.recv(&mut buffer).unwrap();
    let message = String::from_utf8_lossy(&buffer[..length]);
    assert!(message.starts_with("READY=1\n") && message.contains(&server.url), "{message}");
    server.stop();
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"STOPPING=1");
}

/// P24.
#[test]
fn a_client_that_sends_nothing_is_hung_up_on() {
    let place = Place::new();
    let config = place.path("cbr.toml");
    fs::write(&config, "[http]\nidle_seconds = 1\n").unwrap();
    let server = place.start_with(&["--config", config.to_str().unwrap()]);
    let address = server.url.strip_prefix("http://").unwrap();
    for sent in ["", "GET /healthz HT", "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        connection.write_all(sent.as_bytes()).unwrap();
        // Reads to the end: an error here means that the service did not hang up.
        connection.read_to_end(&mut Vec::new()).unwrap();
    }
}

/// P24: there are only so many places, and who takes no answer keeps none.
#[test]
fn connections_are_counted_and_who_takes_no_answer_is_hung_up_on() {
    let place = Place::new();
    let config = place.path("cbr.toml");
    fs::write(&config, "[http]\nidle_seconds = 1\nconnections_max = 1\n").unwrap();
    let server = place.start_with(&["--config", config.to_str().unwrap()]);
    let address = server.url.strip_prefix("http://").unwrap();
    let mut deaf = TcpStream::connect(address).unwrap();
    deaf.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // Far more than the kernel's buffers take.
    deaf.write_all("GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200).as_bytes()).unwrap();
    assert_eq!(deaf.peek(&mut [0]).unwrap(), 1, "it is being answered");
    let healthz = || {
        let mut answer = Vec::new();
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        drop(connection.write_all(b"GET /healthz HTTP/1.0\r\nhost: x\r\n\r\n"));
        // One that is turned away may be reset.
        drop(connection.read_to_end(&mut answer));
        answer
    };
    assert!(healthz().is_empty(), "there is one place, and it is taken");
    let is_served = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        !healthz().is_empty()
    });
    assert!(is_served, "the place was not given back");
    drop(deaf);
}

/// P24: one address does not take all places.
#[test]
fn an_address_has_a_share_of_the_places() {
    let place = Place::new();
    let config = place.path("cbr.toml");
    fs::write(&config, "[http]\nconnections_max = 2\nconnections_per_address_max = 1\n").unwrap();
    let server = place.start_with(&["--config", config.to_str().unwrap()]);
    let address = server.url.strip_prefix("http://").unwrap();
    // The one that waited for the service to be ready may still be closing.
    let holder = (0..100).find_map(|_| {
        let mut holder = TcpStream::connect(address).unwrap();
        holder.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        drop(holder.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"));
        matches!(holder.read(&mut [0; 4096]), Ok(count) if count > 0).then_some(holder)
    });
    let holder = holder.unwrap();
    let mut second = TcpStream::connect(address).unwrap();
    second.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    drop(second.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"));
    let refused = second.read(&mut [0; 4096]);
    assert!(!matches!(refused, Ok(count) if count > 0), "{refused:?}");
    drop(holder);
}

/// P24: who answers pings and asks nothing keeps no place.
#[test]
fn a_client_that_only_answers_pings_is_hung_up_on() {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    let place = Place::new();
    let config = place.path("cbr.toml");
    fs::write(&config, "[http]\nidle_seconds = 1\n").unwrap();
    let server = place.start_with(&["--config", config.to_str().unwrap()]);
    let mut connection = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let frame = |kind: u8, flags: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 0], payload].concat()
    };
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    connection.write_all(&frame(SETTINGS, 0, &[])).unwrap();
    let mut pings = 0;
    let mut header = [0; 9];
    // An error is an end as well: what was still on its way to a closed connection resets it.
    while connection.read_exact(&mut header).is_ok() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        connection.read_exact(&mut payload).unwrap();
        let answer = match (header[3], header[4] & ACK) {
            (SETTINGS, 0) => frame(SETTINGS, ACK, &[]),
            (PING, 0) => {
                pings += 1;
                frame(PING, ACK, &payload)
            }
            _ => continue,
        };
        assert!(pings < 15, "it is kept for as long as it answers");
        drop(connection.write_all(&answer));
    }
}

#[test]
fn a_password_that_others_can_read_is_noticed() {
    let place = Place::new();
    let config = place.path("cbr.toml");
    fs::write(&config, format!("[database]\nurl = \"sqlite:{}\"\n", place.path("x.db").display()))
        .unwrap();
    let doctor = || {
        let mut command = cbr();
        command.args(["doctor", "--config"]).arg(&config).arg("--data-dir").arg(place.data());
        text(&command.output().unwrap())
    };
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(doctor().contains("everybody can read"));
    fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(!doctor().contains("everybody can read"));
}

#[test]
fn plain_http_is_not_offered_to_others() {
    let place = Place::new();
    let output = cbr()
        .args(["serve", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(place.data())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("TLS"), "{}", text(&output));
    assert!(!place.data().exists(), "a refused start leaves nothing behind");
}

#[test]
fn with_a_certificate_the_service_answers_with_tls() {
    let place = Place::new();
    let (certificate, key) = (place.path("cert.pem"), place.path("key.pem"));
    if !make_certificate(&certificate, &key) {
        // Not by a macro: the harness would keep it to itself.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: openssl is not installed\n",
        );
        return;
    }
    let config = place.path("cbr.toml");
    let toml = format!("[http]\ncertificate_file = {certificate:?}\nkey_file = {key:?}\n");
    fs::write(&config, toml).unwrap();
    let file = place.account_file();
    let server = place.start_with(&[
        "--config",
        config.to_str().unwrap(),
        "--bootstrap-file",
        file.to_str().unwrap(),
    ]);
    assert!(server.url.starts_with("https://"));
    let trusted = ["--ca-file", certificate.to_str().unwrap()];
    let list = [&["vault", "list"], &trusted[..]].concat();
    assert_eq!(place.json(&server, &list), serde_json::json!([]));
    let untrusted = place.client(&server, &["vault", "list"]);
    assert_eq!(untrusted.status.code(), Some(5), "{}", text(&untrusted));
    server.stop();
}

/// What is wrong with the certificate is said before anything is touched.
#[test]
fn a_certificate_and_a_key_that_do_not_belong_together_stop_the_start() {
    let place = Place::new();
    let (certificate, key) = (place.path("cert.pem"), place.path("key.pem"));
    let (other, other_key) = (place.path("other.pem"), place.path("other-key.pem"));
    if !make_certificate(&certificate, &key) || !make_certificate(&other, &other_key) {
        return;
    }
    let config = place.path("cbr.toml");
    let toml = format!("[http]\ncertificate_file = {certificate:?}\nkey_file = {other_key:?}\n");
    fs::write(&config, toml).unwrap();
    let (config, file) = (config.to_str().unwrap(), place.account_file());
    let bootstrap = ["--config", config, "--bootstrap-file", file.to_str().unwrap()];
    let started = place.serve(&bootstrap).output().unwrap();
    assert!(!started.status.success());
    assert!(text(&started).contains("http.key_file"), "{}", text(&started));
    assert!(!String::from_utf8_lossy(&started.stdout).contains("ready at"));
    assert!(!file.exists() && !place.data().exists(), "a refused start leaves nothing behind");
    let checked = cbr().args(["config", "check", "--config", config]).output().unwrap();
    assert!(!checked.status.success());
    assert!(text(&checked).contains("http.key_file"), "{}", text(&checked));
}

#[test]
fn a_renewed_certificate_is_used_after_a_hangup() {
    let place = Place::new();
    let (certificate, key) = (place.path("cert.pem"), place.path("key.pem"));
    let (renewed, renewed_key) = (place.path("renewed.pem"), place.path("renewed-key.pem"));
    if !make_certificate(&certificate, &key) || !make_certificate(&renewed, &renewed_key) {
        return;
    }
    let config = place.path("cbr.toml");
    let toml = format!("[http]\ncertificate_file = {certificate:?}\nkey_file = {key:?}\n");
    fs::write(&config, toml).unwrap();
    let file = place.account_file();
    let (config, file) = (config.to_str().unwrap(), file.to_str().unwrap());
    let server = place.start_with(&["--config", config, "--bootstrap-file", file]);
    let trusted = ["vault", "list", "--ca-file", renewed.to_str().unwrap()];
    assert!(!place.client(&server, &trusted).status.success(), "the old one is in use");
    let hang_up = || {
        let pid = rustix::process::Pid::from_raw(server.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    };
    // Half of a renewal changes nothing and ends nothing.
    fs::copy(&renewed, &certificate).unwrap();
    hang_up();
    let is_logged = |what: &str| {
        (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            place.log().contains(what)
        })
    };
    assert!(is_logged("stays in use"), "{}", place.log());
    fs::copy(&renewed_key, &key).unwrap();
    hang_up();
    assert!(is_logged("was read again"), "{}", place.log());
    assert!(place.client(&server, &trusted).status.success());
    server.stop();
}

fn make_certificate(certificate: &Path, key: &Path) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=cbr", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output();
    made.is_ok_and(|output| output.status.success())
}

#[test]
fn doctor_finds_nothing_bad_beside_a_service_and_without_one_and_sees_what_is() {
    let place = Place::new();
    let doctor = || cbr().args(["doctor", "--data-dir"]).arg(place.data()).output().unwrap();
    let server = place.start();
    let beside = doctor();
    assert!(beside.status.success(), "{}", text(&beside));
    assert!(text(&beside).contains("runs"), "{}", text(&beside));
    server.stop();
    let alone = doctor();
    assert!(alone.status.success(), "{}", text(&alone));
    fs::rename(place.data().join("master.key"), place.path("elsewhere")).unwrap();
    let without_key = doctor();
    assert_eq!(without_key.status.code(), Some(1), "{}", text(&without_key));
    assert!(text(&without_key).contains("master.key"), "{}", text(&without_key));
}

/// Losing the key must not end in a service that looks well and cannot read its backups.
#[test]
fn a_service_without_its_key_does_not_make_another() {
    let place = Place::new();
    place.start().stop();
    fs::remove_file(place.data().join("master.key")).unwrap();
    let output = place.serve(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("your copy"), "{}", text(&output));
    assert!(!place.data().join("master.key").exists());
}

#[test]
fn only_another_node_that_there_is_can_be_taken_over() {
    let place = Place::new();
    let node = |arguments: &[&str]| {
        let mut command = cbr();
        command.arg("node").args(arguments).arg("--data-dir").arg(place.data());
        command.output().unwrap()
    };
    let server = place.start();
    let beside = node(&["take-over", "gone"]);
    assert!(text(&beside).contains("another cbr process"), "{}", text(&beside));
    server.stop();
    let own = fs::read_to_string(place.data().join("node")).unwrap();
    for (name, code) in [("gone", 3), (own.as_str(), 2)] {
        let refused = node(&["take-over", name]);
        assert_eq!(refused.status.code(), Some(code), "{}", text(&refused));
    }
    let listed = node(&["list", "-o", "json"]);
    assert!(listed.status.success(), "{}", text(&listed));
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(listed.as_array().unwrap().iter().all(|node| node["name"] == own.as_str()), "{listed}");
}

/// P8: repository and key are enough.
#[test]
fn a_backup_is_listed_checked_and_restored_without_service_and_database() {
    let place = Place::new();
    let server = place.start();
    let disk = place.data().join("pool/disk.raw");
    write_disk(&disk, 1);
    place.json(&server, &["vault", "create", "v", "--type", "disk", "--size", "10"]);
    place.json(&server, &["vault", "bind", "v", "disk.raw"]);
    let made = place.json(&server, &["backup", "create", "v", "--name", "b"]);
    let id = made["backups"][0]["id"].as_str().unwrap();
    server.kill();
    fs::remove_file(place.data().join("cbr.db")).unwrap();

    let repository = place.data().join("repository");
    let key = place.data().join("master.key");
    let repo = |arguments: &[&str]| {
        let mut command = cbr();
        command.arg("repo").args(arguments);
        command.arg("--repository").arg(&repository).arg("--key").arg(&key);
        command.output().unwrap()
    };
    let listed = repo(&["ls"]);
    assert!(text(&listed).contains(id), "{}", text(&listed));
    let checked = repo(&["check", "--read-data"]);
    assert!(checked.status.success(), "{}", text(&checked));
    let target = place.path("restored.raw");
    let restored = repo(&["restore", id, "--to", target.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", text(&restored));
    assert!(fs::read(&target).unwrap() == fs::read(&disk).unwrap(), "the disks differ");
    let again = repo(&["restore", id, "--to", target.to_str().unwrap()]);
    assert!(!again.status.success(), "an existing file is not overwritten unasked");
    let unknown = repo(&["restore", "nope", "--to", "/dev/null"]);
    assert_eq!(unknown.status.code(), Some(3), "{}", text(&unknown));
}

#[test]
fn the_example_configuration_is_accepted_and_a_slip_is_found() {
    let place = Place::new();
    let path = place.path("cbr.toml");
    let example = cbr().args(["config", "example"]).output().unwrap();
    fs::write(&path, &example.stdout).unwrap();
    let check = || cbr().args(["config", "check", "--config"]).arg(&path).output().unwrap();
    assert!(check().status.success(), "{}", text(&check()));
    fs::write(&path, "[http]\nlisten_at = \"127.0.0.1:1\"\n").unwrap();
    assert_eq!(check().status.code(), Some(2));
    assert!(text(&check()).contains("line 2"), "{}", text(&check()));
}

#[test]
fn every_command_has_a_manual_page_and_completions() {
    let place = Place::new();
    let man = cbr().arg("man").arg(place.path("man")).output().unwrap();
    assert!(man.status.success(), "{}", text(&man));
    for page in ["cbr.1", "cbr-serve.1", "cbr-backup-create.1", "cbr-repo-restore.1"] {
        assert!(place.path("man").join(page).exists(), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = cbr().args(["completions", shell]).output().unwrap();
        assert!(String::from_utf8_lossy(&script.stdout).contains("repo"), "{shell}");
    }
}
