//! Every backend and every wrapper passes the one contract suite (VLT, P2, P21).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cbr_env::{SeededRandom, SystemRandom};
use cbr_store::backend::layer::{Counting, Fault, Faulty, Switching};
use cbr_store::backend::{
    Backend, BackendError, BackendExt, Decided, Key, LocalBackend, LocalOptions, MemoryBackend, Op,
    Put, probe, survey,
};
use cbr_store::contract;

fn local(directory: &tempfile::TempDir) -> LocalBackend {
    let options = LocalOptions { reserve_bytes: 0, ..LocalOptions::default() };
    LocalBackend::create(&directory.path().join("store"), options).expect("a new directory")
}

#[test]
fn memory_keeps_the_contract() {
    contract::check(&MemoryBackend::default());
}

#[test]
fn a_local_directory_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    contract::check(&local(&directory));
}

#[test]
fn wrappers_keep_the_contract_of_what_they_wrap() {
    let directory = tempfile::tempdir().unwrap();
    let inner: [Arc<dyn Backend>; 2] =
        [Arc::new(MemoryBackend::default()), Arc::new(local(&directory))];
    for inner in inner {
        contract::check(&Counting::new(Arc::clone(&inner)));
        contract::check(&Switching::new(Arc::clone(&inner)));
        contract::check(&Faulty::new(inner));
    }
}

#[test]
fn backends_that_keep_their_promises_pass_the_probe_and_nothing_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let backends: [&dyn Backend; 2] = [&MemoryBackend::default(), &local(&directory)];
    for backend in backends {
        let probes = probe(backend, &SystemRandom::default()).unwrap();
        assert!(probes.len() >= 9 && probes.iter().all(|probe| probe.holds));
        assert_eq!(backend.list_all("").unwrap(), []);
    }
    let left = std::fs::read_dir(directory.path().join("store")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".incoming"], "no empty directory either");
}

/// P21: a question that meets a failure has no answer, and in no case the answer "no".
#[test]
fn a_call_that_fails_or_is_refused_is_no_answer() {
    for fault in [Fault::Io, Fault::Refused, Fault::LostAnswer, Fault::LostRequest] {
        let mut failed = 0;
        for call in 0..30 {
            let faulty = Faulty::new(Arc::new(MemoryBackend::default()));
            faulty.fail_call(call, fault);
            match survey(&faulty, &SeededRandom::new(call)) {
                Err(_) => failed += 1,
                Ok(answers) => {
                    let broken = answers.iter().find(|answer| !answer.holds);
                    assert_eq!(broken, None, "{fault:?} at call {call}");
                }
            }
            if call % 6 == 0 {
                // Who asks next removes what is left, and hears the truth.
                let answers = probe(&faulty, &SeededRandom::new(1000 + call)).unwrap();
                assert!(answers.iter().all(|answer| answer.holds));
                assert_eq!(faulty.list_all("").unwrap(), [], "{fault:?} at call {call}");
            }
        }
        assert!(failed > 5, "{fault:?}: {failed}");
    }
}

/// P3: what a start that died has left the next one removes; and two that ask at the same time, where one
/// therefore removes what the other asks with, both hear the truth.
#[test]
fn a_probe_removes_what_others_left_and_notices_when_others_remove_its_own() {
    for call in 0.. {
        let memory = Arc::new(MemoryBackend::default());
        let left = Key::new("probe/0123456789abcdef/large").unwrap();
        assert_eq!(memory.put_new(&left, &[b"left"]).unwrap(), Put::Created);
        let switching = Switching::new(memory.clone());
        let (other, ran) = (memory.clone(), Arc::new(AtomicBool::new(false)));
        let runs = Arc::clone(&ran);
        switching.before_call(call, move || {
            runs.store(true, Ordering::Relaxed);
            let probes = probe(other.as_ref(), &SeededRandom::new(1)).unwrap();
            assert!(probes.iter().all(|probe| probe.holds));
        });
        let probes = probe(&switching, &SeededRandom::new(2)).unwrap();
        assert!(probes.iter().all(|probe| probe.holds), "call {call}: {probes:?}");
        assert_eq!(memory.list_all("").unwrap(), [], "call {call}");
        if !ran.load(Ordering::Relaxed) {
            assert!(call > 20, "{call} calls");
            break;
        }
    }
}

