//! Table `backup_members`: the projects that backups are shared with.

use cbr_model::backup::Backup;
use cbr_model::member::{Member, MemberState, MemberStatus};
use cbr_model::{BackupId, ProjectId, VaultId};

use crate::backup_rows;
use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// Offers, each with the image the recipient made of the backup.
macro_rules! members {
    () => {
        "SELECT m.*, (SELECT i.id FROM images i WHERE i.backup_id = m.backup_id
             AND i.project_id = m.dest_project_id) AS image_id FROM backup_members m"
    };
}

/// The table of members.
#[derive(Debug)]
pub struct Members<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Members<'_> {
    /// Adds an offer. [`DbError::Taken`] when the project has one of this backup already.
    pub async fn insert(&mut self, member: &Member) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO backup_members (id, backup_id, dest_project_id, status, vault_id,
                 created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(member.id)
        .bind(member.backup)
        .bind(member.recipient)
        .bind(member.state.status().as_str())
        .bind(member.state.vault())
        .bind(member.created_at)
        .bind(member.updated_at);
        self.tx.execute("members.insert", sql).await.map(drop)
    }

    /// All offers of a backup, in the order in which they were made.
    pub async fn of_backup(&mut self, backup: BackupId) -> Result<Vec<Member>, DbError> {
        let sql =
            Sql::new(concat!(members!(), " WHERE m.backup_id = $1 ORDER BY m.created_at, m.id"));
        self.all("members.of_backup", sql.bind(backup)).await
    }

    /// The offer of a backup to a project.
    pub async fn find(
        &mut self,
        backup: BackupId,
        recipient: ProjectId,
    ) -> Result<Option<Member>, DbError> {
        let sql =
            Sql::new(concat!(members!(), " WHERE m.backup_id = $1 AND m.dest_project_id = $2"));
        let found = self.all("members.find", sql.bind(backup).bind(recipient)).await?;
        Ok(found.into_iter().next())
    }

    /// The offers of these backups to a project.
    pub async fn received(
        &mut self,
        recipient: ProjectId,
        backups: &[BackupId],
    ) -> Result<Vec<Member>, DbError> {
        if backups.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new(concat!(members!(), " WHERE m.dest_project_id = $1"));
        sql = sql.bind(recipient);
        sql.and_one_of("m.backup_id", backups.iter().copied());
        self.all("members.received", sql).await
    }

    /// A backup, or a disk of a server's, that another project shares with this one and that it
    /// accepted; and the vault that counts it.
    pub async fn granted(
        &mut self,
        recipient: ProjectId,
        backup: BackupId,
    ) -> Result<Option<(Backup, VaultId)>, DbError> {
        let member = Sql::new(concat!(
            members!(),
            " JOIN backups t ON m.backup_id = COALESCE(t.parent_id, t.id)
             WHERE t.id = $1 AND m.dest_project_id = $2 AND m.status = 'accepted'"
        ));
        let member = member.bind(backup).bind(recipient);
        let member = self.all("members.granted", member).await?.pop();
        let Some(vault) = member.and_then(|member| member.state.vault()) else { return Ok(None) };
        let mut sql = Sql::new(backup_rows::SELECT);
        sql.text("FROM backups t WHERE t.id = ").value(backup);
        let rows = self.tx.rows("members.granted", "backups", sql).await?;
        Ok(backup_rows::load(self.tx, &rows).await?.pop().map(|backup| (backup, vault)))
    }

    /// A backup that is offered to the project, whatever it made of the offer.
    pub async fn offered(
        &mut self,
        recipient: ProjectId,
        backup: BackupId,
    ) -> Result<Option<Backup>, DbError> {
        let mut sql = Sql::new(backup_rows::SELECT);
        sql.text("FROM backups t JOIN backup_members m ON m.backup_id = t.id WHERE t.id = ");
        sql.value(backup).and_equal("m.dest_project_id", Some(recipient));
        let rows = self.tx.rows("members.offered", "backups", sql).await?;
        Ok(backup_rows::load(self.tx, &rows).await?.pop())
    }

    /// Whether a project shares something with one of the others, or one of them with it.
    pub async fn is_shared_between(
        &mut self,
        project: ProjectId,
        others: &[ProjectId],
    ) -> Result<bool, DbError> {
        if others.is_empty() {
            return Ok(false);
        }
        let mut sql = Sql::new(
            "SELECT COUNT(*) AS n FROM backup_members m JOIN backups b ON b.id = m.backup_id
             WHERE (b.project_id = $1",
        )
        .bind(project);
        sql.and_one_of("m.dest_project_id", others.iter().copied());
        sql.text(") OR (m.dest_project_id = ").value(project);
        sql.and_one_of("b.project_id", others.iter().copied()).text(")");
        Ok(self.tx.number("members.is_shared_between", sql).await? > 0)
    }

    /// Writes what the recipient decided, if the offer is in the state `expected`; says whether it
    /// was.
    pub async fn decide(
        &mut self,
        member: &Member,
        expected: MemberStatus,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE backup_members SET status = $3, vault_id = $4, updated_at = $5
             WHERE id = $1 AND status = $2",
        )
        .bind(member.id)
        .bind(expected.as_str())
        .bind(member.state.status().as_str())
        .bind(member.state.vault())
        .bind(member.updated_at);
        self.tx.execute_one("members.decide", sql).await
    }

    /// Takes an offer back; says whether there was one.
    pub async fn delete(
        &mut self,
        backup: BackupId,
        recipient: ProjectId,
    ) -> Result<bool, DbError> {
        let sql =
            Sql::new("DELETE FROM backup_members WHERE backup_id = $1 AND dest_project_id = $2");
        self.tx.execute_one("members.delete", sql.bind(backup).bind(recipient)).await
    }

    /// Takes all offers of a backup back: it is about to go (SHR-11).
    pub(crate) async fn withdraw(&mut self, backup: BackupId) -> Result<(), DbError> {
        let sql = Sql::new("DELETE FROM backup_members WHERE backup_id = $1").bind(backup);
        self.tx.execute("members.withdraw", sql).await.map(drop)
    }

    /// Gives back what was accepted into a project's vault that goes.
    pub(crate) async fn leave(
        &mut self,
        recipient: ProjectId,
        vault: VaultId,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "UPDATE backup_members SET status = 'rejected', vault_id = NULL, updated_at = $3
             WHERE dest_project_id = $1 AND vault_id = $2",
        );
        let sql = sql.bind(recipient).bind(vault).bind(self.tx.now());
        self.tx.execute("members.leave", sql).await.map(drop)
    }

    async fn all(&mut self, name: &'static str, sql: Sql) -> Result<Vec<Member>, DbError> {
        let rows = self.tx.rows(name, "backup_members", sql).await?;
        rows.iter().map(member).collect()
    }
}

fn member(row: &Row) -> Result<Member, DbError> {
    let state = match row.word("status", MemberStatus::from_str_exact)? {
        MemberStatus::Pending => MemberState::Pending,
        MemberStatus::Accepted => MemberState::Accepted { vault: row.id("vault_id")? },
        MemberStatus::Rejected => MemberState::Rejected,
    };
    Ok(Member {
        id: row.id("id")?,
        backup: row.id("backup_id")?,
        recipient: row.id("dest_project_id")?,
        state,
        image: row.id_opt("image_id")?,
        created_at: row.time("created_at")?,
        updated_at: row.time_opt("updated_at")?,
    })
}
