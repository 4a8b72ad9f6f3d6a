//! Tags that the operator gives to volumes and servers (RES-31): vaults that bind by themselves choose
//! what they bind by them.

use std::collections::BTreeMap;

use cbr_model::tag::{Tag, check_tag};
use serde::{Deserialize, Serialize};

use super::catalogue::Entry;
use super::config::LocalConfig;
use crate::error::{ProviderError, Result};

/// A tag, and what has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagConfig {
    /// As of a vault's tag (TAG-02).
    pub key: String,
    /// As of a vault's tag (TAG-03).
    #[serde(default)]
    pub value: String,
    /// Servers by their names, volumes as in [`ServerConfig::volumes`](super::ServerConfig::volumes), and
    /// all volumes of a pool by its name.
    pub resources: Vec<String>,
}

/// Tags by their keys.
pub(crate) type Tags = BTreeMap<String, String>;

impl LocalConfig {
    /// The tags of a volume.
    pub(crate) fn tags_of_volume(&self, entry: &Entry) -> Tags {
        let id = entry.id.to_string();
        // A name that a user of the service chose decides nothing.
        let is_named = |wanted: &str| !entry.is_ours && wanted == entry.name;
        self.tags_of(|wanted| {
            wanted == entry.pool || wanted == id || entry.is_at(wanted) || is_named(wanted)
        })
    }

    /// The tags of a server that is in the configuration.
    pub(crate) fn tags_of_server(&self, name: &str) -> Tags {
        self.tags_of(|wanted| wanted == name)
    }

    fn tags_of(&self, is_meant: impl Fn(&str) -> bool) -> Tags {
        let has = |tag: &&TagConfig| tag.resources.iter().any(|wanted| is_meant(wanted));
        // What stands further down wins: a pool's tag first, then that of one of its volumes.
        self.tags.iter().filter(has).map(|tag| (tag.key.clone(), tag.value.clone())).collect()
    }

    /// Finds what is wrong with the tags themselves.
    pub(super) fn check_tags(&self) -> Result<()> {
        for (index, tag) in self.tags.iter().enumerate() {
            let wrong = |field: &str, why: String| {
                Err(ProviderError::Configuration { key: format!("tags[{index}].{field}"), why })
            };
            let pair = Tag { key: tag.key.clone(), value: tag.value.clone() };
            if let Err(error) = check_tag(&pair) {
                return wrong("key", error.to_string());
            }
            if tag.resources.is_empty() {
                return wrong("resources", "must name what has the tag".to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str, resources: &[&str]) -> TagConfig {
        let resources = resources.iter().map(|name| (*name).to_owned()).collect();
        TagConfig { key: key.into(), value: value.into(), resources }
    }

    /// RES-31: the tag that stands last wins, and only what is named has one.
    #[test]
    fn a_server_has_the_tags_that_name_it() {
        let tags = vec![
            tag("env", "lab", &["web", "db"]),
            tag("env", "prod", &["db"]),
            tag("tier", "", &["other"]),
        ];
        let config = LocalConfig { tags, ..LocalConfig::default() };
        config.check_tags().unwrap();
        let of = |name| config.tags_of_server(name).into_iter().collect::<Vec<_>>();
        assert_eq!(of("web"), [("env".to_owned(), "lab".to_owned())]);
        assert_eq!(of("db"), [("env".to_owned(), "prod".to_owned())]);
        assert!(of("nobody").is_empty());
    }

    #[test]
    fn a_tag_that_cannot_be_is_refused_by_its_key() {
        for (bad, key) in [
            (tag("a b", "", &["web"]), "tags[0].key"),
            (tag("env", "a/b", &["web"]), "tags[0].key"),
            (tag("env", "", &[]), "tags[0].resources"),
        ] {
            let config = LocalConfig { tags: vec![bad], ..LocalConfig::default() };
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
