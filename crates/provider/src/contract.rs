//! The promises of the traits as code. Every provider passes them, the fake as well.
//!
//! Each function takes a provider and something it may overwrite, and panics with
//! the promise that is broken. None of them leaves anything open.

use std::ops::Range;
use std::sync::Arc;

use cbr_env::{RandomExt, SystemRandom};
use cbr_model::{ResourceId, TaskId};

use crate::disk::{DiskReader, DiskWriter};
use crate::error::ProviderError;
use crate::provider::{Provider, RestoreTarget};
use crate::resource::{
    NewServer, NewVolume, PageRequest, ServerStatus, VolumeFormat, VolumeStatus,
};
use crate::snapshot::{DiskSelection, LeftoverKind, SnapshotName, TaskEnd};

/// What the suite needs of a volume it may overwrite.
pub const VOLUME_BYTES_MIN: u64 = 8 << 20;

const MIB: u64 = 1 << 20;

/// Everything that applies to one volume, which is overwritten.
pub async fn volume(provider: &dyn Provider, volume: ResourceId) {
    inventory(provider, volume).await;
    snapshot(provider, volume).await;
    if provider.target().is_some() {
        restore(provider, volume).await;
        failed_restore(provider, volume).await;
        condemned(provider, volume).await;
        leftovers(provider, volume).await;
    }
}

/// Lists agree with what is shown.
pub async fn inventory(provider: &dyn Provider, volume: ResourceId) {
    let inventory = provider.inventory();
    let shown = inventory.volume(volume).await.expect("show the volume");
    assert!(shown.size_bytes >= VOLUME_BYTES_MIN, "the suite needs a larger volume");
    let all = inventory.volumes(PageRequest::ALL).await.expect("list volumes");
    assert!(!all.more, "everything fits into one page");
    assert_eq!(all.items.iter().filter(|found| found.id == volume).count(), 1);
    assert!(all.items.contains(&shown), "the list shows the same as showing one");

    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = inventory.volumes(PageRequest { after, limit: 1 }).await.expect("one page");
        after = page.items.last().map(|volume| volume.id);
        paged.extend(page.items);
        if !page.more {
            break;
        }
    }
    assert_eq!(paged, all.items, "pages add up to the whole");

    let unknown = random_resource();
    not_found(inventory.volume(unknown).await.map(drop), "showing what is not there");
    not_found(inventory.server(unknown).await.map(drop), "showing what is not there");
}

/// A snapshot is one point in time, found again by its name, until it is closed.
pub async fn snapshot(provider: &dyn Provider, volume: ResourceId) {
    let source = provider.source();
    let (name, all) = (random_name(), DiskSelection::All);
    let expected = fill(provider, volume, 1).await;

    not_found(source.open(random_resource(), &all, &name).await, "opening what is not there");
    not_found(source.disks(&name).await.map(drop), "disks before open");
    source.open(volume, &all, &name).await.expect("open");
    source.open(volume, &all, &name).await.expect("open again is a no-op");
    let other = source.open(random_resource(), &all, &name).await;
    assert!(other.is_err(), "one name, one resource");

    let disks = source.disks(&name).await.expect("disks");
    assert_eq!(disks.iter().map(|disk| disk.volume).collect::<Vec<_>>(), [volume]);
    let reader = source.reader(&name, volume).await.expect("reader");
    assert_eq!(reader.size_bytes(), disks[0].size_bytes);
    check_reading(&*reader, expected.as_deref());

    // Later writes are either kept away or not seen.
    if let Some(target) = provider.target() {
        overwrite_during_snapshot(target, volume).await;
        check_reading(&*reader, expected.as_deref());
    }
    source.confirm(&name).await.expect("nothing changed what was read");
    source.confirm(&name).await.expect("confirming again is fine");

    let open = provider.leftovers().await.expect("leftovers");
    assert!(open.iter().any(|left| left.name == name && left.kind == LeftoverKind::Snapshot));
    drop(reader);
    source.close(&name).await.expect("close");
    source.close(&name).await.expect("close again is a no-op");
    not_found(source.reader(&name, volume).await.map(drop), "reader after close");
    not_found(source.disks(&name).await.map(drop), "disks after close");
    not_found(source.confirm(&name).await, "confirm after close");
    assert!(!provider.leftovers().await.expect("leftovers").iter().any(|left| left.name == name));
}

