//! What deleting some backups together would free (extension, VLT-85).
//!
//! Backups share blocks, so two of them free together at least what each of them frees alone.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::BackupId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::backup_sizes::BackupSizes;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

/// The most backups one question names.
const BACKUPS_MAX: usize = 1000;

pub(crate) const OPERATION: Operation = Operation {
    name: "WhatIfBackupsDeleted",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/backups/what-if",
    group: "Extensions",
    summary: "Shows what deleting some backups together would free; deletes nothing.",
    admission: Admission::Project,
    action: Some("cbr:backups:get"),
    event: None,
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WhatIfBackupsDeletedRequest)]
struct Request {
    /// 1 to 1000 ids; one that is named twice counts once.
    backup_ids: Vec<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhatIfBackupsDeletedResponse)]
struct Response {
    what_if: Answer,
}

/// What would be free if all of them were deleted.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WhatIfBackupsDeleted)]
struct Answer {
    /// In the store: what no other backup needs.
    freed_bytes: u64,
    /// Of the vaults' used capacity, at once.
    logical_bytes: u64,
    /// For how many days they could be taken back; what the store has of them is free only after that,
    /// or when they are purged. 0: at once.
    undo_days: u32,
    /// Each backup on its own.
    backups: Vec<BackupSizes>,
}

/// `POST /v3/{project_id}/x/backups/what-if`
#[tracing::instrument(name = "api.x.what_if", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let ids = ids(&request.backup_ids)?;
    let answer = api.services.backups.what_if(&access, &ids).await?;
    let what_if = Answer {
        freed_bytes: answer.freed_bytes,
        logical_bytes: answer.logical_bytes,
        undo_days: api.services.trash.undo_days(),
        backups: answer.backups.into_iter().map(BackupSizes::from).collect(),
    };
    Ok(Json(Response { what_if }))
}

fn ids(texts: &[String]) -> Result<BTreeSet<BackupId>, ApiError> {
    if texts.is_empty() || texts.len() > BACKUPS_MAX {
        return Err(ApiError::invalid("backup_ids", format_args!("1 to {BACKUPS_MAX} are needed")));
    }
    let id = |text: &String| text.parse().map_err(|why| ApiError::invalid("backup_ids", why));
    texts.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P24: a question has a limit; an id that is none is refused.
    #[test]
    fn a_question_names_one_to_a_thousand_backups() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01".to_owned();
        assert_eq!(ids(&vec![id.clone(); BACKUPS_MAX]).unwrap().len(), 1);
        for bad in [vec![], vec!["x".to_owned()], vec![id; BACKUPS_MAX + 1]] {
            assert!(ids(&bad).is_err());
        }
    }
}
