//! Servers that users of the service made of their volumes.
//!
//! One is a record in the state directory: a name and a list of volumes. What starts and stops it are
//! the commands of `[local.made_servers]`, with its id and its disks put in.

use async_trait::async_trait;
use cbr_model::ResourceId;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, ServerEntry};
use super::config::{MadeServersConfig, ServerConfig};
use super::place::Place;
use super::service::{LocalProvider, Shared};
use crate::error::{ProviderError, Result};
use crate::provider::{Inventory, ServerFactory};
use crate::resource::{NewServer, Server, ServerStatus};

/// A server that was made here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct MadeServer {
    name: String,
    /// The system disk first.
    volumes: Vec<ResourceId>,
}

impl MadeServer {
    fn entry(
        &self,
        id: ResourceId,
        config: &MadeServersConfig,
        catalogue: &Catalogue,
    ) -> ServerEntry {
        let mut disks = Vec::new();
        let mut problem = None;
        for volume in &self.volumes {
            match catalogue.volume(*volume) {
                Ok(entry) => disks.push(path_of(&entry.place)),
                Err(error) if error.is_not_found() => {
                    problem = Some(format!("its volume {volume} is not there"));
                }
                Err(error) => problem = Some(error.to_string()),
            }
        }
        let volumes = self.volumes.clone();
        let config = config.server(id, &self.name, &volumes, &disks);
        ServerEntry { id, config, volumes, problem, is_made: true }
    }
}

fn path_of(place: &Place) -> String {
    match place {
        Place::File { directory, file, .. } => directory.join(file).display().to_string(),
        Place::Device { path } => path.display().to_string(),
    }
}

#[async_trait]
impl ServerFactory for LocalProvider {
    async fn create_server(&self, server: &NewServer) -> Result<Server> {
        let (id, wanted) = (server.id, server.clone());
        self.blocking("create a server", move |shared| shared.create_server(&wanted)).await?;
        self.server(id).await
    }

    async fn delete_server(&self, server: ResourceId) -> Result<()> {
        match self.refuse_to_change(server).await {
            Err(error) if error.is_not_found() => {
                // One whose record cannot be read is not gone.
                return self.made_config(server).await.map(drop);
            }
            other => other?,
        }
        self.blocking("delete a server", move |shared| {
            let _alone = shared.changing();
            // In this order: a server of another's power state is worse than a state of no server.
            shared.state.forget_power(server)?;
            shared.state.servers.remove(&server.to_string())
        })
        .await
    }

    async fn attach(&self, server: ResourceId, volume: ResourceId) -> Result<()> {
        self.refuse_to_change(server).await?;
        self.blocking("attach a volume", move |shared| {
            let _alone = shared.changing();
            let mut made = shared.made(server)?;
            if made.volumes.contains(&volume) {
                return Ok(());
            }
            shared.refuse_if_taken(&shared.catalogue()?, volume)?;
            made.volumes.push(volume);
            shared.state.servers.put(&server.to_string(), &made)
        })
        .await
    }

    async fn detach(&self, server: ResourceId, volume: ResourceId) -> Result<()> {
        self.refuse_to_change(server).await?;
        self.blocking("detach a volume", move |shared| {
            let _alone = shared.changing();
            let mut made = shared.made(server)?;
            if made.volumes.first() == Some(&volume) {
                let why = "it is the system disk; delete the server instead";
                return Err(ProviderError::in_use(volume, why));
            }
            made.volumes.retain(|other| *other != volume);
            shared.state.servers.put(&server.to_string(), &made)
        })
        .await
    }
}

impl LocalProvider {
    /// Only what was made here and is off. A server whose volume is gone can be mended or deleted.
    async fn refuse_to_change(&self, server: ResourceId) -> Result<()> {
        let entry = self.server_entry(server).await?;
        let name = entry.config.name.clone();
        if !entry.is_made {
            let why = format!("server {name} is one of the configuration");
            return Err(ProviderError::refused(why, "change it there"));
        }
        match self.power_state(&ServerEntry { problem: None, ..entry }).await? {
            ServerStatus::Stopped => Ok(()),
            ServerStatus::Running => {
                let why = format!("server {name} is running");
                Err(ProviderError::refused(why, "stop it first"))
            }
            ServerStatus::Fault { why } => {
                let why = format!("whether server {name} is off cannot be told: {why}");
                Err(ProviderError::refused(why, "correct `status` in [local.made_servers]"))
            }
        }
    }

    /// What a server that was made here is, without looking at any volume: enough to thaw it.
    pub(crate) async fn made_config(&self, server: ResourceId) -> Result<Option<ServerConfig>> {
        self.blocking("find a server", move |shared| {
            let made = shared.state.servers.get(&server.to_string())?;
            let commands = &shared.config.made_servers;
            Ok(made.map(|made| commands.server(server, &made.name, &made.volumes, &[])))
        })
        .await
    }
}

