//! Disk images that somebody dropped into a pool (P24, P29): listed, and read from end to end.

use std::panic;
use std::sync::{Arc, LazyLock, Once};

use cbr_env::SystemClock;
use cbr_model::{ResourceId, TaskId};
use cbr_provider::local::{PoolConfig, PoolKind};
use cbr_provider::{
    BackupSource as _, DiskReader, DiskSelection, Inventory as _, LocalConfig, LocalProvider,
    PageRequest, SnapshotName, VolumeFormat, qcow2_image,
};

/// More of a disk is not read: an image of a few bytes may claim to be large and be holes.
const READ_BYTES_MAX: u64 = 4 << 20;

/// A pool with room for one image.
struct Place {
    runtime: tokio::runtime::Runtime,
    pool: tempfile::TempDir,
    provider: LocalProvider,
    _state: tempfile::TempDir,
}

static PLACE: LazyLock<std::sync::Mutex<Place>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (pool, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = PoolConfig {
        name: "pool".into(),
        path: pool.path().to_owned(),
        kind: PoolKind::Directory,
        availability_zone: "local".into(),
        default_format: VolumeFormat::Raw,
        mount_point: None,
    };
    let config = LocalConfig { pools: vec![config], ..LocalConfig::default() };
    let clock = Arc::new(SystemClock::default());
    let provider = LocalProvider::open(config, state.path(), clock).unwrap();
    std::sync::Mutex::new(Place { runtime, pool, provider, _state: state })
});

/// The library below checks images with assertions, and the product makes errors of them: their panics
/// are none of a fuzzer, whose hook would end the process at once.
fn let_the_product_catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            if !info.location().is_some_and(|at| at.file().contains("imago")) {
                let _ = std::io::Write::write_all(
                    &mut std::io::stderr(),
                    format!("{info}\n").as_bytes(),
                );
            }
        }));
    });
}

pub(crate) fn run(bytes: &[u8]) {
    let_the_product_catch_panics();
    let place = PLACE.lock().unwrap();
    let (kind, bytes) = crate::choice(bytes, 2);
    let file = place.pool.path().join(["disk.qcow2", "disk.raw"][kind]);
    std::fs::write(&file, bytes).unwrap();
    place.runtime.block_on(use_it(&place.provider));
    std::fs::remove_file(&file).unwrap();
}

async fn use_it(provider: &LocalProvider) {
    let volumes = provider.volumes(PageRequest::ALL).await.unwrap();
    for volume in volumes.items {
        let name = SnapshotName::for_task(TaskId::from_uuid(uuid::Uuid::from_u128(1)));
        let _ = read(provider, volume.id, &name).await;
        let _ = provider.close(&name).await;
    }
}

async fn read(provider: &LocalProvider, id: ResourceId, name: &SnapshotName) -> Option<()> {
    provider.open(id, &DiskSelection::All, name).await.ok()?;
    let reader = provider.reader(name, id).await.ok()?;
    tokio::task::spawn_blocking(move || read_all(reader.as_ref())).await.unwrap();
    Some(())
}

fn read_all(reader: &dyn DiskReader) {
    let Ok(ranges) = reader.allocated() else { return };
    let (mut left, mut end) = (READ_BYTES_MAX, 0);
    for range in ranges {
        assert!(end <= range.start && range.start < range.end, "{range:?} after {end}");
        assert!(range.end <= reader.size_bytes(), "{range:?} is beyond the disk");
        end = range.end;
        let length = (range.end - range.start).min(left).min(1 << 20);
        left -= length;
        let mut buffer = vec![0; usize::try_from(length).unwrap()];
        let _ = reader.read_at(range.start, &mut buffer);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = qcow2_image(file.reopen().unwrap(), 1 << 20).unwrap();
    writer.write_at(70_000, b"some data").unwrap();
    writer.flush().unwrap();
    drop(writer);
    let image = std::fs::read(file.path()).unwrap();
    vec![[&[0], &image[..]].concat(), [&[1][..], &[5; 1024]].concat()]
}
