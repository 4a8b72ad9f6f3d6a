//! The contract on every kind of storage.

use std::path::Path;

use cbr_provider::contract;
use cbr_provider::{
    BackupSource, DiskSelection, Factory, Inventory, LocalConfig, NewVolume, ProviderError,
    RestoreTarget, SnapshotName, VolumeFormat,
};

use crate::support::{LoopDevice, MIB, Mount, device, drop_raw, id, open, pool, run, server};

/// Everything a pool must do.
async fn check_pool(path: &Path, can_snapshot: bool) {
    let state = tempfile::tempdir().unwrap();
    drop_raw(path, "dropped.raw", 8 * MIB + 512);
    drop_raw(path, "second.img", 9 * MIB);
    let config =
        LocalConfig { servers: vec![server("web", &["dropped.raw", "second.img"])], ..pool(path) };
    let provider = open(&config, state.path());
    let pools = provider.pools().await.unwrap();
    assert_eq!(pools[0].can_snapshot, can_snapshot);
    assert!(pools[0].free_bytes > 0 && pools[0].free_bytes <= pools[0].total_bytes);

    contract::volume(&provider, id(&provider, "dropped.raw").await).await;
    contract::factory(&provider, VolumeFormat::Raw).await;
    contract::factory(&provider, VolumeFormat::Qcow2).await;
    contract::server(&provider, id(&provider, "web").await).await;
    contract::made_server(&provider).await;

    // Nothing is left but the volumes and the empty directory of snapshots.
    let mut left: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.retain(|name| name != "lost+found" && name != ".cbr-snapshots");
    left.sort();
    assert_eq!(left, ["dropped.raw", "second.img"]);
    let snapshots = path.join(".cbr-snapshots");
    assert_eq!(std::fs::read_dir(snapshots).unwrap().count(), 0);
}

#[tokio::test]
async fn a_plain_directory_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    // The file system of the temporary directory is whatever the machine has.
    let probe = open(&pool(dir.path()), &dir.path().join("state"));
    let can_snapshot = probe.pools().await.unwrap()[0].can_snapshot;
    std::fs::create_dir(dir.path().join("pool")).unwrap();
    check_pool(&dir.path().join("pool"), can_snapshot).await;
}

#[tokio::test]
async fn ext4_keeps_the_contract_without_snapshots() {
    let Some(mount) = Mount::ext4("contract on ext4") else { return };
    check_pool(&mount.path, false).await;
}

#[tokio::test]
async fn xfs_keeps_the_contract_with_snapshots() {
    let Some(mount) = Mount::xfs("contract on XFS") else { return };
    check_pool(&mount.path, true).await;
}

#[tokio::test]
async fn btrfs_keeps_the_contract_with_snapshots() {
    let Some(mount) = Mount::btrfs("contract on btrfs") else { return };
    check_pool(&mount.path, true).await;
}

#[tokio::test]
async fn a_block_device_keeps_the_contract() {
    let Some(loop_device) = LoopDevice::new(8 * MIB, "contract on a block device") else { return };
    let state = tempfile::tempdir().unwrap();
    let provider = open(&device(&loop_device.path), state.path());
    contract::volume(&provider, id(&provider, "device").await).await;
}

#[tokio::test]
async fn a_mounted_device_is_neither_read_nor_overwritten() {
    // RST-40
    let Some(loop_device) = LoopDevice::new(64 * MIB, "a mounted device") else { return };
    let state = tempfile::tempdir().unwrap();
    let mount = tempfile::tempdir().unwrap();
    let (path, place) = (loop_device.path.to_str().unwrap(), mount.path().to_str().unwrap());
    run(&["mkfs.ext4", "-q", path]);
    let provider = open(&device(&loop_device.path), state.path());
    let volume = id(&provider, "device").await;
    run(&["mount", path, place]);
    let name = contract::random_name();
    let opened = provider.open(volume, &DiskSelection::All, &name).await;
    let prepared = provider.prepare(volume, 1, &name).await;
    let busy = provider.volume(volume).await.unwrap().busy;
    run(&["umount", place]);
    for error in [opened.unwrap_err(), prepared.unwrap_err()] {
        assert!(matches!(error, ProviderError::InUse { .. }), "{error}");
        assert!(error.to_string().contains(&format!("mounted at {place}")), "{error}");
    }
    assert_eq!(busy.unwrap(), format!("mounted at {place}"));
    provider.open(volume, &DiskSelection::All, &name).await.unwrap();
    let mounted = std::process::Command::new("mount").args([path, place]).output().unwrap();
    assert!(!mounted.status.success(), "a device that is being read cannot be mounted");
    provider.close(&name).await.unwrap();
}

