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

use std::sync::Arc;

use anyhow::{Context, Result};
use cbr_db::Db;
use cbr_service::identity::{SealingKey, reseal};
use cbr_store::{MasterKey, Repository};
use serde_json::json;

use crate::commands::writable::apart;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::node::SEALING_PURPOSE;
use crate::output::Output;
use crate::wiring;
use crate::world::World;

/// What opens the repository, as the service does it: where the object store overwrites, the
/// database decides.
struct Opener {
    place: wiring::Place,
    config: Config,
    database: Arc<Db>,
    world: World,
}

impl Opener {
    fn open(&self, key: &MasterKey) -> Result<Arc<Repository>> {
        wiring::repository(&self.place, &self.config, key, &self.database, &self.world)
    }
}

/// Changes the master key, or finishes a change that was interrupted.
pub(super) async fn run(data: &DataDir, config: &Config, output: Output) -> Result<()> {
    let _lock = data.lock()?;
    let (world, lang) = (World::real(), output.lang);
    let old = MasterKey::read_file(&data.key_path())?;
    let database = wiring::database(data, config, &world).await?;
    let opener = Arc::new(Opener {
        place: wiring::Place::of(data, config)?,
        config: config.clone(),
        database: Arc::clone(&database),
        world: world.clone(),
    });
    let has_next = data.has_next_key();
    if has_next {
        output.note(lang.note_key_continued());
    } else if let Some(number) = finish(&opener, &old).await? {
        // The files were renamed already, only the end of the old key was missing.
        output.note(lang.note_key_continued());
        database.close().await?;
        return tell(number, None, output);
    }
    let new = data.next_key(&*world.random)?;
    let number = {
        let (opener, old, new) = (Arc::clone(&opener), old.clone(), new.clone());
        let give = move || {
            opener.open(&old)?.rotate_master(&new)?;
            Ok(opener.open(&new)?.key_status()?.master)
        };
        apart(give).await.context("cannot give the repository a new master key")?
    };
    let sealing = |key: &MasterKey| SealingKey::new(&key.derived(SEALING_PURPOSE));
    let sealed = reseal(&database, &sealing(&old), &sealing(&new), &*world.random).await;
    sealed.context("cannot seal the secrets in the database anew")?;
    let kept = data.take_next_key(number)?;
    let end = move || Ok(opener.open(&old)?.retire_master(&new)?);
    apart(end).await.context("cannot end the old master key")?;
    database.close().await?;
    tell(number, Some(kept), output)
}

/// Ends older master keys that a change left behind; the number of the one that stays.
async fn finish(opener: &Arc<Opener>, key: &MasterKey) -> Result<Option<u32>> {
    let (opener, key) = (Arc::clone(opener), key.clone());
    apart(move || {
        let repository = opener.open(&key)?;
        let status = repository.key_status()?;
        if status.masters.first().is_none_or(|first| *first >= status.master) {
            return Ok(None);
        }
        repository.retire_master(&key)?;
        Ok(Some(status.master))
    })
    .await
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
