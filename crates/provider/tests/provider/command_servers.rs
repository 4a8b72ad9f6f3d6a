//! Servers that are run by the operator's commands.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cbr_env::{Clock as _, RandomExt, SystemClock, SystemRandom};
use cbr_model::ResourceId;
use cbr_provider::contract;
use cbr_provider::local::{MadeServersConfig, PoolConfig, ServerConfig};
use cbr_provider::{
    BackupSource, DiskSelection, Inventory, LocalConfig, LocalProvider, NewServer, Provider,
    RestoreTarget, ServerFactory, ServerStatus, SnapshotName,
};
use tempfile::TempDir;

use crate::support::{MIB, Mount, drop_raw, id, open, pool, server};

/// A pretended hypervisor: one script that notes what it was told.
struct Machine {
    dir: TempDir,
}

const SCRIPT: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
echo "$1" >> log
test -e "fail-$1" && { rm "fail-$1"; echo "told to fail" >&2; exit 1; }
test -e "starts-by-itself" && case "$1" in status) rm starts-by-itself; cat power; echo running > power; exit ;; esac
test -e "hang-$1" && { rm "hang-$1"; exec sleep 60; }
case "$1" in
start) echo running > power ;;
stop) (sleep 1; echo "shut off" > power) > /dev/null 2>&1 & ;;
status) cat power ;;
freeze) test -e frozen && echo overlap >> log; touch frozen; sleep 0.2 ;;
thaw) rm -f frozen ;;
esac
"#;

impl Machine {
    fn new(power: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("machine");
        std::fs::write(&script, SCRIPT).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::write(dir.path().join("power"), format!("{power}\n")).unwrap();
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn make(&self, order: &str) {
        std::fs::write(self.file(order), "").unwrap();
    }

    /// What was told since the last time, without the questions.
    fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
        let _ = std::fs::remove_file(self.file("log"));
        log.lines().filter(|line| *line != "status").map(str::to_owned).collect()
    }

    fn is_frozen(&self) -> bool {
        self.file("frozen").exists()
    }

    fn command(&self, verb: &str) -> Vec<String> {
        vec![self.file("machine").to_str().unwrap().to_owned(), verb.to_owned()]
    }

    fn config(&self, volumes: &[&str]) -> ServerConfig {
        ServerConfig {
            start: Some(self.command("start")),
            stop: Some(self.command("stop")),
            status: Some(self.command("status")),
            freeze: Some(self.command("freeze")),
            thaw: Some(self.command("thaw")),
            ..server("web", volumes)
        }
    }

    fn made(&self) -> MadeServersConfig {
        MadeServersConfig {
            start: Some(self.command("start")),
            stop: Some(self.command("stop")),
            status: Some(self.command("status")),
            freeze: Some(self.command("freeze")),
            thaw: Some(self.command("thaw")),
            ..MadeServersConfig::default()
        }
    }
}

fn two_disks(path: &Path, machine: &Machine) -> LocalConfig {
    drop_raw(path, "a.raw", 8 * MIB);
    drop_raw(path, "b.raw", 8 * MIB);
    LocalConfig { servers: vec![machine.config(&["a.raw", "b.raw"])], ..pool(path) }
}

