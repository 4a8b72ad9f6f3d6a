//! Backups shared between projects (SHR-01 … SHR-14).

use crate::sharing::ShareError;
use std::time::Duration;

use cbr_model::backup::Backup;
use cbr_model::identity::{Caller, Credential, Domain, Project, User};
use cbr_model::member::{Member, MemberState, MemberStatus};
use cbr_model::query::{BackupFilter, Ownership, Page};
use cbr_model::resource::ResourceKind;
use cbr_model::size::Gib;
use cbr_model::vault::{Vault, VaultKind, VaultStatus};
use cbr_model::{BackupId, DomainId, ProjectId, VaultId};
use cbr_provider::ServerStatus;
use cbr_provider::fake::{Fault, Operation};
use uuid::Uuid;

use super::world::{
    DATA_DISK, SECOND_VOLUME, SERVER, SYSTEM_DISK, VOLUME, World, id, in_place, request, run,
};
use crate::identity::PROVIDER_PROJECT;
use crate::jobs::JobStatus;
use crate::rules::vault::tests::wanted;
use crate::sharing::{Decision, MemberFilter, Recipients};
use crate::vaults::NewVault;
use crate::volumes::{NewVolumeRequest, VolumeFilter};
use crate::{Access, Error, Result};

fn project_id(n: u128) -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(n))
}

impl World {
    /// The administrator of another account with one project.
    async fn neighbour(&self, n: u128) -> Access {
        let domain = Domain { id: DomainId::from_uuid(Uuid::from_u128(n)), name: format!("d{n}") };
        let project =
            Project { id: project_id(n), domain: domain.id, name: "p".into(), enabled: true };
        let mut tx = self.db.begin().await.unwrap();
        tx.domains().insert(&domain).await.unwrap();
        tx.projects().insert(&project).await.unwrap();
        tx.commit().await.unwrap();
        let user = self.access.caller().user.clone();
        let user = User { domain: domain.id, ..user };
        let caller = Caller {
            domain,
            user,
            project: Some(project),
            expires_at: None,
            agency: None,
            narrowed_to: None,
            credential: Credential::Password,
        };
        let identity = &self.services.identity;
        identity.access(caller, project_id(n), None, request()).await.unwrap()
    }

    async fn vault_of(&self, access: &Access, kind: VaultKind, size: u64) -> Vault {
        let new = NewVault { kind, size: Gib(size), resources: Vec::new(), ..wanted() };
        self.services.vaults.create(access, new).await.unwrap()
    }

    async fn share(&self, backup: &Backup, with: &Access) -> Result<Vec<Member>> {
        let recipients = Recipients { projects: vec![with.project()], ..Recipients::default() };
        self.services.sharing.add(&self.access, backup.id, &recipients).await
    }

    async fn accept(&self, backup: &Backup, by: &Access, vault: VaultId) -> Result<Member> {
        let decision = Decision::Accept(vault);
        self.services.sharing.decide(by, backup.id, by.project(), decision).await
    }

    async fn reject(&self, backup: &Backup, by: &Access) -> Result<Member> {
        self.services.sharing.decide(by, backup.id, by.project(), Decision::Reject).await
    }

    async fn seen_by(&self, access: &Access, ownership: Ownership) -> Vec<Backup> {
        let filter = BackupFilter { ownership, ..BackupFilter::default() };
        self.services.backups.list(access, &filter, Page::default()).await.unwrap().rows
    }

    async fn used(&self, access: &Access, vault: VaultId) -> u64 {
        self.services.vaults.show(access, vault).await.unwrap().used.0
    }
}

fn disk_of(backup: BackupId) -> NewVolumeRequest {
    NewVolumeRequest {
        name: Some("copy".into()),
        description: String::new(),
        size: None,
        volume_type: None,
        availability_zone: None,
        backup: Some(backup),
    }
}

