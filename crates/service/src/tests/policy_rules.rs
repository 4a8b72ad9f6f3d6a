//! What the guide says of policies, one rule each, and what their schedules do when something is wrong.

use cbr_model::backup::{Backup, BackupState, Content};
use cbr_model::checkpoint::Checkpoint;
use cbr_model::policy::run::{RunReason, RunState};
use cbr_model::tag::Tag;
use cbr_model::vault::{Vault, VaultKind};
use cbr_model::{BackupId, CheckpointId, ProjectId, VaultId};
use uuid::Uuid;

use super::schedules::{at, every_day, wanted, world_at};
use super::world::{SECOND_VOLUME, SERVER, VOLUME, id};
use crate::vaults::VaultChange;

/// P16: a clock that went past a window and is set back into it: what it made look missed is started, once;
/// what was over before stays so.
#[tokio::test]
async fn what_a_clock_went_past_is_started_when_it_is_set_back_into_its_window() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.policy(&vault, wanted(every_day("2,5"), "{}")).await;
    // Nobody was there at 02:00, and the clock is right.
    assert_eq!(world.sweep_at(at(3, 30)).await, 1);
    world.clock.set(at(3, 31));
    assert_eq!(world.services.schedules.replan_ahead().await.unwrap(), 0);
    // 05:00 was missed by a clock that was ahead; 02:00 and 05:00 of the next day are not due yet.
    assert_eq!(world.sweep_at(at(6, 30)).await, 1);
    world.clock.set(at(5, 20));
    assert_eq!(world.services.schedules.replan_ahead().await.unwrap(), 1);
    assert_eq!(world.sweep_at(at(5, 20)).await, 1);
    assert_eq!(world.services.schedules.replan_ahead().await.unwrap(), 0);
    assert_eq!(world.sweep_at(at(6, 30)).await, 0);
    let (missed, none) = (RunState::Missed, RunReason::None);
    let expected = [(2, missed, RunReason::NoNode), (5, RunState::Started, none)];
    assert_eq!(world.fates().await, expected);
    assert_eq!(world.backups().await.len(), 1);
}

/// P16: a policy whose times cannot be read keeps no other one from being started or planned again; it is
/// told of.
#[tokio::test]
async fn a_policy_that_cannot_be_read_is_in_nobodys_way() {
    let world = world_at(at(0, 0)).await;
    let mut vaults = Vec::new();
    for (n, disk) in [VOLUME, SECOND_VOLUME].into_iter().enumerate() {
        let vault = world.vault(VaultKind::Disk, &[disk]).await;
        let mut policy = world.policy(&vault, wanted(every_day("2"), "{}")).await;
        if n == 0 {
            policy.trigger.patterns = vec!["FREQ=WHENEVER".into()];
            let mut tx = world.db.begin().await.unwrap();
            assert!(tx.policies().update(&policy).await.unwrap());
            tx.commit().await.unwrap();
        }
        vaults.push(vault);
    }
    world.clock.set(at(2, 0));
    assert_eq!(world.services.schedules.sweep().await.unwrap(), 1);
    world.settle().await;
    let backups = world.backups().await;
    assert_eq!(backups.len(), 1);
    assert_eq!(backups[0].vault, vaults[1].id);
    world.clock.set(at(1, 0));
    world.services.schedules.replan_ahead().await.unwrap_err();
    let mut tx = world.db.read().await.unwrap();
    let first = tx.schedules().due(at(2, 0), None, 10).await.unwrap();
    assert!(first.iter().any(|one| one.vault == vaults[1].id), "planned again: {first:?}");
}

