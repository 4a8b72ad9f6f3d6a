//! `cbr repo rebuild`: the database anew from the repository (P8); `cbr repo release`: what was found may
//! expire again.

use std::fmt::Display;

use anyhow::{Context, Result};
use serde_json::json;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::node::Node;
use crate::output::Output;
use crate::text::{Lang, texts};
use crate::world::World;

texts! {
    note_rebuild_held(count)
        "{count} backups do not expire, as it is not known what held them: see `cbr repo release`"
        | "有 {count} 个备份不会过期，因为无法得知之前由什么保留：参见 `cbr repo release`";
    done_release(count)
        "{count} backups are left to their policies again"
        | "{count} 个备份已重新由其策略管理";
}

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
            "held": rebuilt.held,
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
    if rebuilt.held > 0 {
        output.note(lang.note_rebuild_held(rebuilt.held));
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

/// Leaves what rebuilds found to its policies again.
pub(super) async fn release(data: &DataDir, config: &Config, output: Output) -> Result<()> {
    let _lock = data.lock()?;
    let node = Node::start(data, config, World::real()).await?;
    let released = node.catalogue().release_rebuilt().await;
    node.close().await?;
    let released = released.context("cannot release the backups")?;
    if output.is_json() {
        return Ok(output.json(&json!({"released": released}))?);
    }
    Ok(output.line(output.lang.done_release(released))?)
}
