//! Tables `agents` and `agent_paths`.

use std::collections::HashMap;

use cbr_model::agent::{Agent, AgentKind, AgentPath, AgentStatus, SILENCE_SECONDS};
use cbr_model::query::{AgentFilter, Listing, Page};
use cbr_model::{AgentId, ProjectId};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE};
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of agents.
#[derive(Debug)]
pub struct Agents<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Agents<'_> {
    /// Adds an agent without directories. [`DbError::Taken`] when there is one with its id, in
    /// whatever project.
    pub async fn insert(&mut self, agent: &Agent) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO agents (id, project_id, kind, version, host_ip, host_name, host_nickname,
                 host_os, uninstalled, created_at, last_active_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(agent.id)
        .bind(agent.project)
        .bind(agent.kind.as_str())
        .bind(agent.version.as_ref())
        .bind(&agent.host_ip)
        .bind(&agent.host_name)
        .bind(&agent.host_nickname)
        .bind(&agent.host_os)
        .bind(agent.uninstalled)
        .bind(agent.created_at)
        .bind(agent.last_active_at)
        .bind(agent.updated_at);
        self.tx.execute("agents.insert", sql).await.map(drop)
    }

    /// Writes what can change of an agent, not its directories; says whether it exists.
    pub async fn update(&mut self, agent: &Agent) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE agents SET kind = $3, version = $4, host_ip = $5, host_name = $6,
                 host_nickname = $7, host_os = $8, uninstalled = $9, last_active_at = $10,
                 updated_at = $11
             WHERE project_id = $1 AND id = $2",
        )
        .bind(agent.project)
        .bind(agent.id)
        .bind(agent.kind.as_str())
        .bind(agent.version.as_ref())
        .bind(&agent.host_ip)
        .bind(&agent.host_name)
        .bind(&agent.host_nickname)
        .bind(&agent.host_os)
        .bind(agent.uninstalled)
        .bind(agent.last_active_at)
        .bind(agent.updated_at);
        self.tx.execute_one("agents.update", sql).await
    }

    /// A project's agent, with its directories.
    pub async fn find(
        &mut self,
        project: ProjectId,
        id: AgentId,
    ) -> Result<Option<Agent>, DbError> {
        let sql = Sql::new("SELECT * FROM agents WHERE project_id = $1 AND id = $2");
        let rows = self.tx.rows("agents.find", "agents", sql.bind(project).bind(id)).await?;
        Ok(self.load(&rows).await?.pop())
    }

    /// How many agents a project has.
    pub async fn count(&mut self, project: ProjectId) -> Result<u64, DbError> {
        let sql = Sql::new("SELECT COUNT(*) AS n FROM agents WHERE project_id = $1").bind(project);
        self.tx.number("agents.count", sql).await
    }

    /// A page of a project's agents, newest first (contract C58).
    pub async fn list(
        &mut self,
        project: ProjectId,
        filter: &AgentFilter,
        page: &Page,
    ) -> Result<Listing<Agent>, DbError> {
        let silent_since = self.tx.now().plus_seconds(-SILENCE_SECONDS);
        let mut sql = Sql::new("FROM agents t WHERE t.project_id = $1").bind(project);
        sql.and_one_of("t.id", filter.ids.iter().copied());
        // As `Agent::status` says it.
        let status = "CASE WHEN t.uninstalled = 1 THEN 'uninstall' WHEN t.last_active_at < ";
        if !filter.statuses.is_empty() {
            sql.text(" AND ").text(status).value(silent_since);
            sql.text(" THEN 'abnormal' ELSE 'normal' END IN (");
            sql.values_list(filter.statuses.iter().copied().map(AgentStatus::as_str)).text(")");
        }
        let listed = Listed {
            name: "agents.list",
            table: "agents",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: self.load(&rows).await?, total })
    }

    /// Removes an agent with its directories; says whether it was there.
    pub async fn delete(&mut self, project: ProjectId, id: AgentId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM agents WHERE project_id = $1 AND id = $2");
        self.tx.execute_one("agents.delete", sql.bind(project).bind(id)).await
    }

    /// Adds a directory behind the others. [`DbError::Taken`] when the agent has it.
    pub async fn add_path(&mut self, agent: AgentId, path: &AgentPath) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO agent_paths (id, agent_id, path, exclude, position)
             VALUES ($1, $2, $3, $4,
                 (SELECT COALESCE(MAX(p.position), 0) + 1 FROM agent_paths p WHERE p.agent_id = $2))",
        )
        .bind(path.id)
        .bind(agent)
        .bind(&path.path)
        .bind(to_json(&path.exclude));
        self.tx.execute("agents.add_path", sql).await.map(drop)
    }

    /// Removes a directory; says whether the agent had it.
    pub async fn remove_path(&mut self, agent: AgentId, path: &str) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM agent_paths WHERE agent_id = $1 AND path = $2");
        self.tx.execute_one("agents.remove_path", sql.bind(agent).bind(path)).await
    }

    async fn load(&mut self, rows: &[Row]) -> Result<Vec<Agent>, DbError> {
        let mut agents = rows.iter().map(agent).collect::<Result<Vec<_>, _>>()?;
        if agents.is_empty() {
            return Ok(agents);
        }
        let mut sql = Sql::new("SELECT * FROM agent_paths WHERE 1 = 1");
        sql.and_one_of("agent_id", agents.iter().map(|agent| agent.id));
        sql.text(" ORDER BY agent_id, position");
        let mut paths: HashMap<AgentId, Vec<AgentPath>> = HashMap::new();
        for row in self.tx.rows("agents.paths", "agent_paths", sql).await? {
            let path = AgentPath {
                id: row.id("id")?,
                path: row.text("path")?,
                exclude: row.json("exclude")?,
            };
            paths.entry(row.id("agent_id")?).or_default().push(path);
        }
        for agent in &mut agents {
            agent.paths = paths.remove(&agent.id).unwrap_or_default();
        }
        Ok(agents)
    }
}

fn agent(row: &Row) -> Result<Agent, DbError> {
    Ok(Agent {
        id: row.id("id")?,
        project: row.id("project_id")?,
        kind: row.word("kind", AgentKind::from_str_exact)?,
        version: row.text_opt("version")?,
        host_ip: row.text("host_ip")?,
        host_name: row.text("host_name")?,
        host_nickname: row.text("host_nickname")?,
        host_os: row.text("host_os")?,
        uninstalled: row.flag("uninstalled")?,
        paths: Vec::new(),
        created_at: row.time("created_at")?,
        last_active_at: row.time("last_active_at")?,
        updated_at: row.time("updated_at")?,
    })
}
