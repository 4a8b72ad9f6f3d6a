//! A small installation: one account, disks and a server at the fake provider.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cbr_db::Db;
use cbr_env::{Clock, ManualClock, Random, SeededRandom, Timestamp};
use cbr_model::audit::Event;
use cbr_model::backup::{Backup, BackupState};
use cbr_model::operation::{OperationLog, OperationStatus};
use cbr_model::query::{BackupFilter, OperationFilter, Page};
use cbr_model::resource::ResourceKind;
use cbr_model::vault::{Vault, VaultKind};
use cbr_model::{BackupId, ResourceId, TaskId};
use cbr_provider::fake::FakeProvider;
use cbr_provider::{DirectoryBucket, Provider};
use cbr_store::backend::layer::Faulty;
use cbr_store::backend::{Backend, Key, MemoryBackend};
use cbr_store::{MasterKey, Repository, Scope};
use cbr_task::Options;
use cbr_testkit::TestDatabase;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::backups::{Extras, RestoreRequest};
use crate::billing::BillingSettings;
use crate::checkpoints::{CheckpointView, NewCheckpoint, ResourceChoice};
use crate::content::{reference, versions};
use crate::core::Core;
use crate::exports::ExportSettings;
use crate::identity::{Bootstrapped, FirstAccount, SealingKey};
use crate::imports::{Buckets, ConfiguredBucket};
use crate::monitoring::MonitorOptions;
use crate::resources::Resources;
use crate::retention::Cleanup;
use crate::rules::vault::tests::wanted;
use crate::topics::{Courier, RecordingCourier};
use crate::vaults::{NewVault, WantedResource};
use crate::{Access, Deps, Request, Result, Services};

/// Blocks are this large in the store.
pub(super) const BLOCK: u64 = 64 << 10;
/// Every disk of a world.
pub(super) const DISK_BYTES: u64 = 20 * BLOCK;
/// What the project's bucket is called.
pub(super) const BUCKET: &str = "bucket";
/// 2026-11-23.
const START: Timestamp = Timestamp(1_795_000_000_000_000);

/// A resource of the fake provider.
pub(super) fn id(n: u128) -> ResourceId {
    ResourceId::from_uuid(Uuid::from_u128(n))
}

/// A disk on its own.
pub(super) const VOLUME: u128 = 1;
/// Another one.
pub(super) const SECOND_VOLUME: u128 = 2;
/// A server with a system disk and a data disk.
pub(super) const SERVER: u128 = 10;
pub(super) const SYSTEM_DISK: u128 = 11;
pub(super) const DATA_DISK: u128 = 12;

/// A store in memory that can be made to fail.
pub(super) struct Store {
    backend: Arc<MemoryBackend>,
    pub(super) faulty: Arc<Faulty>,
    pub(super) repository: Arc<Repository>,
    /// For how many days what is deleted can be taken back.
    undo_days: u32,
    billing: BillingSettings,
}

impl Store {
    fn new(
        undo_days: u32,
        random: Arc<dyn Random>,
        open: impl FnOnce(
            Arc<dyn Backend>,
            MasterKey,
            Arc<dyn Random>,
            cbr_store::Options,
        ) -> cbr_store::Result<Repository>,
    ) -> Self {
        let backend = Arc::new(MemoryBackend::default());
        let faulty = Arc::new(Faulty::new(Arc::clone(&backend) as Arc<dyn Backend>));
        let repository = open(
            Arc::clone(&faulty) as Arc<dyn Backend>,
            MasterKey::from_bytes([3; 32]),
            random,
            // Threads of the store are its own tests' business; here they would cost more than they do.
            cbr_store::Options { threads: 0, ..cbr_store::Options::default() },
        );
        let repository = Arc::new(repository.unwrap());
        Self { backend, faulty, repository, undo_days, billing: BillingSettings::default() }
    }
}

/// The disks and the server of every world, with some bytes on them.
fn filled_provider() -> Arc<FakeProvider> {
    let provider = Arc::new(FakeProvider::default());
    for (n, name) in [(VOLUME, "one"), (SECOND_VOLUME, "two"), (SYSTEM_DISK, "root")] {
        provider.add_volume(id(n), name, DISK_BYTES);
    }
    provider.add_volume(id(DATA_DISK), "data", DISK_BYTES);
    provider.add_server(id(SERVER), "web", vec![id(SYSTEM_DISK), id(DATA_DISK)]);
    for n in [VOLUME, SECOND_VOLUME, SYSTEM_DISK, DATA_DISK] {
        let byte = u8::try_from(n).unwrap();
        provider.write(id(n), 0, &[byte; 4096]);
        provider.write(id(n), 7 * BLOCK, &vec![byte; 100_000]);
    }
    provider
}

