//! RGN-07: a pool that cannot be read is in the way of no other, and what lies in it is not taken for gone.

use std::fs;
use std::path::Path;

use cbr_provider::local::{PoolConfig, PoolKind};
use cbr_provider::{
    BackupSource as _, DiskSelection, Factory as _, Inventory as _, LocalConfig, LocalProvider,
    NewVolume, PageRequest, RestoreTarget as _, ServerStatus, VolumeFormat, contract,
};

use crate::support::{MIB, drop_raw, id, open, server};

/// Two pools, each in a zone of its own.
fn two_pools(root: &Path) -> LocalConfig {
    let pool = |name: &str| {
        fs::create_dir_all(root.join(name)).unwrap();
        PoolConfig {
            name: name.into(),
            path: root.join(name),
            mount_point: None,
            kind: PoolKind::Directory,
            availability_zone: format!("az-{name}"),
            default_format: VolumeFormat::Raw,
        }
    };
    LocalConfig { pools: vec![pool("a"), pool("b")], ..LocalConfig::default() }
}

fn new_volume(n: u128, pool: &str) -> NewVolume {
    NewVolume {
        id: uuid::Uuid::from_u128(n).to_string().parse().unwrap(),
        name: format!("volume-{n}"),
        description: String::new(),
        size_bytes: MIB,
        format: None,
        pool: Some(pool.into()),
    }
}