/// SHR-01, SHR-07 … SHR-10, P26: before the recipient accepts, it sees an offer and can read nothing;
/// afterwards it makes a disk of its own that only it sees, and backs that up.
#[tokio::test]
async fn a_recipient_makes_a_disk_of_its_own_from_what_it_accepted() {
    let world = World::new().await;
    let theirs = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&theirs).await;
    let friend = world.neighbour(77).await;
    let volumes = &world.services.volumes;
    let blind = |error: Option<Error>| matches!(error, Some(Error::BackupNotFound(_)));
    assert!(blind(volumes.create(&friend, disk_of(backup.id)).await.err()));

    let members = world.share(&backup, &friend).await.unwrap();
    assert_eq!(members[0].state, MemberState::Pending);
    let offered = world.seen_by(&friend, Ownership::Shared).await;
    assert_eq!(offered.len(), 1);
    assert!(world.seen_by(&friend, Ownership::Private).await.is_empty());
    assert!(blind(world.services.backups.show(&friend, backup.id).await.err()));
    assert!(blind(volumes.create(&friend, disk_of(backup.id)).await.err()));

    let vault = world.vault_of(&friend, VaultKind::Disk, 10).await;
    let accepted = world.accept(&backup, &friend, vault.id).await.unwrap();
    assert_eq!(accepted.state.vault(), Some(vault.id));
    let shown = world.services.backups.show(&friend, backup.id).await.unwrap();
    assert_eq!((shown.id, shown.project), (backup.id, world.access.project()));
    // Both vaults count it (SHR-07).
    let own = world.used(&world.access, theirs.id).await;
    assert!(own > 0);
    assert_eq!(world.used(&friend, vault.id).await, own);

    let started = volumes.create(&friend, disk_of(backup.id)).await.unwrap();
    world.settle().await;
    let job = world.services.jobs.show(&friend, started.job).await.unwrap();
    assert_eq!(job.status, JobStatus::Success);
    let source = world.provider.content(id(VOLUME));
    assert!(world.provider.head(started.volume, source.len()) == source);
    let list = async |access: &Access| {
        volumes.list(access, &VolumeFilter::default(), Page::default()).await.unwrap().rows
    };
    let own: Vec<_> = list(&friend).await.iter().map(|volume| volume.id).collect();
    assert_eq!(own, [started.volume], "nothing of the provider's project");
    assert!(list(&world.access).await.iter().all(|volume| volume.id != started.volume));

    // It is a resource like any other: bound, backed up, deleted.
    let bind = vec![super::world::bind(VaultKind::Disk.resource_kind().unwrap(), 0)];
    let bind =
        bind.into_iter().map(|it| crate::vaults::WantedResource { id: started.volume, ..it });
    let bound = world.services.vaults.add_resources(&friend, vault.id, bind.collect()).await;
    bound.unwrap();
    world.services.checkpoints.create(&friend, run(&vault)).await.unwrap();
    world.settle().await;
    let private = world.seen_by(&friend, Ownership::Private).await;
    assert_eq!(private.iter().map(|b| b.state.as_str()).collect::<Vec<_>>(), ["available"]);
    assert_eq!(world.seen_by(&friend, Ownership::All).await.len(), 2);
    volumes.delete(&friend, started.volume).await.unwrap();
    world.settle().await;
    assert!(list(&friend).await.is_empty());
    let mut tx = world.db.read().await.unwrap();
    assert!(tx.disk_owners().all().await.unwrap().is_empty(), "forgotten with the disk");
}

/// P8: whose a disk is comes back with its backups when the database is lost.
#[tokio::test]
async fn a_lost_database_does_not_lose_whose_a_disk_is() {
    let world = World::new().await;
    let theirs = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&theirs).await;
    let friend = world.neighbour(77).await;
    world.share(&backup, &friend).await.unwrap();
    let vault = world.vault_of(&friend, VaultKind::Disk, 10).await;
    world.accept(&backup, &friend, vault.id).await.unwrap();
    let disk = world.services.volumes.create(&friend, disk_of(backup.id)).await.unwrap().volume;
    world.settle().await;
    let bind = super::world::bind(VaultKind::Disk.resource_kind().unwrap(), 0);
    let bind = vec![crate::vaults::WantedResource { id: disk, ..bind }];
    world.services.vaults.add_resources(&friend, vault.id, bind).await.unwrap();
    world.services.checkpoints.create(&friend, run(&vault)).await.unwrap();
    world.settle().await;

    let world = world.without_database().await;
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!((rebuilt.backups, rebuilt.disk_owners), (2, 1), "{rebuilt:?}");
    let mut tx = world.db.read().await.unwrap();
    let owners: Vec<_> = tx.disk_owners().all().await.unwrap().into_iter().collect();
    drop(tx);
    assert_eq!(
        owners,
        [(disk, friend.project())],
        "not the provider's project, whose the other is"
    );
    assert_eq!(world.services.catalogue.rebuild().await.unwrap().disk_owners, 0);
}