#[tokio::test]
async fn a_write_to_a_device_during_a_backup_is_noticed() {
    // A torn backup must not be committed.
    let Some(loop_device) = LoopDevice::new(8 * MIB, "a changed device") else { return };
    let state = tempfile::tempdir().unwrap();
    let provider = open(&device(&loop_device.path), state.path());
    let volume = id(&provider, "device").await;
    let name = contract::random_name();
    provider.open(volume, &DiskSelection::All, &name).await.unwrap();
    provider.confirm(&name).await.unwrap();
    let raw = std::fs::File::options().write(true).open(&loop_device.path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&raw, b"x", 4096).unwrap();
    let error = provider.confirm(&name).await.unwrap_err();
    assert!(matches!(error, ProviderError::Changed { .. }), "{error}");
    provider.close(&name).await.unwrap();
}

#[tokio::test]
async fn a_write_to_a_file_during_a_backup_in_place_is_noticed_also_after_a_restart() {
    let Some(mount) = Mount::ext4("a changed file") else { return };
    let state = tempfile::tempdir().unwrap();
    drop_raw(&mount.path, "disk.raw", 8 * MIB);
    let config = pool(&mount.path);
    for restart in [false, true] {
        let provider = open(&config, state.path());
        let volume = id(&provider, "disk.raw").await;
        let name = contract::random_name();
        provider.open(volume, &DiskSelection::All, &name).await.unwrap();
        let provider = if restart {
            drop(provider);
            open(&config, state.path())
        } else {
            provider
        };
        if restart {
            provider.reader(&name, volume).await.unwrap();
        }
        let file = std::fs::File::options().write(true).open(mount.path.join("disk.raw")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", 4096).unwrap();
        drop(file);
        let error = provider.confirm(&name).await.unwrap_err();
        assert!(matches!(error, ProviderError::Changed { .. }), "{error}");
        provider.close(&name).await.unwrap();
    }
}

#[tokio::test]
async fn a_copy_shares_the_space_of_its_volume_until_that_is_written() {
    let Some(mount) = Mount::xfs("space of a copy") else { return };
    let state = tempfile::tempdir().unwrap();
    let provider = open(&pool(&mount.path), state.path());
    std::fs::write(mount.path.join("disk.raw"), vec![1; 64 << 20]).unwrap();
    run(&["sync", "-f", mount.path.to_str().unwrap()]);
    let free = || async { provider.pools().await.unwrap()[0].free_bytes };
    let before = free().await;
    let volume = id(&provider, "disk.raw").await;
    let name = contract::random_name();
    provider.open(volume, &DiskSelection::All, &name).await.unwrap();
    let used = before.saturating_sub(free().await);
    assert!(used < 8 * MIB, "the copy took {used} bytes");
    provider.close(&name).await.unwrap();
}

#[tokio::test]
async fn a_full_file_system_fails_the_restore_loudly_and_space_helps_the_next_one() {
    // P1, P19, P20
    let Some(mount) = Mount::small("a full file system") else { return };
    let state = tempfile::tempdir().unwrap();
    let provider = open(&pool(&mount.path), state.path());
    for (file, format) in [("a", VolumeFormat::Raw), ("b", VolumeFormat::Qcow2)] {
        let wanted = NewVolume {
            id: uuid_of(file),
            name: file.into(),
            description: String::new(),
            size_bytes: 64 * MIB,
            format: Some(format),
            pool: None,
        };
        let volume = provider.create_volume(&wanted).await.unwrap().id;
        let name = contract::random_name();
        provider.prepare(volume, 64 * MIB, &name).await.unwrap();
        let writer = provider.writer(volume, &name).await.unwrap();
        let piece = vec![7; 1 << 20];
        let written = (0..64).take_while(|n| writer.write_at(n * MIB, &piece).is_ok()).count();
        assert!(written < 17, "{format:?}: {written} MiB fit into 16");
        assert!(writer.flush().is_err(), "{format:?}");
        drop(writer);
        assert!(provider.finish(volume, &name).await.is_err(), "{format:?}");
        provider.abandon(volume, &name, "no space").await.unwrap();
        provider.delete_volume(volume).await.unwrap();
        provider.create_volume(&wanted).await.unwrap();
        provider.prepare(volume, 1, &name).await.unwrap();
        provider.writer(volume, &name).await.unwrap().write_at(0, &piece).unwrap();
        provider.finish(volume, &name).await.unwrap();
        provider.delete_volume(volume).await.unwrap();
    }
}

#[tokio::test]
async fn zeroing_a_large_empty_image_takes_no_space() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("pool")).unwrap();
    let provider = open(&pool(&dir.path().join("pool")), &dir.path().join("state"));
    for (file, format) in [("a", VolumeFormat::Raw), ("b", VolumeFormat::Qcow2)] {
        let wanted = NewVolume {
            id: uuid_of(file),
            name: file.into(),
            description: String::new(),
            size_bytes: 1 << 40,
            format: Some(format),
            pool: None,
        };
        let volume = provider.create_volume(&wanted).await.unwrap().id;
        let name = contract::random_name();
        provider.prepare(volume, 1 << 40, &name).await.unwrap();
        let writer = provider.writer(volume, &name).await.unwrap();
        writer.zero(0..1 << 40).unwrap();
        writer.write_at((1 << 40) - 512, &[1; 512]).unwrap();
        drop(writer);
        provider.finish(volume, &name).await.unwrap();
        let used: u64 = std::fs::read_dir(dir.path().join("pool"))
            .unwrap()
            .filter_map(|entry| entry.unwrap().metadata().ok())
            .map(|metadata| std::os::unix::fs::MetadataExt::blocks(&metadata) * 512)
            .sum();
        assert!(used < MIB, "{format:?}: {used} bytes");
        provider.delete_volume(volume).await.unwrap();
    }
}

