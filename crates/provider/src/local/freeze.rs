//! Taking disks while their server stands still.
//!
//! A server that was frozen is thawed, whatever comes: nobody waits for a lock meanwhile, who
//! asked for the snapshot may go away, and the end of the process starts the command. After a
//! crash the record of the snapshot leads to it (`source.rs`).

use std::time::Duration;

use super::catalogue::ServerEntry;
use super::command;
use super::config::ServerConfig;
use super::service::{Changing, LocalProvider};
use super::state::DiskRecord;
use super::take::Plan;
use crate::error::{ProviderError, Result};
use crate::snapshot::SnapshotName;

/// The longest a freeze is believed to hold. What freezes a guest may let it go on by itself
/// after a time, and does not say so.
const HELD_MAX: Duration = Duration::from_mins(1);

/// From here on the log says it loudly: guests notice.
const HELD_LONG: Duration = Duration::from_secs(5);

impl LocalProvider {
    /// Takes the disks of a plan, while `frozen` stands still if there is such a server.
    pub(crate) async fn take_whole(
        &self,
        plan: Plan,
        name: SnapshotName,
        frozen: Option<ServerEntry>,
        running: Option<String>,
    ) -> Result<Vec<DiskRecord>> {
        let Some(server) = frozen else {
            let alone = self.shared.changing_soon().await;
            return self.take_disks(plan, name, running, alone).await;
        };
        // Before freezing: what is under way may hold them for long.
        let freezing = self.shared.freezing(server.id).lock_owned().await;
        let alone = self.shared.changing_soon().await;
        let provider = Self { shared: self.shared.clone() };
        // From here on it goes to its end though the caller goes away: the next snapshot of the
        // server must not begin before this one has thawed it.
        let taking = tokio::spawn(async move {
            let taken = provider.take_frozen(plan, name, &server.config, running, alone).await;
            drop(freezing);
            taken
        });
        taking.await.unwrap_or_else(|error| {
            Err(ProviderError::unavailable("take a snapshot", error.to_string()))
        })
    }

    async fn take_frozen(
        &self,
        plan: Plan,
        name: SnapshotName,
        server: &ServerConfig,
        running: Option<String>,
        alone: Changing,
    ) -> Result<Vec<DiskRecord>> {
        let standing = Standing { server, is_over: false };
        let began = self.shared.clock.monotonic_micros();
        if let Err(error) = self.freeze(server).await {
            // It may have frozen a part; whoever undoes the snapshot thaws it.
            standing.over();
            return Err(error);
        }
        let frozen = self.shared.clock.monotonic_micros();
        let taken = self.take_disks(plan, name, running, alone).await;
        let held = self.since(frozen);
        // Also when taking failed: nothing may keep the server standing still.
        let thawed = self.thaw(server).await;
        standing.over();
        report(server, self.since(began));
        thawed?;
        check_held(server, held)?;
        taken
    }

    async fn take_disks(
        &self,
        plan: Plan,
        name: SnapshotName,
        running: Option<String>,
        alone: Changing,
    ) -> Result<Vec<DiskRecord>> {
        self.blocking("take a snapshot", move |shared| {
            shared.take(&plan, &name, running.as_deref(), &alone)
        })
        .await
    }

    fn since(&self, micros: u64) -> Duration {
        Duration::from_micros(self.shared.clock.monotonic_micros().saturating_sub(micros))
    }
}

/// A server that may be frozen. Thaws it if this is dropped before that is over.
struct Standing<'a> {
    server: &'a ServerConfig,
    is_over: bool,
}

impl Standing<'_> {
    fn over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        let Some(argv) = self.server.thaw.as_ref().filter(|_| !self.is_over) else { return };
        let error = command::start(argv).err();
        tracing::warn!(
            server.name = self.server.name,
            error = error.as_ref().map(|error| error as &dyn std::error::Error),
            "a snapshot was interrupted while the server was frozen; its thawing was started"
        );
    }
}

fn report(server: &ServerConfig, stood: Duration) {
    let micros = u64::try_from(stood.as_micros()).unwrap_or(u64::MAX);
    if stood >= HELD_LONG {
        tracing::warn!(server.name = server.name, micros, "the server was frozen for long");
    } else {
        tracing::info!(server.name = server.name, micros, "the server was frozen");
    }
}

/// Fails if the disks may not be of one instant because the freeze did not last.
fn check_held(server: &ServerConfig, held: Duration) -> Result<()> {
    if held <= HELD_MAX {
        return Ok(());
    }
    let why = format!(
        "copying its disks took {held:?} after `freeze`, longer than the {HELD_MAX:?} a freeze is \
         believed to hold; if this comes again, stop the server during the backup or copy the \
         images once, so that they lie in fewer pieces",
    );
    Err(ProviderError::unavailable(format!("take a snapshot of server {}", server.name), why))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use cbr_env::{Clock as _, SystemClock};

    use super::*;
    use crate::local::LocalConfig;
    use crate::local::catalogue::server_id;
    use crate::provider::BackupSource;
    use crate::snapshot::DiskSelection;

    fn config(dir: &Path) -> LocalConfig {
        let text = format!(
            "[[pools]]\nname = 'pool'\npath = '{0}/pool'\n\
             [[servers]]\nname = 'web'\nvolumes = ['a.raw']\nstatus = ['/bin/echo', 'running']\n\
             freeze = ['/bin/touch', '{0}/frozen']\nthaw = ['/bin/touch', '{0}/thawed']",
            dir.display()
        );
        toml::from_str(&text).unwrap()
    }

    #[tokio::test]
    async fn a_server_is_frozen_only_when_nothing_has_to_be_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("pool")).unwrap();
        std::fs::write(dir.path().join("pool/a.raw"), [7; 4096]).unwrap();
        let clock = Arc::new(SystemClock::default());
        let state = dir.path().join("state");
        let provider = LocalProvider::open(config(dir.path()), &state, clock.clone()).unwrap();
        let name: SnapshotName = "cbr-a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse().unwrap();
        let (frozen, thawed) = (dir.path().join("frozen"), dir.path().join("thawed"));

        // A restore into any volume is being prepared, which may take long.
        let alone = provider.shared.changing_soon().await;
        let opening = provider.open(server_id("web"), &DiskSelection::All, &name);
        tokio::pin!(opening);
        let copies = dir.path().join("pool/.cbr-snapshots").join(name.to_string());
        let ready = async {
            while !copies.exists() {
                clock.sleep(Duration::from_millis(5)).await;
            }
            // Freezing would be next, and would take no more than this.
            clock.sleep(Duration::from_millis(200)).await;
        };
        tokio::select! {
            opened = &mut opening => panic!("nobody let it go on: {opened:?}"),
            () = ready => assert!(!frozen.exists(), "the server waits for a lock"),
        }
        drop(alone);
        // Whether the file system of the test can make the copy does not matter.
        let _ = opening.await;
        assert!(frozen.exists() && thawed.exists());
    }

    #[test]
    fn a_freeze_that_lasted_too_long_is_not_believed() {
        let server: ServerConfig = toml::from_str("name = 'web'\nvolumes = ['a']").unwrap();
        assert!(check_held(&server, HELD_MAX).is_ok());
        let error = check_held(&server, HELD_MAX + Duration::from_micros(1)).unwrap_err();
        assert!(error.is_retryable() && error.to_string().contains("server web"), "{error}");
    }
}