/// SHR-10: what was received is read, and nothing else.
#[tokio::test]
async fn what_is_received_cannot_be_changed_restored_deleted_or_shared_on() {
    let world = World::new().await;
    let theirs = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&theirs).await;
    let (friend, other) = (world.neighbour(77).await, world.neighbour(78).await);
    world.share(&backup, &friend).await.unwrap();
    let vault = world.vault_of(&friend, VaultKind::Disk, 10).await;
    let sharing = &world.services.sharing;
    let on = Recipients { projects: vec![other.project()], ..Recipients::default() };
    let refused = sharing.add(&friend, backup.id, &on).await;
    assert!(matches!(refused, Err(Error::BackupNotFound(_))), "not accepted: {refused:?}");
    world.accept(&backup, &friend, vault.id).await.unwrap();

    let refused = sharing.add(&friend, backup.id, &on).await;
    assert!(matches!(refused, Err(Error::Share(ShareError::ShareNotPassedOn(_)))), "{refused:?}");
    let backups = &world.services.backups;
    let refused = backups.rename(&friend, backup.id, "mine".into()).await;
    assert!(matches!(refused, Err(Error::Share(ShareError::BackupReceived(_)))), "{refused:?}");
    let refused = backups.restore(&friend, backup.id, in_place()).await;
    assert!(matches!(refused, Err(Error::RestoreElsewhere { .. })), "{refused:?}");
    let refused = backups.delete(&friend, backup.id).await;
    assert!(matches!(refused, Err(Error::BackupNotDeletable { .. })), "{refused:?}");
    let refused = backups.describe(&friend, backup.id).await;
    assert!(matches!(refused, Err(Error::Share(ShareError::BackupReceived(_)))), "{refused:?}");
    let refused = sharing.remove(&friend, backup.id, friend.project()).await;
    assert!(
        matches!(refused, Err(Error::Share(ShareError::MemberNotChanged { .. }))),
        "{refused:?}"
    );
    // A third project finds nothing at all, and nobody decides for another.
    let refused = backups.delete(&other, backup.id).await;
    assert!(matches!(refused, Err(Error::BackupNotFound(_))), "{refused:?}");
    let refused = world.accept(&backup, &other, vault.id).await;
    assert!(matches!(refused, Err(Error::BackupNotFound(_))), "{refused:?}");
    let (decide, own) = (Decision::Reject, &world.access);
    let refused = sharing.decide(own, backup.id, friend.project(), decide).await;
    assert!(
        matches!(refused, Err(Error::Share(ShareError::MemberNotChanged { .. }))),
        "{refused:?}"
    );
    assert_eq!(world.state(backup.id).await.as_str(), "available");
}