impl Shared {
    pub(crate) fn add_made_servers(&self, catalogue: &mut Catalogue) -> Result<()> {
        let mut servers = Vec::new();
        for name in self.state.servers.names()? {
            let Ok(id) = name.parse() else { continue };
            let made = match self.state.servers.get(&name) {
                Ok(Some(made)) => made,
                // Deleted since the directory was read.
                Ok(None) => continue,
                // A server that is there must not look deleted because the machine cannot read now.
                Err(error) if error.is_retryable() => return Err(error),
                // One damaged record must not take all others away.
                Err(error) => {
                    tracing::error!(
                        server.id = name,
                        error = &error as &dyn std::error::Error,
                        "the record of a server cannot be read: the server is left out"
                    );
                    catalogue.unread.push(name);
                    continue;
                }
            };
            servers.push(made.entry(id, &self.config.made_servers, catalogue));
        }
        catalogue.servers.extend(servers);
        Ok(())
    }

    fn made(&self, server: ResourceId) -> Result<MadeServer> {
        let made = self.state.servers.get(&server.to_string())?;
        made.ok_or_else(|| ProviderError::not_found("server", server))
    }

    fn create_server(&self, server: &NewServer) -> Result<()> {
        let _alone = self.changing();
        let wanted = MadeServer { name: server.name.clone(), volumes: server.volumes.clone() };
        if let Some(existing) = self.state.servers.get(&server.id.to_string())? {
            if existing == wanted {
                return Ok(());
            }
            let why = format!("server {} exists and is another", server.id);
            return Err(ProviderError::refused(why, "use another id"));
        }
        // RES-03: a server has at least one disk.
        if wanted.volumes.is_empty() {
            return Err(ProviderError::refused("a server needs a volume", "name at least one"));
        }
        let catalogue = self.catalogue()?;
        for (index, volume) in wanted.volumes.iter().enumerate() {
            self.refuse_if_taken(&catalogue, *volume)?;
            if wanted.volumes[..index].contains(volume) {
                let why = format!("volume {volume} is named twice");
                return Err(ProviderError::refused(why, "name it once"));
            }
        }
        self.state.servers.put(&server.id.to_string(), &wanted)
    }

    /// A server gets only a volume that is nobody's and sound (P1).
    fn refuse_if_taken(&self, catalogue: &Catalogue, volume: ResourceId) -> Result<()> {
        catalogue.volume(volume)?;
        catalogue.refuse_unknown_owner(volume)?;
        if let Some(attachment) = catalogue.attachments(volume).first() {
            let why = format!("attached to server {}; detach it first", attachment.server);
            return Err(ProviderError::in_use(volume, why));
        }
        if self.state.restore(volume)?.is_some() {
            let why = "it holds an unfinished restore; restore it again first";
            return Err(ProviderError::in_use(volume, why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::local::LocalConfig;

    /// P26, P28: what users choose – a name – is in no command.
    #[test]
    fn a_command_gets_the_id_and_the_disks() {
        let text = r#"
            start = ["/usr/local/bin/vm", "start", "vm-{id}", "{disks}"]
            stop = ["/usr/local/bin/vm", "stop", "vm-{id}"]
        "#;
        let commands: MadeServersConfig = toml::from_str(text).unwrap();
        let id = ResourceId::from_uuid(Uuid::from_u128(7));
        let disks = ["/srv/a.raw".to_owned(), "/srv/b b.raw".to_owned()];
        let server = commands.server(id, "--help", &[id], &disks);
        let vm = "vm-00000000-0000-0000-0000-000000000007";
        let start = ["/usr/local/bin/vm", "start", vm, "/srv/a.raw", "/srv/b b.raw"];
        assert_eq!(server.start.unwrap(), start);
        assert_eq!(server.stop.unwrap(), ["/usr/local/bin/vm", "stop", vm]);
        assert_eq!(server.status, None);
    }

    #[test]
    fn what_is_wrong_with_the_commands_is_said() {
        for (text, part) in [
            ("start = ['/bin/true']", "must be given together"),
            ("start = ['vm']\nstop = ['/bin/true']", "absolute path"),
            ("start = ['/bin/true']\nstop = ['/bin/true', '{disks}']", "only `start`"),
            ("timeout_seconds = 0", "must be 1 to"),
        ] {
            let config: LocalConfig = toml::from_str(&format!("[made_servers]\n{text}")).unwrap();
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("made_servers."), "{text}: {error}");
        }
    }
}
