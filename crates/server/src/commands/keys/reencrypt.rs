//! `cbr repo key reencrypt`: after a tenant's key became known to others.

use anyhow::{Context, Result};
use cbr_store::{Job, ReencryptPlan, Reencrypted, Repository};
use serde_json::json;
use uuid::Uuid;

use crate::failure::{Failure, Kind};
use crate::output::{Output, bytes};

/// Seals everything of `tenant` anew, or says what that would be.
pub(super) fn run(
    repository: &Repository,
    tenant: Uuid,
    dry_run: bool,
    output: Output,
) -> Result<()> {
    let lang = output.lang;
    let job = Job::quiet();
    let plan = repository.plan_reencrypt(tenant, &job);
    let plan = plan.context("cannot look at the tenant's data; nothing was changed")?;
    if dry_run || plan.is_empty() {
        return planned(&plan, output);
    }
    let done = repository.reencrypt(&plan, &job);
    let Reencrypted { objects, bytes: size, left } =
        done.context("cannot seal everything anew; what was done stays, run it again")?;
    if output.is_json() {
        output.json(&json!({
            "tenant": tenant, "key": plan.key, "objects": objects, "bytes": size, "left": left,
            "records": plan.records,
        }))?;
    } else {
        output.line(lang.done_key_reencrypt(objects, bytes(size), plan.key))?;
        notes(&plan, output);
    }
    if left.is_empty() {
        return Ok(());
    }
    let what = lang.what_key_reencrypt();
    let why = lang.why_key_reencrypt_left(left.len(), &left[0]);
    Err(Failure::new(Kind::Failed, what, why).with_next(lang.next_key_reencrypt_left()).into())
}

fn planned(plan: &ReencryptPlan, output: Output) -> Result<()> {
    if output.is_json() {
        return Ok(output.json(&json!({
            "tenant": plan.tenant, "key": plan.key, "objects": plan.objects, "bytes": plan.bytes,
            "blocked": plan.blocked, "records": plan.records, "dry_run": true,
        }))?);
    }
    let lang = output.lang;
    if plan.is_empty() {
        output.line(lang.done_key_reencrypt_nothing(plan.key))?;
    } else {
        output.line(lang.done_key_reencrypt_plan(plan.objects, bytes(plan.bytes), plan.key))?;
    }
    notes(plan, output);
    Ok(())
}

fn notes(plan: &ReencryptPlan, output: Output) {
    if plan.records > 0 {
        output.note(output.lang.note_key_reencrypt_records(plan.records));
    }
    if plan.key == 1 {
        output.note(output.lang.note_key_reencrypt_first());
    }
}