async fn overwrite_during_snapshot(target: &dyn RestoreTarget, volume: ResourceId) {
    let name = random_name();
    match target.prepare(volume, 0, &name).await {
        Ok(()) => {
            let writer = target.writer(volume, &name).await.expect("writer");
            writer.write_at(0, &vec![0xEE; 1 << 16]).expect("write");
            writer.zero(3 * MIB..4 * MIB).expect("zero");
            drop(writer);
            target.finish(volume, &name).await.expect("finish");
        }
        Err(ProviderError::InUse { .. }) => {}
        Err(other) => panic!("a volume with an open snapshot is free or in use, not: {other}"),
    }
}

/// What is written is read, and a finished restore leaves a sound volume.
pub async fn restore(provider: &dyn Provider, volume: ResourceId) {
    let target = provider.target().expect("a target");
    let before = provider.inventory().volume(volume).await.expect("show").status;
    let size_bytes = size_of(provider, volume).await;
    let (name, other) = (random_name(), random_name());

    let small = target.prepare(volume, size_bytes + 1, &name).await;
    assert!(matches!(small, Err(ProviderError::TooSmall { .. })), "RST-09: {small:?}");
    not_found(target.prepare(random_resource(), 1, &name).await, "preparing what is not there");
    not_found(target.writer(volume, &name).await.map(drop), "writer before prepare");
    target.finish(volume, &name).await.expect("finishing what never began is a no-op");
    target.abandon(volume, &name, "x").await.expect("abandoning what never began is a no-op");
    assert_eq!(status(provider, volume).await, before, "a refused restore changes nothing");

    target.prepare(volume, size_bytes, &name).await.expect("prepare");
    let late = target.writer(volume, &name).await.expect("writer");
    target.withdraw(volume, &name).await.expect("withdraw");
    assert!(late.write_at(0, b"late").is_err(), "P1: a withdrawn restore writes nothing more");
    target.withdraw(volume, &name).await.expect("withdraw again is a no-op");
    assert_eq!(status(provider, volume).await, before, "nothing was written, so it is as before");
    not_found(target.writer(volume, &name).await.map(drop), "writer after withdraw");

    target.prepare(volume, size_bytes, &name).await.expect("prepare");
    target.prepare(volume, size_bytes, &name).await.expect("prepare again is a no-op");
    target.withdraw(volume, &other).await.expect("another's withdrawal is a no-op");
    assert_eq!(status(provider, volume).await, VolumeStatus::Restoring);
    let taken = target.prepare(volume, 1, &other).await;
    assert!(matches!(taken, Err(ProviderError::InUse { .. })), "one restore at a time: {taken:?}");
    not_found(target.writer(volume, &other).await.map(drop), "another's writer");
    let open = provider.source().open(volume, &DiskSelection::All, &other).await;
    assert!(open.is_err(), "a volume that is being restored is not backed up");

    let writer = target.writer(volume, &name).await.expect("writer");
    let expected = write_pattern(&*writer, 2);
    check_parallel_writes(&writer);
    drop(writer);
    // As after a restart: the writer is asked for again.
    let late = target.writer(volume, &name).await.expect("writer again");
    late.flush().expect("flush");
    target.finish(volume, &name).await.expect("finish");
    assert!(late.write_at(0, b"late").is_err(), "P1: a finished restore writes nothing more");
    assert!(late.zero(0..MIB).is_err() && late.flush().is_err());
    target.finish(volume, &name).await.expect("finish again is a no-op");
    target.abandon(volume, &name, "late").await.expect("abandon after finish is a no-op");
    not_found(target.writer(volume, &name).await.map(drop), "writer after finish");
    assert_eq!(status(provider, volume).await, before, "as it was before");
    check_content(provider, volume, &expected).await;
}

