//! Who is who, for those who share backups with one another (contract C72, C73).
//!
//! A recipient is named by its account's name, so the projects of an account that is named in full
//! are told to every caller. The other way round, from a project's id to its account, is told only
//! within an account, and to those who share something with the project.

use std::sync::Arc;

use cbr_model::ProjectId;
use cbr_model::identity::{Caller, Domain, Project};

use crate::core::Core;
use crate::error::db;
use crate::identity::may_use;
use crate::{Error, Result};

/// Use cases of the directory.
#[derive(Debug)]
pub struct Directory {
    core: Arc<Core>,
}

impl Directory {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The projects of the account of this name that can be used, by name; none if there is no such
    /// account.
    pub async fn projects_of(&self, account: &str) -> Result<Vec<Project>> {
        let mut tx = self.core.db.read().await.map_err(db("listing projects"))?;
        let domain = tx.domains().find_by_name(account).await.map_err(db("reading a domain"))?;
        let Some(domain) = domain else { return Ok(Vec::new()) };
        let mut projects = tx.projects().list(domain.id).await.map_err(db("listing projects"))?;
        projects.retain(|project| project.enabled);
        Ok(projects)
    }

    /// A project of the caller's account, or one that shares something with it, with its account.
    pub async fn account_of(&self, caller: &Caller, id: ProjectId) -> Result<(Domain, Project)> {
        let mut tx = self.core.db.read().await.map_err(db("reading a project"))?;
        let project = tx.projects().find(id).await.map_err(db("reading a project"))?;
        let project = project.ok_or(Error::ProjectNotFound(id))?;
        if project.domain != caller.domain.id {
            let own = tx.projects().list(caller.domain.id).await.map_err(db("listing projects"))?;
            let usable = own.iter().filter(|own| may_use(caller, own));
            let usable: Vec<ProjectId> = usable.map(|own| own.id).collect();
            let is_known = tx.members().is_shared_between(id, &usable).await;
            if !is_known.map_err(db("looking for shares"))? {
                return Err(Error::ProjectNotFound(id));
            }
        }
        let domain = tx.domains().find(project.domain).await.map_err(db("reading a domain"))?;
        Ok((domain.ok_or(Error::ProjectNotFound(id))?, project))
    }
}
