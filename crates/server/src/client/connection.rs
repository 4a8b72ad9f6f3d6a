//! Finding out whom to talk to and as whom.
//!
//! What is named on the command line wins, then the environment, then the
//! profile. Secrets never come from the command line: others can read it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::profile::{Profile, Profiles, Secret};
use crate::failure::{Failure, Kind};
use crate::text::Lang;

/// Options of every command that talks to a service.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Profile to use (see `cbr profile list`)
    #[arg(long, global = true, env = "CBR_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Use the account in this file, written by `cbr serve --bootstrap-file`
    #[arg(long, global = true, env = "CBR_BOOTSTRAP_FILE", value_name = "FILE")]
    pub(crate) bootstrap_file: Option<PathBuf>,
    /// Where the service answers, e.g. https://backup.example.org:8700
    #[arg(long, global = true, env = "CBR_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Id of the project to work in
    #[arg(long, global = true, env = "CBR_PROJECT_ID", value_name = "ID")]
    pub(crate) project: Option<String>,
    /// PEM file with certificates to trust besides the system's
    #[arg(long, global = true, env = "CBR_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// As whom requests are made.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// Every request is signed.
    Keys {
        /// The access key.
        access_key: String,
        /// The secret key.
        secret_key: Secret,
    },
    /// Every request carries it.
    Token(Secret),
}

/// Whom to talk to and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Where the service answers, without a slash at the end.
    pub(crate) url: String,
    /// The project; none: the only one of the credential.
    pub(crate) project: Option<String>,
    /// As whom.
    pub(crate) credential: Credential,
    /// Certificates to trust besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
}

/// What the environment may hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    access_key: Option<String>,
    secret_key: Option<Secret>,
    token: Option<Secret>,
}

impl Environment {
    /// The process' environment.
    pub(crate) fn of_process() -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            access_key: read("CBR_ACCESS_KEY"),
            secret_key: read("CBR_SECRET_KEY").map(Secret::new),
            token: read("CBR_TOKEN").map(Secret::new),
        }
    }
}

/// The account file that `cbr serve` writes; more fields may come.
#[derive(Deserialize)]
struct Bootstrap {
    url: String,
    project_id: String,
    access_key: String,
    secret_key: Secret,
}

/// The profile an account file amounts to.
pub(crate) fn read_bootstrap(path: &Path, lang: Lang) -> Result<Profile, Failure> {
    let unusable = |why: String| {
        Failure::new(Kind::Usage, lang.what_bootstrap_file(path.display()), why)
            .with_next(lang.next_bootstrap_file())
    };
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let about = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?;
    if about.permissions().mode() & 0o077 != 0 {
        return Err(unusable(lang.why_profile_readable())
            .with_next(format!("chmod 600 {}", path.display())));
    }
    // The parser's message may quote a value; its place is enough.
    let bootstrap: Bootstrap = serde_json::from_str(&text)
        .map_err(|error| unusable(format!("line {}, column {}", error.line(), error.column())))?;
    Ok(Profile {
        url: bootstrap.url,
        project_id: Some(bootstrap.project_id),
        access_key: Some(bootstrap.access_key),
        secret_key: Some(bootstrap.secret_key),
        token: None,
        ca_file: None,
    })
}

impl Connection {
    /// Puts together what arguments, environment and profiles say.
    pub(crate) fn resolve(
        args: &ConnectionArgs,
        environment: Environment,
        profiles: impl FnOnce() -> Result<Profiles, Failure>,
        lang: Lang,
    ) -> Result<Self, Failure> {
        let has_environment = environment.access_key.is_some() || environment.token.is_some();
        let mut profile = if let Some(path) = &args.bootstrap_file {
            read_bootstrap(path, lang)?
        } else if args.profile.is_some() || !has_environment {
            chosen(profiles()?, args.profile.as_deref(), lang)?
        } else {
            Profile::default()
        };
        // A file or profile named on the command line is meant as a whole.
        let is_named = args.bootstrap_file.is_some() || args.profile.is_some();
        if !is_named && has_environment {
            profile.access_key = environment.access_key;
            profile.secret_key = environment.secret_key;
            profile.token = environment.token;
        }
        if let Some(url) = &args.url {
            profile.url.clone_from(url);
        }
        if args.project.is_some() {
            profile.project_id.clone_from(&args.project);
        }
        if args.ca_file.is_some() {
            profile.ca_file.clone_from(&args.ca_file);
        }
        Self::from_profile(profile, lang)
    }

