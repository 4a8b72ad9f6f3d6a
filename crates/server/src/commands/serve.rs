//! `cbr serve`: the service.
//!
//! Order of a start: configuration, certificate, data directory and its lock, master key,
//! database, repository, provider, first account, tasks, and last the listener: who
//! gets an answer finds everything working. A stop goes the other way round; what is
//! killed instead is taken up by the next start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server};
use clap::Args;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, HttpConfig};
use crate::connections::{Places, note_failed};
use crate::data_dir::DataDir;
use crate::node::Node;
use crate::output::Output;
use crate::tls::Certificate;
use crate::world::World;
use crate::{bootstrap, ready, telemetry, tls};

/// What a connection may hold of requests it has not read yet.
const HTTP1_BUFFER_BYTES: usize = 64 << 10;
/// Requests at a time in one connection.
const HTTP2_STREAMS: u32 = 16;

/// Run the service
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where it keeps its data; made if need be
    #[arg(long, env = "CBR_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Address and port to listen at
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Configuration file (`cbr config example` shows one)
    #[arg(long, env = "CBR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write the first account to this file instead of printing it
    #[arg(long, value_name = "FILE")]
    bootstrap_file: Option<PathBuf>,
}

impl ServeArgs {
    /// Runs the command until it is told to stop.
    pub(crate) fn run(self, output: Output) -> Result<()> {
        let config = Config::load(self.config.as_deref())?;
        telemetry::start_log(&config.log)?;
        no_core_files();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        runtime.block_on(self.serve(config, output))
    }

    async fn serve(self, config: Config, output: Output) -> Result<()> {
        if config.shows_password(self.config.as_deref()) {
            tracing::warn!("everybody can read a secret in the configuration file");
        }
        let address = self.listen.unwrap_or(config.http.listen);
        config.http.check_address(address)?;
        let certificate = Certificate::load(&config.http).await?;
        let hangups = tls::hangups()?;
        let data = DataDir::create(&self.data_dir)?;
        let _lock = data.lock()?;
        let stopping = stop_signals()?;
        let world = World::real();
        let clock = Arc::clone(&world.clock);
        let node = Node::start(&data, &config, world).await?;

        let listener = std::net::TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .with_context(|| format!("cannot listen at {address}"))?;
        // Port 0 means: any. Only now it is known which.
        let address = listener.local_addr().context("cannot tell the port")?;
        let url = config.http.url_at(address);
        bootstrap::first_account(
            node.identity(),
            &data,
            &config.account,
            &url,
            self.bootstrap_file.as_deref(),
            output,
        )
        .await?;
        let metrics = telemetry::start_metrics()?;
        let upkeep = telemetry::keep_up(metrics.clone(), Arc::clone(&clock), stopping.clone());
        drop(tokio::spawn(upkeep));
        let (fresh, stop) = (certificate.clone(), stopping.clone());
        drop(tokio::spawn(tls::keep_fresh(fresh, hangups, Arc::clone(&clock), stop)));
        node.open_exports().await;
        if let Some(address) = config.export.listen {
            let listener = tokio::net::TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen at {address} (export.listen)"))?;
            // It ends with the signal; nothing waits for clients that do not leave.
            drop(tokio::spawn(node.serve_exports(listener, stopping.clone())));
        }
        let rendered = Arc::new(move || telemetry::rendered(&metrics));
        let router = node.router(&config, &url, (rendered, stopping.clone()))?;
        let handle = Handle::new();
        close_on_stop(stopping.clone(), handle.clone(), &config.http);
        let working = tokio::spawn(node.work(&config, &stopping));
        ready::tell(&url);
        // Nobody listening is no reason not to serve.
        drop(output.line(output.lang.note_ready(&url)));
        let shares = config.http.connections_at(address);
        let proxies = config.http.trusted_proxies()?;
        let places = Places::new(shares, proxies, config.http.idle(), clock);
        let served = listen(listener, &config.http, handle, router, (places, certificate)).await;
        // Also when the listener failed by itself.
        stopping.cancel();
        let worked = working.await.context("the tasks ended unexpectedly");
        node.close().await?;
        tracing::info!(url, "stopped");
        served.and(worked)
    }
}

async fn listen(
    listener: std::net::TcpListener,
    http: &HttpConfig,
    handle: Handle<SocketAddr>,
    router: axum::Router,
    (places, certificate): (Places, Option<Certificate>),
) -> Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum_server::from_tcp(listener).context("cannot use the listener")?;
    let served = match certificate {
        None => {
            let server = server.acceptor(places);
            patient_to_a_point(server, http).handle(handle).serve(service).await
        }
        Some(certificate) => {
            let tls = RustlsAcceptor::new(certificate.config());
            let server = server.acceptor(tls.acceptor(places));
            patient_to_a_point(server, http).handle(handle).serve(service).await
        }
    };
    served.context("the listener failed")
}

/// A core file would hold keys (P32).
fn no_core_files() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core files cannot be turned off");
    }
}

/// Lets no connection lie idle for ever, or take more than its share (P24).
fn patient_to_a_point<A>(
    server: Server<SocketAddr, A>,
    http: &HttpConfig,
) -> Server<SocketAddr, A> {
    let idle = http.idle();
    let mut server = server.first_request_timeout(idle).accept_error_handler(note_failed);
    let builder = server.http_builder();
    builder.http1().header_read_timeout(idle).max_buf_size(HTTP1_BUFFER_BYTES);
    builder
        .http2()
        .keep_alive_interval(Some(idle))
        .keep_alive_timeout(idle)
        .max_concurrent_streams(HTTP2_STREAMS);
    server
}

/// Cancelled by SIGTERM and SIGINT.
fn stop_signals() -> Result<CancellationToken> {
    let stopping = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let token = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: requests and tasks may come to a good end");
        token.cancel();
    });
    Ok(stopping)
}

/// When told to stop: lets running requests end, but takes no new ones.
fn close_on_stop(stopping: CancellationToken, handle: Handle<SocketAddr>, http: &HttpConfig) {
    let grace = http.shutdown();
    tokio::spawn(async move {
        stopping.cancelled().await;
        ready::tell_stopping();
        handle.graceful_shutdown(Some(grace));
    });
}