fn uuid_of(digit: &str) -> cbr_model::ResourceId {
    format!("00000000-0000-4000-8000-00000000000{digit}").parse().unwrap()
}

/// What is damaged of one server or volume keeps nobody from the others.
#[tokio::test]
async fn a_damaged_record_or_description_is_left_out() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let provider = open(&pool(dir.path()), state.path());
    let record = state.path().join("servers/00000000-0000-0000-0000-000000000007.json");
    std::fs::write(&record, "{").unwrap();
    // It may have any disk that no other server has.
    let wanted = NewVolume {
        id: "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse().unwrap(),
        name: "data".into(),
        description: String::new(),
        size_bytes: 4 * MIB,
        format: Some(VolumeFormat::Raw),
        pool: None,
    };
    let volume = provider.create_volume(&wanted).await.unwrap();
    let refused = provider.delete_volume(volume.id).await.unwrap_err();
    assert!(refused.to_string().contains("cannot be read"), "{refused}");
    let restore = SnapshotName::for_task("a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a02".parse().unwrap());
    let refused = provider.prepare(volume.id, MIB, &restore).await.unwrap_err();
    assert!(refused.to_string().contains("cannot be read"), "{refused}");
    std::fs::remove_file(&record).unwrap();
    provider.delete_volume(volume.id).await.unwrap();
    // Larger than any description.
    drop_raw(dir.path(), "lost.raw.cbr.json", 2 * MIB);
    contract::factory(&provider, VolumeFormat::Raw).await;
}
