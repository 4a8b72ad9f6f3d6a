//! All use cases over one database, store and provider.

use std::sync::Arc;

use cbr_db::Db;
use cbr_env::{Clock, Random};
use cbr_provider::Provider;
use cbr_store::Repository;
use cbr_task::{Engine, Options, Wake};

use crate::billing::{Billing, BillingSettings};
use crate::core::Core;
use crate::exports::{ExportSettings, Host};
use crate::identity::SealingKey;
use crate::imports::Buckets;
use crate::monitoring::{MonitorOptions, Monitoring};
use crate::resources::Resources;
use crate::retention::Cleanup;
use crate::store_watch::StoreWatch;
use crate::sweeps::Sweeps;
use crate::tasks::backup::BackupTask;
use crate::tasks::change_server::ChangeServer;
use crate::tasks::create_image::CreateImage;
use crate::tasks::create_server::CreateServer;
use crate::tasks::create_volume::CreateVolume;
use crate::tasks::delete_backup::DeleteTask;
use crate::tasks::delete_volume::DeleteVolume;
use crate::tasks::migrate_resource::MigrateTask;
use crate::tasks::pace::Pace;
use crate::tasks::power::PowerTask;
use crate::tasks::purge::PurgeTask;
use crate::tasks::purge_backup::PurgeBackupTask;
use crate::tasks::restore::RestoreTask;
use crate::tasks::sync::SyncTask;
use crate::tasks::undelete_backup::UndeleteTask;
use crate::tasks::verify_backup::VerifyTask;
use crate::topics::{Courier, DeliverTask};
use crate::verification::Verification;
use crate::{
    Agents, Alarms, Anomalies, Audit, Backups, Catalogue, Checkpoints, Directory, Expiry, Exports,
    Identity, Images, Imports, Jobs, Operations, OrganizationPolicies, Policies, Protectables,
    Replication, Schedules, Servers, Sharing, Topics, Trash, Vaults, Volumes,
};

/// What the service is built on.
#[derive(Debug)]
pub struct Deps {
    /// The database.
    pub db: Arc<Db>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// The store.
    pub repository: Arc<Repository>,
    /// Where the resources live. They belong to the project of the first start.
    pub provider: Arc<dyn Provider>,
    /// Seals secrets in the database.
    pub sealing_key: SealingKey,
    /// This machine's name: tasks on the provider's resources run here only.
    pub node: String,
    /// Backups given out as disks.
    pub exports: ExportSettings,
    /// How much all backups of this machine together read in a second; 0: as much as the disks give.
    pub read_bytes_per_second: u64,
    /// For how many days what is deleted can be taken back; none: it is gone at once.
    pub undo_days: u32,
    /// How long what is measured is kept.
    pub monitoring: MonitorOptions,
    /// Carries messages out of the house.
    pub courier: Arc<dyn Courier>,
    /// When what retention gives up is deleted.
    pub cleanup: Cleanup,
    /// What the operator decided about money.
    pub billing: BillingSettings,
    /// Where images lie that can be taken in, and who may do so.
    pub buckets: Buckets,
}

/// The use cases, for those who call them.
#[derive(Clone, Debug)]
pub struct Services {
    /// Accounts, users, tokens, keys, and access.
    pub identity: Arc<Identity>,
    /// Who changed what.
    pub audit: Arc<Audit>,
    /// Vaults.
    pub vaults: Arc<Vaults>,
    /// What vaults cost, and who pays.
    pub billing: Arc<Billing>,
    /// When vaults are backed up, and how long their backups are kept.
    pub policies: Arc<Policies>,
    /// Policies of whole accounts.
    pub organization_policies: Arc<OrganizationPolicies>,
    /// What vaults could take.
    pub protectables: Arc<Protectables>,
    /// Policies at work.
    pub schedules: Arc<Schedules>,
    /// What retention gives up.
    pub expiry: Arc<Expiry>,
    /// Runs.
    pub checkpoints: Arc<Checkpoints>,
    /// Backups.
    pub backups: Arc<Backups>,
    /// Images of servers.
    pub images: Arc<Images>,
    /// Backups that look suspicious.
    pub anomalies: Arc<Anomalies>,
    /// Agents of hosts.
    pub agents: Arc<Agents>,
    /// Backups shared between projects.
    pub sharing: Arc<Sharing>,
    /// Copies in other regions.
    pub replication: Arc<Replication>,
    /// Backups that others put into buckets.
    pub imports: Arc<Imports>,
    /// Who is who, for those who share.
    pub directory: Arc<Directory>,
    /// Backups that were deleted and can be taken back.
    pub trash: Arc<Trash>,
    /// Backups given out as disks.
    pub exports: Arc<Exports>,
    /// Operation logs.
    pub operations: Arc<Operations>,
    /// Disks.
    pub volumes: Arc<Volumes>,
    /// Jobs of the neighbour services.
    pub jobs: Arc<Jobs>,
    /// Servers.
    pub servers: Arc<Servers>,
    /// The operator's.
    pub catalogue: Arc<Catalogue>,
    /// Whether what is stored can be restored.
    pub verification: Arc<Verification>,
    /// Whether the object store still does what it did.
    pub store_watch: Arc<StoreWatch>,
    /// How full vaults are over time.
    pub monitoring: Arc<Monitoring>,
    /// Alarms over metrics and events.
    pub alarms: Arc<Alarms>,
    /// Topics, and who is told what is sent to them.
    pub topics: Arc<Topics>,
    /// What is tidied up from time to time.
    pub sweeps: Arc<Sweeps>,
    core: Arc<Core>,
}

/// What all use cases are made of.
struct Parts {
    core: Arc<Core>,
    identity: Arc<Identity>,
    host: Host,
    monitoring: MonitorOptions,
    cleanup: Cleanup,
}