/// SHR-11, SHR-12, BAK-77: with the owner's backup, or with the offer, the recipient's view goes;
/// what it made of it stays.
#[tokio::test]
async fn what_the_owner_takes_back_is_gone_at_the_recipients() {
    for how in ["delete the backup", "take the share back", "delete the vault"] {
        let world = World::with_trash().await;
        let theirs = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let backup = world.back_up(&theirs).await;
        let friend = world.neighbour(77).await;
        world.share(&backup, &friend).await.unwrap();
        let vault = world.vault_of(&friend, VaultKind::Disk, 10).await;
        world.accept(&backup, &friend, vault.id).await.unwrap();
        let made = world.services.volumes.create(&friend, disk_of(backup.id)).await.unwrap();
        world.settle().await;

        match how {
            "delete the backup" => {
                world.services.backups.delete(&world.access, backup.id).await.unwrap();
                // At once, not only when the task has run.
                assert!(world.seen_by(&friend, Ownership::Shared).await.is_empty(), "{how}");
            }
            "delete the vault" => {
                world.services.vaults.delete(&world.access, theirs.id).await.unwrap();
                let refused = world.services.volumes.create(&friend, disk_of(backup.id)).await;
                let is_refused = matches!(refused, Err(Error::VaultStatusForbidsRestore { .. }));
                assert!(is_refused, "{refused:?}");
            }
            _ => {
                let sharing = &world.services.sharing;
                sharing.remove(&world.access, backup.id, friend.project()).await.unwrap();
            }
        }
        world.settle().await;
        assert!(world.seen_by(&friend, Ownership::All).await.is_empty(), "{how}");
        let gone = world.services.backups.show(&friend, backup.id).await;
        assert!(matches!(gone, Err(Error::BackupNotFound(_))), "{how}");
        let gone = world.services.volumes.create(&friend, disk_of(backup.id)).await;
        assert!(matches!(gone, Err(Error::BackupNotFound(_))), "{how}");
        assert_eq!(world.used(&friend, vault.id).await, 0, "{how}");
        let kept = world.services.volumes.show(&friend, made.volume).await.unwrap();
        let source = world.provider.content(id(VOLUME));
        assert!(world.provider.head(kept.id, source.len()) == source, "{how}");
        let vaults = &world.services.vaults;
        vaults.delete(&friend, vault.id).await.unwrap();
    }
}

/// SHR-11, P14: the owner does not delete what a recipient is just reading, neither by itself nor with
/// its vault or resource; a share that is taken back meanwhile does not stop the reading.
#[tokio::test]
async fn nothing_is_deleted_under_a_recipient_that_reads() {
    let world = World::new().await;
    let theirs = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&theirs).await;
    let friend = world.neighbour(77).await;
    world.share(&backup, &friend).await.unwrap();
    let vault = world.vault_of(&friend, VaultKind::Disk, 10).await;
    world.accept(&backup, &friend, vault.id).await.unwrap();
    let started = world.services.volumes.create(&friend, disk_of(backup.id)).await.unwrap();

    let refused = world.services.backups.delete(&world.access, backup.id).await;
    assert!(matches!(refused, Err(Error::Share(ShareError::ShareInUse(_)))), "{refused:?}");
    let refused = world.services.vaults.delete(&world.access, theirs.id).await;
    assert!(matches!(refused, Err(Error::VaultBusy { .. })), "{refused:?}");
    let sharing = &world.services.sharing;
    sharing.remove(&world.access, backup.id, friend.project()).await.unwrap();
    let refused = world.services.backups.delete(&world.access, backup.id).await;
    assert!(matches!(refused, Err(Error::Share(ShareError::ShareInUse(_)))), "{refused:?}");
    // Taking the resource out waits until the disk is made.
    let out = vec![id(VOLUME)];
    world.services.vaults.remove_resources(&world.access, theirs.id, out).await.unwrap();
    world.settle().await;
    let job = world.services.jobs.show(&friend, started.job).await.unwrap();
    assert_eq!(job.status, JobStatus::Success);
    let source = world.provider.content(id(VOLUME));
    assert!(world.provider.head(started.volume, source.len()) == source);
    assert!(world.backups().await.is_empty(), "and then it went");
}

/// A disk that could not be made is nobody's.
#[tokio::test]
async fn a_disk_that_a_recipient_could_not_make_leaves_no_owner() {
    let world = World::new().await;
    let theirs = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&theirs).await;
    let friend = world.neighbour(77).await;
    world.share(&backup, &friend).await.unwrap();
    let vault = world.vault_of(&friend, VaultKind::Disk, 10).await;
    world.accept(&backup, &friend, vault.id).await.unwrap();
    world.provider.fail(Operation::Prepare, 1, Fault::Refused);
    let started = world.services.volumes.create(&friend, disk_of(backup.id)).await.unwrap();
    world.settle().await;
    let job = world.services.jobs.show(&friend, started.job).await.unwrap();
    assert_eq!(job.status, JobStatus::Fail);
    let mut tx = world.db.read().await.unwrap();
    assert!(tx.disk_owners().all().await.unwrap().is_empty());
    drop(tx);
    let empty = NewVolumeRequest { backup: None, size: Some(Gib(1)), ..disk_of(backup.id) };
    let refused = world.services.volumes.create(&friend, empty).await;
    assert!(matches!(refused, Err(Error::Forbidden)), "a project without resources makes none");
}