    /// The connection a complete profile describes.
    pub(crate) fn from_profile(profile: Profile, lang: Lang) -> Result<Self, Failure> {
        let incomplete = |why: String| {
            Failure::new(Kind::Usage, lang.what_no_connection(), why)
                .with_next(lang.next_no_connection())
        };
        let url = profile.url.trim_end_matches('/').to_owned();
        if url.is_empty() {
            return Err(incomplete(lang.why_url_missing()));
        }
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(incomplete(lang.why_no_url(&url)));
        }
        let credential = match (profile.access_key, profile.secret_key, profile.token) {
            (Some(access_key), Some(secret_key), _) => Credential::Keys { access_key, secret_key },
            (_, _, Some(token)) => Credential::Token(token),
            _ => return Err(incomplete(lang.why_no_credential())),
        };
        Ok(Self { url, project: profile.project_id, credential, ca_file: profile.ca_file })
    }
}

fn chosen(profiles: Profiles, named: Option<&str>, lang: Lang) -> Result<Profile, Failure> {
    match named.or(profiles.current.as_deref()) {
        None => Ok(Profile::default()),
        Some(name) => profiles.profiles.get(name).cloned().ok_or_else(|| {
            Failure::new(Kind::Usage, lang.what_no_connection(), lang.why_no_profile(name))
                .with_next(lang.next_no_profile())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Profiles {
        let profile = |url: &str| Profile {
            url: url.into(),
            access_key: Some("P".into()),
            secret_key: Some(Secret::new("p".into())),
            ..Profile::default()
        };
        let both = [("a", "http://a/"), ("b", "http://b")];
        Profiles {
            current: Some("a".into()),
            profiles: both.map(|(name, url)| (name.into(), profile(url))).into(),
        }
    }

    fn keys() -> Environment {
        Environment {
            access_key: Some("E".into()),
            secret_key: Some(Secret::new("e".into())),
            token: None,
        }
    }

    fn who(connection: &Connection) -> &str {
        match &connection.credential {
            Credential::Keys { access_key, .. } => access_key,
            Credential::Token(_) => "token",
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_profile() {
        let profiles = || Ok(kept());
        let none = ConnectionArgs::default();
        let plain = Connection::resolve(&none, Environment::default(), profiles, Lang::En).unwrap();
        assert_eq!((plain.url.as_str(), who(&plain)), ("http://a", "P"));

        let named = ConnectionArgs { profile: Some("b".into()), ..none.clone() };
        let named = Connection::resolve(&named, keys(), profiles, Lang::En).unwrap();
        assert_eq!((named.url.as_str(), who(&named)), ("http://b", "P"));

        let url = ConnectionArgs { url: Some("http://c".into()), ..none };
        let from_environment = Connection::resolve(&url, keys(), profiles, Lang::En).unwrap();
        assert_eq!((from_environment.url.as_str(), who(&from_environment)), ("http://c", "E"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let args = ConnectionArgs::default();
        let empty = || Ok(Profiles::default());
        let failure =
            Connection::resolve(&args, Environment::default(), empty, Lang::En).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        assert!(failure.next.as_ref().unwrap().contains("cbr login"));
        let args = ConnectionArgs { profile: Some("x".into()), ..args };
        let failure = Connection::resolve(&args, keys(), || Ok(kept()), Lang::En).unwrap_err();
        assert!(failure.why.contains('x'));
    }

    #[test]
    fn a_broken_account_file_does_not_spill_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.json");
        std::fs::write(&path, r#"{"url": 3, "secret_key": "s3cr3t"}"#).unwrap();
        let set_mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(0o640);
        let failure = read_bootstrap(&path, Lang::En).unwrap_err();
        assert!(
            failure.next.as_ref().unwrap().starts_with("chmod 600 "),
            "P32: others can read it"
        );
        set_mode(0o600);
        let failure = read_bootstrap(&path, Lang::En).unwrap_err();
        assert!(failure.why.contains("column") && !failure.why.contains("s3cr3t"));
    }
}
