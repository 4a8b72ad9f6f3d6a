//! What the operator tells the local provider.
//!
//! A section of the service's configuration file; `docs/providers/local.md`
//! explains every key. [`LocalConfig::validate`] finds what is wrong in itself;
//! whether a path exists is found when it is used.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cbr_model::ResourceId;
use serde::{Deserialize, Serialize};

use super::tags::TagConfig;
use crate::error::{ProviderError, Result};
use crate::resource::VolumeFormat;

/// The longest name of a pool, block device or server, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The longest an operator command may take.
const TIMEOUT_SECONDS_MAX: u64 = 24 * 3600;

/// Stands for the paths of a server's disks.
const DISKS: &str = "{disks}";

/// The section of the local provider.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocalConfig {
    /// Directories of images.
    pub pools: Vec<PoolConfig>,
    /// Block devices of this host, each a volume of its own.
    pub block_devices: Vec<BlockDeviceConfig>,
    /// Named groups of volumes.
    pub servers: Vec<ServerConfig>,
    /// What vaults that bind by themselves choose by.
    pub tags: Vec<TagConfig>,
    /// What is done with servers that users of the service made.
    pub made_servers: MadeServersConfig,
}

/// A pool: volumes can be made and deleted in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// Unique, also over all nodes: the ids of files found in the pool derive from it.
    pub name: String,
    /// Must exist. It is not made, because making it would hide a missing mount.
    pub path: PathBuf,
    /// Where the file system with the pool is mounted: `path` itself or a directory above it. While nothing is
    /// mounted there the pool cannot be read, and so is not taken for an empty one (RGN-07). `None`: any directory
    /// will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_point: Option<PathBuf>,
    /// What the pool is.
    #[serde(default)]
    pub kind: PoolKind,
    /// What the API shows as availability zone.
    #[serde(default = "local_zone")]
    pub availability_zone: String,
    /// The format of new volumes: `raw` or `qcow2`.
    #[serde(default = "raw_format")]
    pub default_format: VolumeFormat,
}

/// What a pool is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// A directory of raw and qcow2 images.
    #[default]
    Directory,
}

/// A block device that is one volume.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockDeviceConfig {
    /// Unique, also over all nodes: the id of the volume derives from it.
    pub name: String,
    /// For example `/dev/disk/by-id/…`; here links are followed.
    pub path: PathBuf,
    /// What the API shows as availability zone.
    #[serde(default = "local_zone")]
    pub availability_zone: String,
}

/// A server: a group of volumes, backed up at one instant.
///
/// Commands are lists of arguments, the first being the absolute path of a
/// programme. No shell reads them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Unique, also over all nodes: the id of the server derives from it.
    pub name: String,
    /// The volumes, the system disk first: ids, `pool/file`, names of block devices, or names of
    /// files that the operator put into a pool.
    pub volumes: Vec<String>,
    /// Starts the server.
    #[serde(default)]
    pub start: Option<Vec<String>>,
    /// Shuts the server down.
    #[serde(default)]
    pub stop: Option<Vec<String>>,
    /// Prints `running` or `stopped`, or what `virsh domstate` and `systemctl is-active` print.
    #[serde(default)]
    pub status: Option<Vec<String>>,
    /// Holds all writes of the server, for the moment of the snapshot.
    #[serde(default)]
    pub freeze: Option<Vec<String>>,
    /// Lets them go on. Must be harmless when nothing is held.
    #[serde(default)]
    pub thaw: Option<Vec<String>>,
    /// How long a command may take, and how long a stopping server may take to stop.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

/// The commands of servers that users of the service made; without them, their power state is a note.
///
/// In an argument, `{id}` stands for the server's id. In `start`, the argument `{disks}` stands for the
/// paths of its disks, the system disk first, each an argument of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MadeServersConfig {
    /// Starts the server.
    pub start: Option<Vec<String>>,
    /// Shuts the server down.
    pub stop: Option<Vec<String>>,
    /// As [`ServerConfig::status`]; `stopped` for a server it never heard of.
    pub status: Option<Vec<String>>,
    /// As [`ServerConfig::freeze`].
    pub freeze: Option<Vec<String>>,
    /// As [`ServerConfig::thaw`].
    pub thaw: Option<Vec<String>>,
    /// As [`ServerConfig::timeout_seconds`].
    pub timeout_seconds: u64,
}

impl Default for MadeServersConfig {
    fn default() -> Self {
        Self {
            start: None,
            stop: None,
            status: None,
            freeze: None,
            thaw: None,
            timeout_seconds: default_timeout(),
        }
    }
}