/// P26: a disk that could be neither made nor removed stays the recipient's: the provider's project
/// never sees it.
#[tokio::test]
async fn a_disk_that_could_not_be_removed_stays_its_owners() {
    let world = World::new().await;
    let theirs = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&theirs).await;
    let friend = world.neighbour(77).await;
    world.share(&backup, &friend).await.unwrap();
    let vault = world.vault_of(&friend, VaultKind::Disk, 10).await;
    world.accept(&backup, &friend, vault.id).await.unwrap();
    world.provider.fail(Operation::Prepare, 1, Fault::Refused);
    world.provider.fail(Operation::Delete, 1, Fault::Refused);
    let started = world.services.volumes.create(&friend, disk_of(backup.id)).await.unwrap();
    world.settle().await;
    let job = world.services.jobs.show(&friend, started.job).await.unwrap();
    assert_eq!(job.status, JobStatus::Fail);
    let seen = async |access: &Access| {
        let shown = world.services.volumes.show(access, started.volume).await;
        shown.is_ok()
    };
    assert_eq!((seen(&friend).await, seen(&world.access).await), (true, false));
}

/// SHR-01, SHR-02: a server's backup is shared as a whole; its disks are read one by one.
#[tokio::test]
async fn a_servers_backup_is_shared_with_its_disks() {
    let world = World::new().await;
    let theirs = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&theirs).await;
    let friend = world.neighbour(77).await;
    let child = backup.children.iter().find(|it| it.resource == id(DATA_DISK)).unwrap();
    let refused = world.share(child, &friend).await;
    assert!(matches!(refused, Err(Error::Share(ShareError::NotShareable { .. }))), "{refused:?}");
    world.share(&backup, &friend).await.unwrap();
    let disks = async |ownership| {
        let (parent, ownership) = (Some(backup.id), ownership);
        let filter = BackupFilter { parent, ownership, ..BackupFilter::default() };
        world.services.backups.list(&friend, &filter, Page::default()).await.unwrap().rows
    };
    // What it consists of is shown to those who accepted it.
    let offered = world.seen_by(&friend, Ownership::Shared).await;
    assert!(offered[0].children.is_empty());
    assert!(disks(Ownership::Shared).await.is_empty() && disks(Ownership::All).await.is_empty());

    let disk_vault = world.vault_of(&friend, VaultKind::Disk, 10).await;
    let refused = world.accept(&backup, &friend, disk_vault.id).await;
    assert!(
        matches!(refused, Err(Error::Share(ShareError::ShareKindMismatch { .. }))),
        "{refused:?}"
    );
    let vault = world.vault_of(&friend, VaultKind::Server, 10).await;
    world.accept(&backup, &friend, vault.id).await.unwrap();
    assert_eq!(disks(Ownership::Shared).await.len(), 2);
    assert_eq!(disks(Ownership::All).await.len(), 2);
    let own = world.used(&world.access, theirs.id).await;
    assert_eq!(world.used(&friend, vault.id).await, own);
    let started = world.services.volumes.create(&friend, disk_of(child.id)).await.unwrap();
    let refused = world.services.backups.delete(&world.access, backup.id).await;
    assert!(
        matches!(refused, Err(Error::Share(ShareError::ShareInUse(_)))),
        "one of its disks is read: {refused:?}"
    );
    world.settle().await;
    let source = world.provider.content(id(DATA_DISK));
    assert!(world.provider.head(started.volume, source.len()) == source);
    assert_ne!(world.provider.content(id(SYSTEM_DISK)), source);
}