/// A restore that was given up leaves an error until another one finishes (P1).
pub async fn failed_restore(provider: &dyn Provider, volume: ResourceId) {
    let target = provider.target().expect("a target");
    let before = status(provider, volume).await;
    let (name, next) = (random_name(), random_name());
    target.prepare(volume, 1, &name).await.expect("prepare");
    let writer = target.writer(volume, &name).await.expect("writer");
    writer.write_at(0, b"half a restore").expect("write");
    assert!(writer.write_at(writer.size_bytes(), b"x").is_err(), "beyond the end");
    assert!(writer.write_at(0, b"x").is_err(), "P20: broken is broken");
    assert!(writer.flush().is_err(), "P20: broken is broken");
    drop(writer);
    let finished = target.finish(volume, &name).await;
    assert!(finished.is_err(), "P20: what could not be written is not finished");

    target.abandon(volume, &name, "the test gave up").await.expect("abandon");
    target.abandon(volume, &name, "again").await.expect("abandon again is a no-op");
    let VolumeStatus::Error { why } = status(provider, volume).await else {
        panic!("P1: a volume with half a restore is in error");
    };
    assert!(why.contains("the test gave up"), "{why}");
    assert!(target.finish(volume, &name).await.is_err(), "what was given up is not finished");
    not_found(target.writer(volume, &name).await.map(drop), "writer after abandon");
    let open = provider.source().open(volume, &DiskSelection::All, &next).await;
    assert!(open.is_err(), "half a restore is not backed up");

    target.prepare(volume, 1, &next).await.expect("another restore may begin");
    target.prepare(volume, 1, &next).await.expect("prepare again is a no-op");
    target.withdraw(volume, &next).await.expect("withdraw");
    let VolumeStatus::Error { why } = self::status(provider, volume).await else {
        panic!("P1: a withdrawn restore does not mend what an earlier one left");
    };
    assert!(why.contains("the test gave up"), "{why}");
    target.prepare(volume, 1, &next).await.expect("another restore may begin");
    let late = target.writer(volume, &next).await.expect("writer");
    target.abandon(volume, &next, "the test gave up").await.expect("abandon");
    assert!(late.write_at(0, b"late").is_err(), "P1: a restore that was given up writes nothing");
    target.prepare(volume, 1, &next).await.expect("it may begin again");
    let writer = target.writer(volume, &next).await.expect("writer");
    let expected = write_pattern(&*writer, 3);
    drop(writer);
    target.finish(volume, &next).await.expect("finish");
    assert_eq!(status(provider, volume).await, before);
    check_content(provider, volume, &expected).await;
}

/// A restore that began elsewhere and is given up here leaves an error too, though nothing was known of it (P1).
pub async fn condemned(provider: &dyn Provider, volume: ResourceId) {
    let target = provider.target().expect("a target");
    let before = status(provider, volume).await;
    let (name, other) = (random_name(), random_name());
    target.prepare(volume, 1, &other).await.expect("prepare");
    target.condemn(volume, &name, "lost").await.expect("another's restore is left alone");
    assert_eq!(status(provider, volume).await, VolumeStatus::Restoring);
    target.withdraw(volume, &other).await.expect("withdraw");
    assert_eq!(status(provider, volume).await, before);

    target.condemn(volume, &name, "its machine is gone").await.expect("condemn");
    target.condemn(volume, &other, "x").await.expect("what is in error is left alone");
    target.condemn(volume, &name, "again").await.expect("condemn again is a no-op");
    let VolumeStatus::Error { why } = status(provider, volume).await else {
        panic!("P1: a volume with half a restore is in error");
    };
    assert!(why.contains("its machine is gone"), "{why}");
    let open = provider.source().open(volume, &DiskSelection::All, &other).await;
    assert!(open.is_err(), "half a restore is not backed up");

    // What was prepared here by the one that took it over is given up in the same way.
    for ends in [false, true] {
        target.prepare(volume, 1, &name).await.expect("prepare");
        if ends {
            target.finish(volume, &name).await.expect("finish");
        } else {
            target.condemn(volume, &name, "and failed here too").await.expect("condemn");
            let VolumeStatus::Error { why } = status(provider, volume).await else {
                panic!("P1: a volume with half a restore is in error");
            };
            assert!(why.contains("failed here too"), "{why}");
        }
    }
    assert_eq!(status(provider, volume).await, before);
}