impl MadeServersConfig {
    /// The server `id` as if it had been configured. No name gets into a command: users choose it.
    pub(crate) fn server(
        &self,
        id: ResourceId,
        name: &str,
        volumes: &[ResourceId],
        disks: &[String],
    ) -> ServerConfig {
        let fill = |argv: &Option<Vec<String>>| {
            let argument = |argument: &String| match argument.as_str() {
                DISKS => disks.to_vec(),
                other => vec![other.replace("{id}", &id.to_string())],
            };
            argv.as_ref().map(|argv| argv.iter().flat_map(argument).collect())
        };
        ServerConfig {
            name: name.to_owned(),
            volumes: volumes.iter().map(ToString::to_string).collect(),
            start: fill(&self.start),
            stop: fill(&self.stop),
            status: fill(&self.status),
            freeze: fill(&self.freeze),
            thaw: fill(&self.thaw),
            timeout_seconds: self.timeout_seconds,
        }
    }

    fn check(&self) -> Result<()> {
        let key = |field: &str| format!("made_servers.{field}");
        let template = ServerConfig {
            start: self.start.clone(),
            stop: self.stop.clone(),
            status: self.status.clone(),
            freeze: self.freeze.clone(),
            thaw: self.thaw.clone(),
            timeout_seconds: self.timeout_seconds,
            name: String::new(),
            volumes: Vec::new(),
        };
        check_commands(&template, &key)?;
        for (field, command) in template.commands() {
            let has_disks = command.is_some_and(|argv| argv.iter().any(|it| it == DISKS));
            // A server stands still until it is thawed, also when its disks cannot be found.
            if has_disks && field != "start" {
                return wrong(key(field), format!("only `start` can have the argument `{DISKS}`"));
            }
        }
        Ok(())
    }
}

impl ServerConfig {
    /// How long a command may take.
    pub const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    fn commands(&self) -> [(&'static str, Option<&Vec<String>>); 5] {
        [
            ("start", self.start.as_ref()),
            ("stop", self.stop.as_ref()),
            ("status", self.status.as_ref()),
            ("freeze", self.freeze.as_ref()),
            ("thaw", self.thaw.as_ref()),
        ]
    }
}

impl LocalConfig {
    /// Finds what is wrong with the section itself.
    pub fn validate(&self) -> Result<()> {
        let mut names = HashSet::new();
        for (index, pool) in self.pools.iter().enumerate() {
            let key = |field| format!("pools[{index}].{field}");
            check_name(&pool.name, &mut names, key("name"))?;
            check_absolute(&pool.path, key("path"))?;
            if pool.mount_point.as_ref().is_some_and(|mount| !pool.path.starts_with(mount)) {
                return wrong(key("mount_point"), "must be `path` or a directory above it");
            }
            check_zone(&pool.availability_zone, key("availability_zone"))?;
            if pool.default_format == VolumeFormat::BlockDevice {
                return wrong(key("default_format"), "must be `raw` or `qcow2`");
            }
        }
        // Devices share the namespace of pools: `pool/name` must mean one thing.
        let mut devices = HashSet::new();
        for (index, device) in self.block_devices.iter().enumerate() {
            let key = |field| format!("block_devices[{index}].{field}");
            check_name(&device.name, &mut devices, key("name"))?;
            check_absolute(&device.path, key("path"))?;
            check_zone(&device.availability_zone, key("availability_zone"))?;
        }
        let mut servers = HashSet::new();
        for (index, server) in self.servers.iter().enumerate() {
            check_server(server, &mut servers, index)?;
        }
        self.check_tags()?;
        self.made_servers.check()
    }
}

fn check_server(server: &ServerConfig, names: &mut HashSet<String>, index: usize) -> Result<()> {
    let key = |field: &str| format!("servers[{index}].{field}");
    check_name(&server.name, names, key("name"))?;
    // RES-03: a server has at least one disk.
    if server.volumes.is_empty() {
        return wrong(key("volumes"), "a server needs at least one volume");
    }
    let mut volumes = HashSet::new();
    if let Some(twice) = server.volumes.iter().find(|volume| !volumes.insert(*volume)) {
        return wrong(key("volumes"), format!("`{twice}` is named twice"));
    }
    check_commands(server, &key)
}

fn check_commands(server: &ServerConfig, key: &dyn Fn(&str) -> String) -> Result<()> {
    for (field, command) in server.commands() {
        let Some(command) = command else { continue };
        match command.first() {
            None => return wrong(key(field), "must not be empty"),
            Some(program) if !program.starts_with('/') => {
                return wrong(key(field), "must begin with the absolute path of a programme");
            }
            Some(_) if command.iter().any(|argument| argument.contains('\0')) => {
                return wrong(key(field), "must not contain a NUL character");
            }
            Some(_) => {}
        }
    }
    for (one, other) in [("start", "stop"), ("freeze", "thaw")] {
        let given = |name| server.commands().iter().any(|(n, c)| *n == name && c.is_some());
        if given(one) != given(other) {
            return wrong(key(one), format!("`{one}` and `{other}` must be given together"));
        }
    }
    if !(1..=TIMEOUT_SECONDS_MAX).contains(&server.timeout_seconds) {
        return wrong(key("timeout_seconds"), format!("must be 1 to {TIMEOUT_SECONDS_MAX}"));
    }
    Ok(())
}

fn check_name(name: &str, taken: &mut HashSet<String>, key: String) -> Result<()> {
    let length = name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length) {
        return wrong(key, format!("must have 1 to {NAME_CHARS_MAX} characters"));
    }
    if name.contains('/') || name.chars().any(char::is_control) {
        return wrong(key, "must not contain `/` or control characters");
    }
    if !taken.insert(name.to_owned()) {
        return wrong(key, format!("`{name}` is used twice"));
    }
    Ok(())
}

