//! `cbr backup list --deleted`, `cbr backup undelete`, `cbr backup purge`: what was deleted and can be
//! taken back.

use serde_json::{Value, json};

use super::session::Session;
use crate::client::lookup::Noun;
use crate::client::wait::WaitArgs;
use crate::client::wire;
use crate::failure::{Failure, Kind};
use crate::output::{Column, Show, bytes};
use crate::text::Lang;

/// `cbr backup list --deleted`.
pub(super) async fn list(session: &Session) -> Result<(), Failure> {
    let trash = trash(session).await?;
    let lang = session.output.lang;
    let columns: Vec<Column> = vec![
        (lang.col_id(), Show::At("/backup/id")),
        (lang.col_name(), Show::At("/backup/name")),
        (lang.col_resource(), Show::At("/backup/resource_name")),
        (lang.col_vault(), Show::At("/backup/vault_id")),
        (lang.col_created(), Show::With(|one| wire::time(one, "/backup/created_at"))),
        (lang.col_deleted(), Show::With(|one| wire::time(one, "/deleted_at"))),
        (lang.col_purged_from(), Show::With(|one| wire::time(one, "/purged_from"))),
        (lang.col_logical(), Show::With(logical)),
    ];
    session.output.list(&trash, &columns)
}

/// `cbr backup undelete`.
pub(super) async fn undelete(
    session: &Session,
    names: &[String],
    vault: Option<&str>,
    wait: WaitArgs,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let ids = find_all(session, names).await?;
    let vault = match vault {
        Some(vault) => Some(session.find_id(Noun::Vault, vault).await?),
        None => None,
    };
    let mut tasks = Vec::new();
    for (id, name) in ids.iter().zip(names) {
        let path = session.client.cbr(&format!("x/trash/{id}/undelete"));
        let body = vault.as_ref().map_or_else(|| json!({}), |vault| json!({"vault_id": vault}));
        let started = session.client.post(&path, &body).await;
        let started = started.map_err(session.failed(lang.what_undelete(name)));
        let started = started.map_err(|failure| match failure.code.as_deref() {
            Some("CBRX.0021") => failure.with_next(lang.next_vault_gone()),
            _ => failure,
        })?;
        tasks.push(wire::text(&started, "/job_id"));
    }
    super::conclude(session, &tasks, wait, &lang.done_undelete(names.join(", "))).await
}

/// `cbr backup purge`.
pub(super) async fn purge(
    session: &Session,
    names: &[String],
    yes: bool,
    wait: WaitArgs,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let ids = find_all(session, names).await?;
    session.confirm(&lang.ask_purge(names.join(", ")), yes)?;
    let mut tasks = Vec::new();
    for (id, name) in ids.iter().zip(names) {
        let path = session.client.cbr(&format!("x/trash/{id}"));
        let started = session.client.delete(&path).await;
        let started = started.map_err(session.failed(lang.what_purge(name)))?;
        tasks.push(wire::text(&started, "/job_id"));
    }
    super::conclude(session, &tasks, wait, &lang.done_purge(names.join(", "))).await
}

/// For how many days what is deleted can be taken back; 0 of a service that knows no trash.
pub(super) async fn undo_days(session: &Session) -> Result<u64, Failure> {
    match session.client.get(&session.client.cbr("x/trash"), Vec::new()).await {
        Ok(answer) => Ok(wire::number(&answer, "/undo_days").unwrap_or(0)),
        Err(error) if error.is_not_found() => Ok(0),
        Err(error) => {
            let lang = session.output.lang;
            Err(error.failure(lang, lang.what_trash()))
        }
    }
}

/// What is done, and for how many `days` deleted backups come back.
pub(super) fn done(lang: Lang, done: String, days: u64) -> String {
    if days == 0 { done } else { lang.done_undo(done, days) }
}

async fn trash(session: &Session) -> Result<Vec<Value>, Failure> {
    let answer = session.client.get(&session.client.cbr("x/trash"), Vec::new()).await;
    let answer = answer.map_err(session.failed(session.output.lang.what_trash()))?;
    Ok(wire::items(&answer, "/trash").to_vec())
}

/// The ids of deleted backups, by name or id; a name that fits several is refused.
async fn find_all(session: &Session, names: &[String]) -> Result<Vec<String>, Failure> {
    let lang = session.output.lang;
    let trash = trash(session).await?;
    let mut ids = Vec::new();
    for name in names {
        let is_meant = |one: &&Value| {
            wire::text(one, "/backup/id") == *name || wire::text(one, "/backup/name") == *name
        };
        let mut found: Vec<String> =
            trash.iter().filter(is_meant).map(|one| wire::text(one, "/backup/id")).collect();
        let what = lang.what_find(lang.noun_backup(), name);
        ids.push(match (found.len(), found.pop()) {
            (1, Some(id)) => id,
            (_, None) => {
                let failure = Failure::new(Kind::NotFound, what, lang.why_not_in_trash(name));
                return Err(failure.with_next(lang.next_trash()));
            }
            (_, Some(last)) => {
                found.push(last);
                let why = lang.why_ambiguous(found.len(), name, found.join(", "));
                return Err(Failure::new(Kind::Usage, what, why).with_next(lang.next_ambiguous()));
            }
        });
    }
    Ok(ids)
}

fn logical(one: &Value) -> String {
    wire::number(one, "/logical_bytes").map(bytes).unwrap_or_default()
}
