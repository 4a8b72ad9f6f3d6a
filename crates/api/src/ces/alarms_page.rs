//! Pages of the older interface: they go on after an id.

use cbr_model::id::Id;
use cbr_model::query::{Listing, Page};
use cbr_service::alarms::AlarmView;
use serde::Serialize;
use utoipa::ToSchema;

use super::ids::{ShortId, read, short};
use crate::error::ApiError;
use crate::query::Query;

/// Rows of a page, when the client does not say, and at most.
const LIMIT_MAX: u32 = 100;

/// Which part of the list it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmsMetaData)]
pub(super) struct MetaData {
    /// Rows in this answer.
    count: usize,
    /// Rows in all.
    total: u64,
    /// What to go on from; empty: this is the end.
    marker: String,
}

impl MetaData {
    pub(super) fn of(listed: &Listing<AlarmView>, limit: u32) -> Self {
        let is_full = listed.rows.len() == limit as usize;
        let last = listed.rows.last().filter(|_| is_full);
        let marker = last.map(|view| short(view.rule.id)).unwrap_or_default();
        Self { count: listed.rows.len(), total: listed.total, marker }
    }
}

/// The page that is asked for, and whether the oldest comes first.
pub(super) fn page(query: &Query) -> Result<(Page, bool), ApiError> {
    let limit = match query.value::<u32>("limit")? {
        None => LIMIT_MAX,
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => limit,
        Some(_) => return Err(ApiError::invalid("limit", format_args!("1 to {LIMIT_MAX}"))),
    };
    let is_ascending = match query.text("order") {
        Some("asc") => true,
        None | Some("desc") => false,
        Some(_) => return Err(ApiError::invalid("order", "asc or desc")),
    };
    let marker = query.text("start").map(marker::<cbr_model::id::Alarm>).transpose()?;
    let marker = marker.map(|id| id.as_uuid());
    Ok((Page { limit, offset: 0, marker }, is_ascending))
}

fn marker<K: ShortId>(text: &str) -> Result<Id<K>, ApiError> {
    read(text).ok_or_else(|| ApiError::invalid("start", "it is the id of the last row before"))
}

/// A page by offset and limit, as the newer interface has it.
pub(super) fn offset_page(query: &Query) -> Result<Page, ApiError> {
    let limit = match query.value::<u32>("limit")? {
        None => 10,
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => limit,
        Some(_) => return Err(ApiError::invalid("limit", format_args!("1 to {LIMIT_MAX}"))),
    };
    let offset = query.value::<u64>("offset")?.unwrap_or(0);
    Ok(Page { limit, offset, marker: None })
}
