//! What a due occurrence costs with many policies, and how late the last one of a busy minute begins.
//!
//! `cargo test --profile long -p cbr-service a_day_of_ten_thousand -- --ignored --nocapture`; with
//! `CBR_SCALE_POLICIES=1000` for less of it.

use std::time::Duration;

use cbr_env::{Clock as _, SystemClock, Timestamp};
use cbr_model::policy::run::RunState;
use cbr_model::resource::ResourceKind;
use cbr_model::size::Gib;
use cbr_model::vault::{Vault, VaultKind};
use cbr_model::{PolicyId, TriggerId, VaultId};
use uuid::Uuid;

use super::schedules::{every_day, wanted};
use super::virtual_years::all_runs;
use super::world::{World, id};
use crate::rules::policy as rules;
use crate::rules::vault::tests::resource;

const RESOURCES: u128 = 5;
/// 2026-01-01.
const START: Timestamp = Timestamp(1_767_225_600_000_000);

async fn fill(world: &World, policies: u128) {
    let model = world.vault(VaultKind::Disk, &[]).await;
    let mut tx = world.db.begin().await.unwrap();
    for n in 1..=policies {
        let uuid = Uuid::from_u128(n << 64);
        // Most of them at night, as people do.
        let hour = if n % 4 == 0 { n / 4 % 24 } else { n % 5 };
        let wanted = wanted(every_day(&hour.to_string()), r#"{"max_backups":7}"#);
        let ids = (PolicyId::from_uuid(uuid), TriggerId::from_uuid(uuid));
        let policy = rules::build(&wanted, ids, model.project, START).unwrap();
        let resources = (0..RESOURCES).map(|m| {
            let number = (1 << 40) + n * RESOURCES + m;
            world.provider.add_volume(id(number), "disk", 1 << 20);
            resource(number, ResourceKind::Volume, 1)
        });
        let vault = Vault {
            id: VaultId::from_uuid(uuid),
            size: Gib(100),
            resources: resources.collect(),
            ..model.clone()
        };
        tx.vaults().insert(&vault).await.unwrap();
        tx.policies().insert(&policy).await.unwrap();
        tx.policies().bind(vault.id, policy.id, policy.operation, None).await.unwrap();
        crate::schedules::plan_bound(&mut tx, &policy, vault.id).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// POL-10, P16: a day of policies, most of them due in the same minutes; nobody looks before something is
/// due, as the loop does it. What the sweep takes in truth passes for the node, too.
#[tokio::test]
#[ignore = "takes minutes: cargo test --profile long -p cbr-service a_day_of_ten_thousand -- --ignored --nocapture"]
async fn a_day_of_ten_thousand_policies() {
    let world = World::new().await;
    world.clock.set(START);
    let policies =
        std::env::var("CBR_SCALE_POLICIES").map_or(10_000, |text| text.parse::<u128>().unwrap());
    let watch = SystemClock::default();
    let began = watch.monotonic_micros();
    fill(&world, policies).await;
    println!("filled in {} ms", (watch.monotonic_micros() - began) / 1000);
    let end = START.plus_seconds(24 * 60 * 60);
    let (mut all, mut busy, mut worst, mut dearest) = (0, 0, (0, 0), 0);
    loop {
        let first = world.db.read().await.unwrap().schedules().first().await.unwrap().unwrap();
        if first > end {
            break;
        }
        world.clock.set(first.max(world.clock.now()));
        let began = watch.monotonic_micros();
        let count = world.services.schedules.sweep().await.unwrap();
        let took = watch.monotonic_micros() - began;
        world.clock.advance(Duration::from_micros(took));
        (all, busy) = (all + count, busy + took);
        worst = worst.max((took, count));
        dearest = dearest.max(took / count.max(1));
    }
    let runs = all_runs(&world).await;
    assert!(runs.iter().all(|run| run.state == RunState::Started && run.started == 5));
    assert_eq!((u128::from(all), runs.len() as u128), (policies, policies), "each of them once");
    let late = Duration::from_micros(worst.0);
    println!(
        "{all} occurrences of {policies} policies over {} resources: {} us each, at the dearest \
         instant {dearest} us each; the busiest instant had {} of them, and the last of these began {} ms \
         after it was due",
        policies * RESOURCES,
        busy / all,
        worst.1,
        late.as_millis()
    );
    assert!(late < Duration::from_mins(1), "on time: before the minute is over that it is due in");
}
