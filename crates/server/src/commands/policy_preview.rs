//! `cbr policy preview`

use clap::Args;
use serde_json::{Value, json};

use super::policy::Keeping;
use super::session::Session;
use crate::client::lookup::Noun;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::{Column, Show};

#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    /// Name or id of the vault
    vault: String,
    /// As if this policy were bound to it
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,
    /// Only backups of this resource (id)
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// Also show when each goes within so many days, 1 to 400, if all runs take place
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    #[command(flatten)]
    keeping: Keeping,
}

/// Which backups of a vault would be removed, and why the others stay.
pub(super) async fn preview(session: &Session, args: PreviewArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let preview = whole(session, &args).await?;
    if session.output.is_json() {
        return session.output.json(&preview);
    }
    for warning in wire::items(&preview, "/warnings") {
        session.output.note(wire::text(warning, ""));
    }
    let mut columns: Vec<Column> = vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_resource(), Show::At("/resource_name")),
        (lang.col_created(), Show::With(|backup| wire::time(backup, "/created_at"))),
        (lang.col_action(), Show::At("/action")),
        (lang.col_reason(), Show::At("/reason")),
        (lang.col_kept_until(), Show::With(|backup| wire::time(backup, "/kept_until"))),
    ];
    if args.days.is_some() {
        columns.push((lang.col_goes(), Show::With(|backup| wire::time(backup, "/goes_at"))));
        columns.push((lang.col_goes_by(), Show::At("/goes_by")));
    }
    session.output.list(wire::items(&preview, "/backups"), &columns)?;
    session.output.note(
        lang.done_preview(
            wire::text(&preview, "/removed_count"),
            wire::text(&preview, "/kept_count"),
        ),
    );
    Ok(())
}

/// All pages of it as one.
async fn whole(session: &Session, args: &PreviewArgs) -> Result<Value, Failure> {
    let lang = session.output.lang;
    let vault = session.find_id(Noun::Vault, &args.vault).await?;
    let mut query = Vec::new();
    if let Some(policy) = &args.policy {
        query.push(("policy_id".to_owned(), session.find_id(Noun::Policy, policy).await?));
    }
    query.extend(args.resource.clone().map(|resource| ("resource_id".to_owned(), resource)));
    query.extend(args.days.map(|days| ("days".to_owned(), days.to_string())));
    for (key, value) in &args.keeping.definition() {
        query.push((key.clone(), wire::text(value, "")));
    }
    let path = session.client.cbr(&format!("x/vaults/{vault}/retention-preview"));
    let (mut whole, mut after) = (Value::Null, None);
    loop {
        let mut page = query.clone();
        page.extend(after.take().map(|after| ("after".to_owned(), after)));
        let answer = session.client.get(&path, page).await;
        let answer = answer.map_err(session.failed(lang.what_preview(&args.vault)))?;
        let preview = &answer["retention_preview"];
        join(&mut whole, preview);
        match preview["more_after"].as_str() {
            Some(more) => after = Some(more.to_owned()),
            None => return Ok(whole),
        }
    }
}

/// Adds a page to those before.
fn join(whole: &mut Value, page: &Value) {
    if whole.is_null() {
        *whole = page.clone();
        return;
    }
    if let (Some(all), Some(more)) = (whole["backups"].as_array_mut(), page["backups"].as_array()) {
        all.extend(more.iter().cloned());
    }
    for key in ["removed_count", "kept_count"] {
        let sum = [&*whole, page].iter().filter_map(|one| one[key].as_u64()).sum::<u64>();
        whole[key] = json!(sum);
    }
    whole["more_after"] = page["more_after"].clone();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_joined() {
        let page = |name: &str, kept: u64, more: Option<&str>| {
            json!({"backups": [{"name": name}], "removed_count": 1, "kept_count": kept,
                "more_after": more, "warnings": []})
        };
        let mut whole = Value::Null;
        join(&mut whole, &page("a", 2, Some("x")));
        join(&mut whole, &page("b", 3, None));
        assert_eq!((&whole["removed_count"], &whole["kept_count"]), (&json!(2), &json!(5)));
        assert_eq!(whole["backups"], json!([{"name": "a"}, {"name": "b"}]));
        assert!(whole["more_after"].is_null());
    }
}