/// P21: a backend that overwrites is found out before anything is entrusted to it.
#[test]
fn a_backend_that_overwrites_fails_the_probe() {
    #[derive(Debug)]
    struct Overwriting(MemoryBackend);
    impl Backend for Overwriting {
        fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
            self.0.overwrite(key, body.concat());
            Ok(Put::Created)
        }
        fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
            self.0.get(key)
        }
        fn get_range(&self, key: &Key, at: u64, to: &mut [u8]) -> Result<Option<()>, BackendError> {
            self.0.get_range(key, at, to)
        }
        fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
            self.0.size(key)
        }
        fn list(
            &self,
            prefix: &str,
            after: Option<&Key>,
        ) -> Result<cbr_store::backend::Page, BackendError> {
            self.0.list(prefix, after)
        }
        fn delete(&self, key: &Key) -> Result<(), BackendError> {
            self.0.delete(key)
        }
        fn describe(&self) -> String {
            "overwriting".to_owned()
        }
    }
    let answer = probe(&Overwriting(MemoryBackend::default()), &SeededRandom::new(1));
    assert!(matches!(answer, Err(BackendError::Refused { op: Op::Open, .. })), "{answer:?}");
}

/// P21: an ambiguous answer is resolved by looking, never by assuming.
#[test]
fn an_unknown_put_is_decided_by_what_is_there() {
    let key = Key::new("a/b").unwrap();
    for fault in [Fault::LostRequest, Fault::LostAnswer] {
        let memory = Arc::new(MemoryBackend::default());
        let faulty = Faulty::new(Arc::clone(&memory) as Arc<dyn Backend>);
        faulty.fail_call(0, fault);
        assert_eq!(faulty.put_decided(&key, &[b"mine"]).unwrap(), Decided::Ours);
        assert_eq!(memory.get(&key).unwrap().unwrap(), b"mine");
    }
    let faulty = Faulty::new(Arc::new(MemoryBackend::default()));
    faulty.fail_all(Fault::LostRequest);
    assert!(faulty.put_decided(&key, &[b"mine"]).unwrap_err().is_transient());
}

#[test]
fn a_crashed_backend_answers_nothing_any_more_and_keeps_what_was_done() {
    let key = |name: &str| Key::new(name).unwrap();
    for (fault, is_there) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
        let memory = Arc::new(MemoryBackend::default());
        let faulty = Faulty::new(Arc::clone(&memory) as Arc<dyn Backend>);
        faulty.fail_call(1, fault);
        assert_eq!(faulty.put_new(&key("one"), &[b"1"]).unwrap(), Put::Created);
        faulty.put_new(&key("two"), &[b"2"]).unwrap_err();
        faulty.get(&key("one")).unwrap_err();
        faulty.list_all("").unwrap_err();
        assert_eq!(memory.snapshot().contains_key(&key("two")), is_there);
        faulty.heal();
        assert_eq!(faulty.get(&key("one")).unwrap().unwrap(), b"1");
    }
}

#[test]
fn seeded_faults_repeat_with_their_seed() {
    let run = |seed| {
        let faulty = Faulty::new(Arc::new(MemoryBackend::default()));
        faulty.fail_seeded(seed, 4, &[Fault::Io, Fault::NoSpace]);
        let put = |n| faulty.put_new(&Key::new(format!("k/{n}")).unwrap(), &[b""]);
        (0..200).map(|n| put(n).is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    let failures = run(7).iter().filter(|is_ok| !**is_ok).count();
    assert!((20..90).contains(&failures), "about a quarter of 200, not {failures}");
}
