//! Users, groups, policies and projects by name or id.

use serde_json::Value;

use super::super::session::Session;
use crate::client::transport::Query;
use crate::client::wire;
use crate::failure::{Failure, Kind};
use crate::text::Lang;

/// A kind of thing of the account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Noun {
    User,
    Group,
    Policy,
    Project,
    Agency,
    EnterpriseProject,
}

impl Noun {
    pub(super) fn word(self, lang: Lang) -> String {
        match self {
            Self::User => lang.noun_user(),
            Self::Group => lang.noun_group(),
            Self::Policy => lang.noun_policy(),
            Self::Project => lang.noun_project(),
            Self::Agency => lang.noun_agency(),
            Self::EnterpriseProject => lang.noun_enterprise_project(),
        }
    }

    /// Where they are listed, and under which key.
    const fn list(self) -> (&'static str, &'static str) {
        match self {
            Self::User => ("/v3/users", "/users"),
            Self::Group => ("/v3/groups", "/groups"),
            Self::Policy => ("/v3/roles", "/roles"),
            Self::Project => ("/v3/auth/projects", "/projects"),
            Self::Agency => ("/v3.0/OS-AGENCY/agencies", "/agencies"),
            Self::EnterpriseProject => ("/v1.0/enterprise-projects", "/enterprise_projects"),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Policy => "/display_name",
            _ => "/name",
        }
    }
}

/// All of a kind.
pub(super) async fn all(session: &Session, noun: Noun) -> Result<Vec<Value>, Failure> {
    let lang = session.output.lang;
    let (path, key) = noun.list();
    let body = session
        .client
        .get(path, Query::new())
        .await
        .map_err(session.failed(lang.what_list(noun.word(lang))))?;
    Ok(wire::items(&body, key).to_vec())
}

/// The id of the one thing a person means by a name or an id.
pub(super) async fn id(session: &Session, noun: Noun, named: &str) -> Result<String, Failure> {
    find(session, noun, named).await.map(|thing| wire::text(&thing, "/id"))
}

/// The one thing a person means by a name or an id. Names are unique in an account.
pub(super) async fn find(session: &Session, noun: Noun, named: &str) -> Result<Value, Failure> {
    let lang = session.output.lang;
    let is_meant = |thing: &Value| {
        wire::text(thing, noun.name()) == named || wire::text(thing, "/id") == named
    };
    all(session, noun).await?.into_iter().find(is_meant).ok_or_else(|| {
        let word = noun.word(lang);
        let what = lang.what_find(&word, named);
        Failure::new(Kind::NotFound, what, lang.why_no_such(word, named))
            .with_next(lang.next_not_found())
    })
}
