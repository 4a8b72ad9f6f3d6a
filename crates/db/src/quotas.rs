//! Table `quotas`: limits that administrators have set.

use cbr_model::ProjectId;
use cbr_model::quota::Quota;

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of quotas.
#[derive(Debug)]
pub struct Quotas<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Quotas<'_> {
    /// The limit of a project: the one that was set, or the one for everybody; none: no limit.
    pub async fn limit(
        &mut self,
        project: ProjectId,
        quota: Quota,
    ) -> Result<Option<u64>, DbError> {
        let sql = Sql::new("SELECT limit_set FROM quotas WHERE project_id = $1 AND quota = $2");
        let sql = sql.bind(project).bind(quota.as_str());
        let row = self.tx.row("quotas.limit", "quotas", sql).await?;
        row.map_or(Ok(quota.default_limit()), |row| row.count("limit_set").map(Some))
    }

    /// Sets the limit of a project; none: the one for everybody holds again.
    pub async fn set(
        &mut self,
        project: ProjectId,
        quota: Quota,
        limit: Option<u64>,
    ) -> Result<(), DbError> {
        let sql = Sql::new("DELETE FROM quotas WHERE project_id = $1 AND quota = $2");
        let sql = sql.bind(project).bind(quota.as_str());
        self.tx.execute("quotas.set", sql).await?;
        if let Some(limit) = limit {
            let sql =
                Sql::new("INSERT INTO quotas (project_id, quota, limit_set) VALUES ($1, $2, $3)");
            let sql = sql.bind(project).bind(quota.as_str()).bind(limit);
            self.tx.execute("quotas.set", sql).await?;
        }
        Ok(())
    }
}
