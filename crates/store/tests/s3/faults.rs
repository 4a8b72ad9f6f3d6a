//! What each misbehaviour of a store leads to: never to wrong bytes, a false "created" or a false
//! "absent" (P21).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use cbr_env::SeededRandom;
use cbr_store::backend::{Backend, BackendExt, Decided, Key, Put, S3Backend, S3Options};

use crate::bucket::{Bucket, Impatient, options, seeds};
use crate::proxy::{TRANSIENT, Toxic};

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

#[test]
fn a_busy_store_is_asked_again_and_less_at_the_same_time() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    let before = backend.concurrency();
    bucket.proxy.plan(&[Toxic::Busy, Toxic::Busy]);
    assert_eq!(backend.get(&key("k")).unwrap(), None);
    assert!(backend.concurrency() < before);
}

#[test]
fn a_store_that_stays_busy_is_an_error_and_never_absence() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    for toxic in [Toxic::Busy, Toxic::CutBefore, Toxic::CutAfter, Toxic::ErrorAfter, Toxic::Page] {
        bucket.proxy.seed(1, 1, &[toxic]);
        assert!(backend.get(&key("k")).unwrap_err().is_transient(), "{toxic:?}");
        assert!(backend.list("", None).unwrap_err().is_transient(), "{toxic:?}");
        assert!(backend.size(&key("k")).unwrap_err().is_transient(), "{toxic:?}");
    }
}

/// P24: what is down is not asked more because it is down.
#[test]
fn retries_have_a_budget_for_all_callers_together() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    bucket.proxy.seed(1, 1, &[Toxic::CutBefore]);
    for _ in 0..200 {
        backend.get(&key("k")).unwrap_err();
    }
    let requests = bucket.proxy.hits()[&Toxic::CutBefore];
    assert!((200..=320).contains(&requests), "{requests} requests for 200 calls");
    bucket.proxy.heal();
    assert_eq!(backend.get(&key("k")).unwrap(), None);
}

#[test]
fn a_put_whose_answer_is_lost_is_unknown_and_then_decided() {
    for toxic in [Toxic::ErrorAfter, Toxic::CutAfter] {
        println!("{toxic:?}");
        let bucket = Bucket::start();
        let backend = bucket.backend();
        bucket.proxy.plan(&[toxic]);
        // The second attempt meets the object of the first.
        assert_eq!(backend.put_new(&key("k"), &[b"mine"]).unwrap(), Put::Unknown, "{toxic:?}");
        assert_eq!(backend.put_decided(&key("k"), &[b"mine"]).unwrap(), Decided::Ours);
        let other = backend.put_decided(&key("k"), &[b"yours"]).unwrap();
        assert_eq!(other, Decided::Other(b"mine".to_vec()));
        bucket.proxy.plan(&[toxic]);
        assert_eq!(backend.put_decided(&key("j"), &[b"mine"]).unwrap(), Decided::Ours);
    }
}

/// A page of some proxy is no proof that anything was stored.
#[test]
fn a_put_that_is_answered_with_a_page_is_not_created() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    bucket.proxy.seed(1, 1, &[Toxic::Page]);
    assert_eq!(backend.put_new(&key("k"), &[b"mine"]).unwrap(), Put::Unknown);
    bucket.proxy.heal();
    assert_eq!(backend.get(&key("k")).unwrap(), None);
}

#[test]
fn a_put_without_any_answer_is_unknown() {
    let bucket = Bucket::start();
    let patient =
        S3Options { timeout: Duration::from_millis(400), ..options(bucket.proxy.address()) };
    let random = Arc::new(SeededRandom::new(1));
    let backend = S3Backend::open(&patient, Arc::new(Impatient::default()), random).unwrap();
    bucket.proxy.seed(1, 1, &[Toxic::SilenceAfter]);
    assert_eq!(backend.put_new(&key("k"), &[b"mine"]).unwrap(), Put::Unknown);
    bucket.proxy.heal();
    assert_eq!(backend.get(&key("k")).unwrap().unwrap(), b"mine");
}