/// Whatever a lost task left open is listed, and released by its name.
pub async fn leftovers(provider: &dyn Provider, volume: ResourceId) {
    let target = provider.target().expect("a target");
    let (name, next) = (random_name(), random_name());
    let failed = TaskEnd::Failed;
    provider.release(&name, failed).await.expect("releasing what is not there is a no-op");
    target.prepare(volume, 1, &name).await.expect("prepare");
    let left = provider.leftovers().await.expect("leftovers");
    let kind = LeftoverKind::Restore { volume };
    assert!(left.iter().any(|left| left.name == name && left.kind == kind), "{left:?}");
    provider.release(&name, failed).await.expect("release");
    provider.release(&name, failed).await.expect("release again is a no-op");
    assert!(!provider.leftovers().await.expect("leftovers").iter().any(|left| left.name == name));
    assert!(matches!(status(provider, volume).await, VolumeStatus::Error { .. }), "P1");
    released_after_success(provider, volume).await;

    target.prepare(volume, 1, &next).await.expect("prepare");
    target.finish(volume, &next).await.expect("finish");

    provider.source().open(volume, &DiskSelection::All, &name).await.expect("open");
    provider.release(&name, failed).await.expect("release");
    not_found(provider.source().disks(&name).await.map(drop), "disks after release");
}

/// Another machine finished the restore that began here: the volume, which was in error before, is whole.
async fn released_after_success(provider: &dyn Provider, volume: ResourceId) {
    let target = provider.target().expect("a target");
    let (name, other) = (random_name(), random_name());
    target.prepare(volume, 1, &name).await.expect("prepare");
    let late = target.writer(volume, &name).await.expect("writer");
    provider.release(&other, TaskEnd::Succeeded).await.expect("another's release is a no-op");
    assert_eq!(status(provider, volume).await, VolumeStatus::Restoring);
    provider.release(&name, TaskEnd::Succeeded).await.expect("release");
    provider.release(&name, TaskEnd::Succeeded).await.expect("release again is a no-op");
    assert!(late.write_at(0, b"late").is_err(), "P1: what was released writes nothing more");
    let after = status(provider, volume).await;
    let is_marked = matches!(after, VolumeStatus::Restoring | VolumeStatus::Error { .. });
    assert!(!is_marked, "what was finished elsewhere is whole: {after:?}");
    target.prepare(volume, 1, &other).await.expect("prepare");
    provider.release(&other, TaskEnd::Untouched).await.expect("release");
    assert_eq!(status(provider, volume).await, after, "what was given up elsewhere is what it was");
}

/// Volumes are made once, read as zeros, and are gone after deletion.
pub async fn factory(provider: &dyn Provider, format: VolumeFormat) {
    let factory = provider.factory().expect("a factory");
    let wanted = NewVolume {
        id: random_resource(),
        name: "data of the wiki".into(),
        description: "made by a test".into(),
        size_bytes: VOLUME_BYTES_MIN,
        format: Some(format),
        pool: None,
    };
    let made = factory.create_volume(&wanted).await.expect("create");
    assert_eq!(factory.create_volume(&wanted).await.expect("create again"), made);
    assert_eq!(
        (made.id, &made.name, &made.description),
        (wanted.id, &wanted.name, &wanted.description)
    );
    assert_eq!((made.size_bytes, made.format), (wanted.size_bytes, format));
    assert_eq!(made.status, VolumeStatus::Available);
    for impossible in [0, 511, VOLUME_BYTES_MIN + 1, u64::MAX - 511] {
        let new = NewVolume { id: random_resource(), size_bytes: impossible, ..wanted.clone() };
        assert!(factory.create_volume(&new).await.is_err(), "a size of {impossible}");
    }
    let larger = NewVolume { size_bytes: 2 * VOLUME_BYTES_MIN, ..wanted.clone() };
    assert!(factory.create_volume(&larger).await.is_err(), "the id is taken");
    let elsewhere =
        NewVolume { id: random_resource(), pool: Some("no such pool".into()), ..wanted.clone() };
    assert!(factory.create_volume(&elsewhere).await.is_err(), "there is no such pool");

    if let Some(target) = provider.target() {
        let name = random_name();
        target.prepare(made.id, made.size_bytes, &name).await.expect("prepare");
        let writer = target.writer(made.id, &name).await.expect("writer");
        assert!(writer.is_known_zero(), "a new volume is known to be empty");
        drop(writer);
        target.finish(made.id, &name).await.expect("finish");
    }
    check_content(provider, made.id, &[]).await;
    volume(provider, made.id).await;

    let again = factory.create_volume(&wanted).await.expect("create once more");
    assert_eq!(again.id, made.id);
    factory.delete_volume(made.id).await.expect("delete");
    factory.delete_volume(made.id).await.expect("delete again is a no-op");
    not_found(provider.inventory().volume(made.id).await.map(drop), "showing what was deleted");
    let anew = factory.create_volume(&wanted).await.expect("the id is free again");
    check_content(provider, anew.id, &[]).await;
    factory.delete_volume(anew.id).await.expect("delete");
}

