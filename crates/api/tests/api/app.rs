//! The whole service in the test's process: real services on SQLite, a fake provider
//! with two disks, a store in memory, a clock that the test moves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use cbr_api::{Settings, router};
use cbr_db::{Db, Token};
use cbr_env::{Clock as _, ManualClock, Random, SeededRandom, Timestamp};
use cbr_model::audit::Event;
use cbr_model::backup::{BackupState, Content};
use cbr_model::identity::{Credential, Domain, Project, User};
use cbr_model::metric::slot_at;
use cbr_model::vault::VaultStatus;
use cbr_model::{BackupId, DomainId, ProjectId, ResourceId, UserId};
use cbr_provider::DirectoryBucket;
use cbr_provider::fake::FakeProvider;
use cbr_service::billing::BillingSettings;
use cbr_service::exports::ExportSettings;
use cbr_service::identity::{Bootstrapped, FirstAccount, SealingKey};
use cbr_service::imports::{Buckets, ConfiguredBucket};
use cbr_service::topics::RecordingCourier;
use cbr_service::{Deps, Services};
use cbr_store::backend::MemoryBackend;
use cbr_store::{MasterKey, Repository};
use cbr_testkit::TestDatabase;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::client::{Answer, Call, send};

/// 2026-01-15T08:00:00Z.
const START: Timestamp = Timestamp(1_768_464_000_000_000);
/// Small enough for a test; shown as 1 GB.
const DISK_BYTES: u64 = 4 << 20;
/// What the project's bucket is called.
pub(crate) const BUCKET: &str = "images";
/// Names of the first account.
pub(crate) const DOMAIN_NAME: &str = "acme";
pub(crate) const PROJECT_NAME: &str = "local-1";
pub(crate) const USER_NAME: &str = "admin";
/// The disks.
pub(crate) const VOLUMES: [&str; 2] =
    ["5b0c7f6e-0d0f-4c3a-9d5e-00000000000a", "5b0c7f6e-0d0f-4c3a-9d5e-00000000000b"];

/// An empty bucket of a project.
fn buckets(path: &Path, project: ProjectId) -> Buckets {
    std::fs::create_dir(path).unwrap();
    let (name, projects) = (BUCKET.to_owned(), vec![project]);
    let bucket = Arc::new(DirectoryBucket::new(path));
    Buckets::new(vec![ConfiguredBucket { name, bucket, projects }])
}