/// A database that was migrated and has no rows: the migrations run once for all tests of the process.
pub(super) async fn empty_database() -> TestDatabase {
    TestDatabase::sqlite_made(|url| async move {
        let db = Db::open(&url, Arc::new(ManualClock::new(START))).await.unwrap();
        db.close().await.unwrap();
    })
    .await
}

/// An installation.
pub(super) struct World {
    pub(super) services: Services,
    pub(super) access: Access,
    pub(super) account: Bootstrapped,
    pub(super) provider: Arc<FakeProvider>,
    pub(super) store: Store,
    pub(super) clock: ManualClock,
    pub(super) courier: Arc<RecordingCourier>,
    pub(super) db: Arc<Db>,
    /// Where the project's bucket is.
    pub(super) bucket: PathBuf,
    buckets: Buckets,
    random: Arc<dyn Random>,
    _keep: (TestDatabase, tempfile::TempDir),
}

impl World {
    /// The objects of the store, to look at and to damage.
    pub(super) fn backend(&self) -> &MemoryBackend {
        &self.store.backend
    }

    pub(super) async fn new() -> Self {
        Self::with_database(empty_database().await).await
    }

    /// One in which what is deleted can be taken back for three days.
    pub(super) async fn with_trash() -> Self {
        Self::build(empty_database().await, 3, Repository::init).await
    }

    /// An installation whose disks share blocks.
    pub(super) async fn sharing() -> Self {
        Self::with_repository(empty_database().await, |backend, key, random, options| {
            let options = cbr_store::Options { new_chains: Scope::Tenant, ..options };
            Repository::init(backend, key, random, options)
        })
        .await
    }

    /// An installation over this empty database.
    pub(super) async fn with_database(database: TestDatabase) -> Self {
        Self::build(database, 0, Repository::init).await
    }

    /// An installation whose repository is opened like this.
    pub(super) async fn with_repository(
        database: TestDatabase,
        open: impl FnOnce(
            Arc<dyn Backend>,
            MasterKey,
            Arc<dyn Random>,
            cbr_store::Options,
        ) -> cbr_store::Result<Repository>,
    ) -> Self {
        Self::build(database, 0, open).await
    }

