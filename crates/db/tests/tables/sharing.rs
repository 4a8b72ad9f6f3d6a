//! Backups that projects share with one another.

use cbr_model::Timestamp;
use cbr_model::backup::{Backup, BackupState, Content};
use cbr_model::member::{Member, MemberState, MemberStatus};
use cbr_model::metadata::BackupMetadata;
use cbr_model::query::{BackupFilter, BackupSort, BackupSortKey, Ownership, Page};
use cbr_model::size::Bytes;
use cbr_model::vault::Vault;
use cbr_model::{BackupId, ProjectId};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    an_offer_comes_back_and_goes_with_its_backup,
    a_decision_holds_only_against_the_expected_status,
    what_is_granted_is_found_by_the_recipient_only,
    lists_have_ones_own_and_what_was_offered,
    what_was_accepted_counts_in_the_recipients_vault,
    disks_have_owners_until_they_are_forgotten,
    metadata_goes_to_the_trash_and_comes_back,
}

/// A server's backup with one disk of 5 bytes, available.
async fn available(world: &World, name: &str) -> Backup {
    let vault = world.stored_vault(name).await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let mut server = world.backup(vault.id, checkpoint.id, world.id(), name);
    server.state = BackupState::Available { content: Content::Server };
    let mut disk = world.backup(vault.id, checkpoint.id, world.id(), "disk");
    disk.parent = Some(server.id);
    disk.state = BackupState::Available { content: world.disk(5) };
    server.children = vec![disk];
    let mut tx = world.begin().await;
    tx.backups().insert(&server).await.unwrap();
    tx.commit().await.unwrap();
    server
}

fn offer(world: &World, backup: BackupId, recipient: ProjectId) -> Member {
    Member {
        id: world.id(),
        backup,
        recipient,
        image: None,
        state: MemberState::Pending,
        created_at: Timestamp(20),
        updated_at: None,
    }
}

/// A vault of another project.
async fn inbox(world: &World, project: ProjectId) -> Vault {
    let vault = Vault { project, enterprise_project: "ep".into(), ..world.vault("inbox") };
    let mut tx = world.begin().await;
    tx.vaults().insert(&vault).await.unwrap();
    tx.commit().await.unwrap();
    vault
}

/// An offer that was accepted into a vault of its own.
async fn accepted(world: &World, backup: BackupId, recipient: ProjectId) -> (Member, Vault) {
    let vault = inbox(world, recipient).await;
    let state = MemberState::Accepted { vault: vault.id };
    let member = Member { state, ..offer(world, backup, recipient) };
    let mut tx = world.begin().await;
    tx.members().insert(&member).await.unwrap();
    tx.commit().await.unwrap();
    (member, vault)
}

/// SHR-11: also when the deletion only begins.
async fn an_offer_comes_back_and_goes_with_its_backup(database: TestDatabase) {
    let world = World::on(database).await;
    let backup = available(&world, "one").await;
    let [one, two] = [world.id(), world.id()].map(|project| offer(&world, backup.id, project));
    let mut tx = world.begin().await;
    tx.members().insert(&one).await.unwrap();
    tx.members().insert(&two).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.begin().await;
    let again = Member { id: world.id(), ..one.clone() };
    let taken = tx.members().insert(&again).await.unwrap_err();
    assert!(matches!(taken, cbr_db::DbError::Taken { .. }), "{taken:?}");
    drop(tx);
    let mut tx = world.begin().await;
    let mut all = tx.members().of_backup(backup.id).await.unwrap();
    all.sort_by_key(|member| member.id == two.id);
    assert_eq!(all, [one.clone(), two.clone()]);
    assert_eq!(tx.members().find(backup.id, one.recipient).await.unwrap(), Some(one.clone()));
    assert!(tx.members().delete(backup.id, one.recipient).await.unwrap());
    assert!(!tx.members().delete(backup.id, one.recipient).await.unwrap());
    assert!(tx.members().is_shared_between(world.project, &[two.recipient]).await.unwrap());
    assert!(tx.members().is_shared_between(two.recipient, &[world.project]).await.unwrap());
    assert!(!tx.members().is_shared_between(one.recipient, &[world.project]).await.unwrap());
    assert!(!tx.members().is_shared_between(world.project, &[]).await.unwrap());

    let renamed = Backup { children: vec![], ..backup.clone() };
    assert!(tx.backups().update(&renamed, "available").await.unwrap());
    assert_eq!(tx.members().of_backup(backup.id).await.unwrap().len(), 1, "it is still there");
    let state = backup.state.clone().begin_delete().unwrap();
    let deleting = Backup { state, ..renamed };
    assert!(tx.backups().update(&deleting, "available").await.unwrap());
    assert_eq!(tx.members().of_backup(backup.id).await.unwrap(), []);
}

