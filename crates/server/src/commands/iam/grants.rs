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
pub(super) struct PlaceArgs {
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

/// Who holds a grant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holder {
    Group,
    Agency,
}

impl Holder {
    const fn noun(self) -> Noun {
        match self {
            Self::Group => Noun::Group,
            Self::Agency => Noun::Agency,
        }
    }

    /// What follows the host in the paths of its grants, and what goes before its id.
    const fn words(self) -> [&'static str; 3] {
        match self {
            Self::Group => ["/v3", "/v3/OS-INHERIT", "groups"],
            Self::Agency => ["/v3.0/OS-AGENCY", "/v3.0/OS-INHERIT", "agencies"],
        }
    }
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

    /// Where the grants of a holder of the account `domain` are; with a policy, one of them.
    fn path(&self, of: Holder, (domain, id): (&str, &str), policy: Option<&str>) -> String {
        let role = policy.map(|policy| format!("/{policy}")).unwrap_or_default();
        let [plain, inherited, holders] = of.words();
        match self {
            Self::Project { id: project, .. } => {
                format!("{plain}/projects/{project}/{holders}/{id}/roles{role}")
            }
            Self::AllProjects => format!(
                "{inherited}/domains/{domain}/{holders}/{id}/roles{role}/inherited_to_projects"
            ),
            Self::Account => format!("{plain}/domains/{domain}/{holders}/{id}/roles{role}"),
        }
    }
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List { group } => list(session, Holder::Group, &group).await,
            Self::Add(GrantArgs { group, policy, place }) => {
                change(session, (Holder::Group, group), (policy, place), true).await
            }
            Self::Remove(GrantArgs { group, policy, place }) => {
                change(session, (Holder::Group, group), (policy, place), false).await
            }
        }
    }
}

/// Lists what a holder was granted, and where.
pub(super) async fn list(session: &Session, of: Holder, named: &str) -> Result<(), Failure> {
    let lang = session.output.lang;
    let holder = directory::find(session, of.noun(), named).await?;
    let (id, domain) = (wire::text(&holder, "/id"), wire::text(&holder, "/domain_id"));
    let mut places = vec![Place::Account, Place::AllProjects];
    for project in directory::all(session, Noun::Project).await? {
        let (id, name) = (wire::text(&project, "/id"), wire::text(&project, "/name"));
        places.push(Place::Project { id, name });
    }
    let mut grants: Vec<Value> = Vec::new();
    for place in places {
        let body = session
            .client
            .get(&place.path(of, (&domain, &id), None), Vec::new())
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

/// Grants a policy to a holder, or takes it back.
pub(super) async fn change(
    session: &Session,
    (of, holder_name): (Holder, String),
    (policy_name, place): (String, PlaceArgs),
    is_granted: bool,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let holder = directory::find(session, of.noun(), &holder_name).await?;
    let policy = directory::id(session, Noun::Policy, &policy_name).await?;
    let place = Place::of(session, place).await?;
    let (id, domain) = (wire::text(&holder, "/id"), wire::text(&holder, "/domain_id"));
    let path = place.path(of, (&domain, &id), Some(&policy));
    let word = place.word(lang);
    let (answer, what, done) = if is_granted {
        (
            session.client.put(&path, &json!({})).await,
            lang.what_grant(&policy_name, &holder_name),
            lang.done_granted(&policy_name, &holder_name, word),
        )
    } else {
        (
            session.client.delete(&path).await,
            lang.what_revoke(&policy_name, &holder_name),
            lang.done_revoked(&policy_name, &holder_name, word),
        )
    };
    answer.map_err(session.failed(what))?;
    let key = match of {
        Holder::Group => "group_id",
        Holder::Agency => "agency_id",
    };
    said(session.output, &json!({key: id, "role_id": policy}), done)
}
