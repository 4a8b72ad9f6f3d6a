//! Where credentials are kept: `~/.config/cbr/profiles.toml`, mode 0600.
//!
//! The file is written whole beside the old one and renamed over it, so there is
//! no moment without it and none at which others could read it. A file that
//! others can read is refused, as `ssh` does.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::failure::{Failure, Kind};
use crate::text::Lang;

/// A text that never appears in logs or messages.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// `text` as a secret.
    pub(crate) const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Whom to talk to and as whom.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Where the service answers.
    pub(crate) url: String,
    /// The project to work in; none: the only one of the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project_id: Option<String>,
    /// The access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_key: Option<String>,
    /// The secret key that belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_key: Option<Secret>,
    /// A token instead of the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<Secret>,
    /// Certificates to trust besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// All profiles of the person.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The one used when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// By name.
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

impl Profiles {
    /// Where they are kept: `$XDG_CONFIG_HOME/cbr/profiles.toml` or `~/.config/cbr/profiles.toml`.
    pub(crate) fn path() -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let config = set("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| Path::new(&home).join(".config")))?;
        Some(config.join("cbr").join("profiles.toml"))
    }

    /// Reads them; no file means no profiles.
    pub(crate) fn load(path: &Path, lang: Lang) -> Result<Self, Failure> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(unusable(lang, path, &error.to_string())),
        };
        let mode = fs::metadata(path).map_err(|error| unusable(lang, path, &error.to_string()))?;
        if mode.permissions().mode() & 0o077 != 0 {
            return Err(unusable(lang, path, &lang.why_profile_readable())
                .with_next(format!("chmod 600 {}", path.display())));
        }
        // The parser's own message quotes the line, and with it perhaps a secret.
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            unusable(lang, path, &format!("line {line}: {}", error.message()))
        })
    }

    /// Writes them durably, readable by the person alone.
    pub(crate) fn save(&self, path: &Path, lang: Lang) -> Result<(), Failure> {
        let text =
            toml::to_string(self).map_err(|error| unusable(lang, path, &error.to_string()))?;
        write_private(path, text.as_bytes())
            .map_err(|error| unusable(lang, path, &error.to_string()))
    }
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let draft = folder.join(format!(".profiles.{}", std::process::id()));
    let write = || {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().inspect_err(|_| drop(fs::remove_file(&draft)))
}

fn unusable(lang: Lang, path: &Path, why: &str) -> Failure {
    Failure::new(Kind::Usage, lang.what_profile_file(path.display()), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Profiles {
        let profile = Profile {
            url: "http://127.0.0.1:8700".into(),
            access_key: Some("AK".into()),
            secret_key: Some(Secret::new("s3cr3t".into())),
            ..Profile::default()
        };
        Profiles { current: Some("demo".into()), profiles: [("demo".into(), profile)].into() }
    }

    #[test]
    fn profiles_survive_the_file_and_the_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/profiles.toml");
        assert_eq!(Profiles::load(&path, Lang::En).unwrap(), Profiles::default());
        sample().save(&path, Lang::En).unwrap();
        sample().save(&path, Lang::En).unwrap();
        assert_eq!(Profiles::load(&path, Lang::En).unwrap(), sample());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    /// P32.
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        sample().save(&path, Lang::En).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let failure = Profiles::load(&path, Lang::En).unwrap_err();
        assert_eq!(failure.next, Some(format!("chmod 600 {}", path.display())));
    }

    /// P32.
    #[test]
    fn secrets_appear_neither_in_debug_output_nor_in_messages_about_the_file() {
        assert!(!format!("{:?}", sample()).contains("s3cr3t"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        write_private(&path, b"[profiles.x]\nurl = \"\"\nsecret_kye = \"s3cr3t\"\n").unwrap();
        let failure = Profiles::load(&path, Lang::En).unwrap_err();
        assert!(!failure.why.contains("s3cr3t"), "{}", failure.why);
        assert!(failure.why.contains("line 3"), "{}", failure.why);
    }
}