async fn a_decision_holds_only_against_the_expected_status(database: TestDatabase) {
    let world = World::on(database).await;
    let backup = available(&world, "one").await;
    let member = offer(&world, backup.id, world.id());
    let vault = inbox(&world, member.recipient).await;
    let mut tx = world.begin().await;
    tx.members().insert(&member).await.unwrap();
    let state = MemberState::Accepted { vault: vault.id };
    let decided = Member { state, updated_at: Some(Timestamp(30)), ..member.clone() };
    assert!(!tx.members().decide(&decided, MemberStatus::Rejected).await.unwrap());
    assert!(tx.members().decide(&decided, MemberStatus::Pending).await.unwrap());
    let found = tx.members().find(backup.id, member.recipient).await.unwrap();
    assert_eq!(found, Some(decided));
    // With the recipient's vault it is given back, and only with that project's (VLT-61).
    assert!(!tx.vaults().delete(world.project, vault.id).await.unwrap());
    let kept = tx.members().find(backup.id, member.recipient).await.unwrap().unwrap();
    assert_eq!(kept.state, state);
    assert!(tx.vaults().delete(member.recipient, vault.id).await.unwrap());
    let left = tx.members().find(backup.id, member.recipient).await.unwrap().unwrap();
    assert_eq!((left.state, left.updated_at), (MemberState::Rejected, Some(tx.now())));
}

/// P26: neither before it is accepted nor by anybody else.
async fn what_is_granted_is_found_by_the_recipient_only(database: TestDatabase) {
    let world = World::on(database).await;
    let backup = available(&world, "one").await;
    let child = backup.children[0].id;
    let pending = offer(&world, backup.id, world.id());
    let mut tx = world.begin().await;
    tx.members().insert(&pending).await.unwrap();
    for id in [backup.id, child] {
        assert_eq!(tx.members().granted(pending.recipient, id).await.unwrap(), None);
    }
    let offered = tx.members().offered(pending.recipient, backup.id).await.unwrap();
    assert_eq!(offered, Some(backup.clone()));
    assert_eq!(tx.members().offered(pending.recipient, child).await.unwrap(), None);
    tx.commit().await.unwrap();

    let (member, vault) = accepted(&world, backup.id, world.id()).await;
    let mut tx = world.read().await;
    let found = tx.members().granted(member.recipient, backup.id).await.unwrap();
    assert_eq!(found, Some((backup.clone(), vault.id)));
    let found = tx.members().granted(member.recipient, child).await.unwrap();
    assert_eq!(found, Some((backup.children[0].clone(), vault.id)));
    assert_eq!(tx.members().granted(pending.recipient, backup.id).await.unwrap(), None);
    assert_eq!(tx.members().granted(world.project, backup.id).await.unwrap(), None);
    let received = tx.members().received(member.recipient, &[backup.id, world.id()]).await;
    assert_eq!(received.unwrap(), [member]);
    assert_eq!(tx.members().received(world.project, &[]).await.unwrap(), []);
}

