//! `cbr repo gc`: finish deletions and remove what interrupted backups left, or say what would go;
//! `cbr repo audit`: recount what is needed.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result};
use cbr_store::{
    ChainAudit, ChainReclaim, ChainRef, ReclaimAction, ReclaimPlan, ReclaimReason, ReclaimStep,
    Repository,
};
use serde_json::{Value, json};

use super::repo::long;
use crate::client::wire;
use crate::failure::{Failure, Kind};
use crate::output::{Output, Show, bytes};

/// How `cbr repo gc` is to behave.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct GcArgs {
    /// Only say what would be removed and rewritten
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Remove also what no deletion explains, above the limits (20 % of bytes, half of the packs)
    #[arg(long, conflicts_with = "dry_run")]
    above_ceiling: bool,
}

pub(crate) async fn run(repository: Arc<Repository>, args: GcArgs, output: Output) -> Result<()> {
    let lang = output.lang;
    let reader = Arc::clone(&repository);
    let (plan, trash) = long(output, move |_| Ok((reader.plan_reclaim(None)?, trash(&reader)?)))
        .await
        .context("cannot plan what to remove")?;
    let steps: Vec<Value> = plan.chains.iter().flat_map(steps_as_json).collect();
    let blocked = plan.blocked.len();
    let mut summary = as_json(&plan, &steps);
    summary["trash"] = trash;
    if !args.dry_run {
        let freed =
            long(output, move |job| Ok(repository.execute(&plan, args.above_ceiling, job)?))
                .await
                .context("cannot remove what is not needed")?;
        summary["removed_bytes"] = json!(freed.removed_object_bytes);
    }
    if output.is_json() {
        output.json(&summary)?;
    } else {
        show(&summary, &steps, args.dry_run, output)?;
    }
    if blocked == 0 {
        return Ok(());
    }
    Err(Failure::new(Kind::Failed, lang.what_repo_gc(), lang.why_repo_gc_blocked(blocked))
        .with_next(lang.next_repo_gc_blocked())
        .into())
}

/// `cbr repo audit`: whether births and deaths say what the maps say.
pub(crate) async fn audit(repository: Arc<Repository>, output: Output) -> Result<()> {
    let lang = output.lang;
    let report = long(output, move |job| Ok(repository.audit(job)?))
        .await
        .context("cannot recount the repository")?;
    let chain = |chain: &ChainAudit| {
        json!({
            "chain": chain.chain.to_string(),
            "chains": chain.chains,
            "versions": chain.versions,
            "counted_bytes": chain.counted_bytes,
            "booked_bytes": chain.booked_bytes,
        })
    };
    let chains: Vec<Value> = report.chains.iter().map(chain).collect();
    let wrong: Vec<Value> = chains
        .iter()
        .filter(|chain| chain["counted_bytes"] != chain["booked_bytes"])
        .cloned()
        .collect();
    if output.is_json() {
        let unreadable: Vec<Value> = report
            .unreadable
            .iter()
            .map(|(chain, why)| json!({"chain": chain.to_string(), "why": why}))
            .collect();
        output.json(&json!({"chains": chains, "unreadable": unreadable}))?;
    } else {
        output.list(
            &wrong,
            &[
                (lang.col_chain(), Show::At("/chain")),
                (lang.col_counted(), Show::At("/counted_bytes")),
                (lang.col_booked(), Show::At("/booked_bytes")),
            ],
        )?;
        for (chain, why) in &report.unreadable {
            output.note(lang.note_audit_unreadable(chain, why));
        }
    }
    if report.is_right() {
        if !output.is_json() {
            output.line(lang.done_repo_audit(chains.len()))?;
        }
        return Ok(());
    }
    let why = lang.why_repo_audit(wrong.len(), report.unreadable.len());
    Err(Failure::new(Kind::Failed, lang.what_repo_audit(), why)
        .with_next(lang.next_repo_audit())
        .into())
}