/// A server of at least two disks, which is off at the beginning and at the end.
pub async fn server(provider: &dyn Provider, server: ResourceId) {
    let (source, target) = (provider.source(), provider.target().expect("a target"));
    let shown = provider.inventory().server(server).await.expect("show the server");
    assert_eq!(shown.status, ServerStatus::Stopped);
    let volumes: Vec<_> = shown.volumes.iter().map(|attached| attached.volume).collect();
    assert!(volumes.len() >= 2, "the suite needs two disks");
    for (index, volume) in volumes.iter().enumerate() {
        let volume = provider.inventory().volume(*volume).await.expect("show its volume");
        assert_eq!(volume.status, VolumeStatus::InUse, "attached");
        assert_eq!(volume.attachments[0].server, server);
        assert_eq!(volume.bootable, index == 0, "the first disk is the system disk");
    }
    let listed = provider.inventory().servers(PageRequest::ALL).await.expect("list servers");
    assert!(listed.items.contains(&shown));

    let name = random_name();
    source.open(server, &DiskSelection::All, &name).await.expect("open a server");
    source.open(server, &DiskSelection::All, &name).await.expect("open again is a no-op");
    let disks = source.disks(&name).await.expect("disks");
    assert_eq!(disks.iter().map(|disk| disk.volume).collect::<Vec<_>>(), volumes);
    assert!(disks[0].bootable && !disks[1].bootable);
    for disk in &disks {
        let reader = source.reader(&name, disk.volume).await.expect("reader");
        assert_eq!(reader.size_bytes(), disk.size_bytes);
    }
    source.confirm(&name).await.expect("confirm");
    source.close(&name).await.expect("close");

    // BAK-26, RES-09: a part of the disks.
    let name = random_name();
    let except = DiskSelection::Except(vec![volumes[0]]);
    source.open(server, &except, &name).await.expect("open a part");
    assert_eq!(source.disks(&name).await.expect("disks")[0].volume, volumes[1]);
    not_found(source.reader(&name, volumes[0]).await.map(drop), "a disk left out");
    source.close(&name).await.expect("close");
    for none in [DiskSelection::Only(vec![]), DiskSelection::Only(vec![random_resource()])] {
        assert!(source.open(server, &none, &random_name()).await.is_err(), "{none:?}");
    }

    target.power_on(server).await.expect("power on");
    target.power_on(server).await.expect("power on again is a no-op");
    assert_eq!(
        provider.inventory().server(server).await.expect("show").status,
        ServerStatus::Running
    );
    let running = target.prepare(volumes[0], 1, &random_name()).await;
    assert!(matches!(running, Err(ProviderError::InUse { .. })), "a running server: {running:?}");
    target.power_off(server).await.expect("power off");
    target.power_off(server).await.expect("power off again is a no-op");
    let name = random_name();
    target.prepare(volumes[0], 1, &name).await.expect("its disks can be restored when it is off");
    let early = target.power_on(server).await;
    assert!(
        matches!(early, Err(ProviderError::InUse { .. })),
        "not while it is written: {early:?}"
    );
    target.finish(volumes[0], &name).await.expect("finish");
    assert!(provider.leftovers().await.expect("leftovers").is_empty());
}