/// SHR-08, contract C38: accepted, given back, accepted again elsewhere; and with the recipient's vault
/// it is given back too.
#[tokio::test]
async fn a_recipient_decides_and_decides_again() {
    let world = World::new().await;
    let theirs = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&theirs).await;
    let friend = world.neighbour(77).await;
    world.share(&backup, &friend).await.unwrap();
    let one = world.vault_of(&friend, VaultKind::Disk, 10).await;
    let two = world.vault_of(&friend, VaultKind::Disk, 10).await;
    assert_eq!(world.reject(&backup, &friend).await.unwrap().state, MemberState::Rejected);
    world.accept(&backup, &friend, one.id).await.unwrap();
    world.accept(&backup, &friend, one.id).await.unwrap();
    let refused = world.accept(&backup, &friend, two.id).await;
    assert!(
        matches!(refused, Err(Error::Share(ShareError::MemberNotChanged { .. }))),
        "{refused:?}"
    );
    world.reject(&backup, &friend).await.unwrap();
    assert_eq!(world.used(&friend, one.id).await, 0);
    assert!(world.services.backups.show(&friend, backup.id).await.is_err());
    world.accept(&backup, &friend, two.id).await.unwrap();

    world.services.vaults.delete(&friend, two.id).await.unwrap();
    world.settle().await;
    let member =
        world.services.sharing.show(&world.access, backup.id, friend.project()).await.unwrap();
    assert_eq!(member.state, MemberState::Rejected);
    assert!(member.updated_at.is_some());
    assert_eq!(world.state(backup.id).await.as_str(), "available", "the owner's stays");
}

/// SHR-04, SHR-07, SHR-13, contract C35, C38: every refusal, and that a refused request shares nothing.
#[tokio::test]
async fn every_refusal_of_sharing_and_accepting() {
    let world = World::new().await;
    let theirs = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let running = world.start(&theirs, true).await.unwrap();
    let running = world.backups_of(&running).await.pop().unwrap();
    let friend = world.neighbour(77).await;
    let refused = world.share(&running, &friend).await;
    assert!(
        matches!(refused, Err(Error::Share(ShareError::BackupNotShareable { .. }))),
        "{refused:?}"
    );
    world.settle().await;
    let backup = running;

    let add = async |projects: Vec<ProjectId>| {
        let recipients = Recipients { projects, ..Recipients::default() };
        world.services.sharing.add(&world.access, backup.id, &recipients).await
    };
    let refused = add(vec![friend.project(), project_id(999)]).await;
    assert!(
        matches!(refused, Err(Error::Share(ShareError::RecipientInvalid { .. }))),
        "{refused:?}"
    );
    let refused = add(vec![world.access.project()]).await;
    assert!(
        matches!(refused, Err(Error::Share(ShareError::RecipientInvalid { .. }))),
        "{refused:?}"
    );
    let refused = add(vec![friend.project(), friend.project()]).await;
    assert!(matches!(refused, Err(Error::Share(ShareError::SharedAlready(_)))), "{refused:?}");
    let listed = async |filter: &MemberFilter| {
        let listed = world.services.sharing.list(&world.access, backup.id, filter, Page::default());
        listed.await.unwrap()
    };
    assert_eq!(listed(&MemberFilter::default()).await.total, 0, "all or none");

    for n in 100..109 {
        let other = world.neighbour(n).await;
        world.clock.advance(Duration::from_secs(1));
        world.share(&backup, &other).await.unwrap();
    }
    // An account stands for its projects (Z-21).
    let domains = vec![friend.caller().domain.id];
    let account = Recipients { domains, ..Recipients::default() };
    world.services.sharing.add(&world.access, backup.id, &account).await.unwrap();
    let refused = add(vec![friend.project()]).await;
    assert!(matches!(refused, Err(Error::Share(ShareError::SharedAlready(_)))), "{refused:?}");
    let eleventh = world.neighbour(110).await;
    let refused = world.reject(&backup, &eleventh).await;
    assert!(matches!(refused, Err(Error::BackupNotFound(_))), "{refused:?}");
    let refused = world.share(&backup, &eleventh).await;
    assert!(
        matches!(refused, Err(Error::Share(ShareError::TooManyMembers { limit: 10 }))),
        "{refused:?}"
    );
    assert_eq!(listed(&MemberFilter::default()).await.total, 10);

    let pending = MemberFilter { statuses: vec![MemberStatus::Pending], ..Default::default() };
    assert_eq!(listed(&pending).await.total, 10);
    let gone = world.services.sharing.remove(&world.access, backup.id, project_id(999)).await;
    assert!(matches!(gone, Err(Error::Share(ShareError::MemberNotFound { .. }))), "{gone:?}");
}