fn check_absolute(path: &Path, key: String) -> Result<()> {
    if path.is_absolute() { Ok(()) } else { wrong(key, "must be an absolute path") }
}

fn check_zone(zone: &str, key: String) -> Result<()> {
    if zone.is_empty() { wrong(key, "must not be empty") } else { Ok(()) }
}

fn wrong(key: String, why: impl Into<String>) -> Result<()> {
    Err(ProviderError::Configuration { key, why: why.into() })
}

fn local_zone() -> String {
    "local".to_owned()
}

const fn raw_format() -> VolumeFormat {
    VolumeFormat::Raw
}

const fn default_timeout() -> u64 {
    120
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<LocalConfig, String> {
        let config: LocalConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn an_empty_section_and_the_shortest_pool_are_enough() {
        assert_eq!(parse("").unwrap(), LocalConfig::default());
        let config = parse("[[pools]]\nname = 'images'\npath = '/srv/images'").unwrap();
        assert_eq!(config.pools[0].availability_zone, "local");
        assert_eq!(config.pools[0].default_format, VolumeFormat::Raw);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        let server = |rest: &str| format!("[[servers]]\nname = 'web'\n{rest}");
        let pool = "[[pools]]\nname = 'a'\npath = '/a'\n";
        let cases = [
            (format!("{pool}{pool}"), "pools[1].name"),
            ("[[pools]]\nname = 'a/b'\npath = '/a'".into(), "pools[0].name"),
            ("[[pools]]\nname = 'a'\npath = 'a'".into(), "pools[0].path"),
            (format!("{pool}default_format = 'block_device'"), "pools[0].default_format"),
            (format!("{pool}default_format = 'vmdk'"), "default_format"),
            (format!("{pool}mount_point = '/b'"), "pools[0].mount_point"),
            (format!("{pool}mount_point = 'a'"), "pools[0].mount_point"),
            (format!("{pool}typo = 1"), "typo"),
            ("[[block_devices]]\nname = 'd'\npath = 'sda'".into(), "block_devices[0].path"),
            (server("volumes = []"), "servers[0].volumes"),
            (server("volumes = ['x', 'x']"), "servers[0].volumes"),
            (server("volumes = ['x']\nstatus = []"), "servers[0].status"),
            (server("volumes = ['x']\nstatus = ['virsh']"), "servers[0].status"),
            (server("volumes = ['x']\nfreeze = ['/bin/true']"), "servers[0].freeze"),
            (server("volumes = ['x']\nstop = ['/bin/true']"), "servers[0].start"),
            (server("volumes = ['x']\ntimeout_seconds = 0"), "servers[0].timeout_seconds"),
        ];
        for (text, key) in cases {
            let error = parse(&text).expect_err(&text);
            assert!(error.contains(key), "{text}\n{error}");
        }
    }

    #[test]
    fn the_example_in_the_documentation_is_valid() {
        let page = include_str!("../../../../docs/providers/local.md");
        let example = page.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
        // The page shows the keys where they stand in the whole file.
        let example = example.unwrap().replace("[[local.", "[[").replace("[local.", "[");
        let config = parse(&example).unwrap();
        assert!(!config.pools.is_empty());
        assert!(!config.block_devices.is_empty());
        assert!(!config.servers.is_empty());
    }
}
