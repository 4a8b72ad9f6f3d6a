//! The first account's secrets: made once, told once, not lost in between.
//!
//! ```text
//! secrets ─▶ DATA/account.new ─▶ account in the database ─▶ told ─▶ account.new removed
//! ```
//! The file is durable before the account exists, so a crash anywhere leaves
//! either no account (the next start makes other secrets) or an account whose
//! secrets the next start still tells.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cbr_service::Identity;
use cbr_service::identity::{Bootstrapped, FirstAccount};
use serde_json::json;
use zeroize::Zeroizing;

use crate::config::AccountConfig;
use crate::data_dir::DataDir;
use crate::failure::{Failure, Kind};
use crate::output::Output;

/// Makes the first account if there is none, and tells its secrets if nobody has them yet.
pub(crate) async fn first_account(
    identity: &Identity,
    data: &DataDir,
    config: &AccountConfig,
    url: &str,
    told_in: Option<&Path>,
    output: Output,
) -> Result<()> {
    let waiting = data.account_path();
    let wanted = FirstAccount {
        domain_name: config.domain_name.clone(),
        project_name: config.region.clone(),
        user_name: config.user_name.clone(),
    };
    let keep = |made: &Bootstrapped| keep(&waiting, &account_text(made, config, url));
    identity.bootstrap(&wanted, keep).await.context("cannot create the first account")?;
    // Present after a creation just now, or by a process that died before it told them.
    let Some(text) = read(&waiting)? else { return Ok(()) };
    if let Some(path) = told_in {
        tell_in(path, &text)?;
        output.note(output.lang.note_account_file(path.display()));
    } else {
        output.line(output.lang.note_account_once())?;
        output.line(text.trim_end())?;
    }
    fs::remove_file(&waiting)
        .and_then(|()| File::open(data.path())?.sync_all())
        .with_context(|| format!("cannot remove {}", waiting.display()))
}

fn account_text(made: &Bootstrapped, config: &AccountConfig, url: &str) -> Zeroizing<String> {
    let account = json!({
        "url": url,
        "domain_name": config.domain_name,
        "domain_id": made.domain.to_string(),
        "project_name": config.region,
        "project_id": made.project.to_string(),
        "region": config.region,
        "user_name": config.user_name,
        "password": made.password.as_str(),
        "access_key": made.access_key,
        "secret_key": made.secret_key.as_str(),
    });
    Zeroizing::new(format!("{account:#}\n"))
}

/// Writes the account to a file that must not hold anything else.
fn tell_in(path: &Path, text: &str) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    match read(path)? {
        None => write_new(path, text.as_bytes()).with_context(cannot),
        // Told before, but the process died before it could forget.
        Some(present) if present.as_str() == text => Ok(()),
        // The database was lost and rebuilt: the same project, but its old secrets are gone.
        Some(present) if project(&present).is_some() && project(&present) == project(text) => {
            keep(path, text).with_context(cannot)
        }
        Some(_) => Err(Failure::new(
            Kind::Usage,
            format!("cannot write the first account to {}", path.display()),
            "the file exists and holds something else",
        )
        .with_next("move it away, or name another --bootstrap-file, and start again")
        .into()),
    }
}

/// The project an account file is for.
fn project(text: &str) -> Option<String> {
    let account: serde_json::Value = serde_json::from_str(text).ok()?;
    account["project_id"].as_str().map(str::to_owned)
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Keeps the secrets durably, over those of an account that never came to be.
fn keep(path: &Path, text: &str) -> io::Result<()> {
    let draft = draft_beside(path);
    write_draft(&draft, text.as_bytes())?;
    fs::rename(&draft, path)?;
    sync_parent(path)
}

/// Writes a private file that must not exist, whole and durably.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = draft_beside(path);
    write_draft(&draft, content)?;
    // A link, not a rename: it fails where the name is taken.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked?;
    sync_parent(path)
}

fn write_draft(draft: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(content)?;
    file.sync_all()
}

fn draft_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".draft");
    PathBuf::from(name)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_account_file_is_private_and_never_overwrites_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.json");
        write_new(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_new(&path, b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn telling_again_the_same_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.json");
        tell_in(&path, "{\"project_id\": \"1\"}").unwrap();
        tell_in(&path, "{\"project_id\": \"1\"}").unwrap();
    }

    /// P8: after a rebuild the project is the same and its old secrets are worthless.
    #[test]
    fn new_secrets_of_the_same_project_replace_the_old_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.json");
        tell_in(&path, r#"{"project_id": "1", "password": "old"}"#).unwrap();
        tell_in(&path, r#"{"project_id": "1", "password": "new"}"#).unwrap();
        assert!(read(&path).unwrap().unwrap().contains("new"));
    }

    #[test]
    fn a_file_with_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.json");
        for present in ["shopping list", r#"{"project_id": "2"}"#, "{}"] {
            fs::write(&path, present).unwrap();
            assert!(tell_in(&path, r#"{"project_id": "1"}"#).is_err());
            assert_eq!(read(&path).unwrap().unwrap().as_str(), present);
        }
    }

    #[test]
    fn keeping_again_replaces_the_secrets_of_an_account_that_never_came_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let waiting = folder.path().join("waiting");
        keep(&waiting, "one").unwrap();
        keep(&waiting, "two").unwrap();
        assert_eq!(read(&waiting).unwrap().unwrap().as_str(), "two");
    }
}
