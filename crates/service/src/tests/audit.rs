//! The audit: no change without its record, no record without its change.

use cbr_env::SeededRandom;
use cbr_model::AgencyId;
use cbr_model::audit::TraceFilter;
use cbr_model::identity::{Caller, User};
use cbr_model::query::Page;
use cbr_model::vault::VaultKind;

use super::world::{World, request};
use crate::Error;
use crate::audit::Head;
use crate::vaults::VaultChange;

/// AUD-01: a change that is made is recorded with who, what and when; one that is refused is not.
#[tokio::test]
async fn a_change_and_its_record_come_together() {
    let world = World::new().await;
    let before = recorded(&world).await.len();
    let vault = world.vault(VaultKind::Disk, &[]).await;
    let named = |name: &str| VaultChange { name: Some(name.into()), ..VaultChange::default() };
    world.services.vaults.update(&world.access, vault.id, named("other")).await.unwrap();
    let refused = world.services.vaults.update(&world.access, vault.id, named("<")).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");

    let all = recorded(&world).await;
    assert_eq!(all.len(), before + 2, "{all:?}");
    let last = &all[0];
    assert_eq!(last.resource_id, vault.id.to_string());
    assert_eq!(last.resource_name, "other");
    assert_eq!(last.user, world.account.user);
    assert_eq!(last.request_id, "req-1");
    assert_eq!(last.number, all[1].number + 1);
}

/// AUD-04: while the tracker is off nothing new is recorded, what there is stays; the switch itself
/// is recorded both ways.
#[tokio::test]
async fn a_tracker_that_is_off_records_nothing_but_its_switch() {
    let world = World::new().await;
    let audit = &world.services.audit;
    let before = recorded(&world).await.len();
    assert!(audit.tracker(&world.access).await.unwrap().enabled);
    assert!(!audit.set_tracker(&world.access, false).await.unwrap().enabled);
    audit.set_tracker(&world.access, false).await.unwrap();
    world.vault(VaultKind::Disk, &[]).await;
    assert_eq!(recorded(&world).await.len(), before + 1, "the switch alone");
    audit.set_tracker(&world.access, true).await.unwrap();
    world.vault(VaultKind::Disk, &[]).await;
    let all = recorded(&world).await;
    assert_eq!(all.len(), before + 3);
    assert_eq!(all[1].resource_name, "enabled");
}

/// The chain is whole, holds the heads it had, and no others.
#[tokio::test]
async fn the_chain_holds_what_was_noted_of_it() {
    let world = World::new().await;
    let audit = &world.services.audit;
    world.vault(VaultKind::Disk, &[]).await;
    let noted = audit.verify(&world.access, None).await.unwrap();
    assert_eq!((&noted.broken, noted.holds_known), (&None, None));
    world.vault(VaultKind::Disk, &[]).await;
    let later = audit.verify(&world.access, Some(&noted.head)).await.unwrap();
    assert_eq!((&later.broken, later.holds_known), (&None, Some(true)));
    assert_eq!(later.head.number, noted.head.number + 1);
    let other = Head { digest: "0".repeat(64), ..noted.head };
    assert_eq!(audit.verify(&world.access, Some(&other)).await.unwrap().holds_known, Some(false));
}

/// The chain is of all projects: an administrator reads it, one of another account that was let in
/// through an agency does not (P26).
#[tokio::test]
async fn only_an_administrator_of_the_account_reads_the_chain() {
    let world = World::new().await;
    let audit = &world.services.audit;
    world.vault(VaultKind::Disk, &[]).await;
    assert_eq!(audit.records(&world.access, 0).await.unwrap().len(), 1);
    let (identity, project) = (&world.services.identity, world.access.project());
    let own = world.access.caller().clone();
    let member = User { is_admin: false, ..own.user.clone() };
    for caller in [
        Caller { agency: Some(AgencyId::random(&SeededRandom::new(1))), ..own.clone() },
        Caller { user: member, ..own.clone() },
    ] {
        let access = identity.access(caller, project, None, request()).await.unwrap();
        let read = audit.records(&access, 0).await;
        assert!(matches!(read, Err(Error::Forbidden)), "{read:?}");
        let verified = audit.verify(&access, None).await;
        assert!(matches!(verified, Err(Error::Forbidden)), "{verified:?}");
    }
}

pub(super) async fn recorded(world: &World) -> Vec<cbr_model::audit::Trace> {
    let all = TraceFilter::default();
    world.services.audit.list(&world.access, &all, Page::default()).await.unwrap().rows
}