/// RET-18: a resource that cannot be looked after keeps nobody else's backups, and is told of.
#[tokio::test]
async fn retention_goes_on_past_what_it_cannot_look_after() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.policy(&vault, wanted(every_day("1"), r#"{"retention_duration_days":2}"#)).await;
    world.sweep_at(at(1, 0)).await;
    let sound = world.backups().await.remove(0);
    // Of a project that is gone: nothing that is done for it can be recorded. It is the first in order.
    let (first, project) = (Uuid::from_u128(1), ProjectId::from_uuid(Uuid::from_u128(1)));
    let lost = Vault { id: VaultId::from_uuid(first), project, resources: Vec::new(), ..vault };
    let run = Checkpoint {
        id: CheckpointId::from_uuid(first),
        project,
        vault: lost.id,
        name: "run".into(),
        description: String::new(),
        retention_days: -1,
        created_at: at(1, 0),
        skipped: Vec::new(),
    };
    let mut content = sound.state.content().cloned().unwrap();
    let Content::Disk(version) = &mut content else { panic!("{content:?}") };
    version.seq += 1000;
    let backup = Backup {
        id: BackupId::from_uuid(first),
        project,
        vault: lost.id,
        checkpoint: run.id,
        state: BackupState::Available { content },
        ..sound.clone()
    };
    let mut tx = world.db.begin().await.unwrap();
    tx.vaults().insert(&lost).await.unwrap();
    tx.checkpoints().insert(&run).await.unwrap();
    tx.backups().insert(&backup).await.unwrap();
    tx.commit().await.unwrap();
    world.clock.set(at(61, 0));
    world.services.expiry.sweep().await.unwrap_err();
    assert_eq!(world.state(sound.id).await.as_str(), "deleting");
    let mut tx = world.db.read().await.unwrap();
    let kept = tx.backups().find(project, backup.id).await.unwrap().unwrap();
    assert_eq!(kept.state.as_str(), "available", "all of it, or nothing");
}

/// RES-31, RES-30: a vault that binds by itself takes what has all the tags of its rules, servers and disks
/// alike, and nothing else.
#[tokio::test]
async fn a_vault_binds_what_has_the_tags_of_its_rules() {
    let world = world_at(at(0, 0)).await;
    world.provider.tag(id(VOLUME), "env", "prod");
    world.provider.tag(id(VOLUME), "tier", "gold");
    world.provider.tag(id(SECOND_VOLUME), "env", "prod");
    world.provider.tag(id(SECOND_VOLUME), "tier", "tin");
    world.provider.tag(id(SERVER), "env", "prod");
    let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
    let by = |rules: &[Tag]| VaultChange {
        auto_bind: Some(true),
        bind_rules: Some(rules.to_vec()),
        ..VaultChange::default()
    };
    for (day, (kind, rules, want)) in [
        (VaultKind::Disk, vec![tag("env", "prod"), tag("tier", "gold")], vec![VOLUME]),
        (VaultKind::Disk, vec![tag("tier", "silver")], vec![]),
        (VaultKind::Server, vec![tag("env", "prod")], vec![SERVER]),
    ]
    .into_iter()
    .enumerate()
    {
        let vault = world.vault(kind, &[]).await;
        world.services.vaults.update(&world.access, vault.id, by(&rules)).await.unwrap();
        let policy = world.policy(&vault, wanted(every_day("2"), "{}")).await;
        world.sweep_at(at(i64::try_from(day).unwrap() * 24 + 2, 0)).await;
        let bound: Vec<_> = world.reread(&vault).await.resources.iter().map(|it| it.id).collect();
        assert_eq!(bound, want.iter().map(|n| id(*n)).collect::<Vec<_>>(), "{rules:?}");
        world.services.policies.unbind(&world.access, vault.id, policy.id).await.unwrap();
    }
}

/// POL-15, POL-16: every third day, made on Monday at 10:00: Thursday at 02:00, then each third day.
#[tokio::test]
async fn every_third_day_begins_in_the_second_cycle() {
    let world = world_at(at(10, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let pattern = "FREQ=DAILY;INTERVAL=3;BYHOUR=02;BYMINUTE=00".to_owned();
    world.policy(&vault, wanted(vec![pattern], "{}")).await;
    for day in 0..10 {
        world.sweep_at(at(day * 24 + 2, 0)).await;
    }
    let days: Vec<i64> = world.fates().await.iter().map(|(hour, ..)| hour / 24).collect();
    assert_eq!(days, [3, 6, 9]);
}

/// POL-23, POL-12: a full backup that takes longer than the policy's interval: the points during it are
/// skipped, and the one after it is an incremental one.
#[tokio::test]
async fn the_points_during_a_full_backup_are_skipped() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let definition = r#"{"full_backup_interval":3}"#;
    world.policy(&vault, wanted(every_day("1,2,3,4"), definition)).await;
    // The first is one as well, and then three incremental ones: the next is full.
    for hour in [1, 2, 3, 4] {
        world.sweep_at(at(hour, 0)).await;
    }
    world.clock.set(at(25, 0));
    world.services.schedules.sweep().await.unwrap();
    for hour in [26, 27] {
        world.clock.set(at(hour, 0));
        world.services.schedules.sweep().await.unwrap();
    }
    world.settle().await;
    world.sweep_at(at(28, 0)).await;
    let runs = world.runs().await;
    let of = |hour: i64| runs.iter().find(|run| run.occurrence == at(hour, 0)).unwrap();
    assert_eq!((of(25).state, of(25).full), (RunState::Started, 1));
    assert_eq!([of(26).state, of(27).state], [RunState::Skipped; 2]);
    assert_eq!((of(28).state, of(28).full), (RunState::Started, 0));
}

/// POL-24: after a change, a full backup takes the whole disk's room again, an incremental one the change's.
#[tokio::test]
async fn full_backups_take_more_than_incremental_ones() {
    let stored = async |definition: &str| {
        let world = world_at(at(0, 0)).await;
        let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
        world.policy(&vault, wanted(every_day("1"), definition)).await;
        for day in 0..4 {
            let byte = u8::try_from(day).unwrap() + 100;
            world.provider.write(id(VOLUME), 0, &[byte; 512]);
            world.sweep_at(at(day * 24 + 1, 0)).await;
        }
        assert_eq!(world.backups().await.len(), 4);
        let objects = world.backend().snapshot();
        objects.values().map(Vec::len).sum::<usize>()
    };
    let (incremental, full) = (stored("{}").await, stored(r#"{"full_backup_interval":0}"#).await);
    assert!(full > incremental, "{full} {incremental}");
}

/// POL-55: switched off or taken off the vault, a policy starts nothing; switched on or bound again, it does.
#[tokio::test]
async fn both_ways_stop_automatic_backups_and_both_can_be_taken_back() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let policy = world.policy(&vault, wanted(every_day("1,2,3,4,5"), "{}")).await;
    world.sweep_at(at(1, 0)).await;
    world.enable(&policy, false).await;
    world.sweep_at(at(2, 0)).await;
    world.enable(&policy, true).await;
    world.sweep_at(at(3, 0)).await;
    world.services.policies.unbind(&world.access, vault.id, policy.id).await.unwrap();
    world.sweep_at(at(4, 0)).await;
    world.bind_policy(&vault, policy.id).await;
    world.sweep_at(at(5, 0)).await;
    let fates = world.fates().await.into_iter();
    let hours: Vec<i64> =
        fates.filter(|fate| fate.1 == RunState::Started).map(|fate| fate.0).collect();
    assert_eq!(hours, [1, 3, 5]);
    assert_eq!(world.backups().await.len(), 3);
}
