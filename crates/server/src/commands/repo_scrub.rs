//! `cbr repo scrub` and `cbr repo repair`: finding damage a part at a time, and undoing it.

use std::sync::Arc;

use anyhow::{Context, Result};
use cbr_env::{RandomExt, SystemRandom};
use cbr_store::{Problem, Repaired, Repository, ScrubBudget, ScrubCursor, ScrubLevel};
use serde_json::{Value, json};

use super::repo::{affected, long};
use crate::failure::{Failure, Kind};
use crate::output::{Output, bytes};

/// How often it is looked again after a repair for what could be seen only after it.
const ROUNDS_MAX: usize = 8;

/// Reads about `budget_bytes` from `from` on.
pub(super) async fn scrub(
    repository: Arc<Repository>,
    budget_bytes: u64,
    from: &str,
    output: Output,
) -> Result<()> {
    let lang = output.lang;
    let cursor: ScrubCursor = from.parse()?;
    let (requests, level) = (u64::MAX, ScrubLevel::Full);
    let budget = ScrubBudget { bytes: budget_bytes, requests, level };
    let step = long(output, move |job| Ok(repository.scrub(&budget, &cursor, job)?))
        .await
        .context("cannot read the repository")?;
    let cursor = step.cursor.to_string();
    if output.is_json() {
        output.json(&json!({
            "objects": step.sound.len(),
            "read_bytes": step.read_bytes,
            "requests": step.requests,
            "complete": step.is_pass_complete,
            "cursor": cursor,
            "problems": step.problems.iter().map(as_json).collect::<Vec<_>>(),
        }))?;
    } else {
        if step.problems.is_empty() {
            output.line(lang.done_repo_scrub(step.sound.len(), bytes(step.read_bytes)))?;
        } else {
            list(&step.problems, output)?;
        }
        if !step.is_pass_complete {
            output.note(lang.note_scrub_goes_on(cursor));
        }
    }
    ended(&step.problems, output)
}

/// Stores again what the repository has a second time.
pub(super) async fn repair(
    repository: Arc<Repository>,
    dry_run: bool,
    output: Output,
) -> Result<()> {
    let lang = output.lang;
    let looked = Arc::clone(&repository);
    let plan = long(output, move |job| Ok(looked.plan_repair(job)?))
        .await
        .context("cannot check the repository")?;
    let problems: Vec<Value> = plan.problems.iter().map(as_json).collect();
    if dry_run || plan.is_empty() {
        if output.is_json() {
            let (blocks, packs) = (plan.blocks(), plan.packs());
            output.json(&json!({"blocks": blocks, "packs": packs, "problems": problems}))?;
            return if dry_run { Ok(()) } else { ended(&plan.problems, output) };
        }
        list(&plan.problems, output)?;
        let done = if plan.is_empty() {
            lang.done_repair_nothing(plan.problems.len())
        } else {
            lang.done_repair_plan(plan.blocks(), plan.packs())
        };
        output.line(done)?;
        return if dry_run { Ok(()) } else { ended(&plan.problems, output) };
    }
    let name = SystemRandom::default().uuid().to_string();
    let mut repaired = Repaired::default();
    let mut plan = plan;
    // What lies below a repaired node, or in a repaired pack, is seen only now.
    for _ in 0..ROUNDS_MAX {
        let (repository, as_named) = (Arc::clone(&repository), name.clone());
        let done = long(output, move |job| {
            let done = repository.repair(&plan, &as_named)?;
            Ok((done, repository.plan_repair(job)?))
        });
        let (done, next) = done.await.with_context(|| lang.why_repair_ended(&name))?;
        repaired.blocks += done.blocks;
        repaired.packs += done.packs;
        repaired.objects += done.objects;
        plan = next;
        if plan.is_empty() || done.objects == 0 {
            break;
        }
    }
    let Repaired { blocks, packs, objects } = repaired;
    let left: Vec<Value> = plan.problems.iter().map(as_json).collect();
    if output.is_json() {
        let done = json!({"name": name, "blocks": blocks, "packs": packs, "objects": objects, "problems": left});
        output.json(&done)?;
    } else {
        list(&plan.problems, output)?;
        output.line(lang.done_repair(blocks, packs, objects, name))?;
    }
    ended(&plan.problems, output)
}

/// Fails if anything is still damaged: a script must not take it for whole.
fn ended(problems: &[Problem], output: Output) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let lang = output.lang;
    let why = lang.why_repo_damaged(problems.len());
    let failure = Failure::new(Kind::Failed, lang.what_repo_scrub(), why);
    Err(failure.with_next(lang.next_repo_damaged()).into())
}

/// Removes what a repair has added.
pub(super) async fn undo(repository: Arc<Repository>, name: String, output: Output) -> Result<()> {
    let undone = name.clone();
    let removed = long(output, move |_| Ok(repository.undo_repair(&undone)?))
        .await
        .context("cannot undo the repair")?;
    if output.is_json() {
        return Ok(output.json(&json!({"name": name, "objects": removed.objects}))?);
    }
    Ok(output.line(output.lang.done_repair_undo(removed.objects, name))?)
}

fn as_json(problem: &Problem) -> Value {
    json!({
        "object": problem.object,
        "what": problem.what,
        "affected": problem.affected.iter().map(affected).collect::<Vec<_>>(),
    })
}

fn list(problems: &[Problem], output: Output) -> Result<()> {
    let problems: Vec<Value> = problems.iter().map(as_json).collect();
    if problems.is_empty() {
        return Ok(());
    }
    super::repo::list_problems(&problems, output)
}
