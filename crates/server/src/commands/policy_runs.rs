//! `cbr policy runs`

use clap::Args;

use super::session::Session;
use crate::client::lookup::Noun;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::{Column, Show};

#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// Only runs of this policy (name or id)
    policy: Option<String>,
    /// Only runs for this vault (name or id)
    #[arg(long, value_name = "VAULT")]
    vault: Option<String>,
    /// Only those that became this: waiting, started, skipped, refused, missed (repeatable)
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// Only those due at this time or later, as 2026-01-15T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

/// What became of each time at which a policy was due.
pub(super) async fn runs(session: &Session, args: RunsArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let mut query = vec![("limit".to_owned(), args.limit.to_string())];
    if let Some(policy) = args.policy {
        query.push(("policy_id".to_owned(), session.find_id(Noun::Policy, &policy).await?));
    }
    if let Some(vault) = args.vault {
        query.push(("vault_id".to_owned(), session.find_id(Noun::Vault, &vault).await?));
    }
    query.extend(args.state.into_iter().map(|state| ("state".to_owned(), state)));
    query.extend(args.since.map(|since| ("start_time".to_owned(), since)));
    let answer = session
        .client
        .get(&session.client.cbr("x/policy-runs"), query)
        .await
        .map_err(session.failed(lang.what_list(lang.noun_policy_run())))?;
    let columns: [Column; 7] = [
        (lang.col_scheduled(), Show::At("/scheduled_at")),
        (lang.col_run_policy(), Show::At("/policy_name")),
        (lang.col_vault(), Show::At("/vault_name")),
        (lang.col_state(), Show::At("/state")),
        (lang.col_backups_started(), Show::At("/started_count")),
        (lang.col_left_out(), Show::At("/skipped_count")),
        (lang.col_why(), Show::At("/message")),
    ];
    session.output.list(wire::items(&answer, "/policy_runs"), &columns)
}