    async fn build(
        database: TestDatabase,
        undo_days: u32,
        open: impl FnOnce(
            Arc<dyn Backend>,
            MasterKey,
            Arc<dyn Random>,
            cbr_store::Options,
        ) -> cbr_store::Result<Repository>,
    ) -> Self {
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(7));
        let store = Store::new(undo_days, Arc::clone(&random), open);
        Self::over(filled_provider(), store, random, database).await
    }

    /// The same provider and store with an empty database: the old one is lost.
    pub(super) async fn without_database(self) -> Self {
        let random = Arc::new(SeededRandom::new(8));
        Self::over(self.provider, self.store, random, empty_database().await).await
    }

    async fn over(
        provider: Arc<FakeProvider>,
        store: Store,
        random: Arc<dyn Random>,
        keep: TestDatabase,
    ) -> Self {
        let clock = ManualClock::new(START);
        let db = Db::open(keep.url(), Arc::new(clock.clone())).await.unwrap();
        let db = Arc::new(db);
        let exports = tempfile::tempdir().unwrap();
        let courier = Arc::new(RecordingCourier::default());
        let deps = |buckets| Deps {
            db: Arc::clone(&db),
            clock: Arc::new(clock.clone()),
            random: Arc::clone(&random),
            repository: Arc::clone(&store.repository),
            provider: Arc::clone(&provider) as Arc<dyn Provider>,
            sealing_key: SealingKey::new(&Zeroizing::new([9; 32])),
            node: "node".to_owned(),
            exports: ExportSettings::within(exports.path().join("exports")),
            read_bytes_per_second: 0,
            undo_days: store.undo_days,
            monitoring: MonitorOptions::default(),
            courier: Arc::clone(&courier) as Arc<dyn Courier>,
            cleanup: Cleanup::default(),
            billing: store.billing.clone(),
            buckets,
        };
        let services = Services::new(deps(Buckets::default()));
        let first = FirstAccount {
            domain_name: "acme".into(),
            project_name: "lab".into(),
            user_name: "admin".into(),
        };
        let account = services.identity.bootstrap(&first, |_| Ok(())).await.unwrap().unwrap();
        // Only now it is known whose the bucket is.
        let bucket = exports.path().join(BUCKET);
        std::fs::create_dir(&bucket).unwrap();
        let buckets = Buckets::new(vec![ConfiguredBucket {
            name: BUCKET.to_owned(),
            bucket: Arc::new(DirectoryBucket::new(&bucket)),
            projects: vec![account.project],
        }]);
        let services = Services::new(deps(buckets.clone()));
        let access = enter(&services, &account).await.unwrap();
        Self {
            buckets,
            bucket,
            services,
            access,
            account,
            provider,
            store,
            clock,
            courier,
            db,
            random,
            _keep: (keep, exports),
        }
    }

    /// One that is billed like this, over an empty database, with a trash of three days.
    pub(super) async fn billed(database: TestDatabase, billing: BillingSettings) -> Self {
        let store = Store::new(3, Arc::new(SeededRandom::new(7)), Repository::init);
        let store = Store { billing, ..store };
        Self::over(filled_provider(), store, Arc::new(SeededRandom::new(9)), database).await
    }

    /// What the steps of tasks need, for the crash matrix.
    pub(super) fn core(&self) -> Arc<Core> {
        let provider = Arc::clone(&self.provider) as Arc<dyn Provider>;
        Arc::new(Core {
            db: Arc::clone(&self.db),
            clock: Arc::new(self.clock.clone()),
            random: Arc::clone(&self.random),
            repository: Arc::clone(&self.store.repository),
            resources: Resources::new(provider, Arc::clone(&self.db)),
            node: "node".to_owned(),
            wake: cbr_task::Wake::default(),
            pace: Arc::new(crate::tasks::pace::Pace::new(0, Arc::new(self.clock.clone()))),
            undo_days: self.store.undo_days,
            courier: Arc::clone(&self.courier) as Arc<dyn Courier>,
            sealing: Arc::new(SealingKey::new(&Zeroizing::new([9; 32]))),
            billing: self.store.billing.clone(),
            buckets: self.buckets.clone(),
        })
    }

    /// The same for a process that has just opened the store.
    pub(super) fn reopened(&self) -> Arc<Core> {
        let backend = Arc::clone(&self.store.faulty) as Arc<dyn Backend>;
        let (key, random) = (MasterKey::from_bytes([3; 32]), Arc::clone(&self.random));
        let opened = Repository::open(backend, key, random, cbr_store::Options::default());
        let mut core = Arc::into_inner(self.core()).unwrap();
        core.repository = Arc::new(opened.unwrap());
        Arc::new(core)
    }

    /// This world with one task, for the crash matrix.
    pub(super) fn with_task<T: cbr_task::Task<Ctx = Core>>(
        self,
        task: TaskId,
    ) -> cbr_task::harness::World<T> {
        cbr_task::harness::World {
            db: Arc::clone(&self.db),
            clock: Arc::new(self.clock.clone()) as Arc<dyn Clock>,
            ctx: self.core(),
            task,
            keep: Box::new(self),
        }
    }

    /// Runs every task to its end, retries included.
    pub(super) async fn settle(&self) {
        loop {
            self.services.engine(Options::default()).run_due().await.unwrap();
            self.services.courier_engine(Options::default()).run_due().await.unwrap();
            let unfinished = self.db.read().await.unwrap().tasks().list_unfinished().await;
            if unfinished.unwrap().is_empty() {
                return;
            }
            self.clock.advance(Duration::from_secs(61));
        }
    }

    /// A vault of 100 GB with these resources.
    pub(super) async fn vault(&self, kind: VaultKind, resources: &[u128]) -> Vault {
        let resources = resources.iter().map(|n| bind(kind.resource_kind().unwrap(), *n)).collect();
        let wanted = NewVault { kind, resources, ..wanted() };
        self.services.vaults.create(&self.access, wanted).await.unwrap()
    }

    pub(super) async fn reread(&self, vault: &Vault) -> Vault {
        self.services.vaults.show(&self.access, vault.id).await.unwrap()
    }

    /// Starts a run over the vault.
    pub(super) async fn start(&self, vault: &Vault, incremental: bool) -> Result<CheckpointView> {
        let wanted = NewCheckpoint { incremental, ..run(vault) };
        self.services.checkpoints.create(&self.access, wanted).await
    }

    /// One whole run over a vault with one resource.
    pub(super) async fn back_up(&self, vault: &Vault) -> Backup {
        let view = self.start(vault, true).await.unwrap();
        self.settle().await;
        let backup = self.backups_of(&view).await.pop().unwrap();
        assert_eq!(backup.state.as_str(), "available", "{:?}", backup.state);
        self.clock.advance(Duration::from_secs(1));
        backup
    }

    pub(super) async fn backups_of(&self, view: &CheckpointView) -> Vec<Backup> {
        let checkpoint = Some(view.checkpoint.id);
        self.list(&BackupFilter { checkpoint, ..BackupFilter::default() }).await
    }

    pub(super) async fn backups(&self) -> Vec<Backup> {
        self.list(&BackupFilter::default()).await
    }

    async fn list(&self, filter: &BackupFilter) -> Vec<Backup> {
        let listed = self.services.backups.list(&self.access, filter, Page::default()).await;
        listed.unwrap().rows
    }

    pub(super) async fn extras(&self, backups: &[Backup]) -> BTreeMap<BackupId, Extras> {
        let backups: Vec<&Backup> = backups.iter().collect();
        self.services.backups.extras(&self.access, &backups).await.unwrap()
    }

    pub(super) async fn state(&self, id: BackupId) -> BackupState {
        self.services.backups.show(&self.access, id).await.unwrap().state
    }

    pub(super) async fn restore(&self, id: BackupId) -> Result<OperationLog> {
        let task = self.services.backups.restore(&self.access, id, in_place()).await?;
        self.settle().await;
        self.services.operations.show(&self.access, task).await
    }

    /// All operation logs, newest first.
    pub(super) async fn logs(&self) -> Vec<OperationLog> {
        let filter = OperationFilter::default();
        let listed = self.services.operations.list(&self.access, &filter, Page::default()).await;
        listed.unwrap().rows
    }

    /// The log of the only task that has not ended.
    pub(super) async fn waiting(&self) -> TaskId {
        let mut tx = self.db.read().await.unwrap();
        let unfinished = tx.tasks().list_unfinished().await.unwrap();
        assert_eq!(unfinished.len(), 1, "{unfinished:?}");
        unfinished[0].id
    }

    /// Flips a byte of the record that commits the backup's version.
    pub(super) fn damage_commit(&self, backup: &Backup) {
        let version = reference(&versions(backup)[0]);
        let part = version.chain.chain.to_string();
        let objects = self.store.backend.snapshot();
        let is_commit = |key: &Key| {
            let key = key.to_string();
            (key.contains(&part) || key.contains(&part.replace('-', "")))
                && key.ends_with("outcome")
        };
        let found: Vec<_> = objects.into_iter().filter(|(key, _)| is_commit(key)).collect();
        let [(key, bytes)] = found.as_slice() else { panic!("one commit: {}", found.len()) };
        let mut bytes = bytes.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.store.backend.overwrite(key, bytes);
    }

    /// The store's versions by their owners.
    pub(super) fn versions(&self) -> BTreeMap<String, usize> {
        let mut owners = BTreeMap::new();
        for version in self.store.repository.catalogue().unwrap() {
            *owners.entry(version.owner).or_default() += 1;
        }
        owners
    }
}