#[test]
fn a_conflict_is_looked_at_again() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    bucket.proxy.plan(&[Toxic::Conflict]);
    assert_eq!(backend.put_new(&key("k"), &[b"mine"]).unwrap(), Put::Created);
    bucket.proxy.plan(&[Toxic::Conflict; 7]);
    assert_eq!(backend.put_new(&key("j"), &[b"mine"]).unwrap(), Put::Unknown);
}

#[test]
fn spoiled_bodies_are_read_again_and_never_served() {
    let bucket = Bucket::start();
    let backend = bucket.backend();
    let body: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    assert_eq!(backend.put_new(&key("k"), &[&body]).unwrap(), Put::Created);
    for toxic in [Toxic::Truncated, Toxic::WrongBody, Toxic::CutAfter] {
        bucket.proxy.plan(&[toxic, toxic]);
        assert_eq!(backend.get(&key("k")).unwrap().unwrap(), body, "{toxic:?}");
        bucket.proxy.seed(3, 1, &[toxic]);
        assert!(backend.get(&key("k")).unwrap_err().is_transient(), "{toxic:?}");
        bucket.proxy.heal();
    }
    let mut part = vec![0; 1000];
    bucket.proxy.plan(&[Toxic::Truncated]);
    backend.get_range(&key("k"), 5000, &mut part).unwrap().unwrap();
    assert_eq!(part, body[5000..6000]);
}

#[test]
fn under_seeded_faults_every_answer_is_right_or_an_error() {
    answers_are_right_or_errors(seeds(0..24), || {
        let bucket = Bucket::start();
        let backend = Arc::new(bucket.backend());
        (bucket, backend)
    });
}

/// Seeds: the number in the name of the fault that is printed.
pub(crate) fn answers_are_right_or_errors(
    seeds: Range<u64>,
    make: impl Fn() -> (Bucket, Arc<dyn Backend>),
) {
    for seed in seeds {
        let (bucket, backend) = make();
        let toxics: Vec<Toxic> = TRANSIENT
            .into_iter()
            .filter(|toxic| !matches!(toxic, Toxic::StaleListing | Toxic::PartialListing))
            .collect();
        bucket.proxy.seed(seed, 3, &toxics);
        let mut put = Vec::new();
        for number in 0..12_u8 {
            let (name, body) = (key(&format!("k/{number}")), [number; 100]);
            match backend.put_new(&name, &[&body]) {
                Ok(Put::Created) => put.push((name.clone(), body)),
                Ok(Put::Unknown) => {
                    let decided = backend.put_decided(&name, &[&body]);
                    if let Ok(decided) = decided {
                        assert_eq!(decided, Decided::Ours, "seed {seed}");
                        put.push((name.clone(), body));
                    }
                }
                Ok(Put::Existed) => panic!("seed {seed}: nobody else puts {name}"),
                Err(error) => assert!(error.is_transient(), "seed {seed}: {error}"),
            }
            if let Ok(second) = backend.put_new(&name, &[b"other"]) {
                let is_known = put.iter().any(|(known, _)| *known == name);
                assert!(!is_known || second != Put::Created, "seed {seed}: created twice");
            }
            for (name, body) in &put {
                if let Ok(found) = backend.get(name) {
                    assert_eq!(found.as_deref(), Some(&body[..]), "seed {seed}");
                }
                if let Ok(found) = backend.size(name) {
                    assert_eq!(found, Some(100), "seed {seed}");
                }
            }
            if let Ok(entries) = backend.list_all("k/") {
                let listed = |name: &Key| entries.iter().any(|entry| entry.key == *name);
                assert!(put.iter().all(|(name, _)| listed(name)), "seed {seed}");
            }
        }
        assert!(!bucket.proxy.hits().is_empty(), "seed {seed}: nothing went wrong");
    }
}