/// A server is made of volumes, changed and deleted, and its volumes stay.
pub async fn made_server(provider: &dyn Provider) {
    let factory = provider.factory().expect("a factory");
    let servers = provider.server_factory().expect("a factory of servers");
    let target = provider.target().expect("a target");
    let mut volumes = Vec::new();
    for name in ["root", "data", "more"] {
        let volume = NewVolume {
            id: random_resource(),
            name: name.into(),
            description: String::new(),
            size_bytes: VOLUME_BYTES_MIN,
            format: None,
            pool: None,
        };
        volumes.push(factory.create_volume(&volume).await.expect("create a volume").id);
    }
    let [root, data, more] = volumes[..] else { unreachable!("three were made") };
    let id = random_resource();
    let wanted = NewServer { id, name: "wiki".into(), volumes: vec![root, data] };
    let made = servers.create_server(&wanted).await.expect("create");
    assert_eq!(servers.create_server(&wanted).await.expect("create again"), made);
    assert!(made.is_made && made.status == ServerStatus::Stopped, "{made:?}");
    let another = |volumes| NewServer { id: random_resource(), volumes, ..wanted.clone() };
    assert!(servers.create_server(&another(vec![data])).await.is_err(), "its disk is taken");
    assert!(servers.create_server(&another(vec![])).await.is_err(), "RES-03");
    let absent = servers.create_server(&another(vec![random_resource()])).await;
    not_found(absent.map(drop), "a server of what is not there");
    let taken = NewServer { volumes: vec![root, more], ..wanted.clone() };
    assert!(servers.create_server(&taken).await.is_err(), "the id is taken");
    server(provider, id).await;

    let disks = async || {
        let shown = provider.inventory().server(id).await.expect("show the server");
        shown.volumes.iter().map(|attached| attached.volume).collect::<Vec<_>>()
    };
    servers.attach(id, more).await.expect("attach");
    servers.attach(id, more).await.expect("attach again is a no-op");
    assert_eq!(disks().await, [root, data, more]);
    assert!(factory.delete_volume(more).await.is_err(), "an attached volume is not deleted");
    servers.detach(id, data).await.expect("detach");
    servers.detach(id, data).await.expect("detach again is a no-op");
    assert_eq!(disks().await, [root, more]);
    assert!(servers.detach(id, root).await.is_err(), "the system disk stays");
    not_found(servers.attach(id, random_resource()).await, "attaching what is not there");
    not_found(servers.attach(random_resource(), data).await, "attaching to what is not there");

    target.power_on(id).await.expect("power on");
    assert!(servers.attach(id, data).await.is_err(), "it is running");
    assert!(servers.detach(id, more).await.is_err(), "it is running");
    assert!(servers.delete_server(id).await.is_err(), "it is running");
    target.power_off(id).await.expect("power off");
    servers.delete_server(id).await.expect("delete");
    servers.delete_server(id).await.expect("delete again is a no-op");
    not_found(provider.inventory().server(id).await.map(drop), "showing what was deleted");
    for volume in volumes {
        assert_eq!(status(provider, volume).await, VolumeStatus::Available, "it stays");
        factory.delete_volume(volume).await.expect("delete a volume");
    }
}

/// Restores a pattern into the volume; `None` if the provider cannot write.
async fn fill(
    provider: &dyn Provider,
    volume: ResourceId,
    seed: u8,
) -> Option<Vec<(u64, Vec<u8>)>> {
    let target = provider.target()?;
    let name = random_name();
    target.prepare(volume, VOLUME_BYTES_MIN, &name).await.expect("prepare");
    let writer = target.writer(volume, &name).await.expect("writer");
    let pattern = write_pattern(&*writer, seed);
    drop(writer);
    target.finish(volume, &name).await.expect("finish");
    Some(pattern)
}

/// Zeros with odd pieces of data in them: the list of pieces.
fn write_pattern(writer: &dyn DiskWriter, seed: u8) -> Vec<(u64, Vec<u8>)> {
    let size_bytes = writer.size_bytes();
    writer.zero(0..size_bytes).expect("zero everything");
    writer.zero(7..7).expect("zero nothing");
    let pieces =
        [(0, 4096), (MIB - 3, 7), (2 * MIB, 1 << 16), (3 * MIB + 512, 3_000), (size_bytes - 5, 5)];
    let data = |offset: u64, length: usize| {
        (0..length).map(|i| seed ^ offset.to_le_bytes()[1] ^ i.to_le_bytes()[0] | 1).collect()
    };
    let mut pattern: Vec<(u64, Vec<u8>)> =
        pieces.iter().map(|(offset, length)| (*offset, data(*offset, *length))).collect();
    // Written where it was zero, and zeroed again in the middle.
    writer.write_at(5 * MIB, &vec![seed | 1; 1 << 20]).expect("write");
    writer.zero(5 * MIB + 100..6 * MIB - 100).expect("zero inside");
    pattern.insert(4, (5 * MIB, vec![seed | 1; 100]));
    pattern.insert(5, (6 * MIB - 100, vec![seed | 1; 100]));
    for (offset, data) in &pattern {
        writer.write_at(*offset, data).expect("write");
    }
    writer.flush().expect("flush");
    pattern
}

