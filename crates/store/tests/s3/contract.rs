//! The bucket keeps the contract of every backend, and what only a bucket can break.

use std::fmt::Write as _;
use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::backend::{
    Backend, BackendError, BackendExt, Key, OBJECT_BYTES_MAX, Probe, Put, S3Backend, S3Credentials,
    S3Options, probe,
};
use cbr_store::contract;

use crate::bucket::{BUCKET, Bucket, Impatient, SECRET_KEY, options};
use crate::proxy::Toxic;

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

#[test]
fn a_bucket_keeps_the_contract() {
    let bucket = Bucket::start();
    contract::check(&bucket.backend());
    let uploads = bucket.proxy.requests().iter().filter(|line| line.contains("upload")).count();
    assert_eq!(uploads, 0, "no multipart upload, so none can be left behind");
}

#[test]
fn a_bucket_without_prefix_keeps_the_contract() {
    let bucket = Bucket::start();
    let options = S3Options { prefix: String::new(), ..options(bucket.proxy.address()) };
    let random = Arc::new(SeededRandom::new(1));
    let backend = S3Backend::open(&options, Arc::new(Impatient::default()), random).unwrap();
    contract::check(&backend);
}

#[test]
fn a_bucket_passes_the_probe_and_nothing_is_left() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    let probes = probe(&backend, &SeededRandom::new(2)).unwrap();
    assert!(probes.len() >= 12);
    let broken = probes.iter().filter(|probe| !probe.holds).map(|probe| probe.name.as_str());
    assert!(broken.eq(["object lock is on"]), "{probes:?}");
    // This server answers 500 to a long name, and has the object: looking again tells.
    assert!(probes.iter().any(|probe| probe.name == "names of 200 characters work"));
    for question in
        ["a wrong checksum is refused", "its clock and ours differ by less than a minute"]
    {
        assert!(probes.iter().any(|probe| probe.name == question && probe.holds), "{question}");
    }
    assert_eq!(backend.list_all("").unwrap(), []);
}

/// P21: what only buckets are asked has an answer, or none; a request that is refused or lost is no "no".
#[test]
fn a_bucket_that_refuses_a_question_has_not_answered_it() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    let holds = |probes: &[Probe], name: &str| {
        probes.iter().find(|probe| probe.name == name).map(|probe| probe.holds)
    };
    let (sums, locks) = ("a wrong checksum is refused", "object lock is on");
    let asked = backend.ask("probe/1");
    assert_eq!((holds(&asked, sums), holds(&asked, locks)), (Some(true), Some(false)), "{asked:?}");
    // An account that may not write, a bucket that is gone, a store that does not answer.
    for toxic in
        [Toxic::NoBucket, Toxic::Busy, Toxic::CutBefore, Toxic::Redirect, Toxic::BadRequest]
    {
        bucket.proxy.seed(1, 1, &[toxic]);
        let asked = backend.ask("probe/2");
        bucket.proxy.heal();
        assert_eq!((holds(&asked, sums), holds(&asked, locks)), (None, None), "{toxic:?}");
    }
}

/// P24: a claim of size is believed only up to a limit, and nothing larger is written.
#[test]
fn an_object_larger_than_any_is_refused_before_it_is_read() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    assert_eq!(backend.put_new(&key("big"), &[b"x"]).unwrap(), Put::Created);
    bucket.proxy.seed(1, 1, &[Toxic::Oversized]);
    let error = backend.get(&key("big")).unwrap_err();
    assert!(matches!(error, BackendError::Oversized { .. }), "{error}");
    assert_eq!(backend.size(&key("big")).unwrap(), Some(OBJECT_BYTES_MAX + 1));
}

/// P4, P21: also where the store itself lies, and without the engine's own seals.
#[test]
fn an_object_that_changed_in_the_bucket_is_not_read() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    assert_eq!(backend.put_new(&key("it"), &[b"what was put"]).unwrap(), Put::Created);
    std::fs::write(bucket.file("main/it"), b"something lse").unwrap();
    assert!(backend.get(&key("it")).is_err());
}

#[test]
fn a_missing_bucket_is_no_empty_one() {
    let bucket = Bucket::start();
    let missing = S3Options { bucket: "missing".into(), ..options(bucket.proxy.address()) };
    let random = Arc::new(SeededRandom::new(1));
    let error = S3Backend::open(&missing, Arc::new(Impatient::default()), random).unwrap_err();
    assert!(matches!(error, BackendError::Refused { .. }), "{error}");
    // Also when it goes away later.
    let backend = bucket.backend();
    bucket.proxy.seed(1, 1, &[Toxic::NoBucket]);
    let name = key("k");
    let answers = [
        backend.get(&name).map(drop),
        backend.size(&name).map(drop),
        backend.get_range(&name, 0, &mut [0; 4]).map(drop),
        backend.list("", None).map(drop),
        backend.put_new(&name, &[b"x"]).map(drop),
        backend.delete(&name),
    ];
    for answer in answers {
        assert!(matches!(answer, Err(BackendError::Refused { .. })), "{answer:?}");
    }
}

/// P33.
#[test]
fn no_redirect_is_followed() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    bucket.proxy.plan(&[Toxic::Redirect]);
    let error = backend.get(&key("k")).unwrap_err().to_string();
    assert!(error.contains("307"), "{error}");
    assert!(!bucket.proxy.requests().iter().any(|request| request.contains("elsewhere")));
}

/// P32: neither a wrong nor a right secret is in anything that can be logged.
#[test]
fn secrets_are_in_no_error_and_no_debug_output() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    let mut said = format!("{backend:?} {:?}", options(bucket.proxy.address()));
    let wrong = S3Options {
        credentials: S3Credentials::new("AKIDEXAMPLE", "canary-wrong-k3y"),
        ..options(bucket.proxy.address())
    };
    let random = Arc::new(SeededRandom::new(1));
    let refused = S3Backend::open(&wrong, Arc::new(Impatient::default()), random).unwrap_err();
    assert!(matches!(refused, BackendError::Refused { .. }), "{refused}");
    write!(said, "{refused} {refused:?}").unwrap();
    bucket.proxy.plan(&[Toxic::CutBefore; 32]);
    let cut = backend.get(&key("k")).unwrap_err();
    write!(said, "{cut} {cut:?}").unwrap();
    assert!(!said.contains(SECRET_KEY) && !said.contains("canary"), "{said}");
    assert!(said.contains(BUCKET));
}
