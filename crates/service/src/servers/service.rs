//! Servers as their own service (ECS, contract F.4) shows them, and what is done to them.

use std::sync::Arc;

use cbr_db::NewTask;
use cbr_model::query::{Listing, Page};
use cbr_model::size::{Bytes, Gib};
use cbr_model::{ResourceId, TaskId};

use super::error::ServerError;
use super::views::{PowerAction, ServerFilter, ServerView, ServerVolume, view};
use crate::audit::{Change, Subject};
use crate::core::Core;
use crate::error::db;
use crate::paging::cut;
use crate::tasks::limit::check_room_for;
use crate::tasks::power;
use crate::{Access, Error, Result, jobs};

/// The most servers that are started or stopped at once.
const SERVERS_MAX: usize = 100;

/// Use cases of servers.
#[derive(Debug)]
pub struct Servers {
    pub(super) core: Arc<Core>,
}

impl Servers {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Lists servers in order of their ids.
    pub async fn list(
        &self,
        access: &Access,
        filter: &ServerFilter,
        page: Page,
    ) -> Result<Listing<ServerView>> {
        let servers = self.core.resources.servers(access.project()).await?;
        let mut views: Vec<ServerView> = servers.iter().map(view).collect();
        views.retain(|server| matches(server, filter));
        views.sort_by_key(|server| server.id);
        Ok(cut(views, page, |server| server.id.as_uuid()))
    }

    /// One server.
    pub async fn show(&self, access: &Access, id: ResourceId) -> Result<ServerView> {
        let server = self.core.resources.server(access.project(), id).await?;
        server.as_ref().map(view).ok_or(Error::ServerNotFound(id))
    }

    /// The disks of a server, with their sizes; one that is gone has none.
    pub async fn disks(&self, access: &Access, id: ResourceId) -> Result<Vec<(ServerVolume, Gib)>> {
        let server = self.core.resources.server(access.project(), id).await?;
        let server = server.ok_or(Error::ServerNotFound(id))?;
        let disks = self.core.resources.disks(&server).await?;
        let size = |id| {
            let disk = disks.iter().find(|disk| disk.id == id);
            disk.map_or(Gib(0), |disk| Bytes(disk.size_bytes).gib_rounded_up())
        };
        let volumes = view(&server).volumes.into_iter();
        Ok(volumes
            .map(|volume| {
                let size = size(volume.id);
                (volume, size)
            })
            .collect())
    }

    /// Starts, stops or restarts servers, all or none; each by a task of its own, whose job is told, or
    /// one job for all of them.
    ///
    /// A task waits for the backup or restore of its server that runs.
    pub async fn act(
        &self,
        access: &Access,
        action: PowerAction,
        ids: &[ResourceId],
    ) -> Result<TaskId> {
        let servers = self.several(access, ids).await?;
        if self.core.resources.provider().target().is_none() {
            return Err(Error::Unsupported("switching servers at this provider"));
        }
        if let Some(server) = servers.iter().find(|server| !server.can_power) {
            return Err(ServerError::NotPowered(server.id).into());
        }
        let tx = self.core.change(access, "starting or stopping servers").await?;
        let tasks = servers.into_iter().map(|server| {
            let task = power::new(&self.core, access, &server, action);
            (task, Subject::new(server.id, &server.name))
        });
        self.begin(access, tx, tasks.collect()).await
    }

    /// These servers, each of which is there and named once.
    pub(super) async fn several(
        &self,
        access: &Access,
        ids: &[ResourceId],
    ) -> Result<Vec<ServerView>> {
        if !(1..=SERVERS_MAX).contains(&ids.len()) {
            return Err(Error::invalid("servers", format!("1 to {SERVERS_MAX} at once")));
        }
        let mut servers: Vec<ServerView> = Vec::new();
        for id in ids {
            if servers.iter().any(|server| server.id == *id) {
                return Err(Error::invalid("servers", format!("{id} is named twice")));
            }
            servers.push(self.show(access, *id).await?);
        }
        Ok(servers)
    }

    /// Adds the tasks, all of one kind, and says which job tells about them: the only one's, or that of all.
    pub(super) async fn begin(
        &self,
        access: &Access,
        mut tx: Change<'_>,
        tasks: Vec<(NewTask, Subject)>,
    ) -> Result<TaskId> {
        let doing = "adding a task";
        if let Some((first, _)) = tasks.first() {
            let unfinished = tx.tasks().list_readable().await.map_err(db("listing tasks"))?;
            check_room_for(tasks.len(), &unfinished, access.project(), &first.kind)?;
        }
        let mut ids = Vec::new();
        for (task, subject) in tasks {
            tx.tasks().insert(&task).await.map_err(db(doing))?;
            tx.record(subject).await?;
            ids.push(task.id);
        }
        let job = if let [only] = ids[..] {
            only
        } else {
            let group = jobs::group(&self.core, access, &ids);
            tx.tasks().insert_done(&group).await.map_err(db(doing))?;
            group.id
        };
        tx.commit_recorded().await?;
        self.core.wake();
        Ok(job)
    }
}

fn matches(server: &ServerView, filter: &ServerFilter) -> bool {
    (filter.ids.is_empty() || filter.ids.contains(&server.id))
        && filter.name.as_ref().is_none_or(|name| server.name.contains(name.as_str()))
        && filter.status.as_ref().is_none_or(|status| server.status.as_str() == status)
}
