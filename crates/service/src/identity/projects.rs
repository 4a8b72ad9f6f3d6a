//! Use cases of projects as an account's people manage them (RGN-01).

use std::collections::HashMap;

use cbr_model::ProjectId;
use cbr_model::identity::{Caller, Project};

use super::service::Identity;
use crate::access::AccountAccess;
use crate::audit::Subject;
use crate::error::db;
use crate::rules::identity::{PROJECTS_MAX, check_description, check_name, check_room};
use crate::{Error, Result};

impl Identity {
    /// Makes a project. Nobody but the administrator, and who was granted something in all
    /// projects, may do anything in it.
    pub async fn create_project(
        &self,
        access: &AccountAccess,
        name: String,
        description: String,
    ) -> Result<Project> {
        let doing = "making a project";
        check_name("name", &name)?;
        check_description(&description)?;
        let mut tx = self.change(access.actor(), doing).await?;
        let domain = access.domain();
        let others = tx.projects().list(domain).await.map_err(db(doing))?;
        check_room("projects", others.len(), PROJECTS_MAX)?;
        refuse_taken(&others, &name)?;
        let project = Project { id: ProjectId::random(&*self.random), domain, name, enabled: true };
        tx.projects().insert(&project).await.map_err(db(doing))?;
        tx.projects().update(&project, &description).await.map_err(db(doing))?;
        tx.commit(Subject::new(project.id, &project.name)).await?;
        Ok(project)
    }

    /// Changes name and description.
    pub async fn update_project(
        &self,
        access: &AccountAccess,
        id: ProjectId,
        name: Option<String>,
        description: Option<String>,
    ) -> Result<Project> {
        let doing = "changing a project";
        let mut tx = self.change(access.actor(), doing).await?;
        let all = tx.projects().list(access.domain()).await.map_err(db(doing))?;
        let mut project = all
            .iter()
            .find(|project| project.id == id)
            .cloned()
            .ok_or(Error::ProjectNotFound(id))?;
        if let Some(name) = name.filter(|name| *name != project.name) {
            check_name("name", &name)?;
            refuse_taken(&all, &name)?;
            project.name = name;
        }
        let description = if let Some(text) = description {
            text
        } else {
            let said = tx.projects().descriptions(access.domain()).await.map_err(db(doing))?;
            said.get(&id).cloned().unwrap_or_default()
        };
        check_description(&description)?;
        tx.projects().update(&project, &description).await.map_err(db(doing))?;
        tx.commit(Subject::new(id, &project.name)).await?;
        Ok(project)
    }

    /// What is said of the projects of the caller's account.
    pub async fn project_descriptions(
        &self,
        caller: &Caller,
    ) -> Result<HashMap<ProjectId, String>> {
        let doing = "listing projects";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        tx.projects().descriptions(caller.domain.id).await.map_err(db(doing))
    }
}

fn refuse_taken(others: &[Project], name: &str) -> Result<()> {
    if others.iter().any(|other| other.name == name) {
        return Err(Error::IdentityTaken { noun: "project", name: name.to_owned() });
    }
    Ok(())
}
