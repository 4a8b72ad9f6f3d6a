//! Table `nodes`, and what tables bind to a node: who shares this database, and whose work waits for whom.

use cbr_model::Timestamp;

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// A node, as the database knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRecord {
    /// Its name.
    pub name: String,
    /// When it last said that it is there; none: never since nodes do.
    pub seen_at: Option<Timestamp>,
    /// Tasks that have not ended and that only it may run.
    pub tasks: u64,
    /// Exports that only it gives out.
    pub exports: u64,
}

/// What went from one node to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Tasks.
    pub tasks: u64,
    /// Exports.
    pub exports: u64,
}

/// The table of nodes.
#[derive(Debug)]
pub struct Nodes<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Nodes<'_> {
    /// Notes that a node is there.
    pub async fn note(&mut self, name: &str) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO nodes (name, seen_at) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at",
        );
        let sql = sql.bind(name).bind(self.tx.now());
        self.tx.execute("nodes.note", sql).await.map(drop)
    }

    /// Every node that was ever there or has something bound to it, by name.
    pub async fn list(&mut self) -> Result<Vec<NodeRecord>, DbError> {
        let sql = Sql::new(
            "SELECT n.name, MAX(n.seen_at) AS seen_at, CAST(SUM(n.tasks) AS BIGINT) AS tasks,
                 CAST(SUM(n.exports) AS BIGINT) AS exports
             FROM (
                 SELECT name, seen_at, 0 AS tasks, 0 AS exports FROM nodes
                 UNION ALL
                 SELECT node, NULL, 1, 0 FROM tasks
                     WHERE node IS NOT NULL AND status IN ('waiting', 'running')
                 UNION ALL
                 SELECT node, NULL, 0, 1 FROM exports
             ) n
             GROUP BY n.name ORDER BY n.name",
        );
        let rows = self.tx.rows("nodes.list", "nodes", sql).await?;
        rows.iter().map(node).collect()
    }

    /// Gives all that is bound to the node `from` to the node `to`, and forgets `from`. Should `from`
    /// be alive after all, its workers are cut off: the fencing number of what they work on is another.
    pub async fn take_over(&mut self, from: &str, to: &str) -> Result<Moved, DbError> {
        let sql = Sql::new(
            "UPDATE tasks SET node = $2, lease_until = 0, fencing = fencing + 1, updated_at = $3
             WHERE node = $1 AND status IN ('waiting', 'running')",
        );
        let sql = sql.bind(from).bind(to).bind(self.tx.now());
        let tasks = self.tx.execute("nodes.take_over", sql).await?;
        let sql = Sql::new("UPDATE exports SET node = $2 WHERE node = $1").bind(from).bind(to);
        let exports = self.tx.execute("nodes.take_over", sql).await?;
        let sql = Sql::new("DELETE FROM nodes WHERE name = $1").bind(from);
        self.tx.execute("nodes.take_over", sql).await?;
        Ok(Moved { tasks, exports })
    }
}

fn node(row: &Row) -> Result<NodeRecord, DbError> {
    Ok(NodeRecord {
        name: row.text("name")?,
        seen_at: row.time_opt("seen_at")?,
        tasks: row.count("tasks")?,
        exports: row.count("exports")?,
    })
}
