//! Table `disk_owners`: disks that a project other than the provider's made.

use std::collections::BTreeMap;

use cbr_model::{ProjectId, ResourceId};

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of disks' owners.
#[derive(Debug)]
pub struct DiskOwners<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl DiskOwners<'_> {
    /// Notes that the disk is this project's.
    pub async fn insert(&mut self, disk: ResourceId, project: ProjectId) -> Result<(), DbError> {
        let sql = Sql::new("INSERT INTO disk_owners (resource_id, project_id) VALUES ($1, $2)");
        self.tx.execute("disk_owners.insert", sql.bind(disk).bind(project)).await.map(drop)
    }

    /// Forgets a disk that is gone; says whether it was noted.
    pub async fn delete(&mut self, disk: ResourceId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM disk_owners WHERE resource_id = $1").bind(disk);
        self.tx.execute_one("disk_owners.delete", sql).await
    }

    /// Whose the disk is, if it is noted.
    pub async fn find(&mut self, disk: ResourceId) -> Result<Option<ProjectId>, DbError> {
        let sql = Sql::new("SELECT project_id FROM disk_owners WHERE resource_id = $1").bind(disk);
        let row = self.tx.row("disk_owners.find", "disk_owners", sql).await?;
        row.map(|row| row.id("project_id")).transpose()
    }

    /// Every disk that is noted, and whose it is.
    pub async fn all(&mut self) -> Result<BTreeMap<ResourceId, ProjectId>, DbError> {
        let sql = Sql::new("SELECT resource_id, project_id FROM disk_owners");
        let rows = self.tx.rows("disk_owners.all", "disk_owners", sql).await?;
        rows.iter().map(|row| Ok((row.id("resource_id")?, row.id("project_id")?))).collect()
    }
}
