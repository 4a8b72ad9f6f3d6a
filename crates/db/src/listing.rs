//! Pages of a list: filter, order, marker, limit, and the count without them.
//!
//! A marker means "after the row with this id": its sort values are looked up
//! and the page begins behind them, so pages neither overlap nor leave gaps
//! while rows come and go.

use cbr_model::ProjectId;
use cbr_model::query::Page;

use crate::engine::Engine;
use crate::error::DbError;
use crate::row::Row;
use crate::sql::{Sql, VALUES_MAX, Value};
use crate::tx::Tx;

/// A column, or an expression that is never NULL, that a list is sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SortKey {
    pub(crate) expression: &'static str,
    pub(crate) is_text: bool,
    pub(crate) ascending: bool,
}

impl SortKey {
    /// Largest number first.
    pub(crate) const fn newest(expression: &'static str) -> Self {
        Self { expression, is_text: false, ascending: false }
    }

    /// The key that makes an order total.
    pub(crate) const fn id(ascending: bool) -> Self {
        Self { expression: "t.id", is_text: true, ascending }
    }
}

/// Adds the condition that a row `t` is there for a project.
pub(crate) type Whose = fn(&mut Sql, ProjectId);

/// Its own rows.
fn of_project(sql: &mut Sql, project: ProjectId) {
    sql.text("t.project_id = ").value(project);
}

/// Names for the sort values of the marker's row. No list has more keys.
const NAMES: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];

/// What is known of the number of rows that match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Matches {
    /// So many; they need not be counted.
    Counted(u64),
    /// Nothing.
    Uncounted,
    /// Nothing, but every row has to be looked at to find them, and most often there are few: one
    /// look is enough then.
    SearchedFor,
}

/// Every column of a row.
pub(crate) const WHOLE: &str = "SELECT t.* ";

/// A list of rows of one table, which is called `t` in all expressions.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Name of the query.
    pub(crate) name: &'static str,
    /// Name of the table.
    pub(crate) table: &'static str,
    /// `SELECT …`, the columns that are needed of a row `t`; [`WHOLE`] where that is all of them.
    pub(crate) select: &'static str,
    /// Whose rows; the marker must be one of them.
    pub(crate) project: ProjectId,
    /// `FROM table t WHERE t.project_id = $1 AND …`
    pub(crate) matching: Sql,
    /// Most significant first; the last one is unique.
    pub(crate) keys: Vec<SortKey>,
}

impl Listed {
    /// The rows of a page, and how many match without paging.
    pub(crate) async fn page(self, tx: &mut Tx, page: &Page) -> Result<(Vec<Row>, u64), DbError> {
        self.page_in(tx, page, of_project, Matches::Uncounted).await
    }

    /// The same for a list that also has rows of others: a marker may be any row that `whose` names.
    pub(crate) async fn page_in(
        mut self,
        tx: &mut Tx,
        page: &Page,
        whose: Whose,
        matches: Matches,
    ) -> Result<(Vec<Row>, u64), DbError> {
        let total = match matches {
            Matches::Counted(total) => total,
            Matches::Uncounted => self.count(tx).await?,
            Matches::SearchedFor => match self.few(tx).await? {
                Some(ids) => {
                    let total = ids.len() as u64;
                    if !ids.is_empty() {
                        self.matching = of_ids(self.table, ids);
                    } else if page.marker.is_none() {
                        return Ok((Vec::new(), 0));
                    }
                    total
                }
                None => self.count(tx).await?,
            },
        };
        Ok((self.rows(tx, page, whose).await?, total))
    }

    async fn count(&self, tx: &mut Tx) -> Result<u64, DbError> {
        tx.number(self.name, self.matching.wrapped("SELECT COUNT(*) AS n ", "")).await
    }

    /// The ids of all rows that match, unless there are more than [`VALUES_MAX`].
    async fn few(&self, tx: &mut Tx) -> Result<Option<Vec<String>>, DbError> {
        let mut sql = self.matching.wrapped("SELECT t.id AS id ", "");
        // In order, so that it is answered by the index that has the order, and the texts.
        self.in_order(&mut sql);
        sql.text(" LIMIT ").value(VALUES_MAX + 1);
        let rows = tx.rows(self.name, self.table, sql).await?;
        if rows.len() > VALUES_MAX {
            return Ok(None);
        }
        rows.iter().map(|row| row.text("id")).collect::<Result<_, _>>().map(Some)
    }

