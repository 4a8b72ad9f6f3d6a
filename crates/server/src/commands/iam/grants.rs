//! `cbr iam grant …`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::session::Session;
use super::directory::{self, Noun};
use super::users::said;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::Show;
use crate::text::Lang;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what a group was granted, and where
    List {
        /// Name or id of the group
        group: String,
    },
    /// Grant a policy to a group; its users have it with their next request
    Add(GrantArgs),
    /// Take a policy back from a group; its users lose it with their next request
    Remove(GrantArgs),
}

#[derive(Debug, Args)]
pub(super) struct GrantArgs {
    /// Name or id of the group
    group: String,
    /// Name or id of the policy
    policy: String,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
#[group(id = "grant_place", required = true, multiple = false)]
struct PlaceArgs {
    /// In this project (name or id)
    #[arg(long = "in", value_name = "PROJECT")]
    project: Option<String>,
    /// In every project there is and will be
    #[arg(long)]
    all_projects: bool,
    /// In the account as a whole (policies about users, groups, keys)
    #[arg(long)]
    account: bool,
}

/// Where something is granted.
enum Place {
    Project { id: String, name: String },
    AllProjects,
    Account,
}

impl Place {
    async fn of(session: &Session, args: PlaceArgs) -> Result<Self, Failure> {
        if let Some(name) = args.project {
            let id = directory::id(session, Noun::Project, &name).await?;
            return Ok(Self::Project { id, name });
        }
        Ok(if args.all_projects { Self::AllProjects } else { Self::Account })
    }

    fn word(&self, lang: Lang) -> String {
        match self {
            Self::Project { name, .. } => name.clone(),
            Self::AllProjects => lang.place_all_projects(),
            Self::Account => lang.place_account(),
        }
    }

    /// Where the grants of a group of the account `domain` are; with a policy, one of them.
    fn path(&self, domain: &str, group: &str, policy: Option<&str>) -> String {
        let role = policy.map(|policy| format!("/{policy}")).unwrap_or_default();
        match self {
            Self::Project { id, .. } => format!("/v3/projects/{id}/groups/{group}/roles{role}"),
            Self::AllProjects => format!(
                "/v3/OS-INHERIT/domains/{domain}/groups/{group}/roles{role}/inherited_to_projects"
            ),
            Self::Account => format!("/v3/domains/{domain}/groups/{group}/roles{role}"),
        }
    }
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List { group } => list(session, &group).await,
            Self::Add(args) => change(session, args, true).await,
            Self::Remove(args) => change(session, args, false).await,
        }
    }
}

async fn list(session: &Session, named: &str) -> Result<(), Failure> {
    let lang = session.output.lang;
    let group = directory::find(session, Noun::Group, named).await?;
    let (id, domain) = (wire::text(&group, "/id"), wire::text(&group, "/domain_id"));
    let mut places = vec![Place::Account, Place::AllProjects];
    for project in directory::all(session, Noun::Project).await? {
        let (id, name) = (wire::text(&project, "/id"), wire::text(&project, "/name"));
        places.push(Place::Project { id, name });
    }
    let mut grants: Vec<Value> = Vec::new();
    for place in places {
        let body = session
            .client
            .get(&place.path(&domain, &id, None), Vec::new())
            .await
            .map_err(session.failed(lang.what_list(lang.noun_grant())))?;
        for role in wire::items(&body, "/roles") {
            let (place_id, kind) = match &place {
                Place::Project { id, .. } => (Some(id.clone()), "project"),
                Place::AllProjects => (None, "all_projects"),
                Place::Account => (None, "account"),
            };
            grants.push(json!({
                "role_id": role["id"], "policy": role["display_name"], "place": kind,
                "place_name": place.word(lang), "project_id": place_id,
            }));
        }
    }
    session.output.list(
        &grants,
        &[
            (lang.col_policy(), Show::At("/policy")),
            (lang.col_place(), Show::At("/place_name")),
            (lang.col_id(), Show::At("/role_id")),
        ],
    )
}

async fn change(session: &Session, args: GrantArgs, is_granted: bool) -> Result<(), Failure> {
    let lang = session.output.lang;
    let GrantArgs { group: group_name, policy: policy_name, place } = args;
    let group = directory::find(session, Noun::Group, &group_name).await?;
    let policy = directory::id(session, Noun::Policy, &policy_name).await?;
    let place = Place::of(session, place).await?;
    let (id, domain) = (wire::text(&group, "/id"), wire::text(&group, "/domain_id"));
    let path = place.path(&domain, &id, Some(&policy));
    let word = place.word(lang);
    let (answer, what, done) = if is_granted {
        (
            session.client.put(&path, &json!({})).await,
            lang.what_grant(&policy_name, &group_name),
            lang.done_granted(&policy_name, &group_name, word),
        )
    } else {
        (
            session.client.delete(&path).await,
            lang.what_revoke(&policy_name, &group_name),
            lang.done_revoked(&policy_name, &group_name, word),
        )
    };
    answer.map_err(session.failed(what))?;
    said(session.output, &json!({"group_id": id, "role_id": policy}), done)
}