/// What a crash leaves between freezing and thawing.
fn begun(state: &Path, name: &SnapshotName, server: ResourceId) {
    let record = format!(r#"{{"resource":"{server}","frozen":"{server}","disks":null}}"#);
    std::fs::write(state.join(format!("snapshots/{name}.json")), record).unwrap();
}

async fn status(provider: &LocalProvider) -> ServerStatus {
    provider.server(id(provider, "web").await).await.unwrap().status
}

#[tokio::test]
async fn a_server_with_commands_keeps_the_contract() {
    let Some(mount) = Mount::xfs("a server with commands") else { return };
    let (state, machine) = (tempfile::tempdir().unwrap(), Machine::new("shut off"));
    let provider = open(&two_disks(&mount.path, &machine), state.path());
    contract::server(&provider, id(&provider, "web").await).await;
    assert_eq!(machine.log(), ["start", "stop"], "a stopped server is not frozen");
}

/// A server that users made is remembered over restarts, and run, held and let go by the commands
/// for such servers, also after a crash.
#[tokio::test]
async fn a_made_server_is_run_by_the_commands_for_such() {
    let Some(mount) = Mount::xfs("a made server") else { return };
    let (state, machine) = (tempfile::tempdir().unwrap(), Machine::new("shut off"));
    let config = LocalConfig { made_servers: machine.made(), ..pool(&mount.path) };
    let provider = open(&config, state.path());
    contract::made_server(&provider).await;
    assert_eq!(machine.log(), ["start", "stop", "start", "stop"]);

    drop_raw(&mount.path, "a.raw", 8 * MIB);
    drop_raw(&mount.path, "b.raw", 8 * MIB);
    let volumes = vec![id(&provider, "a.raw").await, id(&provider, "b.raw").await];
    let server = ResourceId::from_uuid(SystemRandom::default().uuid());
    let wanted = NewServer { id: server, name: "wiki".into(), volumes };
    assert!(provider.create_server(&wanted).await.unwrap().can_power);
    drop(provider);

    let provider = open(&config, state.path());
    provider.power_on(server).await.unwrap();
    machine.log();
    let (name, crashed) = (contract::random_name(), contract::random_name());
    provider.open(server, &DiskSelection::All, &name).await.unwrap();
    assert_eq!(machine.log(), ["freeze", "thaw"]);
    provider.close(&name).await.unwrap();
    begun(state.path(), &crashed, server);
    provider.close(&crashed).await.unwrap();
    assert_eq!(machine.log(), ["thaw"]);
}

#[tokio::test]
async fn a_running_server_is_frozen_for_the_snapshot_and_always_thawed() {
    let Some(mount) = Mount::xfs("freezing") else { return };
    let (state, machine) = (tempfile::tempdir().unwrap(), Machine::new("running"));
    let provider = open(&two_disks(&mount.path, &machine), state.path());
    let web = id(&provider, "web").await;
    let name = contract::random_name();
    provider.open(web, &DiskSelection::All, &name).await.unwrap();
    provider.open(web, &DiskSelection::All, &name).await.unwrap();
    assert_eq!(machine.log(), ["freeze", "thaw"], "once, and in this order");
    provider.close(&name).await.unwrap();
    assert_eq!(machine.log(), [""; 0]);

    // A freeze that failed may have frozen a part.
    machine.make("fail-freeze");
    let error = provider.open(web, &DiskSelection::All, &name).await.unwrap_err();
    assert!(error.to_string().contains("told to fail"), "{error}");
    assert!(error.is_retryable());
    assert_eq!(machine.log(), ["freeze", "thaw"]);

    // Taking fails in the middle: the server must not stay frozen.
    std::fs::rename(mount.path.join("b.raw"), mount.path.join("gone")).unwrap();
    std::os::unix::fs::symlink("gone", mount.path.join("b.raw")).unwrap();
    assert!(provider.open(web, &DiskSelection::All, &name).await.is_err());
    assert!(!machine.is_frozen());
    assert!(provider.leftovers().await.unwrap().is_empty(), "nothing is left of a failure");
}

#[tokio::test]
async fn a_thaw_that_fails_is_repeated_and_a_lost_one_is_made_up_for_after_a_crash() {
    let Some(mount) = Mount::xfs("thawing after a crash") else { return };
    let (state, machine) = (tempfile::tempdir().unwrap(), Machine::new("running"));
    let config = two_disks(&mount.path, &machine);
    let provider = open(&config, state.path());
    let web = id(&provider, "web").await;
    let name = contract::random_name();
    machine.make("fail-thaw");
    provider.open(web, &DiskSelection::All, &name).await.unwrap();
    assert_eq!(machine.log(), ["freeze", "thaw", "thaw"]);
    provider.close(&name).await.unwrap();

    // The process died while the server was frozen: the record says so.
    begun(state.path(), &name, web);
    machine.make("frozen");
    drop(provider);
    let provider = open(&config, state.path());
    let left = provider.leftovers().await.unwrap();
    assert_eq!(left.len(), 1, "the orphan sweep finds it: {left:?}");
    provider.open(web, &DiskSelection::All, &name).await.unwrap();
    assert_eq!(machine.log(), ["thaw", "freeze", "thaw"]);
    assert!(!machine.is_frozen());
    provider.close(&name).await.unwrap();
    assert!(provider.leftovers().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_pool_that_cannot_be_read_keeps_no_server_frozen_and_no_copy_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let (path, state) = (dir.path().join("pool"), dir.path().join("state"));
    std::fs::create_dir(&path).unwrap();
    let machine = Machine::new("shut off");
    let config = two_disks(&path, &machine);
    let provider = open(&config, &state);
    let web = id(&provider, "web").await;
    let (begun_name, whole) = (contract::random_name(), contract::random_name());
    provider.open(web, &DiskSelection::All, &whole).await.unwrap();
    begun(&state, &begun_name, web);
    machine.make("frozen");
    let copies = path.join(".cbr-snapshots").join(begun_name.to_string());
    std::fs::create_dir_all(&copies).unwrap();
    std::fs::write(copies.join("copy.raw"), "x").unwrap();

    // A disk is not mounted today; its pool comes first.
    let mut degraded = config.clone();
    let lost =
        PoolConfig { name: "lost".into(), path: "/nonexistent".into(), ..config.pools[0].clone() };
    degraded.pools.insert(0, lost);
    let provider = open(&degraded, &state);
    assert_eq!(provider.leftovers().await.unwrap().len(), 2, "the sweep finds what it can");
    provider.close(&whole).await.unwrap();
    let error = provider.close(&begun_name).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("pool lost"), "{error}");
    assert_eq!(machine.log(), ["thaw"]);
    assert!(!machine.is_frozen());
    assert!(!copies.exists());

    // There may be a copy in the lost pool, so the record stays until that was looked at.
    let provider = open(&config, &state);
    assert_eq!(provider.leftovers().await.unwrap().len(), 1);
    provider.close(&begun_name).await.unwrap();
    assert!(provider.leftovers().await.unwrap().is_empty());
}

#[tokio::test]
async fn two_snapshots_of_a_server_do_not_end_each_others_freeze() {
    let Some(mount) = Mount::xfs("two at once") else { return };
    let (state, machine) = (tempfile::tempdir().unwrap(), Machine::new("running"));
    let provider = open(&two_disks(&mount.path, &machine), state.path());
    let web = id(&provider, "web").await;
    let (one, two) = (contract::random_name(), contract::random_name());
    let all = DiskSelection::All;
    let (first, second) =
        tokio::join!(provider.open(web, &all, &one), provider.open(web, &all, &two));
    first.unwrap();
    second.unwrap();
    assert_eq!(machine.log(), ["freeze", "thaw", "freeze", "thaw"]);
    provider.close(&one).await.unwrap();
    provider.close(&two).await.unwrap();
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..2000 {
        if what() {
            return;
        }
        SystemClock::default().sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come");
}

#[tokio::test]
async fn a_server_is_thawed_though_who_asked_for_the_snapshot_went_away() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("pool")).unwrap();
    let machine = Machine::new("running");
    let config = two_disks(&dir.path().join("pool"), &machine);
    let provider = open(&config, &dir.path().join("state"));
    let web = id(&provider, "web").await;
    let name = contract::random_name();
    let all = DiskSelection::All;
    tokio::select! {
        opened = provider.open(web, &all, &name) => panic!("too fast: {opened:?}"),
        () = until(|| machine.is_frozen()) => {}
    }
    until(|| !machine.is_frozen()).await;
    assert_eq!(machine.log(), ["freeze", "thaw"]);
    provider.close(&name).await.unwrap();
}

