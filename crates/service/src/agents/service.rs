//! Use cases of agents.

use std::net::IpAddr;
use std::sync::Arc;

use cbr_db::{DbError, Tx};
use cbr_model::agent::{Agent, AgentPath, PATHS_MAX, clean_path};
use cbr_model::query::{AgentFilter, Listing, Page, VaultFilter};
use cbr_model::vault::{VaultKind, VaultStatus};
use cbr_model::{AgentId, AgentPathId, ProjectId};

use super::error::AgentError;
use super::requests::{AddedPaths, AgentView, NewAgent, NewPath, RemovedPaths};
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::{Access, Error, Result};

/// The longest text about a host.
const TEXT_CHARS_MAX: usize = 255;
/// So many names of a directory are left out at most, each of at most so many characters.
const EXCLUDES_MAX: usize = 64;
const EXCLUDE_CHARS_MAX: usize = 255;
/// So many agents a project has at most.
const AGENTS_MAX: u64 = 1000;
/// Most directories in one request.
pub const REQUEST_PATHS_MAX: usize = 64;

/// Use cases of agents.
#[derive(Debug)]
pub struct Agents {
    core: Arc<Core>,
}

impl Agents {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// An agent tells of itself (contract C57). One that is known says so again from time to time, and
    /// is thereby known to live.
    pub async fn register(&self, access: &Access, wanted: NewAgent) -> Result<AgentView> {
        check(&wanted)?;
        let mut tx = self.core.change(access, "registering an agent").await?;
        let (id, now) = (wanted.id, tx.now());
        let known = tx.agents().find(access.project(), id).await.map_err(db("reading an agent"))?;
        let is_known = known.is_some();
        let (created_at, paths) = known.map_or((now, vec![]), |it| (it.created_at, it.paths));
        let agent = Agent {
            id,
            project: access.project(),
            kind: wanted.kind,
            version: wanted.version,
            host_ip: wanted.host_ip,
            host_name: wanted.host_name,
            host_nickname: wanted.host_nickname.unwrap_or_default(),
            host_os: wanted.host_os,
            uninstalled: false,
            paths,
            created_at,
            last_active_at: now,
            updated_at: now,
        };
        if is_known {
            tx.agents().update(&agent).await.map_err(db("changing an agent"))?;
        } else {
            refuse_without_file_vault(&mut tx, &agent).await?;
            let there_are = tx.agents().count(agent.project).await;
            if there_are.map_err(db("counting agents"))? >= AGENTS_MAX {
                let reason = "the project has as many agents as it may";
                return Err(AgentError::Illegal { id, reason }.into());
            }
            tx.agents().insert(&agent).await.map_err(|error| match error {
                DbError::Taken { .. } => {
                    let reason = "its id belongs to an agent of another project";
                    AgentError::Illegal { id, reason }.into()
                }
                other => db("adding an agent")(other),
            })?;
        }
        tx.commit(Subject::new(id, &agent.host_name)).await?;
        Ok(AgentView { status: agent.status(now), agent })
    }

    /// Lists agents, newest first (contract C58).
    pub async fn list(
        &self,
        access: &Access,
        filter: &AgentFilter,
        page: Page,
    ) -> Result<Listing<AgentView>> {
        let mut tx = self.core.db.read().await.map_err(db("listing agents"))?;
        let now = tx.now();
        let listed = tx.agents().list(access.project(), filter, &page).await;
        let Listing { rows, total } = listed.map_err(db("listing agents"))?;
        let view = |agent: Agent| AgentView { status: agent.status(now), agent };
        Ok(Listing { rows: rows.into_iter().map(view).collect(), total })
    }

    /// One agent (contract C59).
    pub async fn show(&self, access: &Access, id: AgentId) -> Result<AgentView> {
        let mut tx = self.core.db.read().await.map_err(db("reading an agent"))?;
        let agent = existing(&mut tx, access.project(), id).await?;
        Ok(AgentView { status: agent.status(tx.now()), agent })
    }

    /// An agent says that it was taken off its host (contract C60).
    pub async fn uninstall(&self, access: &Access, id: AgentId) -> Result<AgentView> {
        let mut tx = self.core.change(access, "changing an agent").await?;
        let found = existing(&mut tx, access.project(), id).await?;
        let agent = Agent { uninstalled: true, updated_at: tx.now(), ..found };
        tx.agents().update(&agent).await.map_err(db("changing an agent"))?;
        let status = agent.status(tx.now());
        tx.commit(Subject::new(id, &agent.host_name)).await?;
        Ok(AgentView { agent, status })
    }

    /// Forgets an agent with its directories (contract C61, FIL-11).
    pub async fn unregister(&self, access: &Access, id: AgentId) -> Result<()> {
        let mut tx = self.core.change(access, "removing an agent").await?;
        let agent = existing(&mut tx, access.project(), id).await?;
        tx.agents().delete(agent.project, id).await.map_err(db("removing an agent"))?;
        tx.commit(Subject::new(id, &agent.host_name)).await
    }

