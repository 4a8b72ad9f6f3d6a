//! A transaction, and the tables in it.

use cbr_env::Timestamp;
use futures::TryStreamExt;
use sqlx::any::AnyArguments;
use sqlx::{Any, AssertSqlSafe, Transaction};
use tokio::task::coop::consume_budget;

use crate::access_keys::AccessKeys;
use crate::agencies::Agencies;
use crate::agents::Agents;
use crate::alarm_records::AlarmRecords;
use crate::alarms::Alarms;
use crate::anomalies::Anomalies;
use crate::audit::Audit;
use crate::backup_counts::BackupCounts;
use crate::backup_sizes::BackupSizes;
use crate::backups::Backups;
use crate::balances::Balances;
use crate::billing_steps::BillingSteps;
use crate::bindings::Bindings;
use crate::checkpoints::Checkpoints;
use crate::custom_points::CustomPoints;
use crate::custom_roles::CustomRoles;
use crate::deliveries::Deliveries;
use crate::disk_owners::DiskOwners;
use crate::domain_migrations::DomainMigrations;
use crate::domains::Domains;
use crate::engine::Engine;
use crate::enterprise_projects::EnterpriseProjects;
use crate::error::DbError;
use crate::events::Events;
use crate::exports::Exports;
use crate::failed_logins::LoginFailures;
use crate::grants::Grants;
use crate::groups::Groups;
use crate::images::Images;
use crate::last_backups::LastBackups;
use crate::members::Members;
use crate::metering::Metering;
use crate::mfa_devices::MfaDevices;
use crate::migration::Migration;
use crate::nodes::Nodes;
use crate::object_claims::ObjectClaims;
use crate::operations::Operations;
use crate::orders::Orders;
use crate::organization_policies::OrganizationPolicies;
use crate::policies::Policies;
use crate::policy_runs::PolicyRuns;
use crate::predefined_tags::PredefinedTags;
use crate::projects::Projects;
use crate::quotas::Quotas;
use crate::retention::Retention;
use crate::row::Row;
use crate::schedules::Schedules;
use crate::settings::Settings;
use crate::sql::Sql;
use crate::tasks::Tasks;
use crate::temporary_keys::TemporaryKeys;
use crate::tokens::Tokens;
use crate::topics::Topics;
use crate::trash::Trash;
use crate::used_signatures::UsedSignatures;
use crate::users::Users;
use crate::vault_backups::VaultBackups;
use crate::vault_levels::VaultLevels;
use crate::vault_points::VaultPoints;
use crate::vaults::Vaults;
use crate::verification::Verification;

/// A transaction. Without [`commit`](Tx::commit) nothing of it remains.
///
/// From [`Db::begin`](crate::Db::begin) it may write and runs alone; from
/// [`Db::read`](crate::Db::read) it sees one state and a write fails.
pub struct Tx {
    inner: Transaction<'static, Any>,
    engine: Engine,
    now: Timestamp,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx")
            .field("engine", &self.engine)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl Tx {
    pub(crate) const fn new(
        inner: Transaction<'static, Any>,
        engine: Engine,
        now: Timestamp,
    ) -> Self {
        Self { inner, engine, now }
    }

    /// The time at which the transaction began. Changes made in it carry this time.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Makes all changes durable, or none.
    pub async fn commit(self) -> Result<(), DbError> {
        self.inner.commit().await.map_err(|error| DbError::from_sqlx("commit", error))
    }

    /// Undoes all changes. Dropping does the same, a little later.
    pub async fn rollback(self) -> Result<(), DbError> {
        self.inner.rollback().await.map_err(|error| DbError::from_sqlx("roll back", error))
    }

    /// Accounts.
    pub const fn domains(&mut self) -> Domains<'_> {
        Domains { tx: self }
    }

