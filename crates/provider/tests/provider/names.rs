//! Names that users choose decide nothing.

use cbr_model::ResourceId;
use cbr_provider::{
    Factory, Inventory, LocalConfig, LocalProvider, NewVolume, ServerStatus, VolumeFormat,
};

use crate::support::{MIB, drop_raw, id, open, pool, server};

async fn create(provider: &LocalProvider, number: u8, name: &str) -> ResourceId {
    let wanted = NewVolume {
        id: format!("00000000-0000-4000-8000-0000000000{number:02}").parse().unwrap(),
        name: name.into(),
        description: String::new(),
        size_bytes: MIB,
        format: Some(VolumeFormat::Raw),
        pool: None,
    };
    provider.create_volume(&wanted).await.unwrap().id
}

#[tokio::test]
async fn no_name_of_a_created_volume_touches_a_server_of_others() {
    // P26
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool");
    std::fs::create_dir(&path).unwrap();
    drop_raw(&path, "a.raw", MIB);
    let alone = open(&pool(&path), &dir.path().join("state"));
    let disk = id(&alone, "a.raw").await;
    let by_id = disk.to_string();
    for wanted in ["a.raw", "pool/a.raw", &by_id] {
        let config = LocalConfig { servers: vec![server("web", &[wanted])], ..pool(&path) };
        let provider = open(&config, &dir.path().join("state"));
        let web = id(&provider, "web").await;
        for (number, name) in (10..).zip(["a.raw", "pool/a.raw", &by_id]) {
            create(&provider, number, name).await;
        }
        let shown = provider.server(web).await.unwrap();
        assert_eq!(shown.status, ServerStatus::Stopped, "{wanted}");
        assert_eq!(shown.volumes.iter().map(|it| it.volume).collect::<Vec<_>>(), [disk]);

        // A name that is free now is not taken by whoever asks for it.
        std::fs::rename(path.join("a.raw"), path.join("a.away")).unwrap();
        let shown = provider.server(web).await.unwrap();
        assert!(matches!(shown.status, ServerStatus::Fault { .. }), "{wanted}: {shown:?}");
        assert!(shown.volumes.is_empty(), "{wanted}: {shown:?}");
        std::fs::rename(path.join("a.away"), path.join("a.raw")).unwrap();
    }
}

#[tokio::test]
async fn a_created_volume_is_meant_by_its_id_or_by_pool_and_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool");
    std::fs::create_dir(&path).unwrap();
    let state = dir.path().join("state");
    let volume = create(&open(&pool(&path), &state), 10, "data").await;
    for wanted in [volume.to_string(), format!("pool/{volume}.raw")] {
        let config = LocalConfig { servers: vec![server("web", &[&wanted])], ..pool(&path) };
        let provider = open(&config, &state);
        let shown = provider.server(id(&provider, "web").await).await.unwrap();
        assert_eq!((shown.status, shown.volumes[0].volume), (ServerStatus::Stopped, volume));
    }
}
