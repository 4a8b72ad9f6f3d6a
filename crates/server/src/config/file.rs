//! Reading the file, and refusing what is wrong with it by its place.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cbr_provider::LocalConfig;
use serde::{Deserialize, Serialize};

use super::buckets;
use super::{
    AccountConfig, BillingConfig, BucketConfig, Compatibility, DatabaseConfig, ExportConfig,
    HttpConfig, LogConfig, MonitorConfig, NotifyConfig, RepositoryConfig, RetentionConfig,
    S3Config, TasksConfig, VerifyConfig,
};

/// The example that `cbr config example` prints.
pub(crate) const EXAMPLE: &str = include_str!("example.toml");

/// Everything the operator decides.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where and how the service answers.
    pub(crate) http: HttpConfig,
    /// Where rows are kept.
    pub(crate) database: DatabaseConfig,
    /// Where backups are kept, and how they are made.
    pub(crate) repository: RepositoryConfig,
    /// The account that the first start makes.
    pub(crate) account: AccountConfig,
    /// Backups given out as disks.
    pub(crate) export: ExportConfig,
    /// How much work is done at once.
    pub(crate) tasks: TasksConfig,
    /// How what is stored is read again.
    pub(crate) verify: VerifyConfig,
    /// How long what is measured is kept.
    pub(crate) monitor: MonitorConfig,
    /// How messages leave the house.
    pub(crate) notify: NotifyConfig,
    /// When what policies give up is deleted.
    pub(crate) retention: RetentionConfig,
    /// What vaults cost, and what follows when nobody pays.
    pub(crate) billing: BillingConfig,
    /// Where others put images that are taken in.
    pub(crate) buckets: Vec<BucketConfig>,
    /// What the service says about its work.
    pub(crate) log: LogConfig,
    /// Volumes and servers of this host; without a pool, one in the data directory.
    pub(crate) local: LocalConfig,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key or value that is not known.
    #[error("{}, line {line}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A value breaks its rule.
    #[error("{key}: {why}")]
    Invalid {
        /// Which.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ConfigError {
    pub(super) fn invalid(key: &str, why: impl Into<String>) -> Self {
        Self::Invalid { key: key.to_owned(), why: why.into() }
    }
}

impl Config {
    /// Reads and checks the file; no file: everything as it is by default.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let config = match path {
            None => Self::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
                Self::parse(path, &text)?
            }
        };
        config.validate()?;
        Ok(config)
    }

    /// Whether others can read a password in the file.
    pub(crate) fn shows_password(&self, path: Option<&Path>) -> bool {
        let Some(about) = path.and_then(|path| std::fs::metadata(path).ok()) else { return false };
        let has_secret = self.database.is_inline()
            || self.notify.is_inline()
            || self.repository.s3.as_ref().is_some_and(S3Config::is_inline);
        has_secret && about.permissions().mode() & 0o007 != 0
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error: toml::de::Error| ConfigError::Parse {
            path: path.to_owned(),
            line: error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1),
            message: error.message().to_owned(),
        })
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.http.validate()?;
        self.database.validate()?;
        self.repository.validate()?;
        self.account.validate()?;
        self.export.validate()?;
        self.tasks.validate()?;
        self.verify.validate()?;
        self.monitor.validate()?;
        self.notify.validate()?;
        self.retention.validate()?;
        self.billing.validate()?;
        buckets::validate(&self.buckets)?;
        self.log.validate()?;
        self.local.validate().map_err(|error| ConfigError::invalid("local", error.to_string()))?;
        self.check_trash()
    }

    /// A trash that nobody can reach would only look like a deletion that frees nothing.
    fn check_trash(&self) -> Result<(), ConfigError> {
        let days = self.repository.undo_days;
        if self.http.compatibility == Compatibility::Extended || days == 0 {
            return Ok(());
        }
        Err(ConfigError::invalid(
            "http.compatibility",
            format!(
                "\"strict\" leaves out the operations that list the trash and take backups back, but \
                 repository.undo_days = {days} puts what is deleted there: set \
                 repository.undo_days = 0 (deleted at once, for good), or compatibility = \"extended\""
            ),
        ))
    }
}

/// Refuses a number outside its range.
pub(super) fn check_range(
    key: &str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let why = format!("must be {} to {}, not {value}", range.start(), range.end());
    Err(ConfigError::invalid(key, why))
}

