//! Keystone's nouns on the wire (contract F.1).

use std::collections::HashMap;

use cbr_model::identity::{Caller, Domain, Project};
use cbr_model::{ProjectId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::catalog::{CatalogEntry, catalog};
use crate::settings::Settings;
use crate::time;

/// A token's meaning.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    methods: Vec<String>,
    issued_at: String,
    expires_at: String,
    user: TokenUser,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<TokenProject>,
    /// Of a token for the account as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Named>,
    roles: Vec<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog: Option<Vec<CatalogEntry>>,
}

/// The user of a token.
#[derive(Debug, Serialize, ToSchema)]
struct TokenUser {
    id: String,
    name: String,
    domain: Named,
    /// Empty: never.
    password_expires_at: String,
}

/// The project of a token.
#[derive(Debug, Serialize, ToSchema)]
struct TokenProject {
    id: String,
    name: String,
    domain: Named,
}

/// An id with its name.
#[derive(Debug, Serialize, ToSchema)]
struct Named {
    id: String,
    name: String,
}

/// A project.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeystoneProject)]
pub(crate) struct WireProject {
    id: String,
    name: String,
    domain_id: String,
    parent_id: String,
    enabled: bool,
    is_domain: bool,
    description: String,
    links: SelfLink,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeystoneDomain)]
pub(crate) struct WireDomain {
    id: String,
    name: String,
    enabled: bool,
    description: &'static str,
    links: SelfLink,
}

/// Where a thing is. `next` and `previous` are absent: clients would follow them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SelfLink {
    #[serde(rename = "self")]
    own: String,
}

impl SelfLink {
    /// The link to `path` below the service's address.
    pub(crate) fn to(settings: &Settings, path: &str) -> Self {
        Self { own: format!("{}{path}", settings.public_url) }
    }
}

impl Token {
    /// What a token says of its holder.
    pub(crate) fn of(
        (caller, methods): (&Caller, &str),
        issued_at: Timestamp,
        settings: &Settings,
        has_catalog: bool,
    ) -> Self {
        let domain = || Named::domain(&caller.domain);
        let role = if caller.is_administrator() { "te_admin" } else { "member" };
        Self {
            methods: methods.split(',').map(str::to_owned).collect(),
            issued_at: time::format_zulu(issued_at),
            expires_at: caller.expires_at.map(time::format_zulu).unwrap_or_default(),
            user: TokenUser {
                id: caller.user.id.to_string(),
                name: caller.user.name.clone(),
                domain: domain(),
                password_expires_at: String::new(),
            },
            project: caller.project.as_ref().map(|project| TokenProject {
                id: project.id.to_string(),
                name: project.name.clone(),
                domain: domain(),
            }),
            domain: caller.project.is_none().then(domain),
            roles: vec![Named { id: role.to_owned(), name: role.to_owned() }],
            catalog: has_catalog.then(|| catalog(settings, caller)),
        }
    }
}

impl Named {
    fn domain(domain: &Domain) -> Self {
        Self { id: domain.id.to_string(), name: domain.name.clone() }
    }
}

impl WireProject {
    /// `project` as Keystone shows it.
    pub(crate) fn of(
        project: &Project,
        descriptions: &HashMap<ProjectId, String>,
        settings: &Settings,
    ) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name.clone(),
            domain_id: project.domain.to_string(),
            parent_id: project.domain.to_string(),
            enabled: project.enabled,
            is_domain: false,
            description: descriptions.get(&project.id).cloned().unwrap_or_default(),
            links: SelfLink::to(settings, &format!("/v3/projects/{}", project.id)),
        }
    }
}

impl WireDomain {
    /// `domain` as Keystone shows it.
    pub(crate) fn of(domain: &Domain, settings: &Settings) -> Self {
        Self {
            id: domain.id.to_string(),
            name: domain.name.clone(),
            enabled: true,
            description: "",
            links: SelfLink::to(settings, &format!("/v3/domains/{}", domain.id)),
        }
    }
}
