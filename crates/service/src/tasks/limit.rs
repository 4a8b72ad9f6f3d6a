//! How much of one kind a project may have waiting.

use cbr_db::TaskRecord;
use cbr_model::ProjectId;

use crate::{Error, Result};

/// So many tasks of one kind that a request alone makes, of which nothing else bounds the number: all
/// projects share the workers and the disks (P24, P26).
pub(crate) const UNFINISHED_MAX: usize = 100;

/// Refuses one more task of a kind to a project that has so many `unfinished` ones.
pub(crate) fn check_room(unfinished: &[TaskRecord], project: ProjectId, kind: &str) -> Result<()> {
    check_room_for(1, unfinished, project, kind)
}

/// Refuses `more` tasks of a kind to a project that would then have too many `unfinished` ones.
pub(crate) fn check_room_for(
    more: usize,
    unfinished: &[TaskRecord],
    project: ProjectId,
    kind: &str,
) -> Result<()> {
    let is_one = |task: &&TaskRecord| task.project == project && task.kind == kind;
    if unfinished.iter().filter(is_one).count().saturating_add(more) <= UNFINISHED_MAX {
        return Ok(());
    }
    Err(Error::TooManyTasks { limit: UNFINISHED_MAX })
}