    async fn rows(&self, tx: &mut Tx, page: &Page, whose: Whose) -> Result<Vec<Row>, DbError> {
        // What is skipped is skipped in the index: only the rows of the page are fetched.
        let skips = page.offset > 0;
        let begin = if skips { "SELECT t.id AS page_id " } else { self.select };
        let mut sql = self.matching.wrapped(begin, "");
        if let Some(marker) = page.marker {
            let marker = marker.hyphenated().to_string();
            let values = self.marker_values(tx, marker, whose).await?;
            self.after(&mut sql, &values);
        }
        self.in_order(&mut sql);
        sql.text(" LIMIT ").value(page.limit).text(" OFFSET ").value(page.offset);
        if skips {
            sql = sql.wrapped("FROM (", ") p JOIN ").wrapped(self.select, "");
            sql.text(self.table).text(" t ON t.id = p.page_id");
            self.in_order(&mut sql);
        }
        tx.rows(self.name, self.table, sql).await
    }

    fn in_order(&self, sql: &mut Sql) {
        sql.text(" ORDER BY ");
        for (i, key) in self.keys.iter().enumerate() {
            sql.text(if i > 0 { ", " } else { "" }).text(key.expression);
            sql.text(if key.ascending { " ASC" } else { " DESC" });
        }
    }

    async fn marker_values(
        &self,
        tx: &mut Tx,
        marker: String,
        whose: Whose,
    ) -> Result<Vec<Value>, DbError> {
        let keys = || self.keys.iter().zip(NAMES);
        let mut sql = Sql::new("SELECT ");
        for (i, (key, name)) in keys().enumerate() {
            sql.text(if i > 0 { ", " } else { "" }).text(key.expression).text(" AS ").text(name);
        }
        sql.text(" FROM ").text(self.table).text(" t WHERE ");
        whose(&mut sql, self.project);
        sql.text(" AND t.id = ").value(marker);
        let row = tx.row(self.name, self.table, sql).await?.ok_or(DbError::UnknownMarker)?;
        keys()
            .map(|(key, name)| {
                Ok(if key.is_text {
                    Value::Text(Some(row.text(name)?))
                } else {
                    Value::Int(Some(row.int(name)?))
                })
            })
            .collect()
    }

    /// ` AND (k0, k1) > (v0, v1)`, which an index answers; where the directions differ,
    /// ` AND (k0 > v0 OR k0 = v0 AND k1 < v1 OR …)`.
    fn after(&self, sql: &mut Sql, values: &[Value]) {
        let sign = |key: &SortKey| if key.ascending { " > " } else { " < " };
        let first = &self.keys[0];
        sql.text(" AND (");
        if self.keys.iter().all(|key| key.ascending == first.ascending) {
            for (i, key) in self.keys.iter().enumerate() {
                sql.text(if i > 0 { ", " } else { "" }).text(key.expression);
            }
            sql.text(")").text(sign(first)).text("(");
            sql.values_list(values.iter().cloned());
        } else {
            for (i, key) in self.keys.iter().enumerate() {
                sql.text(if i > 0 { " OR " } else { "" });
                for (earlier, value) in self.keys[..i].iter().zip(values) {
                    sql.text(earlier.expression).text(" = ").value(value.clone()).text(" AND ");
                }
                sql.text(key.expression).text(sign(key)).value(values[i].clone());
            }
        }
        sql.text(")");
    }
}

/// The rows with these ids, of which there is one at least. What they were found by is not asked again: it
/// would be looked for again.
fn of_ids(table: &'static str, ids: Vec<String>) -> Sql {
    let mut sql = Sql::new("FROM ");
    sql.text(table).text(" t WHERE 1 = 1").and_one_of("t.id", ids);
    sql
}

/// ` AND column contains text`, if there is a text. Case matters.
pub(crate) fn and_contains(
    sql: &mut Sql,
    engine: Engine,
    column: &'static str,
    text: Option<&String>,
) {
    if let Some(text) = text {
        sql.text(" AND ");
        // The two mean the same; an index of trigrams knows one of them, and is worse than none for a
        // text without any.
        if engine == Engine::Postgres && has_trigram(text) {
            sql.text(column).text(" LIKE ").value(like(text));
        } else {
            sql.text(engine.position_function()).text("(").text(column).text(", ");
            sql.value(text).text(") > 0");
        }
    }
}

/// Whether three letters or digits stand side by side that are such in every locale.
fn has_trigram(text: &str) -> bool {
    text.as_bytes().windows(3).any(|three| three.iter().all(u8::is_ascii_alphanumeric))
}

/// The pattern of all texts that contain this one.
fn like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
