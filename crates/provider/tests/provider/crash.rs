//! What a restart of the service finds and goes on with.

use cbr_provider::contract;
use cbr_provider::{
    BackupSource, DiskSelection, Factory, Inventory, NewVolume, Provider, RestoreTarget, TaskEnd,
    VolumeFormat, VolumeStatus,
};

use crate::support::{MIB, Mount, drop_raw, id, open, pool};

#[tokio::test]
async fn a_snapshot_and_its_disks_are_found_again_after_a_restart() {
    for mount in [Mount::ext4("restart on ext4"), Mount::xfs("restart on XFS")] {
        let Some(mount) = mount else { continue };
        let state = tempfile::tempdir().unwrap();
        std::fs::write(mount.path.join("disk.raw"), vec![7; 8 << 20]).unwrap();
        let config = pool(&mount.path);
        let name = contract::random_name();
        let (volume, before) = {
            let provider = open(&config, state.path());
            let volume = id(&provider, "disk.raw").await;
            provider.open(volume, &DiskSelection::All, &name).await.unwrap();
            (volume, provider.disks(&name).await.unwrap())
        };
        let provider = open(&config, state.path());
        provider.open(volume, &DiskSelection::All, &name).await.unwrap();
        assert_eq!(provider.disks(&name).await.unwrap(), before);
        let reader = provider.reader(&name, volume).await.unwrap();
        let mut bytes = [0; 100];
        reader.read_at(8 * MIB - 100, &mut bytes).unwrap();
        assert_eq!(bytes, [7; 100]);
        provider.confirm(&name).await.unwrap();
        drop(reader);
        let provider = open(&config, state.path());
        assert_eq!(provider.leftovers().await.unwrap().len(), 1);
        provider.release(&name, TaskEnd::Failed).await.unwrap();
        assert!(provider.leftovers().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn copies_without_a_record_are_found_and_released() {
    // The state directory was lost, or the crash came between the two removals.
    let Some(mount) = Mount::xfs("copies without a record") else { return };
    let (state, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop_raw(&mount.path, "disk.raw", 8 * MIB);
    let provider = open(&pool(&mount.path), state.path());
    let name = contract::random_name();
    let volume = id(&provider, "disk.raw").await;
    provider.open(volume, &DiskSelection::All, &name).await.unwrap();
    std::fs::create_dir(mount.path.join(".cbr-snapshots/somebody-elses")).unwrap();
    let provider = open(&pool(&mount.path), other.path());
    let left = provider.leftovers().await.unwrap();
    assert_eq!(left.iter().map(|left| left.name).collect::<Vec<_>>(), [name]);
    provider.release(&name, TaskEnd::Failed).await.unwrap();
    assert!(provider.leftovers().await.unwrap().is_empty());
    assert!(mount.path.join(".cbr-snapshots/somebody-elses").exists(), "not ours");
}

#[tokio::test]
async fn a_restore_goes_on_after_a_restart_and_its_volume_is_never_shown_as_sound() {
    // P1
    let dir = tempfile::tempdir().unwrap();
    let (path, state) = (dir.path().join("pool"), dir.path().join("state"));
    std::fs::create_dir(&path).unwrap();
    drop_raw(&path, "disk.raw", 8 * MIB);
    let name = contract::random_name();
    let volume = {
        let provider = open(&pool(&path), &state);
        let volume = id(&provider, "disk.raw").await;
        provider.prepare(volume, MIB, &name).await.unwrap();
        provider.writer(volume, &name).await.unwrap().write_at(0, b"half").unwrap();
        volume
    };
    let provider = open(&pool(&path), &state);
    assert_eq!(provider.volume(volume).await.unwrap().status, VolumeStatus::Restoring);
    assert_eq!(provider.leftovers().await.unwrap().len(), 1);
    provider.prepare(volume, MIB, &name).await.unwrap();
    let writer = provider.writer(volume, &name).await.unwrap();
    writer.write_at(4, b" and half").unwrap();
    drop(writer);
    drop(provider);
    // Everything was written, the last step was not saved.
    let provider = open(&pool(&path), &state);
    provider.finish(volume, &name).await.unwrap();
    assert_eq!(provider.volume(volume).await.unwrap().status, VolumeStatus::Available);
    assert_eq!(&std::fs::read(path.join("disk.raw")).unwrap()[..13], b"half and half");

    let next = contract::random_name();
    provider.prepare(volume, MIB, &next).await.unwrap();
    provider.abandon(volume, &next, "no").await.unwrap();
    let provider = open(&pool(&path), &state);
    let status = provider.volume(volume).await.unwrap().status;
    assert!(matches!(status, VolumeStatus::Error { .. }), "{status:?}");
}

#[tokio::test]
async fn creation_and_deletion_go_on_where_a_crash_left_them() {
    let dir = tempfile::tempdir().unwrap();
    let (path, state) = (dir.path().join("pool"), dir.path().join("state"));
    std::fs::create_dir(&path).unwrap();
    let provider = open(&pool(&path), &state);
    let wanted = NewVolume {
        id: "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse().unwrap(),
        name: "data".into(),
        description: String::new(),
        size_bytes: 8 * MIB,
        format: Some(VolumeFormat::Raw),
        pool: Some("pool".into()),
    };
    let (image, described) = (format!("{}.raw", wanted.id), format!("{}.raw.cbr.json", wanted.id));
    // Died while writing the image: nothing is listed, and the repeat makes it.
    std::fs::write(path.join(format!(".{image}.new")), "half").unwrap();
    assert!(provider.volume(wanted.id).await.is_err());
    provider.create_volume(&wanted).await.unwrap();
    assert_eq!(std::fs::metadata(path.join(&image)).unwrap().len(), 8 * MIB);
    // Died before the rename.
    std::fs::rename(path.join(&image), path.join(format!(".{image}.new"))).unwrap();
    provider.create_volume(&wanted).await.unwrap();
    // Died between removing the image and its description.
    std::fs::remove_file(path.join(&image)).unwrap();
    provider.delete_volume(wanted.id).await.unwrap();
    assert!(!path.join(&described).exists());
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
}
