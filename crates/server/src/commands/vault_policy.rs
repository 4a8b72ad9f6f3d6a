//! `cbr vault bind-policy` and `cbr vault unbind-policy`

use clap::Args;
use serde_json::json;

use super::session::Session;
use crate::client::lookup::Noun;
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct BindPolicyArgs {
    /// Name or id
    vault: String,
    /// Name or id; takes the place of the policy of the same type
    policy: String,
    /// Name or id of the vault that takes the copies (replication policies)
    #[arg(long, value_name = "VAULT")]
    destination_vault: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct UnbindPolicyArgs {
    /// Name or id
    vault: String,
    /// Name or id
    policy: String,
}

pub(super) async fn bind(session: &Session, args: BindPolicyArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let vault = session.find_id(Noun::Vault, &args.vault).await?;
    let policy = session.find_id(Noun::Policy, &args.policy).await?;
    let mut body = json!({"policy_id": policy});
    if let Some(destination) = args.destination_vault {
        body["destination_vault_id"] = json!(session.find_id(Noun::Vault, &destination).await?);
    }
    let answer = session
        .client
        .post(&session.client.cbr(&format!("vaults/{vault}/associatepolicy")), &body)
        .await
        .map_err(session.failed(lang.what_bind(&args.vault)))?;
    if session.output.is_json() {
        return session.output.json(&answer["associate_policy"]);
    }
    session.output.line(lang.done_bind_policy(&args.policy, &args.vault))
}

pub(super) async fn unbind(session: &Session, args: UnbindPolicyArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let vault = session.find_id(Noun::Vault, &args.vault).await?;
    let policy = session.find_id(Noun::Policy, &args.policy).await?;
    let path = session.client.cbr(&format!("vaults/{vault}/dissociatepolicy"));
    let answer = session
        .client
        .post(&path, &json!({"policy_id": policy}))
        .await
        .map_err(session.failed(lang.what_unbind(&args.vault)))?;
    if session.output.is_json() {
        return session.output.json(&answer["dissociate_policy"]);
    }
    session.output.line(lang.done_unbind_policy(&args.policy, &args.vault))
}
