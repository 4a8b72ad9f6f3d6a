//! `cbr repo probe`: what the place of the repository does, today and when the repository was made.

use std::sync::Arc;

use anyhow::{Context, Result};
use cbr_store::Repository;
use cbr_store::backend::{Probe, Weight};
use serde_json::{Value, json};

use super::writable::apart;
use crate::failure::{Failure, Kind};
use crate::output::{Output, Show};

/// Asks the place, with objects that are removed again.
pub(super) async fn run(repository: Arc<Repository>, output: Output) -> Result<()> {
    let lang = output.lang;
    let asked = Arc::clone(&repository);
    let probes = apart(move || Ok(asked.ask_place()?)).await.context("cannot ask the place")?;
    let answers = answers(repository.probes(), &probes);
    let broken = repository.broken(&probes);
    if output.is_json() {
        output.json(&json!({
            "answers": answers,
            "database_decides": repository.is_arbitrated(),
            "broken": broken,
        }))?;
    } else {
        output.list(
            &answers,
            &[
                (lang.col_question(), Show::At("/question")),
                (lang.col_weight(), Show::At("/weight")),
                (lang.col_when_made(), Show::With(|it| word(it, "/when_made"))),
                (lang.col_now(), Show::With(|it| word(it, "/now"))),
            ],
        )?;
        if repository.is_arbitrated() {
            output.note(lang.note_database_decides());
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let why = lang.why_repo_probe(broken.join("; "));
    Err(Failure::new(Kind::Failed, lang.what_repo_probe(), why)
        .with_next(lang.next_repo_probe())
        .into())
}

/// Each question with the answer then, if it was asked then, and now.
fn answers(then: &[Probe], now: &[Probe]) -> Vec<Value> {
    let answer = |probe: &Probe| {
        let before = then.iter().find(|before| before.name == probe.name);
        json!({
            "question": probe.name,
            "weight": weight(probe.weight()),
            "when_made": before.map(|before| before.holds),
            "now": probe.holds,
        })
    };
    now.iter().map(answer).collect()
}

/// The same in every language, as programs read it too.
const fn weight(weight: Weight) -> &'static str {
    match weight {
        Weight::Required => "required",
        Weight::Arbitrable => "database_can_decide",
        Weight::Noted => "noted",
    }
}

/// Short enough for a table.
fn word(answer: &Value, pointer: &str) -> String {
    let word = match answer.pointer(pointer).and_then(Value::as_bool) {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    word.to_owned()
}
