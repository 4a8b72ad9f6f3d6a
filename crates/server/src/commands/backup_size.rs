//! What backups cost, and what deleting them would free: `cbr backup size`, `cbr backup delete --dry-run`.
//!
//! One question for all of them: backups share blocks, and the service reads each chain once.

use serde_json::{Value, json};

use super::session::Session;
use crate::client::lookup::Noun;
use crate::client::{ApiError, wire};
use crate::failure::Failure;
use crate::output::{Column, Output, Show, bytes};

/// The most backups the service answers for at once.
const BACKUPS_MAX: usize = 1000;

/// `cbr backup size`.
pub(super) async fn size(session: &Session, names: &[String]) -> Result<(), Failure> {
    let answer = ask_by_name(session, names).await?;
    let output = session.output;
    if output.is_json() {
        return output.json(&answer);
    }
    output.list(wire::items(&answer, "/backups"), &all_columns(output))
}

/// `cbr backup delete --dry-run`.
pub(super) async fn dry_run(session: &Session, names: &[String]) -> Result<(), Failure> {
    let answer = ask_by_name(session, names).await?;
    let output = session.output;
    if output.is_json() {
        return output.json(&json!({"dry_run": true, "what_if": answer}));
    }
    output.list(wire::items(&answer, "/backups"), &all_columns(output))?;
    let of = |pointer| bytes(wire::number(&answer, pointer).unwrap_or(0));
    let (freed, logical) = (of("/freed_bytes"), of("/logical_bytes"));
    output.line(match wire::number(&answer, "/undo_days").unwrap_or(0) {
        0 => output.lang.done_dry_run(freed, logical),
        days => output.lang.done_dry_run_undo(freed, logical, days),
    })
}

/// Puts beside each backup what it costs (an extension: a service without it costs nothing).
pub(super) async fn with_sizes(session: &Session, backups: &mut [Value]) -> Result<(), Failure> {
    let lang = session.output.lang;
    for part in backups.chunks_mut(BACKUPS_MAX) {
        let ids: Vec<String> = part.iter().map(|backup| wire::text(backup, "/id")).collect();
        let answer = match ask(session, &ids).await {
            Ok(answer) => answer,
            // One of them is gone since they were listed, or there is no such question.
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error.failure(lang, lang.what_list(lang.noun_backup()))),
        };
        for sizes in wire::items(&answer, "/backups") {
            let id = wire::text(sizes, "/backup_id");
            if let Some(backup) = part.iter_mut().find(|backup| wire::text(backup, "/id") == id) {
                backup["sizes"] = sizes.clone();
            }
        }
    }
    Ok(())
}

async fn ask_by_name(session: &Session, names: &[String]) -> Result<Value, Failure> {
    let lang = session.output.lang;
    let mut ids = Vec::new();
    for name in names {
        ids.push(session.find_id(Noun::Backup, name).await?);
    }
    let asked = ask(session, &ids).await;
    asked.map_err(session.failed(lang.what_list(lang.noun_backup())))
}

async fn ask(session: &Session, ids: &[String]) -> Result<Value, ApiError> {
    let path = session.client.cbr("x/backups/what-if");
    let answer = session.client.post(&path, &json!({"backup_ids": ids})).await?;
    Ok(answer["what_if"].clone())
}

fn all_columns(output: Output) -> Vec<Column> {
    let mut columns = vec![(output.lang.col_backup(), Show::At("/backup_id"))];
    columns.extend(columns_at(output));
    columns
}

/// The columns of a value that is the sizes of something.
pub(super) fn columns_at(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_logical(), Show::With(|sizes| at(sizes, "/logical_bytes"))),
        (lang.col_changed(), Show::With(|sizes| at(sizes, "/changed_bytes"))),
        (lang.col_unique(), Show::With(|sizes| at(sizes, "/unique_bytes"))),
        (lang.col_shared(), Show::With(|sizes| at(sizes, "/shared_bytes"))),
        (lang.col_stored(), Show::With(|sizes| at(sizes, "/stored_bytes"))),
    ]
}

fn at(sizes: &Value, pointer: &str) -> String {
    wire::number(sizes, pointer).map(bytes).unwrap_or_default()
}