/// What deleted versions that can be taken back keep: how many there are, and what purging all of them
/// would free. Where disks share blocks that is what each disk's own would free, so rather too little.
fn trash(repository: &Repository) -> cbr_store::Result<Value> {
    let trashed = repository.contents()?.trashed;
    let chains: BTreeSet<ChainRef> = trashed.iter().map(|info| info.version.chain).collect();
    let mut bytes = 0;
    for chain in chains {
        match repository.trash_bytes(&chain) {
            Ok(kept) => bytes += kept,
            Err(error) if error.is_transient() => return Err(error),
            // A chain that cannot be understood is on the list of those that are left alone.
            Err(_) => {}
        }
    }
    Ok(json!({"versions": trashed.len(), "bytes": bytes}))
}

fn show(summary: &Value, steps: &[Value], is_dry_run: bool, output: Output) -> Result<()> {
    let lang = output.lang;
    if is_dry_run {
        output.list(
            steps,
            &[
                (lang.col_object(), Show::At("/object")),
                (lang.col_action(), Show::At("/action")),
                (lang.col_reason(), Show::At("/reason")),
                (lang.col_size(), Show::With(|step| size(step, "/freed_bytes"))),
            ],
        )?;
    }
    for chain in wire::items(summary, "/blocked") {
        output.note(lang.note_gc_blocked(wire::text(chain, "/chain"), wire::text(chain, "/why")));
    }
    if wire::number(summary, "/waiting_bytes").unwrap_or(0) > 0 {
        output.note(lang.note_gc_waiting(size(summary, "/waiting_bytes")));
    }
    let in_trash = wire::number(summary, "/trash/versions").unwrap_or(0);
    if in_trash > 0 {
        output.note(lang.note_gc_trash(in_trash, size(summary, "/trash/bytes")));
    }
    for object in wire::items(summary, "/rescued") {
        output.note(lang.note_gc_rescued(object.as_str().unwrap_or_default()));
    }
    if is_dry_run {
        output.line(lang.done_repo_gc_dry(steps.len(), size(summary, "/freed_bytes")))?;
    } else {
        output.line(lang.done_repo_gc(size(summary, "/removed_bytes")))?;
    }
    Ok(())
}

fn size(thing: &Value, pointer: &str) -> String {
    bytes(wire::number(thing, pointer).unwrap_or(0))
}

fn as_json(plan: &ReclaimPlan, steps: &[Value]) -> Value {
    let blocked: Vec<Value> = plan
        .blocked
        .iter()
        .map(|(chain, error)| json!({"chain": chain.to_string(), "why": error.to_string()}))
        .collect();
    let rescued: Vec<&String> = plan.chains.iter().flat_map(|chain| &chain.rescued).collect();
    let waiting_bytes: u64 =
        plan.chains.iter().flat_map(|chain| &chain.steps).map(|step| step.waiting_bytes).sum();
    let sum = |part: fn(&ChainReclaim) -> u64| plan.chains.iter().map(part).sum::<u64>();
    json!({
        "steps": steps,
        "freed_bytes": plan.freed_bytes(),
        "unexplained_bytes": sum(|chain| chain.unexplained.bytes),
        "unexplained_packs": sum(|chain| chain.unexplained.packs),
        "rescued": rescued,
        "blocked": blocked,
        "waiting_bytes": waiting_bytes,
    })
}

fn steps_as_json(chain: &ChainReclaim) -> Vec<Value> {
    let step = |step: &ReclaimStep| {
        json!({
            "chain": step.chain.unwrap_or(chain.chain).to_string(),
            "object": step.pack,
            "action": action(step.action),
            "reason": reason(step.reason),
            "freed_bytes": step.freed_bytes,
            "rewritten_bytes": step.rewritten_bytes,
            "waiting_bytes": step.waiting_bytes,
        })
    };
    chain.steps.iter().map(step).collect()
}

/// The same in every language, as programs read it too.
fn action(action: ReclaimAction) -> &'static str {
    match action {
        ReclaimAction::Remove => "remove",
        ReclaimAction::RemovePatch => "remove_patch",
        ReclaimAction::Rewrite => "rewrite",
        ReclaimAction::RemoveOlder => "remove_older",
        ReclaimAction::Retire => "retire",
    }
}

fn reason(reason: ReclaimReason) -> String {
    match reason {
        ReclaimReason::Aborted(seq) => format!("aborted {seq}"),
        ReclaimReason::Deleted(seq) => format!("deleted {seq}"),
        ReclaimReason::DeadSlots => "dead slots".to_owned(),
        ReclaimReason::Superseded => "superseded".to_owned(),
    }
}
