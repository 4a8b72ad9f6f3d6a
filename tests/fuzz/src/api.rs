//! Requests of a logged-in user to the whole service (P29): a refusal or an answer, never a panic and
//! never "internal error". The service is real, on SQLite; disks and objects are in memory.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use cbr_api::operation::Verb;
use cbr_api::{OPERATIONS, Settings, router};
use cbr_db::{Db, Token};
use cbr_env::{Clock, ManualClock, Random, SeededRandom, Timestamp};
use cbr_provider::fake::FakeProvider;
use cbr_service::exports::ExportSettings;
use cbr_service::identity::{FirstAccount, SealingKey};
use cbr_service::{Deps, Services};
use cbr_store::backend::MemoryBackend;
use cbr_store::{MasterKey, Repository};
use tower::ServiceExt as _;
use zeroize::Zeroizing;

const START: Timestamp = Timestamp(1_768_464_000_000_000);
const VOLUME: &str = "5b0c7f6e-0d0f-4c3a-9d5e-00000000000a";
const TOKEN: &str = "own";
const ANSWER_BYTES_MAX: usize = 64 << 20;

struct App {
    runtime: tokio::runtime::Runtime,
    router: Router,
    project: String,
    _kept: tempfile::TempDir,
}

static APP: LazyLock<Mutex<App>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (router, project) = runtime.block_on(start(folder.path()));
    Mutex::new(App { runtime, router, project, _kept: folder })
});

async fn start(folder: &Path) -> (Router, String) {
    let url = format!("sqlite:{}", folder.join("cbr.db").display());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(START));
    let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
    let db = Arc::new(Db::open(&url, Arc::clone(&clock)).await.unwrap());
    let backend = Arc::new(MemoryBackend::default());
    let options = cbr_store::Options { threads: 1, ..cbr_store::Options::default() };
    let master = MasterKey::generate(&*random);
    let repository = Repository::init(backend, master, Arc::clone(&random), options).unwrap();
    let provider = Arc::new(FakeProvider::default());
    provider.add_volume(VOLUME.parse().unwrap(), "disk", 4 << 20);
    let services = Services::new(Deps {
        db: Arc::clone(&db),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
        repository: Arc::new(repository),
        provider,
        sealing_key: SealingKey::new(&Zeroizing::new([7; 32])),
        node: "node-1".to_owned(),
        exports: ExportSettings::within(folder.join("exports")),
        read_bytes_per_second: 0,
        undo_days: 3,
        cleanup: cbr_service::retention::Cleanup::default(),
        monitoring: cbr_service::monitoring::MonitorOptions::default(),
        courier: Arc::new(cbr_service::topics::RecordingCourier::default()),
        billing: cbr_service::billing::BillingSettings::default(),
        buckets: cbr_service::imports::Buckets::default(),
    });
    let first = FirstAccount {
        domain_name: "acme".into(),
        project_name: "local-1".into(),
        user_name: "admin".into(),
    };
    let account = services.identity.bootstrap(&first, |_| Ok(())).await.unwrap().unwrap();
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, TOKEN.as_bytes()).as_ref());
    let token = Token {
        digest: sha256,
        user: account.user,
        // For the account as a whole: it opens the project, and users and policies as well.
        project: None,
        agency: None,
        methods: "password".to_owned(),
        made_with: cbr_model::identity::Credential::Password,
        issued_at: START,
        expires_at: START.plus_seconds(86_400),
    };
    let mut tx = db.begin().await.unwrap();
    tx.tokens().insert(&token).await.unwrap();
    tx.commit().await.unwrap();
    (router(services, clock, random, Settings::default()), account.project.to_string())
}

fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "GET",
        Verb::Head => "HEAD",
        Verb::Post => "POST",
        Verb::Put => "PUT",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
    }
}

/// The first byte names an operation; up to the line feed comes what follows its path, then the body.
pub(crate) fn run(bytes: &[u8]) {
    let (which, rest) = crate::choice(bytes, OPERATIONS.len());
    let operation = &OPERATIONS[which];
    let cut = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (query, body) = (&rest[..cut], rest.get(cut + 1..).unwrap_or_default());
    let app = APP.lock().unwrap_or_else(PoisonError::into_inner);
    let mut path = operation.path.replace("{project_id}", &app.project);
    // What other names stand for is the same id every time: it may be one of a disk.
    while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
        path.replace_range(from..=to, VOLUME);
    }
    let uri = format!("{path}{}", String::from_utf8_lossy(query));
    let request = Request::builder()
        .method(method(operation.verb))
        .uri(&uri)
        .header("x-auth-token", TOKEN)
        .header("content-type", "application/json")
        .body(Body::from(body.to_vec()));
    // What no HTTP client can send no server receives.
    let Ok(request) = request else { return };
    let status = app.runtime.block_on(async {
        let answer = app.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await.unwrap();
        assert!(!status.is_server_error(), "{uri}: {status}: {}", String::from_utf8_lossy(&body));
        status
    });
    assert!(status.as_u16() >= 200);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const BODIES: [&str; 6] = [
        r#"{"vault":{"name":"v","resources":[{"id":"5b0c7f6e-0d0f-4c3a-9d5e-00000000000a","type":"OS::Cinder::Volume"}],"billing":{"consistent_level":"crash_consistent","object_type":"disk","protect_type":"backup","size":100}}}"#,
        r#"{"resources":[{"id":"5b0c7f6e-0d0f-4c3a-9d5e-00000000000a","type":"OS::Cinder::Volume","extra_info":{"exclude_volumes":[]}}]}"#,
        r#"{"checkpoint":{"vault_id":"5b0c7f6e-0d0f-4c3a-9d5e-00000000000a","parameters":{"name":"a","description":"b","incremental":true}}}"#,
        r#"{"restore":{"volume_id":"5b0c7f6e-0d0f-4c3a-9d5e-00000000000a","mappings":[{"backup_id":"x","volume_id":"y"}],"power_on":true}}"#,
        r#"{"volume":{"name":"n","size":1,"volume_type":"SSD","availability_zone":"local","backup_id":null,"count":2}}"#,
        r#"{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","password":"x","domain":{"name":"acme"}}}},"scope":{"project":{"name":"local-1"}}}}"#,
    ];
    const QUERY: &str = "?limit=10&offset=0&sort=name:asc&status=available&name=a&marker=5b0c7f6e-0d0f-4c3a-9d5e-00000000000a&start_time=2020-02-21T07:00:54Z";
    (0..=u8::MAX)
        .zip(OPERATIONS)
        .flat_map(|(which, operation)| {
            let reads = operation.verb == Verb::Get;
            let bodies = if reads { &BODIES[..1] } else { &BODIES[..] };
            let query = if reads { QUERY } else { "" };
            bodies.iter().map(move |body| {
                let body = if reads { "" } else { *body };
                [&[which], format!("{query}\n{body}").as_bytes()].concat()
            })
        })
        .collect()
}