    /// Projects.
    pub const fn projects(&mut self) -> Projects<'_> {
        Projects { tx: self }
    }

    /// Users and their passwords.
    pub const fn users(&mut self) -> Users<'_> {
        Users { tx: self }
    }

    /// Logins that failed.
    pub const fn login_failures(&mut self) -> LoginFailures<'_> {
        LoginFailures { tx: self }
    }

    /// Access keys.
    pub const fn access_keys(&mut self) -> AccessKeys<'_> {
        AccessKeys { tx: self }
    }

    /// Tokens.
    pub const fn tokens(&mut self) -> Tokens<'_> {
        Tokens { tx: self }
    }

    /// Groups of users.
    pub const fn groups(&mut self) -> Groups<'_> {
        Groups { tx: self }
    }

    /// Policies that accounts made for themselves.
    pub const fn custom_roles(&mut self) -> CustomRoles<'_> {
        CustomRoles { tx: self }
    }

    /// Who was granted which policies.
    pub const fn grants(&mut self) -> Grants<'_> {
        Grants { tx: self }
    }

    /// Images made of backups.
    pub const fn images(&mut self) -> Images<'_> {
        Images { tx: self }
    }

    /// Accounts that asked to be moved here.
    pub const fn domain_migrations(&mut self) -> DomainMigrations<'_> {
        DomainMigrations { tx: self }
    }

    /// Tags that accounts have defined beforehand.
    pub const fn predefined_tags(&mut self) -> PredefinedTags<'_> {
        PredefinedTags { tx: self }
    }

    /// What accounts let others do in their name.
    pub const fn agencies(&mut self) -> Agencies<'_> {
        Agencies { tx: self }
    }

    /// Access keys that end by themselves.
    pub const fn temporary_keys(&mut self) -> TemporaryKeys<'_> {
        TemporaryKeys { tx: self }
    }

    /// Signatures of changing requests that were used.
    pub const fn used_signatures(&mut self) -> UsedSignatures<'_> {
        UsedSignatures { tx: self }
    }

    /// Second factors.
    pub const fn mfa_devices(&mut self) -> MfaDevices<'_> {
        MfaDevices { tx: self }
    }

    /// Enterprise projects.
    pub const fn enterprise_projects(&mut self) -> EnterpriseProjects<'_> {
        EnterpriseProjects { tx: self }
    }

    /// Who changed what.
    pub const fn audit(&mut self) -> Audit<'_> {
        Audit { tx: self }
    }

    /// Vaults with their tags.
    pub const fn vaults(&mut self) -> Vaults<'_> {
        Vaults { tx: self }
    }

    /// What is bound to vaults.
    pub const fn bindings(&mut self) -> Bindings<'_> {
        Bindings { tx: self }
    }

    /// What was agreed about paying for vaults.
    pub const fn orders(&mut self) -> Orders<'_> {
        Orders { tx: self }
    }

    /// For which hours vaults are charged by use.
    pub const fn metering(&mut self) -> Metering<'_> {
        Metering { tx: self }
    }

    /// What accounts have.
    pub const fn balances(&mut self) -> Balances<'_> {
        Balances { tx: self }
    }

    /// How far it has come with vaults that are not paid for.
    pub const fn billing_steps(&mut self) -> BillingSteps<'_> {
        BillingSteps { tx: self }
    }

    /// Limits that administrators have set.
    pub const fn quotas(&mut self) -> Quotas<'_> {
        Quotas { tx: self }
    }

    /// Policies, and the vaults they work for.
    pub const fn policies(&mut self) -> Policies<'_> {
        Policies { tx: self }
    }

    /// When policies are due.
    pub const fn schedules(&mut self) -> Schedules<'_> {
        Schedules { tx: self }
    }

    /// What became of the occurrences of policies.
    pub const fn policy_runs(&mut self) -> PolicyRuns<'_> {
        PolicyRuns { tx: self }
    }

    /// Backups that look unlike those before them.
    pub const fn anomalies(&mut self) -> Anomalies<'_> {
        Anomalies { tx: self }
    }

    /// Which backups are at the end of their time, and what keeps others longer.
    pub const fn retention(&mut self) -> Retention<'_> {
        Retention { tx: self }
    }

    /// Policies of whole accounts.
    pub const fn organization_policies(&mut self) -> OrganizationPolicies<'_> {
        OrganizationPolicies { tx: self }
    }

    /// Runs over vaults.
    pub const fn checkpoints(&mut self) -> Checkpoints<'_> {
        Checkpoints { tx: self }
    }

    /// Backups with their disks.
    pub const fn backups(&mut self) -> Backups<'_> {
        Backups { tx: self }
    }

    /// How many backups there are.
    pub const fn backup_counts(&mut self) -> BackupCounts<'_> {
        BackupCounts { tx: self }
    }

    /// Questions about many backups at once.
    pub const fn vault_backups(&mut self) -> VaultBackups<'_> {
        VaultBackups { tx: self }
    }

    /// How full vaults were.
    pub const fn vault_points(&mut self) -> VaultPoints<'_> {
        VaultPoints { tx: self }
    }

    /// Metrics that users publish.
    pub const fn custom_points(&mut self) -> CustomPoints<'_> {
        CustomPoints { tx: self }
    }

    /// Whether vaults were above their thresholds.
    pub const fn vault_levels(&mut self) -> VaultLevels<'_> {
        VaultLevels { tx: self }
    }

    /// The newest backups of what is bound.
    pub const fn last_backups(&mut self) -> LastBackups<'_> {
        LastBackups { tx: self }
    }

    /// What happened without a person.
    pub const fn events(&mut self) -> Events<'_> {
        Events { tx: self }
    }

    /// Alarm rules, what they know, and their templates.
    pub const fn alarms(&mut self) -> Alarms<'_> {
        Alarms { tx: self }
    }

    /// Changes of state of alarms.
    pub const fn alarm_records(&mut self) -> AlarmRecords<'_> {
        AlarmRecords { tx: self }
    }

    /// Topics and their subscriptions.
    pub const fn topics(&mut self) -> Topics<'_> {
        Topics { tx: self }
    }

    /// Messages to single subscriptions.
    pub const fn deliveries(&mut self) -> Deliveries<'_> {
        Deliveries { tx: self }
    }

    /// What disks' backups cost.
    pub const fn backup_sizes(&mut self) -> BackupSizes<'_> {
        BackupSizes { tx: self }
    }

    /// Backups that were deleted and can be taken back.
    pub const fn trash(&mut self) -> Trash<'_> {
        Trash { tx: self }
    }

    /// Agents with their directories.
    pub const fn agents(&mut self) -> Agents<'_> {
        Agents { tx: self }
    }

    /// Projects that backups are shared with.
    pub const fn members(&mut self) -> Members<'_> {
        Members { tx: self }
    }

    /// Disks that are not the provider's project's.
    pub const fn disk_owners(&mut self) -> DiskOwners<'_> {
        DiskOwners { tx: self }
    }

    /// Moves of resources between vaults.
    pub const fn migration(&mut self) -> Migration<'_> {
        Migration { tx: self }
    }

    /// Backups that are given out as disks.
    pub const fn exports(&mut self) -> Exports<'_> {
        Exports { tx: self }
    }

    /// What is known about the soundness of what is stored.
    pub const fn verification(&mut self) -> Verification<'_> {
        Verification { tx: self }
    }

    /// Tasks, as the task engine sees them.
    pub const fn tasks(&mut self) -> Tasks<'_> {
        Tasks { tx: self }
    }

    /// Tasks, as people see them.
    pub const fn operations(&mut self) -> Operations<'_> {
        Operations { tx: self }
    }

    /// The processes that share the database.
    pub const fn nodes(&mut self) -> Nodes<'_> {
        Nodes { tx: self }
    }

    /// Facts about this installation.
    pub const fn settings(&mut self) -> Settings<'_> {
        Settings { tx: self }
    }

    /// Which bytes objects of the repository were first given.
    pub const fn object_claims(&mut self) -> ObjectClaims<'_> {
        ObjectClaims { tx: self }
    }

    pub(crate) const fn engine(&self) -> Engine {
        self.engine
    }

    /// Runs a statement; gives the number of rows it changed.
    pub(crate) async fn execute(&mut self, name: &'static str, sql: Sql) -> Result<u64, DbError> {
        let (text, arguments) = parts(name, sql)?;
        let result = sqlx::query_with(AssertSqlSafe(text), arguments)
            .execute(&mut *self.inner)
            .await
            .map_err(|error| DbError::from_sqlx(name, error))?;
        Ok(result.rows_affected())
    }

    /// Runs a statement that changes at most one row; says whether it did.
    pub(crate) async fn execute_one(
        &mut self,
        name: &'static str,
        sql: Sql,
    ) -> Result<bool, DbError> {
        Ok(self.execute(name, sql).await? == 1)
    }

    /// All rows of a query over `table`.
    pub(crate) async fn rows(
        &mut self,
        name: &'static str,
        table: &'static str,
        sql: Sql,
    ) -> Result<Vec<Row>, DbError> {
        let mut all = Vec::new();
        let keep = |row| {
            all.push(row);
            Ok(())
        };
        self.walk(name, table, sql, keep).await?;
        Ok(all)
    }

    /// Gives the rows of a query over `table` one after the other: all of them need not fit into memory.
    pub(crate) async fn each(
        &mut self,
        name: &'static str,
        table: &'static str,
        sql: Sql,
        mut each: impl FnMut(&Row) -> Result<(), DbError> + Send,
    ) -> Result<(), DbError> {
        self.walk(name, table, sql, |row| each(&row)).await
    }

    async fn walk(
        &mut self,
        name: &'static str,
        table: &'static str,
        sql: Sql,
        mut each: impl FnMut(Row) -> Result<(), DbError> + Send,
    ) -> Result<(), DbError> {
        let (text, arguments) = parts(name, sql)?;
        let mut rows = sqlx::query_with(AssertSqlSafe(text), arguments).fetch(&mut *self.inner);
        while let Some(row) =
            rows.try_next().await.map_err(|error| DbError::from_sqlx(name, error))?
        {
            each(Row::new(row, table))?;
            // As long as the next row is there already, waiting for it lets nobody else have the thread: with
            // a million rows, no request that came to it would be answered for seconds.
            consume_budget().await;
        }
        Ok(())
    }

    /// The row of a query over `table` that finds at most one.
    pub(crate) async fn row(
        &mut self,
        name: &'static str,
        table: &'static str,
        sql: Sql,
    ) -> Result<Option<Row>, DbError> {
        Ok(self.rows(name, table, sql).await?.pop())
    }

    /// Runs a text of several statements without arguments.
    pub(crate) async fn script(&mut self, name: &'static str, text: String) -> Result<(), DbError> {
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut *self.inner)
            .await
            .map_err(|error| DbError::from_sqlx(name, error))?;
        Ok(())
    }

    /// A number that a query computes as `n`.
    pub(crate) async fn number(&mut self, name: &'static str, sql: Sql) -> Result<u64, DbError> {
        let row = self.row(name, "(computed)", sql).await?;
        row.map_or(Ok(0), |row| row.count("n"))
    }
}

fn parts(name: &'static str, sql: Sql) -> Result<(String, AnyArguments), DbError> {
    sql.into_parts().map_err(|error| DbError::from_sqlx(name, error))
}
