//! `cbr iam agency …`

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::super::session::Session;
use super::directory::{self, Noun};
use super::grants::{self, Holder, PlaceArgs};
use super::users::said;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::{Column, Output, Show};

const AGENCIES: &str = "/v3.0/OS-AGENCY/agencies";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List agencies
    List,
    /// Show an agency
    Show {
        /// Name or id
        agency: String,
    },
    /// Trust another account; it may do nothing before the agency is granted something
    Create {
        /// Name of the agency
        name: String,
        /// Name or id of the account that is trusted
        #[arg(long, value_name = "ACCOUNT")]
        trust: String,
        #[command(flatten)]
        text: TextArgs,
    },
    /// Change an agency, at once for all who act through it
    Update(UpdateArgs),
    /// Delete an agency with all that was issued through it
    Delete {
        /// Name or id
        agency: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// List what an agency was granted, and where
    Grants {
        /// Name or id
        agency: String,
    },
    /// Grant a policy to an agency
    Grant(GrantArgs),
    /// Take a policy back from an agency, at once for all who act through it
    Revoke(GrantArgs),
}

#[derive(Debug, Args)]
pub(super) struct TextArgs {
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Trust it for so many days; otherwise for ever
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// Name or id
    agency: String,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Debug, Args)]
#[group(id = "agency_changes", required = true, multiple = true)]
struct Changes {
    /// Name or id of the account that is trusted instead
    #[arg(long, value_name = "ACCOUNT")]
    trust: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Trust it for so many days
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    /// Trust it for ever
    #[arg(long, conflicts_with = "days")]
    forever: bool,
}

#[derive(Debug, Args)]
pub(super) struct GrantArgs {
    /// Name or id of the agency
    agency: String,
    /// Name or id of the policy
    policy: String,
    #[command(flatten)]
    place: PlaceArgs,
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let output = session.output;
        match self {
            Self::List => {
                output.list(&directory::all(session, Noun::Agency).await?, &columns(output))
            }
            Self::Show { agency } => {
                let agency = directory::find(session, Noun::Agency, &agency).await?;
                output.show(&agency, &columns(output))
            }
            Self::Create { name, trust, text } => create(session, &name, &trust, text).await,
            Self::Update(args) => update(session, args).await,
            Self::Delete { agency, yes } => delete(session, &agency, yes).await,
            Self::Grants { agency } => grants::list(session, Holder::Agency, &agency).await,
            Self::Grant(GrantArgs { agency, policy, place }) => {
                grants::change(session, (Holder::Agency, agency), (policy, place), true).await
            }
            Self::Revoke(GrantArgs { agency, policy, place }) => {
                grants::change(session, (Holder::Agency, agency), (policy, place), false).await
            }
        }
    }
}

async fn create(session: &Session, name: &str, trust: &str, text: TextArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let duration = text.days.map_or_else(|| "FOREVER".to_owned(), |days| days.to_string());
    let agency = json!({
        "name": name,
        // The service takes a name in its place.
        "trust_domain_id": trust,
        "description": text.description.unwrap_or_default(),
        "duration": duration,
    });
    let made = session
        .client
        .post(AGENCIES, &json!({"agency": agency}))
        .await
        .map_err(session.failed(lang.what_create(lang.noun_agency(), name)))?;
    session.output.show(&made["agency"], &columns(session.output))
}

async fn update(session: &Session, args: UpdateArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = directory::id(session, Noun::Agency, &args.agency).await?;
    let Changes { trust, description, days, forever } = args.changes;
    let duration = if forever { Some("FOREVER".to_owned()) } else { days.map(|n| n.to_string()) };
    let mut agency = Map::new();
    agency.extend(trust.map(|text| ("trust_domain_id".to_owned(), text.into())));
    agency.extend(description.map(|text| ("description".to_owned(), text.into())));
    agency.extend(duration.map(|text| ("duration".to_owned(), text.into())));
    let after = session
        .client
        .put(&format!("{AGENCIES}/{id}"), &json!({"agency": agency}))
        .await
        .map_err(session.failed(lang.what_change(lang.noun_agency(), &args.agency)))?;
    session.output.show(&after["agency"], &columns(session.output))
}

async fn delete(session: &Session, named: &str, yes: bool) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = directory::id(session, Noun::Agency, named).await?;
    session.confirm(&lang.ask_delete_identity(lang.noun_agency(), named), yes)?;
    session
        .client
        .delete(&format!("{AGENCIES}/{id}"))
        .await
        .map_err(session.failed(lang.what_delete(lang.noun_agency(), named)))?;
    said(session.output, &json!({"id": id}), lang.done_delete(lang.noun_agency(), named))
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_trusts(), Show::At("/trust_domain_name")),
        (lang.col_agency_ends(), Show::With(ends)),
        (lang.col_description(), Show::At("/description")),
    ]
}

fn ends(agency: &Value) -> String {
    if agency["expire_time"].is_null() {
        "-".to_owned()
    } else {
        wire::time(agency, "/expire_time")
    }
}
