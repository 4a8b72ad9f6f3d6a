//! One installation at work: everything `wiring.rs` makes, joined to services.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use cbr_api::settings::RenderMetrics;
use cbr_db::Db;
use cbr_provider::Provider;
use cbr_service::identity::SealingKey;
use cbr_service::topics::Courier;
use cbr_service::{Catalogue, Deps, Identity, Services};
use tokio_util::sync::CancellationToken;

use crate::config::{Compatibility, Config};
use crate::courier::HouseCourier;
use crate::data_dir::DataDir;
use crate::wiring;
use crate::world::World;

/// What the key that seals secrets in the database is derived for. Never to be changed.
pub(crate) const SEALING_PURPOSE: &str = "database secrets";

/// One installation at work.
#[derive(Debug)]
pub(crate) struct Node {
    world: World,
    db: Arc<Db>,
    provider: Arc<dyn Provider>,
    courier: Arc<HouseCourier>,
    services: Services,
}

impl Node {
    /// Opens everything; what is not there yet is made. The caller holds the data directory's lock.
    pub(crate) async fn start(data: &DataDir, config: &Config, world: World) -> Result<Self> {
        let place = wiring::Place::of(data, config)?;
        let key = wiring::key(data, config, &place, &world)?;
        let sealing_key = SealingKey::new(&key.derived(SEALING_PURPOSE));
        let name = data.node_name(&*world.random)?;
        let db = wiring::database(data, config, &world).await?;
        let repository = {
            let (config, db) = (config.clone(), Arc::clone(&db));
            let world = World { cache: Some(data.cache_path()), ..world.clone() };
            // It may ask the database, and waits for it.
            let open = move || wiring::repository(&place, &config, &key, &db, &world);
            tokio::task::spawn_blocking(open).await.context("opening the repository failed")??
        };
        let provider: Arc<dyn Provider> = wiring::provider(data, config, &world)?;
        let courier = Arc::new(HouseCourier::new(&config.notify, Arc::clone(&world.clock))?);
        let services = Services::new(Deps {
            db: Arc::clone(&db),
            clock: Arc::clone(&world.clock),
            random: Arc::clone(&world.random),
            repository,
            provider: Arc::clone(&provider),
            sealing_key,
            node: name,
            exports: config.export.settings(&data.exports_path())?,
            read_bytes_per_second: config.tasks.read_bytes_per_second(),
            undo_days: config.repository.undo_days(),
            monitoring: config.monitor.options(),
            courier: Arc::clone(&courier) as Arc<dyn Courier>,
            cleanup: config.retention.cleanup(),
            billing: config.billing.settings()?,
            buckets: crate::config::buckets::open(&config.buckets)?,
        });
        Ok(Self { world, db, provider, courier, services })
    }

    /// Accounts and keys.
    pub(crate) fn identity(&self) -> &Identity {
        &self.services.identity
    }

    /// The operator's use cases.
    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.services.catalogue
    }

    /// Where the resources live.
    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.provider
    }

    /// Opens the exports there were before the restart. What fails is tried again by the sweep: a
    /// disk somebody looks at is no reason to make no backups.
    pub(crate) async fn open_exports(&self) {
        if let Err(error) = self.services.exports.reconcile().await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "not all exports are as they should be");
        }
    }

    /// Gives exports out to other machines until `stopping`.
    pub(crate) fn serve_exports(
        &self,
        listener: tokio::net::TcpListener,
        stopping: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let exports = Arc::clone(&self.services.exports);
        async move { exports.serve_network(listener, stopping).await }
    }

    /// The API for clients that reach it at `url`; what goes on for long ends with `stopping`.
    pub(crate) fn router(
        &self,
        config: &Config,
        url: &str,
        (metrics, stopping): (RenderMetrics, CancellationToken),
    ) -> Result<Router> {
        self.courier.set_public_url(url);
        let http = &config.http;
        let settings = cbr_api::Settings {
            public_url: url.to_owned(),
            region: config.account.region.clone(),
            body_bytes_max: usize::try_from(http.body_bytes_max).unwrap_or(usize::MAX),
            signature_skew: http.signature_skew(),
            accepts_unsigned_payload: http.accept_unsigned_payload,
            is_strict: http.compatibility == Compatibility::Strict,
            trusted_proxies: http.trusted_proxies()?,
            stopping,
            metrics: Some(metrics),
            ..cbr_api::Settings::default()
        };
        let (clock, random) = (Arc::clone(&self.world.clock), Arc::clone(&self.world.random));
        Ok(cbr_api::router(self.services.clone(), clock, random, settings))
    }

    /// Works on tasks and tidies up until `stopping`; returns when all work has stopped.
    pub(crate) fn work(
        &self,
        config: &Config,
        stopping: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let options = cbr_task::Options {
            workers: usize::try_from(config.tasks.workers).unwrap_or(1),
            ..cbr_task::Options::default()
        };
        let engine = self.services.engine(options);
        let carriers = cbr_task::Options {
            workers: usize::try_from(config.notify.workers).unwrap_or(1),
            ..cbr_task::Options::default()
        };
        let (courier, stop_courier) = (self.services.courier_engine(carriers), stopping.clone());
        let sweeps = Arc::clone(&self.services.sweeps);
        let schedules = Arc::clone(&self.services.schedules);
        let stop_schedules = stopping.clone();
        let verification = Arc::clone(&self.services.verification);
        let verify = config.verify.options();
        let store_watch = Arc::clone(&self.services.store_watch);
        let (monitoring, stop_monitoring) =
            (Arc::clone(&self.services.monitoring), stopping.clone());
        let (stop_engine, stop_sweeps) = (stopping.clone(), stopping.clone());
        let (stop_scrub, stop_watch) = (stopping.clone(), stopping.clone());
        async move {
            // The data directory's lock makes this the only process with this node's name.
            match engine.take_back().await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "going on with tasks of before the restart"),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "tasks of before the restart wait for their leases"
                ),
            }
            // A sweep may be dropped anywhere; a task's step may not.
            let tidying = tokio::spawn(async move { sweeps.run(stop_sweeps).await });
            let scrubbing = tokio::spawn(async move {
                if let Some(options) = verify {
                    verification.run(options, stop_scrub).await;
                }
            });
            // Apart from the sweeps, which may take long.
            let scheduling = tokio::spawn(async move { schedules.run(stop_schedules).await });
            let watching = tokio::spawn(async move { store_watch.run(stop_watch).await });
            let measuring = tokio::spawn(async move { monitoring.run(stop_monitoring).await });
            let carrying = tokio::spawn(courier.run(stop_courier));
            engine.run(stop_engine).await;
            if let Err(error) = carrying.await {
                tracing::error!(%error, "the courier ended unexpectedly");
            }
            measuring.abort();
            scheduling.abort();
            watching.abort();
            tidying.abort();
            scrubbing.abort();
        }
    }

    /// Closes exports and database; without it the next start checks the file.
    pub(crate) async fn close(self) -> Result<()> {
        self.services.exports.shut_down().await;
        self.db.close().await.context("cannot close the database")
    }
}