/// SHR-07, contract C38: the recipient's vault is absent, full, or in a state that takes nothing.
#[tokio::test]
async fn a_vault_that_cannot_take_it_is_refused() {
    let world = World::new().await;
    let theirs = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&theirs).await;
    let friend = world.neighbour(77).await;
    world.share(&backup, &friend).await.unwrap();
    let refused = world.accept(&backup, &friend, theirs.id).await;
    assert!(matches!(refused, Err(Error::VaultNotFound(_))), "another's vault: {refused:?}");
    let vault = world.vault_of(&friend, VaultKind::Disk, 10).await;
    let mut tx = world.db.begin().await.unwrap();
    let (from, frozen) = ([VaultStatus::Available], VaultStatus::Frozen);
    tx.vaults().change_status(friend.project(), vault.id, &from, frozen).await.unwrap();
    tx.commit().await.unwrap();
    let refused = world.accept(&backup, &friend, vault.id).await;
    assert!(
        matches!(refused, Err(Error::Share(ShareError::VaultStatusForbidsSharing { .. }))),
        "{refused:?}"
    );
    let mut tx = world.db.begin().await.unwrap();
    let (from, back) = ([VaultStatus::Frozen], VaultStatus::Available);
    tx.vaults().change_status(friend.project(), vault.id, &from, back).await.unwrap();
    tx.commit().await.unwrap();
    world.accept(&backup, &friend, vault.id).await.unwrap();
}

/// RES-02, RES-03, RES-06, contract C53: why a resource cannot be protected, each with its code.
#[tokio::test]
async fn every_reason_a_resource_cannot_be_protected_has_its_code() {
    let world = World::new().await;
    let friend = world.neighbour(77).await;
    let own = async |project: ProjectId| {
        let mut tx = world.db.begin().await.unwrap();
        tx.settings().set(PROVIDER_PROJECT, &project.to_string()).await.unwrap();
        tx.commit().await.unwrap();
    };
    // Both were another project's once, and are still in its vaults.
    own(friend.project()).await;
    for (kind, n) in [(VaultKind::Disk, VOLUME), (VaultKind::Server, SERVER)] {
        let vault = world.vault_of(&friend, kind, 100).await;
        let wanted = vec![super::world::bind(kind.resource_kind().unwrap(), n)];
        world.services.vaults.add_resources(&friend, vault.id, wanted).await.unwrap();
    }
    own(world.access.project()).await;
    world.provider.add_server(id(90), "empty", vec![]);
    world.provider.add_server(id(91), "broken", vec![id(SECOND_VOLUME)]);
    let fault = ServerStatus::Fault { why: "no".into() };
    world.provider.set_server_status(id(91), fault);
    let code = async |kind, n| {
        let shown = world.services.protectables.show(&world.access, kind, id(n)).await.unwrap();
        shown.obstacle.map(|obstacle| obstacle.code)
    };
    assert_eq!(code(ResourceKind::Volume, VOLUME).await.as_deref(), Some("BackupService.7006"));
    assert_eq!(code(ResourceKind::Server, SERVER).await.as_deref(), Some("BackupService.7116"));
    assert_eq!(code(ResourceKind::Server, 90).await.as_deref(), Some("BackupService.7108"));
    assert_eq!(code(ResourceKind::Server, 91).await.as_deref(), Some("BackupService.7101"));
    assert_eq!(code(ResourceKind::Volume, SECOND_VOLUME).await, None);
    let gone = world.services.protectables.show(&world.access, ResourceKind::Volume, id(999)).await;
    assert!(matches!(gone, Err(Error::VolumeNotFound(_))), "{gone:?}");
}
