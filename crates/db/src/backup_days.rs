//! Table `backup_days`: how many backups a project has of each day, so that a page far back in a list begins at
//! its day and does not walk over what is before it (ADR 37).
//!
//! Triggers of the database keep it, as they keep `backup_counts`.

use cbr_model::query::{BackupFilter, Page};
use cbr_model::{ProjectId, Timestamp};

use crate::backup_filter::sort_keys;
use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

const DAY_MICROS: i64 = 86_400_000_000;

/// Where skipping begins to cost more than looking up the day.
const OFFSET_MIN: u64 = 1000;

/// The same page as the list of fewer days: of those from the one on that it begins in. None: there is no
/// marker, filter or order that allows it, or not so much to skip.
pub(crate) async fn nearer(
    tx: &mut Tx,
    project: ProjectId,
    filter: &BackupFilter,
    page: &Page,
) -> Result<Option<(BackupFilter, Page)>, DbError> {
    let unfiltered = BackupFilter { sort: filter.sort.clone(), ..BackupFilter::default() };
    let first = sort_keys(&filter.sort)[0];
    let offset = page.offset;
    if *filter != unfiltered
        || first.expression != "t.created_at"
        || page.marker.is_some()
        || offset < OFFSET_MIN
    {
        return Ok(None);
    }
    let order = if first.ascending { "ASC" } else { "DESC" };
    let mut sql = Sql::new(
        "SELECT d.day AS day, d.skipped AS skipped FROM (SELECT t.day, t.backups,
             CAST(SUM(t.backups) OVER (ORDER BY t.day ",
    );
    sql.text(order).text(") AS BIGINT) - t.backups AS skipped FROM backup_days t");
    sql.text(" WHERE t.project_id = ").value(project);
    sql.text(") d WHERE d.skipped <= ").value(offset);
    sql.text(" AND d.skipped + d.backups > ").value(offset);
    let Some(row) = tx.row("backup_days.nearer", "backup_days", sql).await? else {
        return Ok(None);
    };
    let (day, skipped) = (row.int("day")?, row.count("skipped")?);
    // Division rounds towards 1970: a day before it is not the one that it says.
    if day <= 0 {
        return Ok(None);
    }
    let begin = day.saturating_mul(DAY_MICROS);
    let mut nearer = filter.clone();
    if first.ascending {
        nearer.created_from = Some(Timestamp(begin));
    } else {
        nearer.created_until = Some(Timestamp(begin.saturating_add(DAY_MICROS - 1)));
    }
    Ok(Some((nearer, Page { offset: page.offset.saturating_sub(skipped), ..*page })))
}