/// Several threads write at the same time, each its own bytes and all the same as before.
fn check_parallel_writes(writer: &Arc<dyn DiskWriter>) {
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            scope.spawn(move || {
                for round in 0..8 {
                    let offset = 7 * MIB + thread * 4096 + round * 4 * 4096 + 3;
                    writer.write_at(offset, &[9; 4000]).expect("write in parallel");
                    writer.zero(offset..offset + 4000).expect("zero in parallel");
                }
            });
        }
    });
}

async fn check_content(provider: &dyn Provider, volume: ResourceId, pattern: &[(u64, Vec<u8>)]) {
    let (source, name) = (provider.source(), random_name());
    source.open(volume, &DiskSelection::All, &name).await.expect("open");
    let reader = source.reader(&name, volume).await.expect("reader");
    check_reading(&*reader, Some(pattern));
    drop(reader);
    source.confirm(&name).await.expect("confirm");
    source.close(&name).await.expect("close");
}

/// Ranges are in order and the rest is zero; the content is the pattern.
fn check_reading(reader: &dyn DiskReader, pattern: Option<&[(u64, Vec<u8>)]>) {
    let size_bytes = reader.size_bytes();
    let allocated = reader.allocated().expect("allocated");
    for range in &allocated {
        assert!(range.start < range.end && range.end <= size_bytes, "{range:?}");
    }
    assert!(allocated.windows(2).all(|pair| pair[0].end <= pair[1].start), "in order");
    assert!(reader.read_at(size_bytes, &mut [0]).is_err(), "nothing beyond the end");
    assert!(reader.read_at(size_bytes - 1, &mut [0; 2]).is_err(), "nothing beyond the end");
    reader.read_at(size_bytes, &mut []).expect("nothing at the end");

    let whole = read(reader, 0..size_bytes);
    let mut sparse = vec![0; whole.len()];
    for range in allocated {
        let (start, end) = (index(range.start), index(range.end));
        sparse[start..end].copy_from_slice(&read(reader, range));
    }
    assert!(whole == sparse, "what is not allocated reads as zeros");
    if let Some(pattern) = pattern {
        let mut expected = vec![0; whole.len()];
        for (offset, data) in pattern {
            expected[index(*offset)..index(*offset) + data.len()].copy_from_slice(data);
        }
        let first = whole.iter().zip(&expected).position(|(is, wanted)| is != wanted);
        assert_eq!(first, None, "the first byte that differs");
    }
}

fn read(reader: &dyn DiskReader, range: Range<u64>) -> Vec<u8> {
    let mut bytes = vec![0xAA; index(range.end - range.start)];
    // Odd pieces, so that block boundaries are crossed.
    for (number, piece) in bytes.chunks_mut(1_000_003).enumerate() {
        reader.read_at(range.start + number as u64 * 1_000_003, piece).expect("read");
    }
    bytes
}

async fn status(provider: &dyn Provider, volume: ResourceId) -> VolumeStatus {
    provider.inventory().volume(volume).await.expect("show").status
}

async fn size_of(provider: &dyn Provider, volume: ResourceId) -> u64 {
    provider.inventory().volume(volume).await.expect("show").size_bytes
}

fn not_found(result: Result<(), ProviderError>, what: &str) {
    assert!(matches!(result, Err(ProviderError::NotFound { .. })), "{what}: {result:?}");
}

fn random_resource() -> ResourceId {
    ResourceId::from_uuid(SystemRandom::default().uuid())
}

/// A name of its own for each use.
pub fn random_name() -> SnapshotName {
    SnapshotName::for_task(TaskId::from_uuid(SystemRandom::default().uuid()))
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("disks of tests fit into memory")
}
