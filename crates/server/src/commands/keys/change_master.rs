//! Changing the master key of an installation.
//!
//! Three things change: the repository, the secrets in the database, and the key file. The order is
//! such that the key file opens the repository at every moment, and that the command, run again
//! after a crash anywhere, finishes what it began:
//!
//! ```text
//! master.key.next written ─▶ repository opens with both ─▶ secrets sealed anew ─▶ files renamed
//!                                                                    ─▶ the old key opens nothing
//! ```
//! Between the third and the fourth step the service would not find its secrets; it does not start
//! while `master.key.next` is there (`data_dir.rs`).

use anyhow::{Context, Result};
use cbr_service::identity::{SealingKey, reseal};
use cbr_store::MasterKey;
use serde_json::json;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::node::SEALING_PURPOSE;
use crate::output::Output;
use crate::wiring;
use crate::world::World;

/// Changes the master key, or finishes a change that was interrupted.
pub(super) async fn run(data: &DataDir, config: &Config, output: Output) -> Result<()> {
    let _lock = data.lock()?;
    let (world, lang) = (World::real(), output.lang);
    let old = MasterKey::read_file(&data.key_path())?;
    let database = wiring::database(data, config, &world).await?;
    let place = wiring::Place::of(data, config)?;
    // Opened as the service does: where the object store overwrites, the database decides.
    let open = |key: &MasterKey| wiring::repository(&place, config, key.clone(), &database, &world);
    let repository = open(&old)?;
    let status = repository.key_status()?;
    // The files are renamed already, only the end of the old key is missing.
    if !data.has_next_key() && status.masters.first().is_some_and(|first| *first < status.master) {
        output.note(lang.note_key_continued());
        repository.retire_master(&old)?;
        return tell(status.master, None, output);
    }
    if data.has_next_key() {
        output.note(lang.note_key_continued());
    }
    let new = data.next_key(&*world.random)?;
    repository.rotate_master(&new).context("cannot give the repository a new master key")?;
    let number = open(&new)?.key_status()?.master;
    let sealing = |key: &MasterKey| SealingKey::new(&key.derived(SEALING_PURPOSE));
    let sealed = reseal(&database, &sealing(&old), &sealing(&new), &*world.random).await;
    sealed.context("cannot seal the secrets in the database anew")?;
    let kept = data.take_next_key(number)?;
    repository.retire_master(&new).context("cannot end the old master key")?;
    database.close().await?;
    tell(number, Some(kept), output)
}

fn tell(number: u32, kept: Option<std::path::PathBuf>, output: Output) -> Result<()> {
    let lang = output.lang;
    if output.is_json() {
        let kept = kept.map(|path| path.display().to_string());
        return Ok(output.json(&json!({"master": number, "old_key": kept}))?);
    }
    output.line(lang.done_key_changed(number))?;
    if let Some(kept) = kept {
        output.note(lang.note_key_old(kept.display()));
    }
    output.note(lang.note_key_copy());
    Ok(())
}