/// A request that may change something.
pub(super) fn request() -> Request {
    Request { id: "req-1".into(), event: Some(Event::new("test", "test")), ..Request::default() }
}

/// Lets the first account's key in.
pub(super) async fn enter(services: &Services, account: &Bootstrapped) -> Result<Access> {
    let key = services.identity.signing_key(&account.access_key, None).await?;
    services.identity.access(key.caller, account.project, None, request()).await
}

pub(super) fn bind(kind: ResourceKind, n: u128) -> WantedResource {
    WantedResource {
        id: id(n),
        kind: kind.into(),
        exclude_volumes: Vec::new(),
        include_volumes: Vec::new(),
    }
}

/// A run over all of a vault.
pub(super) fn run(vault: &Vault) -> NewCheckpoint {
    NewCheckpoint {
        vault: vault.id,
        name: Some("b".into()),
        description: String::new(),
        resources: Vec::new(),
        incremental: true,
        auto_trigger: false,
        retention_days: None,
    }
}

pub(super) fn only(n: u128) -> ResourceChoice {
    ResourceChoice { id: id(n), exclude_volumes: Vec::new() }
}

pub(super) fn in_place() -> RestoreRequest {
    let (server, volume, resource) = (None, None, None);
    RestoreRequest { server, volume, resource, mappings: Vec::new(), power_on: true }
}

pub(super) fn succeeded(log: &OperationLog) {
    assert_eq!(log.status, OperationStatus::Success, "{:?}", log.error);
    assert_eq!(log.progress, 100);
}
