//! What credentials were made with: columns `parent_token` and `parent_key` of `tokens` and
//! `temporary_keys`. What was made with a credential ends with it, and so on down.

use cbr_model::identity::Credential;

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The two columns. A temporary key makes no credentials, and a password is none that could end.
pub(crate) fn columns(made_with: &Credential) -> (Option<String>, Option<String>) {
    match made_with {
        Credential::Token(digest) => (Some(hex::encode(digest)), None),
        Credential::AccessKey(ak) => (None, Some(ak.clone())),
        Credential::Password | Credential::TemporaryKey(_) => (None, None),
    }
}

/// What the two columns say.
pub(crate) fn made_with(row: &Row) -> Result<Credential, DbError> {
    if let Some(text) = row.text_opt("parent_token")? {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest)
            .map_err(|error| row.inconsistent("parent_token", error))?;
        return Ok(Credential::Token(digest));
    }
    Ok(row.text_opt("parent_key")?.map_or(Credential::Password, Credential::AccessKey))
}

/// Ends the tokens whose digests `first` selects, the tokens made with them, and so on, and the
/// temporary keys made with any of these; says how many tokens. `first` binds its own arguments.
pub(crate) async fn end_tokens(
    tx: &mut Tx,
    name: &'static str,
    first: impl Fn() -> (&'static str, Sql),
) -> Result<u64, DbError> {
    // All tokens are found before the first one goes: what they have in common is found through them.
    let statement = |of: &'static str| {
        let (selection, arguments) = first();
        let mut sql = arguments;
        sql.text("WITH RECURSIVE gone (digest) AS (").text(selection);
        sql.text(" UNION SELECT t.digest FROM tokens t JOIN gone g ON t.parent_token = g.digest) ");
        sql.text(of);
        sql
    };
    let keys = "DELETE FROM temporary_keys WHERE parent_token IN (SELECT digest FROM gone)";
    tx.execute(name, statement(keys)).await?;
    tx.execute(name, statement("DELETE FROM tokens WHERE digest IN (SELECT digest FROM gone)"))
        .await
}