impl Parts {
    fn of(deps: Deps) -> Self {
        let Deps { db, clock, random, repository, provider, sealing_key, node, exports, .. } = deps;
        let (undo_days, monitoring, courier) = (deps.undo_days, deps.monitoring, deps.courier);
        let (billing, buckets) = (deps.billing, deps.buckets);
        let sealing = Arc::new(sealing_key);
        let cleanup = deps.cleanup;
        let identity = Arc::new(Identity::new(
            Arc::clone(&db),
            Arc::clone(&clock),
            Arc::clone(&random),
            Arc::clone(&sealing),
        ));
        let host = Host::new(exports, Arc::clone(&repository), Arc::clone(&clock));
        let pace = Arc::new(Pace::new(deps.read_bytes_per_second, Arc::clone(&clock)));
        let core = Arc::new(Core {
            pace,
            resources: Resources::new(provider, Arc::clone(&db)),
            db,
            clock,
            random,
            repository,
            node,
            wake: Wake::default(),
            undo_days,
            courier,
            sealing,
            billing,
            buckets,
        });
        Self { core, identity, host, monitoring, cleanup }
    }
}

impl Services {
    /// The use cases over `deps`.
    pub fn new(deps: Deps) -> Self {
        let Parts { core, identity, host, monitoring, cleanup } = Parts::of(deps);
        let exports = Arc::new(Exports::new(Arc::clone(&core), host));
        let backups = Arc::new(Backups::new(Arc::clone(&core)));
        let billing = Arc::new(Billing::new(Arc::clone(&core)));
        let trash = Arc::new(Trash::new(Arc::clone(&core)));
        let alarms = Arc::new(Alarms::new(Arc::clone(&core)));
        let expiry = Arc::new(Expiry::new(Arc::clone(&core), cleanup));
        let organization_policies = Arc::new(OrganizationPolicies::new(Arc::clone(&core)));
        Self {
            audit: Arc::new(Audit::new(Arc::clone(&core))),
            vaults: Arc::new(Vaults::new(Arc::clone(&core))),
            policies: Arc::new(Policies::new(Arc::clone(&core))),
            schedules: Arc::new(Schedules::new(Arc::clone(&core))),
            protectables: Arc::new(Protectables::new(Arc::clone(&core))),
            images: Arc::new(Images::new(Arc::clone(&core))),
            checkpoints: Arc::new(Checkpoints::new(Arc::clone(&core))),
            backups: Arc::clone(&backups),
            anomalies: Arc::new(Anomalies::new(Arc::clone(&core))),
            agents: Arc::new(Agents::new(Arc::clone(&core))),
            sharing: Arc::new(Sharing::new(Arc::clone(&core))),
            replication: Arc::new(Replication::new(Arc::clone(&core), Arc::clone(&identity))),
            imports: Arc::new(Imports::new(Arc::clone(&core))),
            directory: Arc::new(Directory::new(Arc::clone(&core))),
            operations: Arc::new(Operations::new(Arc::clone(&core))),
            volumes: Arc::new(Volumes::new(Arc::clone(&core))),
            jobs: Arc::new(Jobs::new(Arc::clone(&core))),
            servers: Arc::new(Servers::new(Arc::clone(&core))),
            catalogue: Arc::new(Catalogue::new(Arc::clone(&core))),
            verification: Arc::new(Verification::new(Arc::clone(&core))),
            store_watch: Arc::new(StoreWatch::new(Arc::clone(&core))),
            monitoring: Arc::new(Monitoring::new(
                Arc::clone(&core),
                Arc::clone(&alarms),
                monitoring,
            )),
            topics: Arc::new(Topics::new(Arc::clone(&core))),
            alarms,
            sweeps: Arc::new(Sweeps {
                core: Arc::clone(&core),
                trash: Arc::clone(&trash),
                identity: Arc::clone(&identity),
                exports: Arc::clone(&exports),
                backups,
                billing: Arc::clone(&billing),
                organization_policies: Arc::clone(&organization_policies),
                expiry: Arc::clone(&expiry),
            }),
            expiry,
            billing,
            organization_policies,
            trash,
            exports,
            identity,
            core,
        }
    }

    /// An engine that only carries messages, so that they wait for no backup.
    pub fn courier_engine(&self, options: Options) -> Engine {
        let options = Options { node: self.core.node.clone(), ..options };
        let (db, clock) = (Arc::clone(&self.core.db), Arc::clone(&self.core.clock));
        Engine::new(db, clock, self.core.wake.clone(), options)
            .register::<DeliverTask>(Arc::clone(&self.core))
    }

    /// An engine that knows all other kinds of tasks and is woken by these use cases.
    /// Its node is that of the services, whatever `options` say.
    pub fn engine(&self, options: Options) -> Engine {
        let options = Options { node: self.core.node.clone(), ..options };
        let core = || Arc::clone(&self.core);
        let (db, clock) = (Arc::clone(&self.core.db), Arc::clone(&self.core.clock));
        Engine::new(db, clock, self.core.wake.clone(), options)
            .register::<BackupTask>(core())
            .register::<SyncTask>(core())
            .register::<RestoreTask>(core())
            .register::<DeleteTask>(core())
            .register::<UndeleteTask>(core())
            .register::<PurgeBackupTask>(core())
            .register::<PurgeTask>(core())
            .register::<VerifyTask>(core())
            .register::<MigrateTask>(core())
            .register::<CreateVolume>(core())
            .register::<DeleteVolume>(core())
            .register::<CreateImage>(core())
            .register::<PowerTask>(core())
            .register::<CreateServer>(core())
            .register::<ChangeServer>(core())
    }
}
