//! Short texts: names of objects, places that the caller keeps, files with keys.

use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;

use axum::http::{HeaderMap, HeaderValue};
use cbr_api::forwarded::client;
use cbr_provider::LocalConfig;
use cbr_store::backend::Key;
use cbr_store::format::place::Place;
use cbr_store::{MaintenanceKey, MasterKey, ScrubCursor, Spot};

use crate::{choice, golden};

const KINDS: usize = 7;

pub(crate) fn run(bytes: &[u8]) {
    let (which, bytes) = choice(bytes, KINDS);
    let text = String::from_utf8_lossy(bytes);
    match which {
        0 => {
            let Ok(key) = Key::new(text.to_string()) else { return };
            assert_eq!(key.as_str(), text);
            if let Some(place) = Place::parse(&key) {
                assert_eq!(place.key(), key, "two names of one place");
            }
        }
        1 => {
            if let Ok(cursor) = text.parse::<ScrubCursor>() {
                assert_eq!(cursor.to_string().parse::<ScrubCursor>().unwrap(), cursor);
            }
        }
        2 => {
            if let Ok(spot) = text.parse::<Spot>() {
                assert_eq!(spot.to_string().parse::<Spot>().unwrap(), spot);
            }
        }
        3 => key_file(bytes),
        5 => forwarded("x-forwarded-for", bytes, "192.0.2.7"),
        6 => forwarded("forwarded", bytes, "for=192.0.2.7"),
        _ => {
            if let Ok(config) = toml::from_str::<LocalConfig>(&text) {
                let _ = config.validate();
            }
        }
    }
}

/// P27: whatever a client wrote, what the proxy adds to the right of it says who asks.
fn forwarded(name: &'static str, bytes: &[u8], added: &str) {
    let trusted = ["10.0.0.0/8".parse().unwrap()];
    let peer = IpAddr::from([10, 0, 0, 1]);
    let Ok(written) = HeaderValue::from_bytes(bytes) else { return };
    let mut headers = HeaderMap::new();
    headers.append(name, written);
    client(peer, &headers, &trusted);
    let stranger = IpAddr::from([192, 0, 2, 99]);
    assert_eq!(client(stranger, &headers, &trusted), stranger);
    headers.append(name, added.parse().unwrap());
    assert_eq!(client(peer, &headers, &trusted), IpAddr::from([192, 0, 2, 7]));
    // In one line with it, where that can be read at all.
    let line = [bytes, b", ", added.as_bytes()].concat();
    if line.is_ascii() {
        headers.remove(name);
        headers.append(name, HeaderValue::from_bytes(&line).unwrap());
        assert_eq!(client(peer, &headers, &trusted), IpAddr::from([192, 0, 2, 7]));
    }
}

fn key_file(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let _ = MasterKey::read_file(file.path());
    let _ = MaintenanceKey::read_file(file.path());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let seed = |which: u8, text: &str| [&[which], text.as_bytes()].concat();
    let mut seeds: Vec<Vec<u8>> =
        golden().into_iter().filter_map(|(_, key, _)| Some(seed(0, key?))).collect();
    seeds.push(seed(1, "settled t/01234567-89ab-cdef-0123-456789abcdef/zz"));
    seeds.push(seed(2, "p/a5a5a5a5a5a5a5a5a5a5a5a500000007/3"));
    seeds.push(seed(3, &format!("cbr-master-key-v1 {}\n", "11".repeat(32))));
    seeds.push(seed(3, &format!("cbr-maintenance-key-v1 {}\n", "11".repeat(64))));
    seeds.push(seed(
        4,
        "[[pools]]\nname = \"a\"\npath = \"/x\"\ndefault_format = \"qcow2\"\n[[servers]]\nname = \"s\"\n\
         volumes = [\"a/b\"]\nstart = [\"run\"]\ntimeout_seconds = 9\n",
    ));
    seeds.push(seed(5, "203.0.113.1, [2001:db8::7]:80, 10.0.0.9"));
    seeds.push(seed(6, "for=\"203.0.113.1;host=\"a\\\"\", For=10.0.0.9;proto=https"));
    seeds
}
