//! Names or ids: finding the one thing a person means.
//!
//! Names need not be unique; a name that fits several things is refused with
//! their ids, never resolved by chance.

use serde_json::Value;

use super::error::ApiError;
use super::transport::{Client, Query};
use super::wire;
use crate::failure::{Failure, Kind};
use crate::text::Lang;

const PAGE: usize = 1000;

/// A kind of thing that has names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Noun {
    /// A vault.
    Vault,
    /// A backup.
    Backup,
    /// A disk.
    Volume,
    /// A server.
    Server,
    /// A policy.
    Policy,
    /// An image of a server.
    Image,
}

impl Noun {
    /// What people call it.
    pub(crate) fn word(self, lang: Lang) -> String {
        match self {
            Self::Vault => lang.noun_vault(),
            Self::Backup => lang.noun_backup(),
            Self::Volume => lang.noun_volume(),
            Self::Server => lang.noun_server(),
            Self::Policy => lang.noun_backup_policy(),
            Self::Image => lang.noun_image(),
        }
    }

    const fn list_key(self) -> &'static str {
        match self {
            Self::Vault => "/vaults",
            Self::Backup => "/backups",
            Self::Volume => "/volumes",
            Self::Server => "/servers",
            Self::Policy => "/policies",
            Self::Image => "/images",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Vault => "/vault",
            Self::Backup => "/backup",
            Self::Volume => "/volume",
            Self::Server => "/server",
            Self::Policy => "/policy",
            // The object is the whole answer.
            Self::Image => "",
        }
    }

    /// Where it is listed.
    fn collection(self, client: &Client) -> String {
        let project = client.project();
        match self {
            Self::Vault => client.cbr("vaults"),
            Self::Backup => client.cbr("backups"),
            Self::Policy => client.cbr("policies"),
            Self::Image => "/v2/cloudimages".to_owned(),
            Self::Volume => format!("/v2/{project}/cloudvolumes/detail"),
            Self::Server => format!("/v1/{project}/cloudservers/detail"),
        }
    }

    /// Where one of them is.
    pub(crate) fn path(self, client: &Client, id: &str) -> String {
        let project = client.project();
        match self {
            Self::Vault => client.cbr(&format!("vaults/{id}")),
            Self::Backup => client.cbr(&format!("backups/{id}")),
            Self::Policy => client.cbr(&format!("policies/{id}")),
            Self::Image => format!("/v2/images/{id}"),
            Self::Volume => format!("/v2/{project}/cloudvolumes/{id}"),
            Self::Server => format!("/v1/{project}/cloudservers/{id}"),
        }
    }
}

/// One thing by its id.
pub(crate) async fn by_id(client: &Client, noun: Noun, id: &str) -> Result<Value, ApiError> {
    let body = client.get(&noun.path(client, id), Query::new()).await?;
    Ok(body.pointer(noun.key()).cloned().unwrap_or(Value::Null))
}

/// The things that match a query, at most `limit`.
pub(crate) async fn list(
    client: &Client,
    noun: Noun,
    query: &Query,
    limit: usize,
) -> Result<Vec<Value>, ApiError> {
    list_at(client, &noun.collection(client), noun, query, limit).await
}

async fn list_at(
    client: &Client,
    path: &str,
    noun: Noun,
    query: &Query,
    limit: usize,
) -> Result<Vec<Value>, ApiError> {
    let mut found: Vec<Value> = Vec::new();
    while found.len() < limit {
        let size = PAGE.min(limit - found.len());
        // Servers are paged by page number (contract F.4), everything else by rows.
        let offset = match noun {
            Noun::Server => found.len() / PAGE + 1,
            _ => found.len(),
        };
        let mut page = query.clone();
        page.push(("limit".into(), size.to_string()));
        page.push(("offset".into(), offset.to_string()));
        let body = client.get(path, page).await?;
        let items = wire::items(&body, noun.list_key());
        found.extend_from_slice(items);
        if items.len() < size {
            break;
        }
    }
    Ok(found)
}

/// The one thing a person means by a name or an id.
pub(crate) async fn find(
    client: &Client,
    noun: Noun,
    name: &str,
    lang: Lang,
) -> Result<Value, Failure> {
    let what = || lang.what_find(noun.word(lang), name);
    if wire::looks_like_id(name) {
        match by_id(client, noun, name).await {
            Ok(thing) => return Ok(thing),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.failure(lang, what())),
        }
    }
    let query = vec![("name".to_owned(), name.to_owned())];
    let listed = list(client, noun, &query, usize::MAX)
        .await
        .map_err(|error| error.failure(lang, what()))?;
    choose(listed, noun, name, lang)
}

/// Servers may match parts of names; only the whole name counts here.
fn choose(listed: Vec<Value>, noun: Noun, name: &str, lang: Lang) -> Result<Value, Failure> {
    let mut exact: Vec<Value> =
        listed.into_iter().filter(|thing| wire::text(thing, "/name") == name).collect();
    let what = lang.what_find(noun.word(lang), name);
    match exact.len() {
        1 => Ok(exact.remove(0)),
        0 => Err(Failure::new(Kind::NotFound, what, lang.why_no_such(noun.word(lang), name))
            .with_next(lang.next_not_found())),
        count => {
            let ids: Vec<String> = exact
                .iter()
                .map(|thing| {
                    format!("{} ({})", wire::text(thing, "/id"), wire::time(thing, "/created_at"))
                })
                .collect();
            Err(Failure::new(Kind::Usage, what, lang.why_ambiguous(count, name, ids.join(", ")))
                .with_next(lang.next_ambiguous()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vaults() -> Vec<Value> {
        vec![
            json!({"id": "1", "name": "a"}),
            json!({"id": "2", "name": "ab"}),
            json!({"id": "3", "name": "b"}),
            json!({"id": "4", "name": "b"}),
        ]
    }

    #[test]
    fn a_name_means_the_one_thing_that_is_called_exactly_so() {
        let one = choose(vaults(), Noun::Vault, "a", Lang::En).unwrap();
        assert_eq!(one["id"], "1");
    }

    #[test]
    fn a_name_of_several_things_is_refused_with_their_ids() {
        let failure = choose(vaults(), Noun::Vault, "b", Lang::En).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        assert!(failure.why.contains("3 (") && failure.why.contains("4 ("), "{}", failure.why);
    }

    #[test]
    fn a_name_of_nothing_is_not_found() {
        let failure = choose(vaults(), Noun::Vault, "c", Lang::En).unwrap_err();
        assert_eq!(failure.kind, Kind::NotFound);
    }
}
