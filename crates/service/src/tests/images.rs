//! The making of images, however it is interrupted.

use cbr_model::BackupId;
use cbr_model::query::{ImageFilter, Page};
use cbr_model::vault::VaultKind;
use cbr_task::Outcome;
use cbr_task::harness::crash_matrix;

use super::world::{DATA_DISK, SERVER, SYSTEM_DISK, World, empty_database, id};
use crate::Error;
use crate::billing::{BillingSettings, MeteredThing, MeteringFilter, PriceList, Prices};
use crate::images::{ImageError, ImageSource, NewImage};
use crate::tasks::create_image::CreateImage;

pub(super) fn wanted(backup: BackupId) -> NewImage {
    NewImage {
        name: "golden".into(),
        description: String::new(),
        enterprise_project: None,
        source: ImageSource::Backup(backup),
        min_ram_mib: 0,
        max_ram_mib: None,
        tags: vec![],
    }
}

async fn count(world: &World) -> u64 {
    let all = ImageFilter::default();
    let listed = world.services.images.list(&world.access, &all, Page::default()).await;
    listed.unwrap().total
}

/// IMG-01, P14: after any crash there is one image, and it holds its backup.
#[tokio::test]
async fn a_crash_at_any_step_leaves_one_image() {
    let make = async || {
        let world = World::new().await;
        let vault = world.vault(VaultKind::Server, &[SERVER]).await;
        let backup = world.back_up(&vault).await;
        let started = world.services.images.create(&world.access, wanted(backup.id)).await.unwrap();
        world.with_task::<CreateImage>(started.job)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        // One that is stopped in time leaves none, and holds nothing.
        let is_made = ended.outcome == Outcome::Success;
        assert_eq!(count(world).await, u64::from(is_made), "{fault:?}");
        let backup = world.backups().await.remove(0);
        let refused = world.services.backups.delete(&world.access, backup.id).await;
        let is_held = matches!(refused, Err(Error::Image(ImageError::BackupHeld { .. })));
        assert_eq!(is_held, is_made, "{fault:?}: {refused:?}");
    })
    .await;
}

/// IMG-12: the image of a server whose backup fails goes by itself.
#[tokio::test]
async fn the_image_of_a_backup_that_fails_goes() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let source = ImageSource::Server { server: id(SERVER), vault: vault.id };
    let wanted = NewImage { source, ..wanted(BackupId::from_uuid(id(1).as_uuid())) };
    world.services.images.create(&world.access, wanted).await.unwrap();
    assert_eq!(count(&world).await, 1);
    for disk in [SYSTEM_DISK, DATA_DISK] {
        world.provider.remove(id(disk));
    }
    world.settle().await;
    world.clock.advance(std::time::Duration::from_secs(2));
    world.settle().await;
    assert_eq!(count(&world).await, 0);
    assert_eq!(world.backups().await[0].state.as_str(), "error");
}

/// BIL-07, IMG-15: the vault is charged for the backups at its rate, and the image at its own, for as long as
/// there is one.
#[tokio::test]
async fn images_are_charged_at_a_rate_of_their_own() {
    let server = Prices { hour: "0.01".parse().unwrap(), ..Prices::default() };
    let image = "0.002".parse().unwrap();
    let prices = PriceList { server, image, ..PriceList::default() };
    let settings = BillingSettings { prices, ..BillingSettings::default() };
    let world = World::billed(empty_database().await, settings).await;
    world.services.billing.meter().await.unwrap();
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    let made = world.services.images.create(&world.access, wanted(backup.id)).await.unwrap();
    world.settle().await;
    world.hours(2).await;
    world.services.images.delete(&world.access, made.image, false).await.unwrap();
    world.hours(2).await;
    let filter = MeteringFilter { from: i64::MIN, until: i64::MAX, vault: None };
    let listed = world.services.billing.metered(&world.access, filter, Page::default()).await;
    let (hours, _, together) = listed.unwrap();
    let of = |thing| hours.iter().filter(|hour| hour.of == thing).map(|hour| hour.amount).sum();
    let (of_vault, of_image): (u64, u64) =
        (of(MeteredThing::Vault(vault.id)), of(MeteredThing::Image(made.image)));
    assert_eq!(of_vault, 4 * 100 * 10_000, "four hours of 100 GB");
    assert_eq!(of_image, 3 * 2_000, "the two hours, and the one it was deleted in");
    assert_eq!(together, of_vault + of_image);
}
