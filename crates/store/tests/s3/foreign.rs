//! The same against a server of others, which `CBR_TEST_S3` names:
//! `http://ACCESS:SECRET@HOST:PORT/BUCKET`. `./scripts/test` names moto, `./scripts/soak-s3` Garage.
//!
//! Where the server overwrites, an arbiter decides, as it would for the service (docs/adr on the
//! arbiter). Every test has a prefix of its own in the bucket.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cbr_env::{RandomExt, SeededRandom, SystemRandom};
use cbr_store::backend::layer::{Arbiter, Arbitrated};
use cbr_store::backend::{Backend, BackendExt, S3Credentials, S3Options, survey};
use cbr_store::{MasterKey, Repository, contract};

use crate::bucket::{Bucket, seeds};
use crate::faults::answers_are_right_or_errors;
use crate::history::{
    Site, denials_cause_no_deletion, ends_right_or_in_an_error, options,
    restores_and_leaves_nothing_unknown,
};
use crate::memory_arbiter::Memory;

const VARIABLE: &str = "CBR_TEST_S3";

/// A server that somebody else has started.
struct Server {
    address: SocketAddr,
    options: S3Options,
    made: AtomicU32,
}

/// An empty place of it, with the database's memory.
struct Place {
    bucket: Bucket,
    memory: Arc<Memory>,
}

impl Server {
    /// `None`, and a word about it, if nobody has.
    fn named() -> Option<Self> {
        let Ok(text) = std::env::var(VARIABLE) else {
            // Not by a macro: what those print is kept back when a test passes.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: an S3 server of others: {VARIABLE} names none (scripts/test starts moto)"
            );
            return None;
        };
        let parse = || {
            let (account, place) = text.strip_prefix("http://")?.split_once('@')?;
            let (access_key, secret_key) = account.split_once(':')?;
            let (address, bucket) = place.split_once('/')?;
            let credentials = S3Credentials::new(access_key, secret_key);
            let run = hex::encode(SystemRandom::default().bytes::<4>());
            let options = S3Options {
                prefix: run,
                allow_http: true,
                ..S3Options::new(format!("http://{address}"), bucket, credentials)
            };
            Some(Self { address: address.parse().ok()?, options, made: AtomicU32::new(0) })
        };
        let server = parse();
        assert!(server.is_some(), "{VARIABLE} is not http://ACCESS:SECRET@HOST:PORT/BUCKET");
        server
    }

    fn place(&self) -> Place {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{}/{number}", self.options.prefix);
        let options = S3Options { prefix, ..self.options.clone() };
        Place { bucket: Bucket::of(self.address, options), memory: Arc::default() }
    }
}

impl Place {
    /// The backend as a repository there would use it, and whether the arbiter decides.
    fn backend(&self) -> (Arc<dyn Backend>, bool) {
        let backend: Arc<dyn Backend> = Arc::new(self.bucket.backend());
        let probes = survey(&*backend, &SystemRandom::default()).unwrap();
        assert_eq!(backend.list_all("").unwrap(), [], "the questions leave nothing behind");
        let broken: Vec<&str> =
            probes.iter().filter(|probe| !probe.holds).map(|probe| probe.name.as_str()).collect();
        println!("the server does not: {broken:?}");
        if !broken.contains(&"an object is never overwritten") {
            return (backend, false);
        }
        let arbiter = Arc::clone(&self.memory) as Arc<dyn Arbiter>;
        (Arc::new(Arbitrated::new(backend, arbiter)), true)
    }
}

impl Site for Place {
    fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    fn open(&self, seed: u64) -> Repository {
        let backend: Arc<dyn Backend> = Arc::new(self.bucket.backend());
        let arbiter = Arc::clone(&self.memory) as Arc<dyn Arbiter>;
        let (master, random) = (MasterKey::from_bytes([9; 32]), Arc::new(SeededRandom::new(seed)));
        Repository::init_arbitrated(backend, arbiter, master, random, options()).unwrap()
    }
}

/// P21; and the probe finds out what the server's makers say of it.
#[test]
fn a_server_of_others_keeps_the_contract() {
    let Some(server) = Server::named() else { return };
    let place = server.place();
    let (backend, is_arbitrated) = place.backend();
    if let Ok(expected) = std::env::var("CBR_TEST_S3_OVERWRITES") {
        assert_eq!(is_arbitrated, expected == "yes", "whether it overwrites");
    }
    contract::check(&*backend);
    assert!(place.memory.names().is_empty(), "names of removed objects are forgotten");
    let requests = place.bucket.proxy.requests();
    assert!(!requests.iter().any(|line| line.contains("upload")), "no upload in parts");
}

/// P1, P21.
#[test]
fn a_history_on_a_server_of_others_restores() {
    let Some(server) = Server::named() else { return };
    restores_and_leaves_nothing_unknown(&server.place());
}

/// P21: behind the proxy that spoils answers.
#[test]
fn under_seeded_faults_every_answer_of_a_server_of_others_is_right_or_an_error() {
    let Some(server) = Server::named() else { return };
    answers_are_right_or_errors(seeds(100..112), || {
        let place = server.place();
        let (backend, _) = place.backend();
        (place.bucket, backend)
    });
}

/// P1, P9, P21: behind the proxy that spoils answers.
#[test]
fn a_history_over_a_bad_way_to_a_server_of_others_ends_right_or_in_an_error() {
    let Some(server) = Server::named() else { return };
    let (succeeded, faults) = ends_right_or_in_an_error(seeds(100..108), || server.place());
    assert!(succeeded > 10 && faults > 25, "{succeeded} {faults}");
}

/// P9, P10.
#[test]
fn denials_of_a_server_of_others_cause_no_deletion() {
    let Some(server) = Server::named() else { return };
    let faults = denials_cause_no_deletion(seeds(100..104), || server.place());
    assert!(faults > 5, "{faults}");
}
