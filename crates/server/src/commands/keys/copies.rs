//! Copies of the master key for the day when this machine is gone.

use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use cbr_store::MasterKey;

use super::args::Opened;
use crate::client::profile::Secret;
use crate::commands::login::secret;
use crate::failure::{Failure, Kind};
use crate::key_backup::{self, PASSPHRASE_CHARS_MIN};
use crate::output::Output;
use crate::world::World;

const VARIABLE: &str = "CBR_KEY_PASSPHRASE";

/// Writes a copy that opens with a passphrase.
pub(super) fn export(opened: &Opened, to: &Path, output: Output) -> Result<()> {
    let lang = output.lang;
    let refuse = |why: String| Failure::new(Kind::Usage, lang.what_key(lang.key_export()), why);
    let passphrase = secret(lang.ask_passphrase(), VARIABLE, lang)?;
    if passphrase.reveal().chars().count() < PASSPHRASE_CHARS_MIN {
        return Err(refuse(lang.why_passphrase_short(PASSPHRASE_CHARS_MIN)).into());
    }
    if std::io::stdin().is_terminal() && std::env::var_os(VARIABLE).is_none() {
        let again: Secret = secret(lang.ask_passphrase_again(), VARIABLE, lang)?;
        if again.reveal() != passphrase.reveal() {
            return Err(refuse(lang.why_passphrases_differ()).into());
        }
    }
    let world = World::real();
    let id = opened.repository.id().to_string();
    let text = key_backup::seal(&opened.key, &id, passphrase.reveal(), &*world.random);
    // What cannot be opened again is no copy.
    key_backup::open(&text, passphrase.reveal())?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // The name too must survive a power cut: somebody goes home believing in this copy.
            let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
            fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        })
        .with_context(|| format!("cannot write {}", to.display()))?;
    Ok(output.line(lang.done_key_exported(to.display()))?)
}

/// Makes a key file of a copy, after `check` has found that it opens what it should.
pub(super) fn import(
    copy: &Path,
    to: &Path,
    check: impl FnOnce(&MasterKey) -> Result<()>,
    output: Output,
) -> Result<()> {
    let lang = output.lang;
    let text =
        fs::read_to_string(copy).with_context(|| format!("cannot read {}", copy.display()))?;
    let passphrase = secret(lang.ask_passphrase(), VARIABLE, lang)?;
    let key = key_backup::open(&text, passphrase.reveal()).map_err(|error| {
        Failure::new(Kind::Denied, lang.what_key(lang.key_import()), error.to_string())
    })?;
    check(&key)?;
    key.write_new_file(to)?;
    Ok(output.line(lang.done_key_imported(to.display()))?)
}
