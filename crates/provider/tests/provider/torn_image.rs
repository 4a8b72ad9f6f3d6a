//! Restoring into a qcow2 image whose tables a power cut left contradictory.
//!
//! Counts and tables are written without a sync in between, so any of the two may be lost. The
//! cut is played by putting back the bytes of before (P1, P2).

use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cbr_model::ResourceId;
use cbr_provider::contract;
use cbr_provider::{
    BackupSource, DiskSelection, DiskWriter, Factory, Inventory, LocalProvider, NewVolume,
    ProviderError, RestoreTarget, SnapshotName, VolumeFormat, VolumeStatus,
};
use tempfile::TempDir;

use crate::support::{MIB, open, pool};

const SIZE: u64 = 8 * MIB;
const BLOCK: usize = 64 << 10;
const WHOLE: usize = 8 << 20;

/// A provider with one qcow2 volume, which can be opened again like after a crash.
struct Bench {
    dir: TempDir,
    volume: ResourceId,
    name: SnapshotName,
}

impl Bench {
    /// A volume whose restore has written the first half and was cut.
    async fn half_restored() -> (Self, Counts) {
        let bench = Self::new().await;
        let fresh = Counts::of(&bench.image());
        let provider = bench.provider();
        provider.prepare(bench.volume, SIZE, &bench.name).await.unwrap();
        let writer = provider.writer(bench.volume, &bench.name).await.unwrap();
        write(&*writer, &content()[..WHOLE / 2]);
        writer.flush().unwrap();
        (bench, fresh)
    }

    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("pool")).unwrap();
        let volume = "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse().unwrap();
        let bench = Self { dir, volume, name: contract::random_name() };
        let wanted = NewVolume {
            id: volume,
            name: "data".into(),
            description: String::new(),
            size_bytes: SIZE,
            format: Some(VolumeFormat::Qcow2),
            pool: None,
        };
        bench.provider().create_volume(&wanted).await.unwrap();
        bench
    }

    fn provider(&self) -> LocalProvider {
        open(&pool(&self.dir.path().join("pool")), &self.dir.path().join("state"))
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("pool").join(format!("{}.qcow2", self.volume))
    }

    /// The restore does everything again, as the service does after a restart.
    async fn restore(&self, bytes: &[u8]) -> Result<(), ProviderError> {
        let provider = self.provider();
        provider.prepare(self.volume, bytes.len() as u64, &self.name).await?;
        let writer = provider.writer(self.volume, &self.name).await?;
        write(&*writer, bytes);
        drop(writer);
        provider.finish(self.volume, &self.name).await
    }

    async fn bytes(&self) -> Vec<u8> {
        let (provider, name) = (self.provider(), contract::random_name());
        provider.open(self.volume, &DiskSelection::All, &name).await.unwrap();
        let reader = provider.reader(&name, self.volume).await.unwrap();
        let mut bytes = vec![0; WHOLE];
        reader.read_at(0, &mut bytes).unwrap();
        provider.close(&name).await.unwrap();
        bytes
    }
}

/// The first block of reference counts.
struct Counts(Vec<u8>);

impl Counts {
    fn of(image: &Path) -> Self {
        let mut counts = vec![0; BLOCK];
        let file = File::open(image).unwrap();
        file.read_exact_at(&mut counts, block_offset(&file)).unwrap();
        Self(counts)
    }

    /// As if what was written since had not reached the disk.
    fn put_back(&self, image: &Path) {
        let file = File::options().read(true).write(true).open(image).unwrap();
        file.write_all_at(&self.0, block_offset(&file)).unwrap();
    }
}

fn block_offset(image: &File) -> u64 {
    number_at(image, number_at(image, 48))
}

fn number_at(file: &File, offset: u64) -> u64 {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, offset).unwrap();
    u64::from_be_bytes(bytes)
}

/// Each block is another, so one in the place of another shows.
fn content() -> Vec<u8> {
    (0..WHOLE).map(|at| u8::try_from(at / BLOCK).unwrap() + 1).collect()
}