#[test]
fn a_server_is_thawed_though_the_service_ends_in_the_middle() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("pool")).unwrap();
    let machine = Machine::new("running");
    let config = two_disks(&dir.path().join("pool"), &machine);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    machine.make("hang-thaw");
    runtime.block_on(async {
        let provider = open(&config, &dir.path().join("state"));
        let web = id(&provider, "web").await;
        let (name, all) = (contract::random_name(), DiskSelection::All);
        tokio::select! {
            opened = provider.open(web, &all, &name) => panic!("it should hang: {opened:?}"),
            () = until(|| !machine.file("hang-thaw").exists()) => {}
        }
    });
    assert!(machine.is_frozen());
    runtime.shutdown_background();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(until(|| !machine.is_frozen()));
}

#[tokio::test]
async fn several_disks_of_a_running_server_without_freeze_are_refused() {
    let Some(mount) = Mount::xfs("no freeze") else { return };
    let (state, machine) = (tempfile::tempdir().unwrap(), Machine::new("running"));
    let mut config = two_disks(&mount.path, &machine);
    (config.servers[0].freeze, config.servers[0].thaw) = (None, None);
    let provider = open(&config, state.path());
    let web = id(&provider, "web").await;
    let name = contract::random_name();
    let error = provider.open(web, &DiskSelection::All, &name).await.unwrap_err();
    assert!(error.to_string().contains("configure `freeze` and `thaw`"), "{error}");
    // One disk is always of one instant.
    let one = DiskSelection::Only(vec![id(&provider, "a.raw").await]);
    provider.open(web, &one, &name).await.unwrap();
    provider.close(&name).await.unwrap();
}

