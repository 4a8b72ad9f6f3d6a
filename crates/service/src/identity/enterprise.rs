//! Use cases of enterprise projects: groups of an account's resources across projects (RGN-02, RGN-03).

use cbr_db::Tx;
use cbr_env::RandomExt;
use cbr_model::identity::EnterpriseProject;
use cbr_model::{DomainId, Timestamp};

use super::service::Identity;
use crate::access::AccountAccess;
use crate::audit::Subject;
use crate::error::db;
use crate::rules::identity::{ENTERPRISE_PROJECTS_MAX, check_description, check_name, check_room};
use crate::{Error, Result};

/// Id of the one every account has.
const DEFAULT_ID: &str = "0";
/// Its name.
const DEFAULT_NAME: &str = "default";

impl Identity {
    /// Makes an enterprise project.
    pub async fn create_enterprise_project(
        &self,
        access: &AccountAccess,
        name: String,
        description: String,
    ) -> Result<EnterpriseProject> {
        let doing = "making an enterprise project";
        check(&name, &description)?;
        let mut tx = self.change(access.actor(), doing).await?;
        let domain = access.domain();
        let others = tx.enterprise_projects().list(domain).await.map_err(db(doing))?;
        check_room("enterprise projects", others.len(), ENTERPRISE_PROJECTS_MAX)?;
        refuse_taken(&others, &name, "")?;
        let project = EnterpriseProject {
            id: self.random.uuid().hyphenated().to_string(),
            name,
            description,
            enabled: true,
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        tx.enterprise_projects().insert(domain, &project).await.map_err(db(doing))?;
        tx.commit(Subject::new(&project.id, &project.name)).await?;
        Ok(project)
    }

    /// The enterprise projects of the account: the one called `default`, then the others by name.
    pub async fn enterprise_projects(
        &self,
        access: &AccountAccess,
    ) -> Result<Vec<EnterpriseProject>> {
        let doing = "listing enterprise projects";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        let own = tx.enterprise_projects().list(access.domain()).await.map_err(db(doing))?;
        Ok(std::iter::once(default()).chain(own).collect())
    }

    /// One of them.
    pub async fn enterprise_project(
        &self,
        access: &AccountAccess,
        id: &str,
    ) -> Result<EnterpriseProject> {
        let mut tx = self.db.read().await.map_err(db("reading an enterprise project"))?;
        find(&mut tx, access.domain(), id).await
    }

    /// Changes what is named. The one called `default` stays as it is.
    pub async fn update_enterprise_project(
        &self,
        access: &AccountAccess,
        id: &str,
        name: Option<String>,
        description: Option<String>,
        enabled: Option<bool>,
    ) -> Result<EnterpriseProject> {
        let doing = "changing an enterprise project";
        let mut tx = self.change(access.actor(), doing).await?;
        let domain = access.domain();
        let mut project = find(&mut tx, domain, id).await?;
        if project.id == DEFAULT_ID {
            let reason = "the enterprise project `default` cannot be changed";
            return Err(Error::IdentityConflict { reason: reason.to_owned() });
        }
        project.name = name.unwrap_or(project.name);
        project.description = description.unwrap_or(project.description);
        project.enabled = enabled.unwrap_or(project.enabled);
        project.updated_at = tx.now();
        check(&project.name, &project.description)?;
        let others = tx.enterprise_projects().list(domain).await.map_err(db(doing))?;
        refuse_taken(&others, &project.name, &project.id)?;
        tx.enterprise_projects().update(domain, &project).await.map_err(db(doing))?;
        tx.commit(Subject::new(&project.id, &project.name)).await?;
        Ok(project)
    }
}

/// Refuses unless things may be put into the enterprise project (RGN-03).
pub(crate) async fn check_enterprise_project(
    tx: &mut Tx,
    domain: DomainId,
    id: &str,
) -> Result<()> {
    let refused = |reason: &str| Error::invalid("enterprise_project_id", reason);
    match find(tx, domain, id).await {
        Ok(project) if project.enabled => Ok(()),
        Ok(_) => Err(refused("the enterprise project is disabled")),
        Err(Error::IdentityNotFound { .. }) => {
            Err(refused("there is no such enterprise project; `0` is the one every account has"))
        }
        Err(other) => Err(other),
    }
}

async fn find(tx: &mut Tx, domain: DomainId, id: &str) -> Result<EnterpriseProject> {
    if id == DEFAULT_ID {
        return Ok(default());
    }
    let found = tx.enterprise_projects().find(domain, id).await;
    found.map_err(db("reading an enterprise project"))?.ok_or_else(|| Error::IdentityNotFound {
        noun: "enterprise project",
        id: id.chars().take(64).collect(),
    })
}

fn default() -> EnterpriseProject {
    EnterpriseProject {
        id: DEFAULT_ID.to_owned(),
        name: DEFAULT_NAME.to_owned(),
        description: String::new(),
        enabled: true,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

fn check(name: &str, description: &str) -> Result<()> {
    check_name("name", name)?;
    check_description(description)
}

fn refuse_taken(others: &[EnterpriseProject], name: &str, own: &str) -> Result<()> {
    let is_taken = others.iter().any(|other| other.name == name && other.id != own);
    if is_taken || name == DEFAULT_NAME {
        return Err(Error::IdentityTaken { noun: "enterprise project", name: name.to_owned() });
    }
    Ok(())
}