async fn listed(provider: &LocalProvider) -> Vec<String> {
    let volumes = provider.volumes(PageRequest::ALL).await.unwrap().items;
    let mut names: Vec<String> = volumes.into_iter().map(|volume| volume.name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_pool_that_cannot_be_read_is_in_the_way_of_no_other() {
    let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut config = two_pools(root.path());
    drop_raw(&root.path().join("a"), "in-a.raw", MIB);
    drop_raw(&root.path().join("b"), "in-b.raw", MIB);
    config.servers = vec![server("good", &["b/in-b.raw"]), server("cut-off", &["a/in-a.raw"])];
    let provider = open(&config, state.path());
    let (in_a, in_b) = (id(&provider, "in-a.raw").await, id(&provider, "in-b.raw").await);
    let (good, cut_off) = (id(&provider, "good").await, id(&provider, "cut-off").await);
    let made = provider.create_volume(&new_volume(1, "a")).await.unwrap().id;
    fs::rename(root.path().join("a"), root.path().join("away")).unwrap();

    // Listed, shown, backed up, restored, made and deleted as ever.
    assert_eq!(listed(&provider).await, ["in-b.raw"]);
    assert_eq!(provider.volume(in_b).await.unwrap().availability_zone, "az-b");
    assert_eq!(provider.server(good).await.unwrap().status, ServerStatus::Stopped);
    let name = contract::random_name();
    provider.open(good, &DiskSelection::All, &name).await.unwrap();
    provider.confirm(&name).await.unwrap();
    provider.close(&name).await.unwrap();
    let name = contract::random_name();
    provider.prepare(in_b, MIB, &name).await.unwrap();
    provider.writer(in_b, &name).await.unwrap().write_at(0, b"restored").unwrap();
    provider.finish(in_b, &name).await.unwrap();
    let wanted = new_volume(2, "b");
    provider.create_volume(&wanted).await.unwrap();
    provider.create_volume(&wanted).await.unwrap();
    provider.delete_volume(wanted.id).await.unwrap();
    assert_eq!(listed(&provider).await, ["in-b.raw"]);

    // What lies in the other is out of reach, and nowhere said to be gone.
    for volume in [in_a, made] {
        let name = contract::random_name();
        for error in [
            provider.volume(volume).await.unwrap_err(),
            provider.open(volume, &DiskSelection::All, &name).await.unwrap_err(),
            provider.prepare(volume, MIB, &name).await.unwrap_err(),
            // Whoever deletes it is not told that it is gone.
            provider.delete_volume(volume).await.unwrap_err(),
        ] {
            assert!(error.is_unreachable() && error.is_retryable(), "{error:?}");
            assert!(error.to_string().contains("pool a"), "{error}");
            assert!(!error.to_string().contains('/'), "ADR 6: no path: {error}");
        }
    }
    let ServerStatus::Fault { why } = provider.server(cut_off).await.unwrap().status else {
        panic!("a server with a disk out of reach is in fault");
    };
    assert!(why.contains("pool a"), "{why}");
    let name = contract::random_name();
    assert!(provider.open(cut_off, &DiskSelection::All, &name).await.is_err());
    let pools = provider.pools().await.unwrap();
    assert!(pools[0].problem.as_ref().unwrap().contains("pool a"), "{pools:?}");
    assert_eq!((pools[1].name.as_str(), &pools[1].problem), ("b", &None));
    provider.create_volume(&new_volume(3, "a")).await.unwrap_err();

    // Back again, everything is what it was.
    fs::rename(root.path().join("away"), root.path().join("a")).unwrap();
    assert_eq!(listed(&provider).await, ["in-a.raw", "in-b.raw", "volume-1"]);
    assert_eq!(id(&provider, "in-a.raw").await, in_a);
    provider.delete_volume(made).await.unwrap();
}

/// A copy with the description of its volume does not become that volume while the pool of the volume cannot be
/// read: a backup would read the copy, and a restore overwrite it (P1, P26).
#[tokio::test]
async fn a_copy_does_not_stand_in_for_a_volume_that_cannot_be_reached() {
    let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = two_pools(root.path());
    let provider = open(&config, state.path());
    let volume = provider.create_volume(&new_volume(1, "a")).await.unwrap().id;
    for file in fs::read_dir(root.path().join("a")).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), root.path().join("b").join(file.file_name())).unwrap();
        }
    }
    let ids = async |provider: &LocalProvider| {
        let volumes = provider.volumes(PageRequest::ALL).await.unwrap().items;
        volumes.into_iter().map(|volume| (volume.pool, volume.id)).collect::<Vec<_>>()
    };
    let both = ids(&provider).await;
    let copy = both.iter().find(|(pool, _)| pool == "b").unwrap().1;
    assert!(both.contains(&("a".into(), volume)) && copy != volume);
    drop(provider);

    fs::rename(root.path().join("a"), root.path().join("away")).unwrap();
    // Also after a restart.
    let provider = open(&config, state.path());
    assert_eq!(ids(&provider).await, [("b".to_owned(), copy)]);
    let name = contract::random_name();
    assert!(provider.volume(volume).await.unwrap_err().is_unreachable());
    assert!(provider.prepare(volume, MIB, &name).await.unwrap_err().is_unreachable());

    // Once the pool is back and the volume is really gone from it, the copy is the volume, as ever.
    fs::rename(root.path().join("away"), root.path().join("a")).unwrap();
    provider.delete_volume(volume).await.unwrap();
    assert_eq!(ids(&provider).await, [("b".to_owned(), volume)]);
}

/// RGN-07: while nothing is mounted at a pool's mount point, nothing is read there, nothing is made there, and what
/// was there is not gone.
#[tokio::test]
async fn an_empty_mount_point_is_no_empty_pool() {
    let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut config = two_pools(root.path());
    drop_raw(&root.path().join("a"), "in-a.raw", MIB);
    drop_raw(&root.path().join("b"), "in-b.raw", MIB);
    let in_a = id(&open(&config, state.path()), "in-a.raw").await;
    config.pools[0].mount_point = Some(config.pools[0].path.clone());
    let provider = open(&config, state.path());
    assert_eq!(listed(&provider).await, ["in-b.raw"]);
    assert!(provider.volume(in_a).await.unwrap_err().is_unreachable());
    assert!(provider.delete_volume(in_a).await.unwrap_err().is_unreachable());
    provider.create_volume(&new_volume(1, "a")).await.unwrap_err();
    let files = fs::read_dir(root.path().join("a")).unwrap().count();
    assert_eq!(files, 1, "what was there before, and nothing new");
    let pools = provider.pools().await.unwrap();
    let problem = |name: &str| pools.iter().find(|pool| pool.name == name).unwrap().problem.clone();
    assert!(problem("a").unwrap().contains("no file system is mounted"));
    assert_eq!(problem("b"), None);
}
