//! `[[buckets]]`: where others put raw images of disks, to be taken in as backups.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use cbr_model::ProjectId;
use cbr_provider::DirectoryBucket;
use cbr_service::imports::{Buckets, ConfiguredBucket};
use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_absolute};

/// The most buckets.
const BUCKETS_MAX: usize = 100;
/// The longest name of one.
const NAME_CHARS_MAX: usize = 63;

/// A bucket, and who may read it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BucketConfig {
    /// What requests call it.
    pub(crate) name: String,
    /// A directory of this host.
    path: PathBuf,
    /// Ids of the projects that may read all of it.
    projects: Vec<String>,
}

impl BucketConfig {
    /// Where it is, for messages of the operator.
    pub(crate) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// What the service is told.
    pub(crate) fn open(&self) -> Result<ConfiguredBucket, ConfigError> {
        Ok(ConfiguredBucket {
            name: self.name.clone(),
            bucket: Arc::new(DirectoryBucket::new(&self.path)),
            projects: self.projects()?,
        })
    }

    fn projects(&self) -> Result<Vec<ProjectId>, ConfigError> {
        let invalid = |why: String| ConfigError::invalid(&key(&self.name, "projects"), why);
        if self.projects.is_empty() {
            return Err(invalid("name at least one project, by its id".to_owned()));
        }
        let parse = |id: &String| id.parse().map_err(|error| invalid(format!("`{id}`: {error}")));
        self.projects.iter().map(parse).collect()
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let length = self.name.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&length) || !self.name.chars().all(is_plain) {
            let why = "1 to 63 letters, digits, dots, underscores and hyphens";
            return Err(ConfigError::invalid("buckets.name", why));
        }
        check_absolute(&key(&self.name, "path"), Some(&self.path))?;
        self.projects().map(drop)
    }
}

fn key(name: &str, key: &str) -> String {
    format!("buckets.{name}.{key}")
}

/// Checks them all.
pub(super) fn validate(buckets: &[BucketConfig]) -> Result<(), ConfigError> {
    if buckets.len() > BUCKETS_MAX {
        return Err(ConfigError::invalid("buckets", format!("at most {BUCKETS_MAX}")));
    }
    let mut names = BTreeSet::new();
    for bucket in buckets {
        bucket.validate()?;
        if !names.insert(&bucket.name) {
            let why = format!("there are two buckets called `{}`", bucket.name);
            return Err(ConfigError::invalid("buckets.name", why));
        }
    }
    Ok(())
}

/// What the service is told about all of them.
pub(crate) fn open(buckets: &[BucketConfig]) -> Result<Buckets, ConfigError> {
    let opened: Result<Vec<_>, _> = buckets.iter().map(BucketConfig::open).collect();
    Ok(Buckets::new(opened?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "0605767b5780d5762fc5c0118072a564";

    fn parse(text: &str) -> Result<Vec<BucketConfig>, ConfigError> {
        #[derive(Deserialize)]
        struct File {
            buckets: Vec<BucketConfig>,
        }
        let file: File = toml::from_str(text).unwrap();
        validate(&file.buckets)?;
        open(&file.buckets)?;
        Ok(file.buckets)
    }

    fn bucket(name: &str, path: &str, projects: &str) -> String {
        format!("[[buckets]]\nname = \"{name}\"\npath = \"{path}\"\nprojects = [{projects}]\n")
    }

    #[test]
    fn what_is_wrong_is_named() {
        let own = format!("\"{PROJECT}\"");
        parse(&bucket("a-1", "/a", &own)).unwrap();
        for (text, expected) in [
            (bucket("", "/a", &own), "buckets.name"),
            (bucket("a/b", "/a", &own), "buckets.name"),
            (bucket("a", "a", &own), "buckets.a.path"),
            (bucket("a", "/a", ""), "buckets.a.projects"),
            (bucket("a", "/a", "\"local-1\""), "buckets.a.projects"),
            (bucket("a", "/a", &own).repeat(2), "two buckets"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
