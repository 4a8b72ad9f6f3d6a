//! Why a use case was refused or failed.

use cbr_model::checkpoint::SkippedResource;
use cbr_model::resource::{ResourceKind, ResourceType};
use cbr_model::size::{Bytes, Gib};
use cbr_model::vault::{VaultKind, VaultStatus};
use cbr_model::{
    BackupId, CheckpointId, ExportId, OrderId, ProjectId, ResourceId, TaskId, VaultId,
};

use crate::agents::AgentError;
use crate::alarms::AlarmError;
use crate::images::ImageError;
use crate::imports::ImportError;
use crate::policies::PolicyRefusal;
use crate::replication::ReplicaError;
use crate::servers::ServerError;
use crate::sharing::ShareError;
use crate::topics::TopicError;

/// Why a use case was refused or failed.
///
/// Add a variant only when a caller would act differently on it. The API gives
/// each its code and status.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // --- who calls
    /// The credential is unknown, wrong, revoked, expired or barred; which, is not told.
    #[error("the credential is not valid")]
    CredentialRefused,
    /// The credential is good, but not for this.
    #[error("you are not allowed to do this")]
    Forbidden,
    /// The credential is good, but no policy allows this (IAM-01).
    #[error("no policy allows {action}, or one denies it")]
    ActionDenied {
        /// The action.
        action: String,
    },
    /// The password is right, and a code of the second factor is needed beside it.
    #[error("a code of the second factor is needed (method totp)")]
    SecondFactorNeeded,
    /// Absent, or another account's.
    #[error("{noun} {id} does not exist")]
    IdentityNotFound {
        /// What kind of thing.
        noun: &'static str,
        /// Its id or name.
        id: String,
    },
    /// Names tell things of an account apart.
    #[error("there is a {noun} called {name} already")]
    IdentityTaken {
        /// What kind of thing.
        noun: &'static str,
        /// The name.
        name: String,
    },
    /// An account or user has as many as it may.
    #[error("there are {limit} {noun} already; remove one of them first")]
    IdentityLimit {
        /// What kind of things.
        noun: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The state of things forbids it.
    #[error("{reason}")]
    IdentityConflict {
        /// Why, and what would have to be different.
        reason: String,
    },
    /// Absent, or not the caller's: the two look alike.
    #[error("project {0} does not exist")]
    ProjectNotFound(ProjectId),
    /// Too much at once; the same request may succeed a moment later.
    #[error("too many requests of this kind are being handled; try again in a moment")]
    Busy,

    // --- what was asked
    /// A value breaks its rule.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Meant in the contract, not offered by this server.
    #[error("{0} is not supported")]
    Unsupported(&'static str),

    // --- vaults
    /// Absent, or another project's.
    #[error("vault {0} does not exist")]
    VaultNotFound(VaultId),
    /// The capacity is out of range or smaller than what it must hold (VLT-10, RES-05).
    #[error("a vault of {wanted} GB is not possible: {reason}", wanted = wanted.0)]
    VaultSizeInvalid {
        /// The capacity that was asked for.
        wanted: Gib,
        /// Why not.
        reason: String,
    },
    /// The vault's state, or a one-way switch, forbids the change (VLT-52, VLT-90).
    #[error("the vault cannot be changed: {reason}")]
    VaultNotEditable {
        /// Why not.
        reason: String,
    },
    /// The vault's state forbids its deletion (VLT-60).
    #[error("a vault that is {} cannot be deleted", status.as_str())]
    VaultNotDeletable {
        /// Its state.
        status: VaultStatus,
    },
    /// Not its state keeps it, but what was agreed about it: its order, or its lock (VLT-63, WORM).
    #[error("the vault cannot be deleted: {reason}")]
    VaultKept {
        /// What keeps it.
        reason: String,
    },
    /// A vault cannot be moved to, ordered or changed in this way.
    #[error(transparent)]
    Vault(#[from] VaultRefusal),
    /// A task works in the vault (VLT-63).
    #[error("task {task} still works in the vault; wait until it has ended")]
    VaultBusy {
        /// One of the tasks.
        task: TaskId,
    },
    /// The vault's state forbids the operation (Y.1).
    #[error("the vault is {}", status.as_str())]
    VaultStatus {
        /// Its state.
        status: VaultStatus,
    },
    /// The vault's state forbids backups (Y.1).
    #[error("the vault is {}; it takes no backups", status.as_str())]
    VaultStatusForbidsBackup {
        /// Its state.
        status: VaultStatus,
    },
    /// The vault's state forbids restores (VLT-56, RST-25).
    #[error("the vault is {}; its backups cannot be restored", status.as_str())]
    VaultStatusForbidsRestore {
        /// Its state.
        status: VaultStatus,
    },
    /// Used capacity is above the capacity (VLT-81).
    #[error(
        "the vault is full: {used} of {size} GB are used; enlarge it or delete backups",
        used = used.gib_displayed(), size = size.0
    )]
    VaultFull {
        /// Used.
        used: Bytes,
        /// Capacity.
        size: Gib,
    },
    /// An administrator has set a limit, and it is reached (QUO-01).
    #[error(
        "the project has {limit} {what} already, and no more are allowed; an administrator can raise the quota"
    )]
    QuotaUsedUp {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The vault does not carry a tag of this key.
    #[error("tag key `{0}` does not exist")]
    TagNotFound(String),
    /// The tags break their rules (Y.4).
    #[error(transparent)]
    Tags(#[from] cbr_model::tag::InvalidTags),

    // --- policies
    /// What is asked of a policy is not possible.
    #[error(transparent)]
    Policy(#[from] PolicyRefusal),

    // --- resources in vaults
    /// RES-01.
    #[error("a vault holds at most {limit} resources")]
    TooManyResources {
        /// The limit.
        limit: usize,
    },
    /// The vault does not take this kind.
    #[error("a {} vault takes no {}", vault.as_str(), resource.as_str())]
    ResourceKindMismatch {
        /// The vault's kind.
        vault: VaultKind,
        /// The resource's.
        resource: ResourceType,
    },
    /// VLT-25: what an agent means cannot be protected, because no agent makes backups.
    #[error(
        "vault {vault} takes no hosts: agents register and say which directories they mean, and none makes backups yet"
    )]
    HostsNotTaken {
        /// The vault.
        vault: VaultId,
    },
    /// RES-02.
    #[error("resource {resource} is already in another vault")]
    ResourceInOtherVault {
        /// The resource.
        resource: ResourceId,
    },
    /// The request names it twice.
    #[error("resource {resource} is listed twice")]
    ResourceRepeated {
        /// The resource.
        resource: ResourceId,
    },
    /// It is just being taken out.
    #[error("resource {resource} is being removed from the vault")]
    ResourceRemoving {
        /// The resource.
        resource: ResourceId,
    },
    /// The vault does not hold it.
    #[error("resource {resource} is not in the vault")]
    ResourceNotInVault {
        /// The resource.
        resource: ResourceId,
    },
    /// Contract C71: there is nothing to show of what nobody asked for.
    #[error("the account never asked to be migrated; POST /v3/migrates asks")]
    NeverMigrated,
    /// No provider knows it, or it is another project's.
    #[error("resource {0} does not exist")]
    ResourceNotFound(ResourceId),
    /// No provider knows it, or it is another project's.
    #[error("disk {0} does not exist")]
    VolumeNotFound(ResourceId),
    /// No provider knows it, or it is another project's.
    #[error("server {0} does not exist")]
    ServerNotFound(ResourceId),
    /// RES-03.
    #[error("server {0} has no disk")]
    ServerWithoutDisk(ResourceId),
    /// RES-11.
    #[error(
        "{count} disks of server {server} are attached to other servers too; a server with more than {limit} of these \
         cannot be backed up"
    )]
    TooManySharedDisks {
        /// The server.
        server: ResourceId,
        /// How many disks it shares.
        count: usize,
        /// How many it may share.
        limit: usize,
    },
    /// The state of the server or disk does not let it be bound or backed up (RES-06).
    #[error("resource {resource} is {status}: {reason}")]
    ResourceStatusForbidsBackup {
        /// The resource.
        resource: ResourceId,
        /// The provider's word.
        status: String,
        /// What would have to be different.
        reason: String,
    },
    /// The disk is attached or at work, so it cannot be deleted.
    #[error("disk {volume} cannot be deleted: {reason}")]
    VolumeNotDeletable {
        /// The disk.
        volume: ResourceId,
        /// Why not.
        reason: String,
    },

    // --- checkpoints and backups
    /// Absent, gone with its last backup, or another project's.
    #[error("restore point {0} does not exist")]
    CheckpointNotFound(CheckpointId),
    /// Every resource that was meant had to be left out.
    #[error("nothing can be backed up: {}", reasons(skipped))]
    NothingToBackUp {
        /// What was left out, and why.
        skipped: Vec<SkippedResource>,
    },
    /// Absent, or another project's.
    #[error("backup {0} does not exist")]
    BackupNotFound(BackupId),
    /// Its state forbids it (BAK-70).
    #[error("a backup that is {status} cannot be deleted")]
    BackupNotDeletable {
        /// Its state.
        status: &'static str,
    },
    /// Something reads it.
    #[error("backup {0} is in use")]
    BackupInUse(BackupId),
    /// It is not in the trash: it was never deleted, or it was purged, or taken back.
    #[error("backup {0} is not in the trash")]
    NotInTrash(BackupId),
    /// Its vault was deleted as well.
    #[error("the vault {vault} of backup {backup} is gone; name another one to take it back into")]
    TrashVaultGone {
        /// The backup.
        backup: BackupId,
        /// Where it was.
        vault: VaultId,
    },
    /// It is given out as a disk.
    #[error("backup {0} is exported; end its exports first")]
    BackupExported(BackupId),
    /// Its state forbids it.
    #[error("a backup that is {status} cannot be exported")]
    BackupNotExportable {
        /// Its state.
        status: &'static str,
    },
    /// The machine gives out as many as it may.
    #[error("this machine exports {limit} backups already; end one of them first")]
    TooManyExports {
        /// The limit.
        limit: usize,
    },
    /// So many of one kind wait or run already.
    #[error("the project has {limit} tasks of this kind that have not ended; wait for them")]
    TooManyTasks {
        /// The limit.
        limit: usize,
    },
    /// Absent, or of another backup.
    #[error("export {0} does not exist")]
    ExportNotFound(ExportId),
    /// WORM.
    #[error("backup {0} was made automatically in a locked vault and cannot be deleted by hand")]
    BackupLocked(BackupId),

    // --- restores
    /// Its state forbids it (RST-01).
    #[error("a backup that is {status} cannot be restored")]
    BackupNotRestorable {
        /// Its state.
        status: &'static str,
    },
    /// RST-09, NEW-04.
    #[error("the backup needs {needed} bytes, the target has {target}", needed = needed.0, target = target.0)]
    TargetTooSmall {
        /// Size of the backed-up disk.
        needed: Bytes,
        /// Size of the target.
        target: Bytes,
    },
    /// RST-27.
    #[error("resource {0} is being backed up; restore it later")]
    ResourceBackingUp(ResourceId),
    /// RST-27.
    #[error("resource {0} is being restored already")]
    ResourceRestoring(ResourceId),
    /// RST-08, RST-42.
    #[error("the backup can only be restored to {allowed}")]
    RestoreElsewhere {
        /// Where to.
        allowed: String,
    },
    /// RST-43: it was deleted, or a new system brought another system disk.
    #[error("{} {id}, which the backup was made of, does not exist any more; {remedy}", kind.noun())]
    RestoreTargetGone {
        /// What it was.
        kind: ResourceKind,
        /// Its id.
        id: ResourceId,
        /// The way that is left.
        remedy: &'static str,
    },
    /// RST-05.
    #[error("the backup of a data disk cannot be restored to system disk {0}")]
    SystemDiskTarget(ResourceId),
    /// RST-02, RST-40.
    #[error("disk {volume} is {status}; {remedy}")]
    VolumeStatusForbidsRestore {
        /// The disk.
        volume: ResourceId,
        /// The provider's word.
        status: String,
        /// What to do.
        remedy: &'static str,
    },
    /// RST-03.
    #[error("server {server} is {status}; it cannot be restored")]
    ServerStatusForbidsRestore {
        /// The server.
        server: ResourceId,
        /// The provider's word.
        status: String,
    },

    /// Contract C34.
    #[error("a backup that is {status} has no metadata yet")]
    BackupNotDescribed {
        /// Its state.
        status: &'static str,
    },

    // --- elsewhere
    /// An agent does not allow it.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// About alarms.
    #[error(transparent)]
    Alarm(#[from] AlarmError),
    /// About topics.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// About servers.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Of an image, or because of one.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A share does not allow it.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// Nothing can be copied.
    #[error(transparent)]
    Replica(#[from] ReplicaError),

    /// Nothing can be taken in.
    #[error(transparent)]
    Import(#[from] ImportError),

    // --- operations
    /// Absent, or another project's.
    #[error("operation log {0} does not exist")]
    OperationNotFound(TaskId),
    /// It has ended, or is of a kind that cannot stop half-way (RST-23).
    #[error("operation {task} cannot be cancelled: {reason}")]
    OperationNotCancellable {
        /// The task.
        task: TaskId,
        /// Why not.
        reason: &'static str,
    },

    // --- beyond the caller
    /// Where the resource lives does not answer; trying again may help.
    #[error("the provider is unavailable: {reason}")]
    ProviderUnavailable {
        /// What it said.
        reason: String,
    },
    /// The provider answers, and cannot read where the resource may lie: nobody knows whether it is there (RGN-07).
    /// Trying again may help.
    #[error("out of reach: {reason}")]
    ResourceUnreachable {
        /// What cannot be read, without paths: tenants read it.
        reason: String,
    },
    /// Ours to fix. The caller learns nothing but the request id.
    #[error("while {doing}")]
    Internal {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why nothing moves to a vault, or its order does not change.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VaultRefusal {
    /// There is no vault to which something could go (contract C11).
    #[error("the destination vault {0} does not exist")]
    DestinationNotFound(VaultId),
    /// What shall come does not fit into the vault it shall come to (RES-24).
    #[error("the destination vault is too full: {reason}; enlarge it")]
    DestinationFull {
        /// What does not fit.
        reason: String,
    },
    /// The vault is not prepaid, or the order is not one of its orders.
    #[error("there is no such order of this vault: {reason}")]
    OrderNotFound {
        /// What is missing.
        reason: String,
    },
    /// The account does not have what an order costs.
    #[error("order {order} costs {costs} and the account has {has}; ask for a credit, then pay it")]
    NotEnough {
        /// The order.
        order: OrderId,
        /// Minor units.
        costs: i64,
        /// Minor units.
        has: i64,
    },
    /// An order that is done or given up is neither paid nor given up any more.
    #[error("order {order} is {status}")]
    OrderSettled {
        /// The order.
        order: OrderId,
        /// How far it is.
        status: &'static str,
    },
    /// Database backup exists for servers only (VLT-92).
    #[error(
        "a {} vault holds no database backups: databases are backed up with their server, so `object_type` has to be \
         server for `consistent_level` app_consistent",
        kind.as_str()
    )]
    NoDatabases {
        /// What the vault is for.
        kind: VaultKind,
    },
    /// What shall come into the vault is application consistent, and the vault is for ordinary backups (RES-28).
    #[error(
        "vault {0} is not for database backups, and application-consistent ones shall come into it; make it a vault for \
         database backups, or choose one"
    )]
    NotForDatabases(VaultId),
    /// Another change of capacity, specification or payment is under way (VLT-52).
    #[error("another change of the vault is under way; it is locked until that is done")]
    Changing,
}

impl Error {
    /// For `map_err`: wraps a cause that is ours to fix.
    pub(crate) fn internal<E>(doing: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Internal { doing, source: source.into() }
    }

    /// A value that breaks its rule.
    pub(crate) fn invalid(field: &'static str, reason: impl ToString) -> Self {
        Self::Invalid { field, reason: reason.to_string() }
    }
}

impl From<cbr_model::policy::InvalidPolicy> for Error {
    fn from(invalid: cbr_model::policy::InvalidPolicy) -> Self {
        Self::Invalid { field: invalid.field, reason: invalid.reason }
    }
}

/// An error with its causes in one line, for people.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// For `map_err` on database calls.
pub(crate) fn db(doing: &'static str) -> impl FnOnce(cbr_db::DbError) -> Error {
    move |source| match source {
        cbr_db::DbError::UnknownMarker => Error::invalid("marker", source),
        source => Error::Internal { doing, source: Box::new(source) },
    }
}

fn reasons(skipped: &[SkippedResource]) -> String {
    match skipped {
        [] => "the vault holds no resource".to_owned(),
        all => {
            all.iter().map(|s| format!("{}: {}", s.name, s.reason)).collect::<Vec<_>>().join("; ")
        }
    }
}