/// The service with a logged-in administrator.
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) clock: ManualClock,
    pub(crate) courier: Arc<RecordingCourier>,
    services: Services,
    pub(crate) provider: Arc<FakeProvider>,
    pub(crate) db: Arc<Db>,
    random: Arc<dyn Random>,
    account: Bootstrapped,
    token: String,
    /// Where the project's bucket is.
    pub(crate) bucket: PathBuf,
    _kept: (TestDatabase, tempfile::TempDir),
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        Self::start_billed(settings, BillingSettings::default()).await
    }

    /// With what an operator decided about money.
    pub(crate) async fn start_billed(settings: Settings, billing: BillingSettings) -> Self {
        // The migrations run once for all tests of the process.
        let database = TestDatabase::sqlite_made(|url| async move {
            let db = Db::open(&url, Arc::new(ManualClock::new(START))).await.unwrap();
            db.close().await.unwrap();
        })
        .await;
        let clock = ManualClock::new(START);
        let shared: Arc<dyn cbr_env::Clock> = Arc::new(clock.clone());
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
        let db = Arc::new(Db::open(database.url(), Arc::clone(&shared)).await.unwrap());
        let backend = Arc::new(MemoryBackend::default());
        let master = MasterKey::generate(&*random);
        let options = cbr_store::Options { threads: 1, ..cbr_store::Options::default() };
        let repository = Repository::init(backend, master, Arc::clone(&random), options).unwrap();
        let provider = Arc::new(FakeProvider::default());
        for (i, id) in VOLUMES.iter().enumerate() {
            let id: ResourceId = id.parse().unwrap();
            provider.add_volume(id, &format!("disk-{i}"), DISK_BYTES);
            provider.write(id, 70_000, format!("content of disk {i}").as_bytes());
        }
        let exports = tempfile::tempdir().unwrap();
        let courier = Arc::new(RecordingCourier::default());
        let repository = Arc::new(repository);
        let deps = |buckets| Deps {
            db: Arc::clone(&db),
            clock: Arc::clone(&shared),
            random: Arc::clone(&random),
            repository: Arc::clone(&repository),
            provider: provider.clone(),
            sealing_key: SealingKey::new(&Zeroizing::new([7; 32])),
            node: "node-1".to_owned(),
            exports: ExportSettings::within(exports.path().join("exports")),
            read_bytes_per_second: 0,
            undo_days: 3,
            monitoring: cbr_service::monitoring::MonitorOptions::default(),
            courier: courier.clone(),
            cleanup: cbr_service::retention::Cleanup::default(),
            billing: billing.clone(),
            buckets,
        };
        let services = Services::new(deps(Buckets::default()));
        let first = FirstAccount {
            domain_name: DOMAIN_NAME.into(),
            project_name: PROJECT_NAME.into(),
            user_name: USER_NAME.into(),
        };
        let account = services.identity.bootstrap(&first, |_| Ok(())).await.unwrap().unwrap();
        // Only now it is known whose the bucket is.
        let bucket = exports.path().join(BUCKET);
        let services = Services::new(deps(buckets(&bucket, account.project)));
        let router = router(services.clone(), shared, Arc::clone(&random), settings);
        let mut app = Self {
            router,
            clock,
            courier,
            services,
            provider,
            db,
            random,
            account,
            token: String::new(),
            bucket,
            _kept: (database, exports),
        };
        app.token = app.insert_token(app.account.user, app.account.project, "own").await;
        app
    }

    /// Measures vaults as the service does in the background; says how many.
    pub(crate) async fn measure(&self) -> u64 {
        self.services.monitoring.sample(slot_at(self.clock.now())).await.unwrap()
    }

    /// Decides alarms as the service does in the background.
    pub(crate) async fn decide(&self) {
        self.services.alarms.evaluate(slot_at(self.clock.now())).await.unwrap();
        self.services.alarms.handle_events().await.unwrap();
    }

    /// Carries every message that is due.
    pub(crate) async fn carry(&self) {
        self.services.courier_engine(cbr_task::Options::default()).run_due().await.unwrap();
    }

    /// Writes down that a backup looks suspicious.
    pub(crate) async fn add_anomaly(&self, anomaly: &cbr_model::anomaly::Anomaly) {
        let mut tx = self.db.begin().await.unwrap();
        tx.anomalies().insert(anomaly).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Starts what is due; says how many occurrences were decided.
    pub(crate) async fn sweep_policies(&self) -> u64 {
        self.services.schedules.sweep().await.unwrap()
    }

    /// Another node over the same database, or this one after a restart.
    pub(crate) fn another_router(&self) -> Router {
        let clock = Arc::new(self.clock.clone());
        router(self.services.clone(), clock, Arc::clone(&self.random), Settings::default())
    }

    pub(crate) async fn sweep_tokens(&self) {
        self.services.sweeps.tokens().await.unwrap();
    }

    /// Meters the hours that are over.
    pub(crate) async fn meter(&self) {
        self.services.billing.meter().await.unwrap();
    }

    /// Whatever needs the database fails from now on.
    pub(crate) async fn close_database(&self) {
        self.db.close().await.unwrap();
    }

    // --- who

    pub(crate) fn project(&self) -> String {
        self.account.project.to_string()
    }

    pub(crate) fn password(&self) -> &str {
        &self.account.password
    }

    pub(crate) fn access_key(&self) -> &str {
        &self.account.access_key
    }

    pub(crate) fn secret_key(&self) -> &str {
        &self.account.secret_key
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// A second token of the administrator.
    pub(crate) async fn another_token(&self) -> String {
        self.insert_token(self.account.user, self.account.project, "another").await
    }

    /// A token whose time is over.
    pub(crate) async fn expired_token(&self) -> String {
        let token = token_of(self.account.user, self.account.project.into(), "expired");
        let mut tx = self.db.begin().await.unwrap();
        tx.tokens().delete(token.digest).await.unwrap();
        tx.tokens().insert(&Token { expires_at: self.clock.now(), ..token }).await.unwrap();
        tx.commit().await.unwrap();
        "expired".to_owned()
    }

    /// A token that was good and is no more.
    pub(crate) async fn revoked_token(&self) -> String {
        let token = self.insert_token(self.account.user, self.account.project, "revoked").await;
        let identity = &self.services.identity;
        let caller = identity.verify_token(&token).await.unwrap().caller;
        let event = Some(Event::new("revokeToken", "user"));
        let request = cbr_service::Request { event, ..cbr_service::Request::default() };
        let user = caller.user.clone();
        identity.revoke_token((caller, request), &user, &token).await.unwrap();
        token
    }

    /// The administrator of another account: token and project.
    pub(crate) async fn stranger(&self) -> (String, String) {
        let random = &*self.random;
        let domain = Domain { id: DomainId::random(random), name: "other".into() };
        let project = Project {
            id: ProjectId::random(random),
            domain: domain.id,
            name: "local-1".into(),
            enabled: true,
        };
        let user = User {
            id: UserId::random(random),
            domain: domain.id,
            name: "admin".into(),
            enabled: true,
            is_admin: true,
            description: String::new(),
            email: String::new(),
            created_at: START,
        };
        let mut tx = self.db.begin().await.unwrap();
        tx.domains().insert(&domain).await.unwrap();
        tx.projects().insert(&project).await.unwrap();
        tx.users().insert(&user, None).await.unwrap();
        tx.commit().await.unwrap();
        (self.insert_token(user.id, project.id, "stranger").await, project.id.to_string())
    }

    /// The administrator of another account: a token for the account as a whole, and its project.
    pub(crate) async fn stranger_for_account(&self) -> (String, String) {
        let (_, project) = self.stranger().await;
        let (user, _) = self.known_stranger().await;
        (self.insert_token(user, None, "stranger-account").await, project)
    }

    /// A token of the stranger that there is already, for its project; and that project.
    pub(crate) async fn stranger_token(&self) -> (String, String) {
        let (user, project) = self.known_stranger().await;
        (self.insert_token(user, project, "again").await, project.to_string())
    }

    /// The same for its account as a whole.
    pub(crate) async fn stranger_account_token(&self) -> String {
        let (user, _) = self.known_stranger().await;
        self.insert_token(user, None, "again-account").await
    }

    async fn known_stranger(&self) -> (UserId, ProjectId) {
        let mut tx = self.db.read().await.unwrap();
        let other = tx.domains().find_by_name("other").await.unwrap().unwrap();
        let user = tx.users().find_by_name(other.id, "admin").await.unwrap().unwrap();
        let project = tx.projects().find_by_name(other.id, "local-1").await.unwrap().unwrap();
        (user.id, project.id)
    }

    /// The records of what was changed in the first account, as they are kept.
    pub(crate) async fn records(&self) -> Vec<String> {
        let mut tx = self.db.read().await.unwrap();
        let kept = tx.audit().chain(self.account.domain, 0, 1000).await.unwrap();
        kept.into_iter().map(|kept| kept.record).collect()
    }

    async fn insert_token(
        &self,
        user: UserId,
        project: impl Into<Option<ProjectId>>,
        secret: &str,
    ) -> String {
        let token = token_of(user, project.into(), secret);
        let mut tx = self.db.begin().await.unwrap();
        tx.tokens().insert(&token).await.unwrap();
        tx.commit().await.unwrap();
        secret.to_owned()
    }

    /// The time of the service moved by `seconds`, as signatures have it.
    pub(crate) fn date(&self, seconds: i64) -> String {
        use cbr_env::Clock as _;
        let at = self.clock.now().plus_seconds(seconds).seconds();
        chrono::DateTime::from_timestamp(at, 0).unwrap().format("%Y%m%dT%H%M%SZ").to_string()
    }

    // --- requests of the administrator; paths are below `/v3/{project_id}`

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", &self.below_project(path), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", &self.below_project(path), Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call("PUT", &self.below_project(path), Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", &self.below_project(path), None).await
    }

    fn below_project(&self, path: &str) -> String {
        format!("/v3/{}{path}", self.account.project)
    }

    pub(crate) async fn call(&self, method: &str, uri: &str, body: Option<&Value>) -> Answer {
        let mut call = Call::new(method, uri).token(&self.token);
        if let Some(body) = body {
            call = call.json(body);
        }
        send(&self.router, call.build()).await
    }

    /// Runs all tasks to their end.
    pub(crate) async fn settle(&self) {
        let engine = self.services.engine(cbr_task::Options::default());
        engine.run_due().await.unwrap();
    }

    /// Copies organization policies, as the service does when one has changed; how many copies.
    pub(crate) async fn sync_organization_policies(&self) -> u64 {
        self.services.organization_policies.sync().await.unwrap()
    }

    /// Another project of the account.
    pub(crate) async fn add_project(&self, name: &str) -> (ProjectId, String) {
        let mut tx = self.db.begin().await.unwrap();
        let own = tx.projects().find(self.account.project).await.unwrap().unwrap();
        let id = ProjectId::random(&*self.random);
        let project = Project { id, name: name.into(), ..own };
        tx.projects().insert(&project).await.unwrap();
        tx.commit().await.unwrap();
        (id, self.insert_token(self.account.user, id, name).await)
    }

    /// Puts a vault into a state that somebody else's work brings about.
    pub(crate) async fn set_vault_status(&self, vault: &str, to: VaultStatus) {
        let mut tx = self.db.begin().await.unwrap();
        let vault = vault.parse().unwrap();
        let own = self.account.project;
        tx.vaults().change_status(own, vault, &VaultStatus::ALL, to).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Adds a backup beside one of a disk's that fills its vault.
    pub(crate) async fn fill_vault_with(&self, backup: &str) {
        let mut tx = self.db.begin().await.unwrap();
        let found = tx.backups().find(self.account.project, backup.parse().unwrap()).await;
        let mut filler = found.unwrap().unwrap();
        let vault = tx.vaults().find(self.account.project, filler.vault).await.unwrap().unwrap();
        let BackupState::Available { content: Content::Disk(version) } = &mut filler.state else {
            panic!("{filler:?}");
        };
        version.logical_bytes = vault.size.bytes();
        filler.id = BackupId::random(&*self.random);
        tx.backups().insert(&filler).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Counts what backups cost, as the service does every minute; of how many.
    pub(crate) async fn count_sizes(&self) -> u64 {
        self.services.backups.count_sizes().await.unwrap()
    }

    // --- things

    pub(crate) async fn create_vault(&self, name: &str) -> String {
        // A second apart, so that the order of creation is the order of times.
        self.clock.advance(std::time::Duration::from_secs(1));
        let answer = self.post("/vaults", &vault_body(name)).await.expect(200);
        answer.body["vault"]["id"].as_str().unwrap().to_owned()
    }

    /// A vault of files of 1 TB: without one no agent registers (VLT-25).
    pub(crate) async fn create_file_vault(&self, name: &str) -> String {
        let mut body = vault_body(name);
        body["vault"]["billing"]["object_type"] = serde_json::json!("file");
        body["vault"]["billing"]["size"] = serde_json::json!(1024);
        let answer = self.post("/vaults", &body).await.expect(200);
        answer.body["vault"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn content(&self, number: usize) -> Vec<u8> {
        self.provider.content(VOLUMES[number].parse().unwrap())
    }

    /// Overwrites the disk's content.
    pub(crate) fn damage(&self, number: usize) {
        let id = VOLUMES[number].parse().unwrap();
        self.provider.write(id, 0, &vec![0xee; 200_000]);
        self.provider.write(id, DISK_BYTES - 10, b"bad");
    }
}

/// A token of a day.
fn token_of(user: UserId, project: Option<ProjectId>, secret: &str) -> Token {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    Token {
        digest: sha256,
        user,
        project,
        agency: None,
        methods: "password".to_owned(),
        made_with: Credential::Password,
        issued_at: START,
        expires_at: START.plus_seconds(86_400),
    }
}

/// The body that creates a disk vault.
pub(crate) fn vault_body(name: &str) -> Value {
    json!({"vault": {"name": name, "resources": [], "billing": {
        "consistent_level": "crash_consistent", "object_type": "disk",
        "protect_type": "backup", "size": 100}}})
}