    /// Adds directories, all or none (contract C62, FIL-13, FIL-15).
    pub async fn add_paths(
        &self,
        access: &Access,
        id: AgentId,
        wanted: Vec<NewPath>,
    ) -> Result<AddedPaths> {
        check_count(wanted.len())?;
        let mut tx = self.core.change(access, "adding directories").await?;
        let agent = existing(&mut tx, access.project(), id).await?;
        if agent.uninstalled {
            let reason = "it was taken off its host; it has to register again first";
            return Err(AgentError::Illegal { id, reason }.into());
        }
        let mut known: Vec<String> = agent.paths.iter().map(|path| path.path.clone()).collect();
        let mut done = AddedPaths::default();
        for NewPath { path, exclude } in wanted {
            let path = clean_path(&path).map_err(|error| Error::invalid("add_path", error))?;
            check_excludes(&exclude)?;
            if known.contains(&path) {
                done.existed.push(path);
                continue;
            }
            if known.len() == PATHS_MAX {
                return Err(AgentError::TooManyPaths { limit: PATHS_MAX }.into());
            }
            let id = AgentPathId::random(&*self.core.random);
            let row = AgentPath { id, path: path.clone(), exclude };
            tx.agents().add_path(agent.id, &row).await.map_err(db("adding a directory"))?;
            known.push(path.clone());
            done.added.push(path);
        }
        let subject = Subject::new(agent.id, &agent.host_name);
        touch(&mut tx, agent).await?;
        tx.commit(subject).await?;
        Ok(done)
    }

    /// Removes directories, and frees their places (contract C63, FIL-17, FIL-18).
    pub async fn remove_paths(
        &self,
        access: &Access,
        id: AgentId,
        unwanted: Vec<String>,
    ) -> Result<RemovedPaths> {
        check_count(unwanted.len())?;
        let mut tx = self.core.change(access, "removing directories").await?;
        let agent = existing(&mut tx, access.project(), id).await?;
        let mut done = RemovedPaths::default();
        for path in unwanted {
            let path = clean_path(&path).map_err(|error| Error::invalid("remove_path", error))?;
            let is_gone = tx.agents().remove_path(agent.id, &path).await;
            let is_gone = is_gone.map_err(db("removing a directory"))?;
            if is_gone { done.removed.push(path) } else { done.not_existed.push(path) }
        }
        let subject = Subject::new(agent.id, &agent.host_name);
        touch(&mut tx, agent).await?;
        tx.commit(subject).await?;
        Ok(done)
    }
}

/// VLT-25: a host that no vault could take has no business here. One that is known stays known.
async fn refuse_without_file_vault(tx: &mut Tx, agent: &Agent) -> Result<()> {
    let usable = |status: &VaultStatus| *status != VaultStatus::Deleting;
    let filter = VaultFilter {
        kinds: vec![VaultKind::File],
        statuses: VaultStatus::ALL.into_iter().filter(usable).collect(),
        ..VaultFilter::default()
    };
    let page = Page { limit: 1, ..Page::default() };
    let found = tx.vaults().list(agent.project, &filter, &page).await;
    if found.map_err(db("looking for a file vault"))?.total > 0 {
        return Ok(());
    }
    let reason =
        "illegal client, for the project has no file vault; make one first, then register again";
    Err(AgentError::Illegal { id: agent.id, reason }.into())
}

async fn touch(tx: &mut Tx, agent: Agent) -> Result<()> {
    let changed = Agent { updated_at: tx.now(), ..agent };
    tx.agents().update(&changed).await.map(drop).map_err(db("changing an agent"))
}

async fn existing(tx: &mut Tx, project: ProjectId, id: AgentId) -> Result<Agent> {
    let agent = tx.agents().find(project, id).await.map_err(db("reading an agent"))?;
    agent.ok_or_else(|| AgentError::NotFound(id).into())
}

fn check(wanted: &NewAgent) -> Result<()> {
    if wanted.host_ip.parse::<IpAddr>().is_err() {
        return Err(Error::invalid("host_ip", "it is an address like 192.0.2.7 or 2001:db8::7"));
    }
    let nickname = wanted.host_nickname.as_deref().unwrap_or("-");
    for (field, text) in [
        ("host_name", wanted.host_name.as_str()),
        ("host_os", &wanted.host_os),
        ("host_nickname", nickname),
    ] {
        if text.is_empty()
            || text.chars().any(char::is_control)
            || text.chars().count() > TEXT_CHARS_MAX
        {
            let reason =
                format!("1 to {TEXT_CHARS_MAX} characters, none of them a control character");
            return Err(Error::invalid(field, reason));
        }
    }
    match &wanted.version {
        Some(version) if !is_version(version) => {
            Err(Error::invalid("agent_version", "three numbers of one to three digits, like 1.2.3"))
        }
        _ => Ok(()),
    }
}

fn check_excludes(exclude: &[String]) -> Result<()> {
    let is_long = |name: &String| name.chars().count() > EXCLUDE_CHARS_MAX || name.contains('\0');
    if exclude.len() > EXCLUDES_MAX || exclude.iter().any(is_long) {
        let reason =
            format!("at most {EXCLUDES_MAX} names of at most {EXCLUDE_CHARS_MAX} characters");
        return Err(Error::invalid("exclude_path_name", reason));
    }
    Ok(())
}

/// Contract C57.
fn is_version(text: &str) -> bool {
    let is_number =
        |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    text.split('.').count() == 3 && text.split('.').all(is_number)
}

fn check_count(count: usize) -> Result<()> {
    if count == 0 || count > REQUEST_PATHS_MAX {
        return Err(Error::invalid("paths", format!("1 to {REQUEST_PATHS_MAX} directories")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn a_version_is_three_short_numbers() {
        for good in ["1.2.3", "0.0.0", "123.456.789"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1.2", "1.2.3.4", "1234.1.1", "1..2", "a.b.c", "1.2.3 "] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
