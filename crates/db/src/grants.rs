//! Tables `group_grants` and `agency_grants`: who was granted which policies, and where.

use cbr_model::identity::{Grant, GrantScope, Grantee};
use cbr_model::{AgencyId, DomainId, RoleId, UserId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::{Sql, Value};
use crate::tx::Tx;

const ACCOUNT: &str = "account";
const ALL_PROJECTS: &str = "projects";

/// The tables of grants.
#[derive(Debug)]
pub struct Grants<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Grants<'_> {
    /// Grants; what was granted already stays so.
    pub async fn insert(&mut self, grant: &Grant) -> Result<(), DbError> {
        let sql = Sql::new(match grant.to {
            Grantee::Group(_) => {
                "INSERT INTO group_grants (grantee_id, role_id, scope) VALUES ($1, $2, $3)
                 ON CONFLICT DO NOTHING"
            }
            Grantee::Agency(_) => {
                "INSERT INTO agency_grants (grantee_id, role_id, scope) VALUES ($1, $2, $3)
                 ON CONFLICT DO NOTHING"
            }
        });
        self.tx.execute("grants.insert", bound(sql, grant)).await.map(drop)
    }

    /// Takes a grant back; says whether there was one.
    pub async fn delete(&mut self, grant: &Grant) -> Result<bool, DbError> {
        let sql = Sql::new(match grant.to {
            Grantee::Group(_) => {
                "DELETE FROM group_grants WHERE grantee_id = $1 AND role_id = $2 AND scope = $3"
            }
            Grantee::Agency(_) => {
                "DELETE FROM agency_grants WHERE grantee_id = $1 AND role_id = $2 AND scope = $3"
            }
        });
        self.tx.execute_one("grants.delete", bound(sql, grant)).await
    }

    /// The policies granted to somebody, with where.
    pub async fn of(&mut self, to: Grantee) -> Result<Vec<Grant>, DbError> {
        let (sql, table) = match to {
            Grantee::Group(_) => (
                "SELECT role_id, scope FROM group_grants WHERE grantee_id = $1
                 ORDER BY scope, role_id",
                "group_grants",
            ),
            Grantee::Agency(_) => (
                "SELECT role_id, scope FROM agency_grants WHERE grantee_id = $1
                 ORDER BY scope, role_id",
                "agency_grants",
            ),
        };
        let rows = self.tx.rows("grants.of", table, Sql::new(sql).bind(grantee(to))).await?;
        let grant =
            |row: &Row| Ok(Grant { to, role: row.id("role_id")?, scope: scope(row, "scope")? });
        rows.iter().map(grant).collect()
    }

    /// The policies that a user has in one place through its groups of its account, each once.
    ///
    /// In a project these are the ones granted there and in all projects.
    pub async fn roles_of_user(
        &mut self,
        domain: DomainId,
        user: UserId,
        place: GrantScope,
    ) -> Result<Vec<RoleId>, DbError> {
        let mut sql = Sql::new(
            "SELECT DISTINCT g.role_id FROM group_grants g
             JOIN group_members m ON m.group_id = g.grantee_id
             JOIN user_groups u ON u.id = g.grantee_id
             WHERE m.user_id = $1 AND u.domain_id = $2",
        )
        .bind(user)
        .bind(domain);
        sql.and_one_of("g.scope", places(place)).text(" ORDER BY g.role_id");
        let rows = self.tx.rows("grants.roles_of_user", "group_grants", sql).await?;
        rows.iter().map(|row| row.id("role_id")).collect()
    }

    /// The policies that an agency has in one place, each once.
    pub async fn roles_of_agency(
        &mut self,
        agency: AgencyId,
        place: GrantScope,
    ) -> Result<Vec<RoleId>, DbError> {
        let mut sql = Sql::new("SELECT DISTINCT role_id FROM agency_grants WHERE grantee_id = $1")
            .bind(agency);
        sql.and_one_of("scope", places(place)).text(" ORDER BY role_id");
        let rows = self.tx.rows("grants.roles_of_agency", "agency_grants", sql).await?;
        rows.iter().map(|row| row.id("role_id")).collect()
    }

    /// How many grants there are of a policy.
    pub async fn count(&mut self, role: RoleId) -> Result<u64, DbError> {
        let sql = Sql::new(
            "SELECT (SELECT COUNT(*) FROM group_grants WHERE role_id = $1)
                  + (SELECT COUNT(*) FROM agency_grants WHERE role_id = $1) AS n",
        );
        self.tx.number("grants.count", sql.bind(role)).await
    }
}

fn bound(sql: Sql, grant: &Grant) -> Sql {
    sql.bind(grantee(grant.to)).bind(grant.role).bind(scope_text(grant.scope))
}

fn grantee(to: Grantee) -> Value {
    Value::Text(Some(match to {
        Grantee::Group(id) => id.to_string(),
        Grantee::Agency(id) => id.to_string(),
    }))
}

fn scope_text(scope: GrantScope) -> String {
    match scope {
        GrantScope::Account => ACCOUNT.to_owned(),
        GrantScope::AllProjects => ALL_PROJECTS.to_owned(),
        GrantScope::Project(id) => id.to_string(),
    }
}

/// The stored scopes that reach a place.
fn places(place: GrantScope) -> Vec<String> {
    match place {
        GrantScope::Account | GrantScope::AllProjects => vec![scope_text(place)],
        GrantScope::Project(_) => vec![scope_text(place), ALL_PROJECTS.to_owned()],
    }
}

fn scope(row: &Row, column: &'static str) -> Result<GrantScope, DbError> {
    Ok(match row.text(column)?.as_str() {
        ACCOUNT => GrantScope::Account,
        ALL_PROJECTS => GrantScope::AllProjects,
        _ => GrantScope::Project(row.id(column)?),
    })
}
