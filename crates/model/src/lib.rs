//! The nouns of the service: typed ids, states and rules.
//!
//! Everything here is a value. Nothing here reads a clock, a file, a network
//! or a database: what a rule needs, it is given.

pub mod agent;
pub mod alarm;
pub mod anomaly;
pub mod audit;
pub mod backup;
pub mod billing;
pub mod checkpoint;
pub mod custom_metric;
pub mod domain_migration;
pub mod event;
pub mod export;
pub mod id;
pub mod identity;
pub mod image;
pub mod integrity;
pub mod member;
pub mod metadata;
pub mod metric;
pub mod name;
pub mod network;
pub mod operation;
pub mod order;
pub mod permission;
pub mod policy;
pub mod query;
pub mod quota;
pub mod resource;
pub mod retention;
pub mod size;
pub mod tag;
pub mod topic;
pub mod vault;

pub use cbr_env::Timestamp;
pub use id::{
    AgencyId, AgentId, AgentPathId, AlarmId, AlarmRecordId, AlarmTemplateId, BackupId, ChainId,
    CheckpointId, DeliveryId, DomainId, EventId, ExportId, GroupId, ImageId, MemberId, OrderId,
    OrganizationPolicyId, PolicyId, PolicyRunId, ProjectId, ResourceId, RoleId, SubscriptionId,
    TaskId, TopicId, TraceId, TriggerId, UserId, VaultId,
};
