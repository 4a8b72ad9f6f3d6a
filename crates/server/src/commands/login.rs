//! `cbr login` and `cbr profile …`: keeping credentials.
//!
//! A login is tried before it is kept. Passwords and secret keys come from the
//! terminal without echo, from standard input, or from the environment; never
//! from the command line.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use crate::client::connection::{Connection, Credential, read_bootstrap};
use crate::client::profile::{Profile, Profiles, Secret};
use crate::client::{Client, transport, wire};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::text::Lang;
use crate::world::World;

/// Keep a credential in a profile and use it from now on
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Name of the profile
    #[arg(long, default_value = "default", value_name = "NAME")]
    name: String,
    /// Where the service answers, e.g. https://backup.example.org:8700
    #[arg(long, env = "CBR_URL", value_name = "URL", required_unless_present = "bootstrap_file")]
    url: Option<String>,
    /// Take everything from the account file that `cbr serve --bootstrap-file` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["access_key", "user"])]
    bootstrap_file: Option<PathBuf>,
    /// Access key; the secret key is asked for, or read from CBR_SECRET_KEY
    #[arg(long, value_name = "KEY", conflicts_with = "user")]
    access_key: Option<String>,
    /// User name; the password is asked for, or read from CBR_PASSWORD (the token ends after 24 hours).
    /// A code of the second factor is read from CBR_MFA_CODE
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Account of the user
    #[arg(long, value_name = "NAME", default_value = "cbr")]
    domain: String,
    /// Id of the project to work in; not needed when there is only one
    #[arg(long, env = "CBR_PROJECT_ID", value_name = "ID")]
    project: Option<String>,
    /// PEM file with certificates to trust besides the system's
    #[arg(long, env = "CBR_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Where a code of the second factor is read from.
pub(super) const CODE_VARIABLE: &str = "CBR_MFA_CODE";

impl LoginArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let lang = output.lang;
        let mut profile = match &self.bootstrap_file {
            Some(path) => read_bootstrap(path, lang)?,
            None => Profile::default(),
        };
        if let Some(url) = &self.url {
            profile.url.clone_from(url);
        }
        if self.project.is_some() {
            profile.project_id.clone_from(&self.project);
        }
        if self.ca_file.is_some() {
            profile.ca_file.clone_from(&self.ca_file);
        }
        if let Some(access_key) = &self.access_key {
            profile.access_key = Some(access_key.clone());
            profile.secret_key = Some(secret(lang.ask_secret_key(), "CBR_SECRET_KEY", lang)?);
        } else if let Some(user) = &self.user {
            let token = self.token(&profile, user, lang).await?;
            profile.token = Some(token);
        } else if self.bootstrap_file.is_none() {
            return Err(Failure::new(Kind::Usage, lang.what_log_in(), lang.why_no_credential())
                .with_next(lang.next_login_how()));
        }
        let project = try_out(&profile, lang).await?;
        profile.project_id = Some(project);
        let path = profiles_path(lang)?;
        let mut profiles = Profiles::load(&path, lang)?;
        profiles.profiles.insert(self.name.clone(), profile);
        profiles.current = Some(self.name.clone());
        profiles.save(&path, lang)?;
        output.note(lang.done_login(&self.name, path.display()));
        Ok(())
    }

    async fn token(&self, profile: &Profile, user: &str, lang: Lang) -> Result<Secret, Failure> {
        let password = secret(lang.ask_password(), "CBR_PASSWORD", lang)?;
        let named = json!({
            "name": user,
            "password": password.reveal(),
            "domain": {"name": self.domain},
        });
        let mut login = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": named}},
        }});
        if let Ok(code) = std::env::var(CODE_VARIABLE)
            && !code.is_empty()
        {
            login["auth"]["identity"]["methods"] = json!(["password", "totp"]);
            login["auth"]["identity"]["totp"] = json!({"user": {"passcode": code}});
        }
        if let Some(project) = &profile.project_id {
            login["auth"]["scope"] = json!({"project": {"id": project}});
        }
        // There is no credential yet; the request that gets one carries none.
        let connection = Connection {
            url: profile.url.trim_end_matches('/').to_owned(),
            project: None,
            credential: Credential::Token(Secret::new(String::new())),
            ca_file: profile.ca_file.clone(),
        };
        let world = World::real();
        let (token, body) =
            transport::password_token(&connection, world.clone(), &login, lang).await?;
        if profile.project_id.is_some() || !wire::text(&body, "/token/project/id").is_empty() {
            return Ok(token);
        }
        // Work needs a token of a project: find the only one, and a token for it of the one we have.
        let held = json!({"methods": ["token"], "token": {"id": token.reveal()}});
        let unscoped = Connection { credential: Credential::Token(token), ..connection.clone() };
        let client = Client::connect(unscoped, world.clone(), lang).await?;
        let scope = json!({"project": {"id": client.project()}});
        let login = json!({"auth": {"identity": held, "scope": scope}});
        let (token, _) = transport::password_token(&connection, world, &login, lang).await?;
        Ok(token)
    }
}

