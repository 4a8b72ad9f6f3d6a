//! A check audits what the lists say about shared blocks (I6, P4).

use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::backend::{Backend, MemoryBackend};
use cbr_store::crypto::{MasterKey, TenantKey, TenantKeys};
use cbr_store::format::place;
use cbr_store::format::record::{Borrowed, Outcome, Record};
use cbr_store::{CheckDepth, Job};

use crate::world::{MASTER, TENANT, assert_clean, backup, chain, disk, open, options};

#[test]
fn a_pointer_that_no_list_accounts_for_is_found_while_nothing_is_lost_yet() {
    let memory = Arc::new(MemoryBackend::default());
    let repository = open(memory.clone(), 1, options());
    let content = disk(1, 1000);
    backup(&repository, &chain(2), &content);
    let (stats, _) = backup(&repository, &chain(3), &content);
    assert!(stats.borrowed_bytes > 0);
    assert_clean(&repository);

    let key = place::tenant_key(TENANT, 1);
    let object = memory.get(&key).unwrap().unwrap();
    let tenant = TenantKey::open(&object, &key, &MasterKey::from_bytes(MASTER).keys()).unwrap();
    let keys = TenantKeys::derive(TENANT, 1, &tenant);
    let key = place::outcome(&chain(3), 1);
    let outcome = Outcome::open(&memory.get(&key).unwrap().unwrap(), &key, &keys).unwrap();
    let Outcome::Commit(mut commit) = outcome else { panic!("it is a commit") };
    commit.borrowed = Some(Borrowed::default());
    let mut objects = memory.snapshot();
    let forged = Outcome::Commit(commit).seal(&key, &keys, &SeededRandom::new(9));
    objects.insert(key.clone(), forged);

    let repository = open(Arc::new(MemoryBackend::from_snapshot(objects)), 2, options());
    let report = repository.check(CheckDepth::Structure, &Job::quiet()).unwrap();
    let found = |problem: &cbr_store::Problem| problem.what.contains("its lists say 0");
    assert!(report.problems.iter().any(found), "{:#?}", report.problems);
}
