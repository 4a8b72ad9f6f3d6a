//! Servers made in memory.

use async_trait::async_trait;
use cbr_model::ResourceId;

use super::faults::Operation;
use super::inventory::show_server;
use super::provider::{FakeProvider, FakeServer, World};
use crate::error::{ProviderError, Result};
use crate::provider::ServerFactory;
use crate::resource::{NewServer, Server, ServerStatus};

#[async_trait]
impl ServerFactory for FakeProvider {
    async fn create_server(&self, server: &NewServer) -> Result<Server> {
        let mut world = self.attempt(Operation::CreateServer)?;
        if let Ok(existing) = world.server(server.id) {
            if existing.volumes != server.volumes {
                return Err(ProviderError::refused("it has other volumes", "use another id"));
            }
            return Ok(show_server(&world, server.id, existing));
        }
        if server.volumes.is_empty() {
            return Err(ProviderError::refused("a server without volumes", "name at least one"));
        }
        for volume in &server.volumes {
            refuse_if_taken(&world, *volume)?;
        }
        let made = FakeServer {
            name: server.name.clone(),
            volumes: server.volumes.clone(),
            status: ServerStatus::Stopped,
            can_power: true,
            is_made: true,
        };
        let shown = show_server(&world, server.id, &made);
        world.servers.insert(server.id, made);
        Ok(shown)
    }

    async fn delete_server(&self, server: ResourceId) -> Result<()> {
        let mut world = self.attempt(Operation::ChangeServer)?;
        match made_and_off(&mut world, server) {
            Ok(_) => drop(world.servers.remove(&server)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn attach(&self, server: ResourceId, volume: ResourceId) -> Result<()> {
        let mut world = self.attempt(Operation::ChangeServer)?;
        if made_and_off(&mut world, server)?.volumes.contains(&volume) {
            return Ok(());
        }
        refuse_if_taken(&world, volume)?;
        made_and_off(&mut world, server)?.volumes.push(volume);
        Ok(())
    }

    async fn detach(&self, server: ResourceId, volume: ResourceId) -> Result<()> {
        let mut world = self.attempt(Operation::ChangeServer)?;
        let server = made_and_off(&mut world, server)?;
        if server.volumes.first() == Some(&volume) {
            return Err(ProviderError::in_use(volume, "it is the system disk"));
        }
        server.volumes.retain(|other| *other != volume);
        Ok(())
    }
}

fn made_and_off(world: &mut World, id: ResourceId) -> Result<&mut FakeServer> {
    let server = world.servers.get_mut(&id);
    let server = server.ok_or_else(|| ProviderError::not_found("server", id))?;
    if !server.is_made {
        return Err(ProviderError::refused("it was not made here", "change it where it was"));
    }
    if server.status != ServerStatus::Stopped {
        return Err(ProviderError::refused("it is not off", "stop it first"));
    }
    Ok(server)
}

fn refuse_if_taken(world: &World, volume: ResourceId) -> Result<()> {
    let found = world.volume(volume)?;
    if world.servers.values().any(|server| server.volumes.contains(&volume)) {
        return Err(ProviderError::in_use(volume, "another server has it"));
    }
    if found.restore.is_some() {
        return Err(ProviderError::in_use(volume, "it holds an unfinished restore"));
    }
    Ok(())
}
