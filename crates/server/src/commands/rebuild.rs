//! `cbr repo rebuild`: the database anew from the repository (P8).

use anyhow::{Context, Result};
use serde_json::json;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::node::Node;
use crate::output::Output;
use crate::world::World;

/// Writes the rows that the repository knows and the database does not. Repeating is harmless.
pub(super) async fn run(data: &DataDir, config: &Config, output: Output) -> Result<()> {
    let _lock = data.lock()?;
    let lang = output.lang;
    let node = Node::start(data, config, World::real()).await?;
    let rebuilt =
        node.catalogue().rebuild().await.context("cannot rebuild the database from the repository");
    node.close().await?;
    let rebuilt = rebuilt?;
    if output.is_json() {
        output.json(&json!({
            "vaults": rebuilt.vaults,
            "resources": rebuilt.resources,
            "checkpoints": rebuilt.checkpoints,
            "backups": rebuilt.backups,
            "trashed": rebuilt.trashed,
            "disk_owners": rebuilt.disk_owners,
            "known": rebuilt.known,
            "lost": rebuilt.lost,
            "unreadable": rebuilt.unreadable,
        }))?;
        return Ok(());
    }
    output.line(lang.done_rebuild(
        rebuilt.vaults,
        rebuilt.resources,
        rebuilt.checkpoints,
        rebuilt.backups,
        rebuilt.known,
    ))?;
    if rebuilt.trashed > 0 {
        output.note(lang.note_trashed(rebuilt.trashed));
    }
    if rebuilt.lost > 0 {
        output.note(lang.note_lost(rebuilt.lost));
    }
    if rebuilt.unreadable > 0 {
        output.note(lang.note_unreadable(rebuilt.unreadable));
    }
    output.note(lang.note_rebuild_account());
    Ok(())
}
