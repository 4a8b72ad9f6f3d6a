//! Temporary pools, mounts and devices.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cbr_env::SystemClock;
use cbr_model::ResourceId;
use cbr_provider::local::{BlockDeviceConfig, PoolConfig, PoolKind, ServerConfig};
use cbr_provider::{Inventory, LocalConfig, LocalProvider, PageRequest, VolumeFormat};
use tempfile::TempDir;

pub(crate) const MIB: u64 = 1 << 20;

/// A configuration with one pool.
pub(crate) fn pool(path: &Path) -> LocalConfig {
    let pool = PoolConfig {
        name: "pool".into(),
        path: path.to_owned(),
        mount_point: None,
        kind: PoolKind::Directory,
        availability_zone: "local".into(),
        default_format: VolumeFormat::Raw,
    };
    LocalConfig { pools: vec![pool], ..LocalConfig::default() }
}

/// A configuration with one block device, called `device`.
pub(crate) fn device(path: &Path) -> LocalConfig {
    let device = BlockDeviceConfig {
        name: "device".into(),
        path: path.to_owned(),
        availability_zone: "local".into(),
    };
    LocalConfig { block_devices: vec![device], ..LocalConfig::default() }
}

/// A server without commands.
pub(crate) fn server(name: &str, volumes: &[&str]) -> ServerConfig {
    ServerConfig {
        name: name.into(),
        volumes: volumes.iter().map(|volume| (*volume).to_owned()).collect(),
        start: None,
        stop: None,
        status: None,
        freeze: None,
        thaw: None,
        timeout_seconds: 20,
    }
}

/// A provider whose state lies in `state`.
pub(crate) fn open(config: &LocalConfig, state: &Path) -> LocalProvider {
    LocalProvider::open(config.clone(), state, Arc::new(SystemClock::default())).unwrap()
}

/// An empty raw volume, as an operator would drop it into the pool.
pub(crate) fn drop_raw(pool: &Path, name: &str, size_bytes: u64) {
    File::create_new(pool.join(name)).unwrap().set_len(size_bytes).unwrap();
}

/// The id of a volume or server by its name.
pub(crate) async fn id(provider: &LocalProvider, name: &str) -> ResourceId {
    let volumes = provider.volumes(PageRequest::ALL).await.unwrap().items;
    let servers = provider.servers(PageRequest::ALL).await.unwrap().items;
    let volumes = volumes.into_iter().map(|volume| (volume.name, volume.id));
    let mut all = volumes.chain(servers.into_iter().map(|server| (server.name, server.id)));
    all.find(|(found, _)| found == name).unwrap().1
}

/// Runs a command that must succeed and returns what it printed.
pub(crate) fn run(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Says so on the terminal itself: what a passing test prints is not shown.
pub(crate) fn skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// Whether a program can be run.
pub(crate) fn has(program: &str) -> bool {
    let version = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A loop device on top of a file, until dropped.
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
    _file: TempDir,
}

impl LoopDevice {
    /// `None`, said loudly, where that is not possible.
    pub(crate) fn new(size_bytes: u64, test: &str) -> Option<Self> {
        if !is_root() {
            skipped(test, "needs root");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("device.img");
        File::create_new(&file).unwrap().set_len(size_bytes).unwrap();
        let output = Command::new("losetup").args(["--find", "--show"]).arg(&file).output();
        match output {
            Ok(output) if output.status.success() => {
                let path = String::from_utf8(output.stdout).unwrap().trim().into();
                Some(Self { path, _file: dir })
            }
            other => {
                skipped(test, &format!("losetup failed: {other:?}"));
                None
            }
        }
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // Nothing is left to do if it fails; the machine of a test run is thrown away.
        let _ = Command::new("losetup").arg("--detach").arg(&self.path).status();
    }
}

/// A mounted file system, until dropped.
pub(crate) struct Mount {
    pub(crate) path: PathBuf,
    _dir: TempDir,
    _device: Option<LoopDevice>,
}

impl Mount {
    /// Makes and mounts a file system; `None`, said loudly, where that is not possible.
    pub(crate) fn new(mkfs: &[&str], test: &str) -> Option<Self> {
        if !has(mkfs[0]) {
            skipped(test, &format!("{} is not installed", mkfs[0]));
            return None;
        }
        let device = LoopDevice::new(512 * MIB, test)?;
        let device_path = device.path.to_str().unwrap();
        run(&[mkfs, &[device_path]].concat());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let mounted = Command::new("mount").arg(&device.path).arg(&path).output().unwrap();
        if !mounted.status.success() {
            let why = String::from_utf8_lossy(&mounted.stderr);
            skipped(test, &format!("mounting failed: {why}"));
            return None;
        }
        Some(Self { path, _dir: dir, _device: Some(device) })
    }

    /// A file system of 16 MiB that is soon full.
    pub(crate) fn small(test: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(&path)
            .output();
        if !mounted.is_ok_and(|mounted| mounted.status.success()) {
            skipped(test, "mounting a tmpfs failed");
            return None;
        }
        Some(Self { path, _dir: dir, _device: None })
    }

    pub(crate) fn xfs(test: &str) -> Option<Self> {
        Self::new(&["mkfs.xfs", "-q", "-m", "reflink=1"], test)
    }

    pub(crate) fn btrfs(test: &str) -> Option<Self> {
        Self::new(&["mkfs.btrfs", "-q"], test)
    }

    pub(crate) fn ext4(test: &str) -> Option<Self> {
        Self::new(&["mkfs.ext4", "-q"], test)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}
