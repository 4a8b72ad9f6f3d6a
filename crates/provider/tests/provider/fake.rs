//! The fake keeps the promises of the real ones.

use cbr_env::{RandomExt, SystemRandom};
use cbr_model::ResourceId;
use cbr_provider::contract;
use cbr_provider::fake::{FakeProvider, Fault, Operation};
use cbr_provider::{BackupSource, DiskSelection, VolumeFormat};

fn new_id() -> ResourceId {
    ResourceId::from_uuid(SystemRandom::default().uuid())
}

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let provider = FakeProvider::default();
    let (one, two, server) = (new_id(), new_id(), new_id());
    provider.add_volume(one, "one", contract::VOLUME_BYTES_MIN + 4096);
    contract::volume(&provider, one).await;
    contract::factory(&provider, VolumeFormat::Raw).await;
    contract::factory(&provider, VolumeFormat::Qcow2).await;
    provider.add_volume(two, "two", 12 << 20);
    provider.add_server(server, "web", vec![one, two]);
    contract::server(&provider, server).await;
    contract::made_server(&provider).await;
    assert_eq!((provider.open_snapshots(), provider.open_restores()), (0, 0));
}

#[tokio::test]
async fn a_planned_fault_strikes_as_often_as_wanted_and_a_lost_answer_leaves_its_effect() {
    let provider = FakeProvider::default();
    let volume = new_id();
    provider.add_volume(volume, "one", 1 << 20);
    let name = contract::random_name();
    let open = || provider.open(volume, &DiskSelection::All, &name);
    provider.fail(Operation::Open, 1, Fault::Refused);
    assert!(!open().await.unwrap_err().is_retryable());
    assert_eq!(provider.open_snapshots(), 0);
    provider.fail(Operation::OpenAnswer, 1, Fault::Unavailable);
    assert!(open().await.unwrap_err().is_retryable());
    assert_eq!(provider.open_snapshots(), 1);
    open().await.unwrap();
    provider.tear(&name, volume);
    assert!(provider.confirm(&name).await.is_err());

    provider.write(volume, 5000, b"data");
    assert_eq!(&provider.content(volume)[5000..5004], b"data");
    provider.set_bad_byte(volume, Some(5001));
    let reader = provider.reader(&name, volume).await.unwrap();
    assert!(reader.read_at(4096, &mut [0; 4096]).is_err());
    reader.read_at(0, &mut [0; 4096]).unwrap();
}
