//! Servers: their power state, and holding their writes.
//!
//! With commands the operator's word counts; without them the power state is a note
//! of ours, and the real protection is that open disks are noticed (`in_use.rs`).

use std::time::Duration;

use cbr_model::ResourceId;

use super::catalogue::ServerEntry;
use super::command::{self, Outcome};
use super::config::ServerConfig;
use super::service::LocalProvider;
use super::state::Power;
use crate::error::{ProviderError, Result};
use crate::resource::ServerStatus;

/// How often a server that is stopping is asked whether it has stopped.
const POLL: Duration = Duration::from_millis(500);

/// How often letting writes go on is tried before it is reported.
const THAW_ATTEMPTS: u32 = 3;

impl LocalProvider {
    /// The power state of a server. Only a command that cannot be run is an error.
    pub(crate) async fn power_state(&self, server: &ServerEntry) -> Result<ServerStatus> {
        if let Some(why) = &server.problem {
            return Ok(ServerStatus::Fault { why: why.clone() });
        }
        let Some(argv) = &server.config.status else {
            let id = server.id;
            return self
                .blocking("read a power state", move |shared| {
                    Ok(match shared.state.power(id)? {
                        Power::Running => ServerStatus::Running,
                        Power::Stopped => ServerStatus::Stopped,
                    })
                })
                .await;
        };
        let outcome = self.run("ask for the state", &server.config, argv).await?;
        Ok(parse_status(&outcome.stdout)
            .unwrap_or_else(|| ServerStatus::Fault { why: outcome.describe() }))
    }

    /// Brings a server to `wanted` and waits until it is there.
    pub(crate) async fn set_power(&self, server: &ServerEntry, wanted: Power) -> Result<()> {
        let is_there = |status: &ServerStatus| {
            matches!(
                (status, wanted),
                (ServerStatus::Running, Power::Running) | (ServerStatus::Stopped, Power::Stopped)
            )
        };
        let status = self.power_state(server).await?;
        if is_there(&status) {
            return Ok(());
        }
        if let ServerStatus::Fault { why } = status {
            return Err(ProviderError::refused(
                format!("server {} is in fault: {why}", server.config.name),
                "repair the server first",
            ));
        }
        let (verb, argv) = match wanted {
            Power::Running => ("start", &server.config.start),
            Power::Stopped => ("stop", &server.config.stop),
        };
        if let Some(argv) = argv {
            self.succeed(verb, &server.config, argv).await?;
        }
        if server.config.status.is_none() {
            let id = server.id;
            return self
                .blocking("note a power state", move |shared| shared.state.set_power(id, wanted))
                .await;
        }
        let started = self.shared.clock.monotonic_micros();
        let limit = u64::try_from(server.config.timeout().as_micros()).unwrap_or(u64::MAX);
        loop {
            if is_there(&self.power_state(server).await?) {
                return Ok(());
            }
            if self.shared.clock.monotonic_micros().saturating_sub(started) >= limit {
                let doing = format!("{verb} server {}", server.config.name);
                let why = format!("not done within {:?}", server.config.timeout());
                return Err(ProviderError::unavailable(doing, why));
            }
            self.shared.clock.sleep(POLL).await;
        }
    }

    /// Holds the writes of a server.
    pub(crate) async fn freeze(&self, server: &ServerConfig) -> Result<()> {
        match &server.freeze {
            Some(argv) => self.succeed("freeze", server, argv).await,
            None => Ok(()),
        }
    }

    /// Lets the writes of a server go on. Harmless when nothing is held.
    ///
    /// Needs nothing but the configuration: a server stands still until this was done, whatever
    /// else cannot be reached.
    pub(crate) async fn thaw(&self, server: &ServerConfig) -> Result<()> {
        let Some(argv) = &server.thaw else { return Ok(()) };
        let mut attempt = 1;
        loop {
            match self.succeed("thaw", server, argv).await {
                Err(error) if attempt < THAW_ATTEMPTS => {
                    tracing::warn!(
                        server.name = server.name,
                        attempt,
                        error = &error as &dyn std::error::Error,
                        "thawing failed, trying again"
                    );
                    attempt += 1;
                    self.shared.clock.sleep(POLL).await;
                }
                result => return result,
            }
        }
    }

    /// The server of this id, looked up anew.
    pub(crate) async fn server_entry(&self, id: ResourceId) -> Result<ServerEntry> {
        self.blocking("find a server", move |shared| Ok(shared.catalogue()?.server(id)?.clone()))
            .await
    }

    async fn succeed(&self, verb: &str, server: &ServerConfig, argv: &[String]) -> Result<()> {
        let outcome = self.run(verb, server, argv).await?;
        if outcome.succeeded {
            return Ok(());
        }
        let doing = format!("{verb} server {}", server.name);
        Err(ProviderError::unavailable(doing, outcome.describe()))
    }

    async fn run(&self, verb: &str, server: &ServerConfig, argv: &[String]) -> Result<Outcome> {
        let doing = format!("{verb} server {}", server.name);
        command::run(&doing, argv, server.timeout(), &*self.shared.clock).await
    }
}

/// Understands our own words, and those of `virsh domstate` and `systemctl is-active`.
fn parse_status(output: &str) -> Option<ServerStatus> {
    match output.trim().to_ascii_lowercase().as_str() {
        // A paused server keeps its disks open and goes on writing later.
        "running" | "on" | "active" | "activating" | "deactivating" | "idle" | "blocked"
        | "paused" | "in shutdown" | "pmsuspended" => Some(ServerStatus::Running),
        "stopped" | "off" | "inactive" | "failed" | "shut off" | "shutoff" | "crashed" => {
            Some(ServerStatus::Stopped)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_not_understood_is_neither_on_nor_off() {
        assert_eq!(parse_status("Running\n"), Some(ServerStatus::Running));
        assert_eq!(parse_status("shut off\n\n"), Some(ServerStatus::Stopped));
        assert_eq!(parse_status("paused"), Some(ServerStatus::Running));
        assert_eq!(parse_status(""), None);
        assert_eq!(parse_status("not running"), None);
    }
}