#[tokio::test]
async fn a_running_server_without_snapshots_is_refused_with_advice() {
    let Some(mount) = Mount::ext4("no snapshots") else { return };
    let (state, machine) = (tempfile::tempdir().unwrap(), Machine::new("running"));
    let provider = open(&two_disks(&mount.path, &machine), state.path());
    let web = id(&provider, "web").await;
    let name = contract::random_name();
    let error = provider.open(web, &DiskSelection::All, &name).await.unwrap_err();
    assert!(error.to_string().contains("server web is running"), "{error}");
    assert!(error.to_string().contains("XFS or btrfs"), "{error}");
    assert!(!machine.is_frozen());
    provider.power_off(web).await.unwrap();
    provider.open(web, &DiskSelection::All, &name).await.unwrap();
    provider.confirm(&name).await.unwrap();
    provider.close(&name).await.unwrap();
}

#[tokio::test]
async fn a_server_whose_state_cannot_be_told_is_in_fault_and_left_alone() {
    // RST-03
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("pool")).unwrap();
    let machine = Machine::new("what?");
    let config = two_disks(&dir.path().join("pool"), &machine);
    let provider = open(&config, &dir.path().join("state"));
    let (web, disk) = (id(&provider, "web").await, id(&provider, "a.raw").await);
    assert!(matches!(status(&provider).await, ServerStatus::Fault { .. }));
    let name = contract::random_name();
    assert!(provider.open(web, &DiskSelection::All, &name).await.is_err());
    assert!(provider.prepare(disk, 1, &name).await.is_err());
    assert!(provider.power_off(web).await.is_err());
    assert_eq!(machine.log(), [""; 0], "nothing was done to it");

    // A volume that is not there is a fault as well.
    let config = LocalConfig { servers: vec![server("web", &["a.raw", "lost.raw"])], ..config };
    let provider = open(&config, &dir.path().join("state"));
    let ServerStatus::Fault { why } = status(&provider).await else { panic!("not a fault") };
    assert!(why.contains("lost.raw"), "{why}");
}

/// PRD-18: the disks of a server are of one instant. It was at rest when it was looked at, and ran while they
/// were taken: what was taken is given up, and asked for again.
#[tokio::test]
async fn a_server_that_starts_while_its_disks_are_taken_is_noticed() {
    let pools = tempfile::tempdir().unwrap();
    let (state, machine) = (tempfile::tempdir().unwrap(), Machine::new("shut off"));
    let provider = open(&two_disks(pools.path(), &machine), state.path());
    let web = id(&provider, "web").await;
    let name = contract::random_name();
    machine.make("starts-by-itself");
    let error = provider.open(web, &DiskSelection::All, &name).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("one instant"), "{error}");
    assert!(provider.leftovers().await.unwrap().is_empty(), "nothing is left of it");
}
