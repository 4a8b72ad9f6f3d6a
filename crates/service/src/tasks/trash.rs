//! The store's trash, as tasks use it.
//!
//! A task that deletes, and one that takes back, undo each other's work. So each notes first how far
//! the logs of deletions have come, saves that with its stage, and gives it to the store whenever it
//! tries: a worker that sleeps while everything goes on finds its marks too old (R9, P14).

use std::sync::Arc;

use cbr_model::backup::StoredVersion;
use cbr_store::{ChainRef, Error as StoreError, Repository};
use tokio::task::spawn_blocking;

use super::trouble::Trouble;
use crate::content;
use crate::core::Core;

/// How far the log of deletions of each version's chain has come.
pub(super) async fn marks(core: &Core, versions: &[StoredVersion]) -> Result<Vec<u64>, Trouble> {
    let mut marks = Vec::with_capacity(versions.len());
    for version in versions {
        let mark = |repository: &Repository, chain: &ChainRef, _| match repository.mark(chain) {
            // Its keys were destroyed: nothing moves there any more.
            Err(StoreError::Shredded { .. }) => Ok(0),
            mark => mark,
        };
        marks.push(blocking(core, version, mark).await?);
    }
    Ok(marks)
}

/// Puts the versions into the trash. Those that are there or gone already are fine.
pub(super) async fn put(
    core: &Core,
    versions: &[StoredVersion],
    marks: &[u64],
    by: String,
) -> Result<(), Trouble> {
    for (at, version) in versions.iter().enumerate() {
        let (mark, by) = (marks.get(at).copied(), by.clone());
        let put = move |repository: &Repository, chain: &ChainRef, seq: u64| {
            repository.trash(chain, &[seq], mark, &by)
        };
        blocking(core, version, put).await?;
    }
    Ok(())
}

/// Runs `work` for the version's chain and number.
pub(super) async fn blocking<T: Send + 'static>(
    core: &Core,
    version: &StoredVersion,
    work: impl FnOnce(&Repository, &ChainRef, u64) -> cbr_store::Result<T> + Send + 'static,
) -> Result<T, Trouble> {
    let (repository, version) = (Arc::clone(&core.repository), content::reference(version));
    let done = spawn_blocking(move || work(&repository, &version.chain, version.seq)).await?;
    done.map_err(Trouble::from)
}
