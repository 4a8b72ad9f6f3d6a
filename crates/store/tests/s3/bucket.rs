//! An S3 server over a temporary directory, and backends that reach it.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cbr_env::{Clock, SeededRandom, SystemClock, Timestamp};
use cbr_store::backend::{S3Backend, S3Credentials, S3Options};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::proxy::Proxy;

/// Short, and so is the prefix: the server puts both into names of files.
pub(crate) const BUCKET: &str = "b-1";
pub(crate) const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET_KEY: &str = "canary-5ecr3t-k3y";

/// An empty place in a bucket, behind a proxy.
pub(crate) struct Bucket {
    pub(crate) proxy: Proxy,
    options: S3Options,
    /// Of the server in this process, gone when dropped; none of somebody else's.
    own: Option<(TempDir, tokio::runtime::Runtime)>,
}

impl Bucket {
    pub(crate) fn start() -> Self {
        // In memory if the machine has such a place: what is durable is not tested here.
        let memory = tempfile::tempdir_in("/dev/shm");
        let directory = memory.or_else(|_| tempfile::tempdir()).unwrap();
        std::fs::create_dir(directory.path().join(BUCKET)).unwrap();
        let server = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = server.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let service = {
            let files = s3s_fs::FileSystem::new(directory.path()).unwrap();
            let mut builder = S3ServiceBuilder::new(files);
            builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
            builder.build()
        };
        server.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = service.clone();
                tokio::spawn(async move {
                    let connection = Builder::new(TokioExecutor::new());
                    let _ = connection.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        let proxy = Proxy::start(address, Some(directory.path().join(BUCKET)));
        let options = options(proxy.address());
        Self { proxy, options, own: Some((directory, server)) }
    }

    /// A place of a server that runs elsewhere.
    pub(crate) fn of(server: SocketAddr, options: S3Options) -> Self {
        let proxy = Proxy::start(server, None);
        let endpoint = format!("http://{}", proxy.address());
        Self { proxy, options: S3Options { endpoint, ..options }, own: None }
    }

    /// Where the server in this process keeps an object.
    pub(crate) fn file(&self, key: &str) -> PathBuf {
        let (directory, _) = self.own.as_ref().unwrap();
        directory.path().join(BUCKET).join(key)
    }

    /// A backend that waits for nothing between attempts.
    pub(crate) fn backend(&self) -> S3Backend {
        let random = Arc::new(SeededRandom::new(7));
        S3Backend::open(&self.options, Arc::new(Impatient::default()), random).unwrap()
    }
}

/// Half of these seeds, or with `CBR_EVERY_SEED` (`scripts/soak-s3`) all.
pub(crate) fn seeds(all: Range<u64>) -> Range<u64> {
    let is_all = std::env::var_os("CBR_EVERY_SEED").is_some();
    all.start..if is_all { all.end } else { all.start.midpoint(all.end) }
}

/// How the proxy is reached.
pub(crate) fn options(proxy: SocketAddr) -> S3Options {
    let credentials = S3Credentials::new(ACCESS_KEY, SECRET_KEY);
    S3Options {
        prefix: "main".to_owned(),
        allow_http: true,
        ..S3Options::new(format!("http://{proxy}"), BUCKET, credentials)
    }
}

/// The machine's clock, but nobody sleeps.
#[derive(Debug, Default)]
pub(crate) struct Impatient(SystemClock);

impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic_micros(&self) -> u64 {
        self.0.monotonic_micros()
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
}