/// Backwards, so that blocks are given out before those written by the first attempt.
fn write(writer: &dyn DiskWriter, bytes: &[u8]) {
    for (index, block) in bytes.chunks(BLOCK).enumerate().rev() {
        writer.write_at((index * BLOCK) as u64, block).unwrap();
    }
}

#[tokio::test]
async fn a_restore_goes_on_though_the_reference_counts_were_lost() {
    let (bench, fresh) = Bench::half_restored().await;
    std::fs::set_permissions(bench.image(), PermissionsExt::from_mode(0o640)).unwrap();
    fresh.put_back(&bench.image());
    bench.restore(&content()).await.unwrap();
    assert!(bench.bytes().await == content(), "the bytes of one block are in another");
    let provider = bench.provider();
    let volume = provider.volume(bench.volume).await.unwrap();
    assert_eq!((volume.status, volume.name.as_str()), (VolumeStatus::Available, "data"));
    let mode = std::fs::metadata(bench.image()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "who could use the image still can");
}

#[tokio::test]
async fn a_restore_goes_on_though_two_blocks_of_the_disk_have_one_place() {
    let (bench, _) = Bench::half_restored().await;
    let file = File::options().read(true).write(true).open(bench.image()).unwrap();
    let l2_table = number_at(&file, number_at(&file, 40)) & 0x00ff_ffff_ffff_fe00;
    let first = number_at(&file, l2_table);
    file.write_all_at(&first.to_be_bytes(), l2_table + 8).unwrap();
    drop(file);
    bench.restore(&content()).await.unwrap();
    assert!(bench.bytes().await == content(), "the bytes of one block are in another");
}

#[tokio::test]
async fn a_restore_into_a_larger_disk_that_holds_nothing_else_goes_on_as_well() {
    let (bench, fresh) = Bench::half_restored().await;
    fresh.put_back(&bench.image());
    let half = &content()[..WHOLE / 2];
    bench.restore(half).await.unwrap();
    let bytes = bench.bytes().await;
    assert!(bytes[..WHOLE / 2] == *half && bytes[WHOLE / 2..].iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn a_damaged_image_that_may_hold_something_is_refused_and_left_as_it_is() {
    let (bench, fresh) = Bench::half_restored().await;
    fresh.put_back(&bench.image());
    let before = std::fs::read(bench.image()).unwrap();
    // The backup ends before the data does: what lies beyond it is somebody's.
    let error = bench.provider().prepare(bench.volume, SIZE / 4, &bench.name).await.unwrap_err();
    assert!(error.to_string().contains("qemu-img check -r all"), "{error}");
    assert!(!error.is_retryable());
    // The restore cannot be finished, as if everything had been written before the cut.
    assert!(bench.provider().finish(bench.volume, &bench.name).await.is_err());
    // No restore has begun: all of it is somebody's.
    std::fs::remove_dir_all(bench.dir.path().join("state")).unwrap();
    let error = bench.provider().prepare(bench.volume, SIZE, &bench.name).await.unwrap_err();
    assert!(error.to_string().contains("uses of the cluster"), "{error}");
    assert!(std::fs::read(bench.image()).unwrap() == before);
}

/// P1: the image is empty now, so a restore that is withdrawn leaves nothing that looks like the disk of before.
#[tokio::test]
async fn a_restore_that_made_the_image_anew_and_is_withdrawn_leaves_an_error() {
    let (bench, fresh) = Bench::half_restored().await;
    fresh.put_back(&bench.image());
    let provider = bench.provider();
    provider.prepare(bench.volume, SIZE, &bench.name).await.unwrap();
    provider.withdraw(bench.volume, &bench.name).await.unwrap();
    let volume = provider.volume(bench.volume).await.unwrap();
    let VolumeStatus::Error { why } = volume.status else { panic!("{volume:?}") };
    assert!(why.contains("made anew"), "{why}");
    bench.restore(&content()).await.unwrap();
    assert_eq!(
        bench.provider().volume(bench.volume).await.unwrap().status,
        VolumeStatus::Available
    );
}