/// Contract C27: `own_type`, `member_status`, `vault_id`, `used_percent`, `enterprise_project_id`.
async fn lists_have_ones_own_and_what_was_offered(database: TestDatabase) {
    let world = World::on(database).await;
    let [taken, waiting] = [available(&world, "taken").await, available(&world, "waiting").await];
    let (member, vault) = accepted(&world, taken.id, world.id()).await;
    let friend = member.recipient;
    let pending = offer(&world, waiting.id, friend);
    let mut tx = world.begin().await;
    tx.members().insert(&pending).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = world.read().await;
    let mut found = async |project, filter: &BackupFilter| {
        let sort = vec![BackupSort { key: BackupSortKey::Name, ascending: true }];
        let filter = BackupFilter { sort, ..filter.clone() };
        let listed = tx.backups().list(project, &filter, &Page::default()).await.unwrap();
        assert_eq!(listed.total, listed.rows.len() as u64);
        listed.rows.iter().map(|backup| backup.name.to_string()).collect::<Vec<_>>()
    };
    let shared = BackupFilter { ownership: Ownership::Shared, ..BackupFilter::default() };
    let all = BackupFilter { ownership: Ownership::All, ..BackupFilter::default() };
    assert!(found(friend, &BackupFilter::default()).await.is_empty());
    assert_eq!(found(friend, &shared).await, ["taken", "waiting"]);
    assert_eq!(found(friend, &all).await, ["taken", "waiting"]);
    assert!(found(world.project, &shared).await.is_empty());
    assert_eq!(found(world.project, &all).await, ["taken", "waiting"]);
    for (status, names) in [(MemberStatus::Accepted, "taken"), (MemberStatus::Pending, "waiting")] {
        for base in [&shared, &all] {
            let filter = BackupFilter { member_status: Some(status), ..base.clone() };
            assert_eq!(found(friend, &filter).await, [names]);
        }
        let own = BackupFilter { member_status: Some(status), ..BackupFilter::default() };
        assert!(found(world.project, &own).await.is_empty(), "nobody accepts one's own");
    }
    for base in [&shared, &all] {
        let in_vault = BackupFilter { vault: Some(vault.id), ..base.clone() };
        assert_eq!(found(friend, &in_vault).await, ["taken"], "the recipient's vault");
        // The owner's vault is no way to find out more about an offer.
        let theirs = BackupFilter { vault: Some(waiting.vault), ..base.clone() };
        assert!(found(friend, &theirs).await.is_empty());
        let project =
            |id: &str| BackupFilter { enterprise_project: Some(id.to_owned()), ..base.clone() };
        assert_eq!(found(friend, &project("ep")).await, ["taken"]);
        assert!(found(friend, &project("0")).await.is_empty());
        let full = BackupFilter { vault_used_percent: Some(1), ..base.clone() };
        assert!(found(friend, &full).await.is_empty(), "5 bytes of 100 GB");
        let disks = BackupFilter { parent: Some(taken.id), ..base.clone() };
        assert_eq!(found(friend, &disks).await, ["disk"]);
        let hidden = BackupFilter { parent: Some(waiting.id), ..base.clone() };
        assert!(found(friend, &hidden).await.is_empty(), "it is not accepted");
    }
    let own = BackupFilter { enterprise_project: Some("0".into()), ..BackupFilter::default() };
    assert_eq!(found(world.project, &own).await, ["taken", "waiting"]);
    drop(tx);

    // A marker may be a backup that was offered, and only then.
    let mut tx = world.read().await;
    let after = Page { marker: Some(taken.id.as_uuid()), ..Page::default() };
    let sort = vec![BackupSort { key: BackupSortKey::Name, ascending: true }];
    let filter = BackupFilter { sort, ..shared };
    let rest = tx.backups().list(friend, &filter, &after).await.unwrap();
    assert_eq!(rest.rows.iter().map(|b| b.id).collect::<Vec<_>>(), [waiting.id]);
    let stranger = tx.backups().list(world.id(), &filter, &after).await.unwrap_err();
    assert!(matches!(stranger, cbr_db::DbError::UnknownMarker), "{stranger:?}");
}

/// SHR-07, P17.
async fn what_was_accepted_counts_in_the_recipients_vault(database: TestDatabase) {
    let world = World::on(database).await;
    let backup = available(&world, "one").await;
    let (member, vault) = accepted(&world, backup.id, world.id()).await;
    let mut tx = world.begin().await;
    let mut used =
        async |project, vault| tx.vaults().find(project, vault).await.unwrap().unwrap().used;
    assert_eq!(used(member.recipient, vault.id).await, Bytes(5));
    assert_eq!(used(world.project, backup.vault).await, Bytes(5), "and in the owner's");
    assert!(tx.members().delete(backup.id, member.recipient).await.unwrap());
    let found = tx.vaults().find(member.recipient, vault.id).await.unwrap().unwrap();
    assert_eq!(found.used, Bytes(0));
}

async fn disks_have_owners_until_they_are_forgotten(database: TestDatabase) {
    let world = World::on(database).await;
    let (disk, owner) = (world.id(), world.id());
    let mut tx = world.begin().await;
    tx.disk_owners().insert(disk, owner).await.unwrap();
    assert_eq!(tx.disk_owners().all().await.unwrap().into_iter().next(), Some((disk, owner)));
    assert_eq!(tx.disk_owners().find(disk).await.unwrap(), Some(owner));
    assert!(tx.disk_owners().delete(disk).await.unwrap());
    assert_eq!(tx.disk_owners().find(disk).await.unwrap(), None);
    assert!(!tx.disk_owners().delete(disk).await.unwrap());
    assert!(tx.disk_owners().all().await.unwrap().is_empty());
}

async fn metadata_goes_to_the_trash_and_comes_back(database: TestDatabase) {
    let world = World::on(database).await;
    let backup = available(&world, "one").await;
    let metadata = BackupMetadata { server: None, volumes: vec![] };
    let mut tx = world.begin().await;
    assert_eq!(tx.backups().metadata(world.project, backup.id).await.unwrap(), None);
    assert!(tx.backups().set_metadata(backup.id, &metadata).await.unwrap());
    let found = tx.backups().metadata(world.project, backup.id).await.unwrap();
    assert_eq!(found, Some(metadata.clone()));
    assert_eq!(tx.backups().metadata(world.id(), backup.id).await.unwrap(), None, "not theirs");
    let state = backup.state.clone().begin_delete().unwrap();
    let deleting = Backup { state, children: vec![], ..backup.clone() };
    tx.backups().update(&deleting, "available").await.unwrap();
    assert!(tx.trash().put(world.project, backup.id).await.unwrap());
    assert!(tx.trash().take_back(world.project, backup.id, backup.vault).await.unwrap());
    let found = tx.backups().metadata(world.project, backup.id).await.unwrap();
    assert_eq!(found, Some(metadata));
}