/// Makes one request with the credential; answers with the project.
async fn try_out(profile: &Profile, lang: Lang) -> Result<String, Failure> {
    let connection = Connection::from_profile(profile.clone(), lang)?;
    let client = Client::connect(connection, World::real(), lang).await?;
    let query = vec![("limit".to_owned(), "1".to_owned())];
    client
        .get(&client.cbr("vaults"), query)
        .await
        .map_err(|error| error.failure(lang, lang.what_log_in()))?;
    Ok(client.project().to_owned())
}

fn profiles_path(lang: Lang) -> Result<PathBuf, Failure> {
    Profiles::path().ok_or_else(|| {
        Failure::new(Kind::Usage, lang.what_profile_file("profiles.toml"), lang.why_no_home())
    })
}

/// A secret from the environment, or from the terminal without echo, or from standard input.
pub(super) fn secret(question: String, variable: &str, lang: Lang) -> Result<Secret, Failure> {
    if let Ok(value) = std::env::var(variable)
        && !value.is_empty()
    {
        return Ok(Secret::new(value));
    }
    let unread = |error: io::Error| {
        Failure::new(Kind::Usage, lang.what_read_secret(variable), error.to_string())
    };
    let stdin = io::stdin();
    let mut line = String::new();
    if stdin.is_terminal() {
        let before = tcgetattr(&stdin).map_err(|error| unread(error.into()))?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(|error| unread(error.into()))?;
        Output::new(crate::output::Format::Table, lang).note(question);
        let read = stdin.lock().read_line(&mut line);
        tcsetattr(&stdin, OptionalActions::Flush, &before).map_err(|error| unread(error.into()))?;
        read.map_err(unread)?;
    } else {
        stdin.lock().read_line(&mut line).map_err(unread)?;
    }
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    if line.is_empty() {
        Err(unread(io::Error::from(io::ErrorKind::UnexpectedEof)))
    } else {
        Ok(Secret::new(line))
    }
}

/// See and choose kept credentials
#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// List profiles, without their secrets
    List,
    /// Use this profile from now on
    Use {
        /// Name of the profile
        name: String,
    },
    /// Forget a profile
    Remove {
        /// Name of the profile
        name: String,
    },
}

impl ProfileArgs {
    /// Runs the command.
    pub(crate) fn run(self, output: Output) -> Result<(), Failure> {
        let lang = output.lang;
        let path = profiles_path(lang)?;
        let mut profiles = Profiles::load(&path, lang)?;
        let missing = |name: &str| {
            Failure::new(
                Kind::NotFound,
                lang.what_profile_file(path.display()),
                lang.why_no_profile(name),
            )
            .with_next(lang.next_no_profile())
        };
        match self.command {
            ProfileCommand::List => return list(&profiles, output),
            ProfileCommand::Use { name } => {
                if profiles.profiles.contains_key(&name) {
                    profiles.current = Some(name);
                } else {
                    return Err(missing(&name));
                }
            }
            ProfileCommand::Remove { name } => {
                profiles.profiles.remove(&name).ok_or_else(|| missing(&name))?;
                profiles.current = profiles.current.filter(|current| *current != name);
            }
        }
        profiles.save(&path, lang)
    }
}

fn list(profiles: &Profiles, output: Output) -> Result<(), Failure> {
    let lang = output.lang;
    let current = |name: &String| profiles.current.as_ref() == Some(name);
    if output.is_json() {
        let all: Vec<_> = profiles
            .profiles
            .iter()
            .map(|(name, profile)| {
                json!({
                    "name": name,
                    "current": current(name),
                    "url": profile.url,
                    "project_id": profile.project_id,
                    "access_key": profile.access_key,
                })
            })
            .collect();
        return output.json(&all.into());
    }
    let rows = profiles
        .profiles
        .iter()
        .map(|(name, profile)| {
            let mark = if current(name) { "*" } else { "" };
            let project = profile.project_id.clone().unwrap_or_default();
            let key = profile.access_key.clone().unwrap_or_else(|| "token".into());
            vec![mark.into(), name.clone(), profile.url.clone(), project, key]
        })
        .collect();
    let head = vec![
        String::new(),
        lang.col_name(),
        "URL".into(),
        lang.col_project(),
        lang.col_access_key(),
    ];
    output.rows(head, rows)
}
