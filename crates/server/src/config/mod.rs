//! The configuration: one TOML file, one struct per section, every key with a default.
//!
//! Settings are numbers, names and paths; what is made of them is `wiring.rs`.
//! Unknown keys are refused: a misspelt key would silently not apply. Secrets can
//! be kept in files of their own (`…_file`).
//!
//! `example.toml` shows every key with its default; a test keeps the two equal.

mod account;
mod billing;
pub(crate) mod buckets;
mod database;
mod export;
mod file;
mod http;
mod log;
mod monitor;
mod notify;
mod repository;
mod retention;
mod s3;
mod tasks;
mod verify;

pub(crate) use account::AccountConfig;
pub(crate) use billing::BillingConfig;
pub(crate) use buckets::BucketConfig;
pub(crate) use database::DatabaseConfig;
pub(crate) use export::ExportConfig;
pub(crate) use file::{Config, ConfigError, EXAMPLE};
pub(crate) use http::{Compatibility, HttpConfig};
pub(crate) use log::{LogConfig, LogFormat};
pub(crate) use monitor::MonitorConfig;
pub(crate) use notify::{MailConfig, NotifyConfig, SmsGateway, SmtpTls};
pub(crate) use repository::RepositoryConfig;
pub(crate) use retention::RetentionConfig;
pub(crate) use s3::S3Config;
pub(crate) use tasks::TasksConfig;
pub(crate) use verify::VerifyConfig;
