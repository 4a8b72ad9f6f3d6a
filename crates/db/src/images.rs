//! Table `images`: images of servers, and the backups they hold.

use std::collections::BTreeMap;

use cbr_model::image::Image;
use cbr_model::query::{ImageFilter, Listing, Page};
use cbr_model::{BackupId, ImageId, ProjectId, ResourceId, VaultId};

use crate::error::DbError;
use crate::image_terms;
use crate::listing::{Listed, SortKey, WHOLE, and_contains};
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;

/// A backup that an image holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldBackup {
    /// The image.
    pub image: ImageId,
    /// The project that made it.
    pub project: ProjectId,
    /// The backup it is made of.
    pub backup: BackupId,
    /// The server the backup is of.
    pub resource: ResourceId,
}

/// The table of images.
#[derive(Debug)]
pub struct Images<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Images<'_> {
    /// Adds an image. [`DbError::Taken`] when the project has one of this backup (IMG-05).
    pub async fn insert(&mut self, image: &Image) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO images (id, project_id, backup_id, name, description, enterprise_project,
                 protected, min_ram_mib, max_ram_mib, tags, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(image.id)
        .bind(image.project)
        .bind(image.backup)
        .bind(&image.name)
        .bind(&image.description)
        .bind(&image.enterprise_project)
        .bind(image.protected)
        .bind(image.min_ram_mib)
        .bind(image.max_ram_mib)
        .bind(to_json(&image.tags))
        .bind(image.created_at)
        .bind(image.updated_at);
        self.tx.execute("images.insert", sql).await?;
        image_terms::note(self.tx, image.id).await
    }

    /// Begins to charge for an image, if its backup is complete by now (BIL-07).
    pub async fn note_complete(&mut self, image: ImageId) -> Result<(), DbError> {
        image_terms::note(self.tx, image).await
    }

    /// Writes what can change of an image; says whether it exists.
    pub async fn update(&mut self, image: &Image) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE images SET name = $3, description = $4, enterprise_project = $5, protected = $6,
                 min_ram_mib = $7, max_ram_mib = $8, tags = $9, updated_at = $10
             WHERE project_id = $1 AND id = $2",
        )
        .bind(image.project)
        .bind(image.id)
        .bind(&image.name)
        .bind(&image.description)
        .bind(&image.enterprise_project)
        .bind(image.protected)
        .bind(image.min_ram_mib)
        .bind(image.max_ram_mib)
        .bind(to_json(&image.tags))
        .bind(self.tx.now());
        self.tx.execute_one("images.update", sql).await
    }

    /// A project's image.
    pub async fn find(
        &mut self,
        project: ProjectId,
        id: ImageId,
    ) -> Result<Option<Image>, DbError> {
        let sql = Sql::new("SELECT * FROM images WHERE project_id = $1 AND id = $2");
        let row = self.tx.row("images.find", "images", sql.bind(project).bind(id)).await?;
        row.map(|row| image(&row)).transpose()
    }

    /// A page of a project's images, newest first, and how many match without paging.
    pub async fn list(
        &mut self,
        project: ProjectId,
        filter: &ImageFilter,
        page: &Page,
    ) -> Result<Listing<Image>, DbError> {
        let engine = self.tx.engine();
        let mut sql = Sql::new("FROM images t WHERE t.project_id = $1").bind(project);
        sql.and_one_of("t.id", filter.ids.iter().copied());
        sql.and_equal("t.backup_id", filter.backup);
        sql.and_equal("t.name", filter.name.as_ref());
        // Neither key nor value can have a quote (TAG-02, TAG-03).
        let key = filter.tag_key.as_ref().map(|key| format!("\"key\":\"{key}\","));
        and_contains(&mut sql, engine, "t.tags", key.as_ref());
        sql.and_equal("t.protected", filter.protected);
        sql.and_equal("t.enterprise_project", filter.enterprise_project.as_ref());
        if !filter.backup_statuses.is_empty() {
            sql.text(" AND (SELECT b.status FROM backups b WHERE b.id = t.backup_id) IN (");
            sql.values_list(filter.backup_statuses.iter().copied()).text(")");
        }
        let listed = Listed {
            name: "images.list",
            table: "images",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: rows.iter().map(image).collect::<Result<_, _>>()?, total })
    }

    /// How many images a project has.
    pub async fn count(&mut self, project: ProjectId) -> Result<u64, DbError> {
        let sql = Sql::new("SELECT COUNT(*) AS n FROM images WHERE project_id = $1").bind(project);
        self.tx.number("images.count", sql).await
    }

    /// All images of a backup, whoever made them.
    pub async fn of_backup(&mut self, backup: BackupId) -> Result<Vec<Image>, DbError> {
        let sql = Sql::new("SELECT * FROM images WHERE backup_id = $1 ORDER BY created_at, id");
        let rows = self.tx.rows("images.of_backup", "images", sql.bind(backup)).await?;
        rows.iter().map(image).collect()
    }

    /// Of these backups those that have an image, with the one that the project made of it; none: only
    /// others made one.
    pub async fn of_backups(
        &mut self,
        project: ProjectId,
        backups: &[BackupId],
    ) -> Result<BTreeMap<BackupId, Option<ImageId>>, DbError> {
        if backups.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut sql = Sql::new("SELECT id, backup_id, project_id FROM images WHERE 1 = 1");
        sql.and_one_of("backup_id", backups.iter().copied());
        let mut found = BTreeMap::new();
        for row in self.tx.rows("images.of_backups", "images", sql).await? {
            let own = (row.id("project_id")? == project).then(|| row.id("id")).transpose()?;
            let known: &mut Option<ImageId> = found.entry(row.id("backup_id")?).or_default();
            *known = known.or(own);
        }
        Ok(found)
    }

    /// The images that need the vault: of backups in it, and of backups accepted into it by the
    /// project that made the image (VLT-64, VLT-65).
    pub async fn in_vault(&mut self, vault: VaultId) -> Result<Vec<HeldBackup>, DbError> {
        let sql = Sql::new(
            "SELECT i.id, i.project_id, i.backup_id, b.root_resource_id
             FROM images i JOIN backups b ON b.id = i.backup_id
             WHERE b.vault_id = $1 OR EXISTS (
                 SELECT 1 FROM backup_members m WHERE m.backup_id = i.backup_id
                 AND m.dest_project_id = i.project_id AND m.vault_id = $1)
             ORDER BY i.created_at, i.id",
        );
        let rows = self.tx.rows("images.in_vault", "images", sql.bind(vault)).await?;
        let held = rows.iter().map(|row| {
            Ok(HeldBackup {
                image: row.id("id")?,
                project: row.id("project_id")?,
                backup: row.id("backup_id")?,
                resource: row.id("root_resource_id")?,
            })
        });
        held.collect()
    }

    /// Removes an image; says whether it was there.
    pub async fn delete(&mut self, project: ProjectId, id: ImageId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM images WHERE project_id = $1 AND id = $2");
        let was_there = self.tx.execute_one("images.delete", sql.bind(project).bind(id)).await?;
        image_terms::note(self.tx, id).await?;
        Ok(was_there)
    }

    /// Forgets the images of a backup that failed and goes: nothing can be made from them.
    pub(crate) async fn forget(&mut self, backup: BackupId) -> Result<(), DbError> {
        image_terms::end_of(self.tx, backup).await?;
        let sql = Sql::new("DELETE FROM images WHERE backup_id = $1").bind(backup);
        self.tx.execute("images.forget", sql).await.map(drop)
    }
}

fn image(row: &Row) -> Result<Image, DbError> {
    Ok(Image {
        id: row.id("id")?,
        project: row.id("project_id")?,
        backup: row.id("backup_id")?,
        name: row.text("name")?,
        description: row.text("description")?,
        enterprise_project: row.text("enterprise_project")?,
        protected: row.flag("protected")?,
        min_ram_mib: row.count("min_ram_mib")?,
        max_ram_mib: row.small_opt("max_ram_mib")?,
        tags: row.json("tags")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