/// Refuses a path that depends on where the service was started.
pub(super) fn check_absolute(key: &str, path: Option<&PathBuf>) -> Result<(), ConfigError> {
    match path {
        Some(path) if !path.is_absolute() => {
            Err(ConfigError::invalid(key, "must be an absolute path"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        let config = Config::parse(Path::new("c.toml"), text)?;
        config.validate()?;
        Ok(config)
    }

    #[test]
    fn an_empty_file_is_enough() {
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn the_example_is_valid_and_shows_the_defaults() {
        assert_eq!(parse(EXAMPLE).unwrap(), Config::default());
        // With every setting that is commented out (`#key = …`) in force it still parses.
        let full: String = EXAMPLE
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let full = parse(&full).unwrap();
        assert_eq!(full.local.pools.len(), 1);
        assert!(full.http.certificate_file.is_some());
    }

    #[test]
    fn the_example_has_every_key_of_every_section() {
        // Keys without value by default are not written by the serialiser: named by hand.
        let optional = [
            "public_url",
            "certificate_file",
            "key_file",
            "url",
            "url_file",
            "path",
            "threads",
            "directory",
            "public_address",
            "client_ca_file",
            "smtp_host",
            "smtp_user",
            "smtp_password_file",
            "from",
            "ca_file",
            "sms_url",
            "sms_secret_file",
            "projects",
        ];
        let bucket = ["endpoint", "bucket", "prefix", "region", "access_key", "secret_key"];
        let bucket = bucket.into_iter().chain([
            "secret_key_file",
            "path_style",
            "allow_http",
            "ca_file",
            "send_checksum",
            "send_condition",
            "concurrency",
            "timeout_seconds",
        ]);
        let written = toml::to_string(&Config::default()).unwrap();
        let keys = written.lines().filter_map(|line| line.split_once(" = ").map(|(key, _)| key));
        for key in keys.chain(optional).chain(bucket) {
            let shown = EXAMPLE.lines().any(|line| {
                line.trim_start_matches(['#', ' ']).split_once(" = ").is_some_and(|(k, _)| k == key)
            });
            assert!(
                shown || matches!(key, "pools" | "buckets" | "block_devices" | "servers" | "tags"),
                "{key}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let table = [
            ("[http]\nlisten_on = 1", "line 2"),
            ("[htpp]", "htpp"),
            ("[http]\nlisten = \"somewhere\"", "line 2"),
            ("[http]\nkey_file = \"/k\"", "http.certificate_file"),
            ("[http]\npublic_url = \"cbr.example.org\"", "http.public_url"),
            ("[http]\ntrusted_proxies = [\"10.0.0.1\"]", "http.trusted_proxies"),
            ("[http]\ntrusted_proxies = [\"::/0\"]", "http.trusted_proxies"),
            ("[database]\nurl = \"mysql://x\"", "database.url"),
            ("[repository]\nzstd_level = 99", "repository.zstd_level"),
            ("[repository]\npath = \"relative\"", "repository.path"),
            ("[repository.s3]\nendpoint = \"ftp://x\"\nbucket = \"abc\"", "repository.s3"),
            ("[account]\nregion = \"\"", "account.region"),
            ("[export]\ncache_mib = 1", "export.cache_mib"),
            ("[export]\nlisten = \"0.0.0.0:10809\"", "export.certificate_file"),
            ("[tasks]\nworkers = 0", "tasks.workers"),
            ("[verify]\npass_days = 0", "verify.pass_days"),
            ("[notify]\nfrom = \"a@example.org\"", "notify.from"),
            ("[notify]\nallow_networks = [\"10\"]", "notify.allow_networks"),
            ("[monitor]\nslot_days = 0", "monitor.slot_days"),
            ("[retention]\nwindow_from_hour = 24", "retention.window_from_hour"),
            ("[retention]\nwindow_until_hour = 12", "retention.window_until_hour"),
            ("[log]\nfilter = \"info,,=\"", "log.filter"),
            ("[[buckets]]\nname = \"a\"\npath = \"b\"\nprojects = []", "buckets.a.path"),
            ("[[local.pools]]\nname = \"a\"\npath = \"b\"", "pools[0].path"),
        ];
        for (text, expected) in table {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    /// What is deleted must be gone, or within reach of who deleted it.
    #[test]
    fn a_trash_that_nobody_can_reach_is_refused() {
        let strict = "[http]\ncompatibility = \"strict\"\n[repository]\nundo_days = ";
        for text in [&strict[..strict.find("[rep").unwrap()], &format!("{strict}1")] {
            let error = parse(text).unwrap_err().to_string();
            for part in ["http.compatibility", "undo_days = 0", "\"extended\""] {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
        assert!(parse(&format!("{strict}0")).is_ok());
        assert!(parse("[repository]\nundo_days = 1").is_ok());
    }

    /// P32.
    #[test]
    fn a_wrong_database_url_is_not_repeated() {
        let error = parse("[database]\nurl = \"mysql://u:s3cr3t@h/d\"").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("s3cr3t"));
        let config = parse("[database]\nurl = \"postgres://u:s3cr3t@h/d\"").unwrap();
        assert!(!format!("{config:?}").contains("s3cr3t"));
    }
}
