//! Volumes somebody else uses.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use cbr_provider::contract;
use cbr_provider::{
    BackupSource, DiskSelection, Factory, Inventory, LocalConfig, ProviderError, RestoreTarget,
    VolumeStatus,
};

use crate::support::{MIB, Mount, drop_raw, id, open, pool, server};

/// A process that has the file open.
fn holder(file: &std::path::Path) -> Child {
    let file = File::options().read(true).write(true).open(file).unwrap();
    Command::new("sleep").arg("60").stdin(Stdio::from(file)).spawn().unwrap()
}

#[tokio::test]
async fn an_open_file_without_snapshots_is_neither_read_overwritten_nor_deleted() {
    let Some(mount) = Mount::ext4("an open file") else { return };
    let state = tempfile::tempdir().unwrap();
    drop_raw(&mount.path, "disk.raw", 8 * MIB);
    let provider = open(&pool(&mount.path), state.path());
    let volume = id(&provider, "disk.raw").await;
    let name = contract::random_name();
    let mut child = holder(&mount.path.join("disk.raw"));
    let shown = provider.volume(volume).await.unwrap();
    let opened = provider.open(volume, &DiskSelection::All, &name).await.unwrap_err();
    let prepared = provider.prepare(volume, 1, &name).await.unwrap_err();
    let deleted = provider.delete_volume(volume).await.unwrap_err();
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(shown.status, VolumeStatus::InUse);
    let process = format!("open in process {}", child.id());
    assert!(shown.busy.unwrap().contains(&process));
    for error in [&opened, &prepared, &deleted] {
        assert!(matches!(error, ProviderError::InUse { .. }), "{error}");
        assert!(error.to_string().contains(&process), "{error}");
    }
    assert!(opened.to_string().contains("move the image to XFS or btrfs"), "{opened}");
    assert_eq!(provider.volume(volume).await.unwrap().status, VolumeStatus::Available);
    provider.delete_volume(volume).await.unwrap();
    assert!(!mount.path.join("disk.raw").exists());
}

#[tokio::test]
async fn an_open_file_with_snapshots_is_read_as_it_was_but_not_overwritten() {
    // BAK-20: no need to stop anything.
    for (kind, mount) in
        [("XFS", Mount::xfs("open on XFS")), ("btrfs", Mount::btrfs("open on btrfs"))]
    {
        let Some(mount) = mount else { continue };
        let state = tempfile::tempdir().unwrap();
        std::fs::write(mount.path.join("disk.raw"), vec![1; 8 << 20]).unwrap();
        let provider = open(&pool(&mount.path), state.path());
        let volume = id(&provider, "disk.raw").await;
        let name = contract::random_name();
        let mut child = holder(&mount.path.join("disk.raw"));
        provider.open(volume, &DiskSelection::All, &name).await.unwrap();
        let prepared = provider.prepare(volume, 1, &name).await.unwrap_err();
        assert!(matches!(prepared, ProviderError::InUse { .. }), "{kind}: {prepared}");
        std::fs::write(mount.path.join("disk.raw"), vec![2; 8 << 20]).unwrap();
        let reader = provider.reader(&name, volume).await.unwrap();
        let mut bytes = vec![0; 8 << 20];
        reader.read_at(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 1), "{kind}: the snapshot changed");
        provider.confirm(&name).await.unwrap();
        provider.close(&name).await.unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_file_under_a_loop_device_is_in_use() {
    let Some(mount) = Mount::ext4("a file under a loop device") else { return };
    let state = tempfile::tempdir().unwrap();
    drop_raw(&mount.path, "disk.raw", 8 * MIB);
    let provider = open(&pool(&mount.path), state.path());
    let volume = id(&provider, "disk.raw").await;
    let file = mount.path.join("disk.raw");
    let device = crate::support::run(&["losetup", "--find", "--show", file.to_str().unwrap()]);
    let busy = provider.volume(volume).await.unwrap().busy;
    let prepared = provider.prepare(volume, 1, &contract::random_name()).await;
    crate::support::run(&["losetup", "--detach", device.trim()]);
    assert_eq!(busy.unwrap(), format!("attached as {}", device.trim()));
    assert!(matches!(prepared, Err(ProviderError::InUse { .. })), "{prepared:?}");
}

#[tokio::test]
async fn a_volume_of_a_server_is_neither_deleted_nor_available() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("pool")).unwrap();
    drop_raw(&dir.path().join("pool"), "disk.raw", 8 * MIB);
    let config = LocalConfig {
        servers: vec![server("web", &["disk.raw"])],
        ..pool(&dir.path().join("pool"))
    };
    let provider = open(&config, &dir.path().join("state"));
    let volume = id(&provider, "disk.raw").await;
    assert_eq!(provider.volume(volume).await.unwrap().status, VolumeStatus::InUse);
    assert_eq!(provider.volume(volume).await.unwrap().busy, None);
    let deleted = provider.delete_volume(volume).await;
    assert!(matches!(deleted, Err(ProviderError::InUse { .. })), "{deleted:?}");
}
