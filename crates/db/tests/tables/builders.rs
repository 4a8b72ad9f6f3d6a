//! Databases and rows for the tests.

use std::sync::Arc;

use cbr_db::{Db, NewTask, Tx};
use cbr_env::{Clock as _, ManualClock, SeededRandom};
use cbr_model::backup::{Backup, BackupState, Content, StoredVersion};
use cbr_model::checkpoint::Checkpoint;
use cbr_model::id::{Id, Kind};
use cbr_model::name::Name;
use cbr_model::resource::{BoundResource, ProtectStatus, ResourceKind};
use cbr_model::size::{Bytes, Gib};
use cbr_model::vault::{Charging, Consistency, Vault, VaultKind, VaultStatus};
use cbr_model::{CheckpointId, ProjectId, ResourceId, TaskId, Timestamp, VaultId};
use cbr_testkit::TestDatabase;
use sqlx::Executor as _;

/// A database, its clock, and a source of ids.
pub(crate) struct World {
    pub(crate) db: Arc<Db>,
    pub(crate) clock: ManualClock,
    pub(crate) project: ProjectId,
    random: SeededRandom,
    database: TestDatabase,
}

impl World {
    pub(crate) async fn on(database: TestDatabase) -> Self {
        let clock = ManualClock::new(Timestamp(1_000_000));
        let db = Db::open(database.url(), Arc::new(clock.clone())).await.unwrap();
        let random = SeededRandom::new(7);
        let project = ProjectId::random(&random);
        Self { db: Arc::new(db), clock, project, random, database }
    }

    pub(crate) fn id<K: Kind>(&self) -> Id<K> {
        Id::random(&self.random)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) const fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// The same after a restart.
    pub(crate) async fn reopened(self) -> Self {
        let Self { db, clock, project, random, database } = self;
        Arc::into_inner(db).unwrap().close().await.unwrap();
        let db = Db::open(database.url(), Arc::new(clock.clone())).await.unwrap();
        Self { db: Arc::new(db), clock, project, random, database }
    }

    /// Runs a statement past the crate.
    pub(crate) async fn by_hand(&self, sql: String) {
        let pool = crate::opening::raw(&self.database).await;
        pool.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        pool.close().await;
    }

    pub(crate) async fn begin(&self) -> Tx {
        self.db.begin().await.unwrap()
    }

    pub(crate) async fn read(&self) -> Tx {
        self.db.read().await.unwrap()
    }

    pub(crate) fn vault(&self, name: &str) -> Vault {
        Vault {
            id: self.id(),
            project: self.project,
            user: self.id(),
            name: Name::new(name).unwrap(),
            description: Some("a \"vault\" for 备份".into()),
            kind: VaultKind::Server,
            consistency: Consistency::CrashConsistent,
            size: Gib(100),
            used: Bytes(0),
            status: VaultStatus::Available,
            enterprise_project: "0".into(),
            tags: Vec::new(),
            auto_bind: false,
            bind_rules: Vec::new(),
            auto_expand: true,
            smn_notify: true,
            threshold: 80,
            locked: false,
            charging: Charging::default(),
            availability_zone: None,
            backup_name_prefix: String::new(),
            lock_source: String::new(),
            created_at: Timestamp(5),
            updated_at: Timestamp(5),
            resources: Vec::new(),
        }
    }

    pub(crate) fn resource(&self, name: &str) -> BoundResource {
        BoundResource {
            id: self.id(),
            kind: ResourceKind::Server,
            name: name.into(),
            size: Gib(40),
            protect_status: ProtectStatus::Available,
            exclude_volumes: vec![self.id()],
            include_volumes: Vec::new(),
            auto_protect: true,
            chain: self.id(),
            epoch: 0,
            backup_bytes: Bytes(0),
            backup_count: 0,
        }
    }

    /// A vault in the database.
    pub(crate) async fn stored_vault(&self, name: &str) -> Vault {
        let vault = self.vault(name);
        let mut tx = self.begin().await;
        tx.vaults().insert(&vault).await.unwrap();
        tx.commit().await.unwrap();
        vault
    }

    /// A checkpoint of a vault, in the database.
    pub(crate) async fn stored_checkpoint(&self, vault: VaultId) -> Checkpoint {
        let checkpoint = Checkpoint {
            id: self.id(),
            project: self.project,
            vault,
            name: "run".into(),
            description: String::new(),
            retention_days: -1,
            created_at: Timestamp(6),
            skipped: Vec::new(),
        };
        let mut tx = self.begin().await;
        tx.checkpoints().insert(&checkpoint).await.unwrap();
        tx.commit().await.unwrap();
        checkpoint
    }

    /// A backup of a disk that is being made, in the database.
    pub(crate) async fn stored_backup(&self) -> Backup {
        let vault = self.stored_vault("v").await;
        let checkpoint = self.stored_checkpoint(vault.id).await;
        let backup = self.backup(vault.id, checkpoint.id, self.id(), "b");
        let mut tx = self.begin().await;
        tx.backups().insert(&backup).await.unwrap();
        tx.commit().await.unwrap();
        backup
    }

    /// A backup of a disk that is being made.
    pub(crate) fn backup(
        &self,
        vault: VaultId,
        checkpoint: CheckpointId,
        resource: ResourceId,
        name: &str,
    ) -> Backup {
        Backup {
            id: self.id(),
            project: self.project,
            vault,
            checkpoint,
            parent: None,
            name: Name::new(name).unwrap(),
            description: String::new(),
            resource,
            resource_name: format!("disk-of-{name}"),
            resource_kind: ResourceKind::Volume,
            resource_size: Gib(10),
            resource_az: "az1".into(),
            state: BackupState::Protecting,
            incremental: false,
            auto_trigger: false,
            system_disk: false,
            encrypted: false,
            app_consistency: None,
            created_at: Timestamp(10),
            updated_at: Timestamp(10),
            protected_at: None,
            expired_at: None,
            children: Vec::new(),
        }
    }

    pub(crate) fn disk(&self, logical_bytes: u64) -> Content {
        Content::Disk(StoredVersion {
            tenant: self.id::<cbr_model::id::Project>().as_uuid(),
            shared: false,
            epoch: 0,
            chain: self.id(),
            seq: 1,
            disk_bytes: Bytes(10 << 30),
            logical_bytes: Bytes(logical_bytes),
            added_bytes: Bytes(logical_bytes / 2),
        })
    }

    pub(crate) fn task(&self) -> NewTask {
        NewTask::new(TaskId::random(&self.random), self.project, "toy", "{\"stage\":\"a\"}".into())
    }
}
