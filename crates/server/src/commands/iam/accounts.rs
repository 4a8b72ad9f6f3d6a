//! `cbr iam account …`

use clap::Subcommand;
use serde_json::json;

use super::super::session::Session;
use crate::failure::Failure;
use crate::output::Show;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account with a project and an administrator, whose secrets are told only now;
    /// only for the administrator of the first account
    Create {
        /// Name of the account
        name: String,
        /// Name of its project; otherwise the region's
        #[arg(long = "with-project", value_name = "NAME")]
        project: Option<String>,
        /// Name of its administrator
        #[arg(long, default_value = "admin", value_name = "NAME")]
        user: String,
    },
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let output = session.output;
        let lang = output.lang;
        let Self::Create { name, project, user } = self;
        let mut domain = json!({"name": name, "user_name": user});
        if let Some(project) = project {
            domain["project_name"] = project.into();
        }
        let made = session
            .client
            .post("/v3/domains", &json!({"domain": domain}))
            .await
            .map_err(session.failed(lang.what_create(lang.noun_account(), &name)))?;
        if !output.is_json() {
            output.note(lang.note_new_account());
        }
        output.show(
            &made,
            &[
                (lang.noun_account(), Show::At("/domain/name")),
                (lang.noun_user(), Show::At("/administrator/user_name")),
                (lang.col_password(), Show::At("/administrator/password")),
                (lang.col_project(), Show::At("/administrator/project_id")),
                (lang.col_access_key(), Show::At("/administrator/access_key")),
                (lang.col_secret_key(), Show::At("/administrator/secret_key")),
            ],
        )
    }
}
