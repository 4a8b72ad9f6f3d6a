//! `cbr repo sizes`: what each version in the repository costs, also with the database gone.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Context, Result};
use cbr_store::{Repository, Usage, VersionInfo, VersionSizes};
use serde_json::{Value, json};

use super::backup_size::columns_at;
use super::repo::{as_json, disk_name};
use crate::client::wire;
use crate::output::{Output, Show};

/// Runs the command.
pub(super) fn run(repository: &Repository, output: Output) -> Result<()> {
    const DOING: &str = "cannot compute sizes from the repository";
    let lang = output.lang;
    let mut chains: BTreeMap<_, Usage> = BTreeMap::new();
    let mut found = Vec::new();
    for info in repository.catalogue().context(DOING)? {
        let chain = info.version.chain;
        let usage = match chains.entry(chain) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(repository.usage(&chain).context(DOING)?),
        };
        // One that was deleted meanwhile has no sizes.
        if let Some(sizes) = usage.version(info.version.seq) {
            found.push((info, *sizes));
        }
    }
    let sizes = found.iter().map(|(_, sizes)| *sizes).collect();
    let exact = repository.exact(sizes).context(DOING)?;
    let mut versions: Vec<Value> =
        found.iter().zip(&exact).map(|((info, _), sizes)| with_sizes(info, sizes)).collect();
    versions.sort_by_key(|version| wire::number(version, "/card/checkpoint/created_at"));
    let mut columns = vec![
        (lang.col_backup(), Show::At("/card/backup/id")),
        (lang.col_resource(), Show::With(disk_name)),
    ];
    columns.extend(columns_at(output));
    columns.push((lang.col_version(), Show::At("/version")));
    output.list(&versions, &columns)?;
    Ok(())
}

/// What `cbr repo ls` shows of a version, and what it costs.
fn with_sizes(info: &VersionInfo, sizes: &VersionSizes) -> Value {
    let mut version = as_json(info);
    let changed_bytes = if sizes.is_first { sizes.used_bytes } else { sizes.logical_bytes };
    version["used_bytes"] = json!(sizes.used_bytes);
    version["changed_bytes"] = json!(changed_bytes);
    version["stored_bytes"] = json!(sizes.stored_bytes);
    version["unique_bytes"] = json!(sizes.unique_bytes);
    version["shared_bytes"] = json!(sizes.shared_bytes);
    version
}
