//! Deletions in the store, as tasks use them.
//!
//! A task that deletes, and one that takes back, undo each other's work. So each notes first how far
//! the logs of deletions have come, saves that with its stage, and gives it to the store whenever it
//! tries: a worker that sleeps while everything goes on finds its marks too old (R9, P14).

use std::sync::Arc;

use cbr_model::backup::StoredVersion;
use cbr_store::{ChainRef, Error as StoreError, Freed, Repository};
use tokio::task::spawn_blocking;

use super::trouble::Trouble;
use crate::content;
use crate::core::Core;

/// How far the log of deletions of each version's chain has come.
pub(super) async fn marks(core: &Core, versions: &[StoredVersion]) -> Result<Vec<u64>, Trouble> {
    let mut marks = Vec::with_capacity(versions.len());
    for version in versions {
        let mark = |repository: &Repository, chain: &ChainRef, _| repository.mark(chain);
        marks.push(unless_shredded(core, version, mark).await?);
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
        unless_shredded(core, version, put).await?;
    }
    Ok(())
}

/// Gives up versions that are in the trash. Those that were moved since the marks are left alone.
pub(super) async fn purge(
    core: &Core,
    versions: &[StoredVersion],
    marks: &[u64],
    by: String,
) -> Result<(), Trouble> {
    for (version, mark) in versions.iter().zip(marks) {
        let (mark, by) = (Some(*mark), by.clone());
        let purge = move |repository: &Repository, chain: &ChainRef, seq: u64| {
            repository.purge(chain, &[seq], mark, &by)
        };
        count(&unless_shredded(core, version, purge).await?);
    }
    Ok(())
}

/// Deletes versions for good, whether in the trash or not. Those that are gone already are fine.
pub(super) async fn erase(core: &Core, versions: &[StoredVersion]) -> Result<(), Trouble> {
    for version in versions {
        let delete =
            |repository: &Repository, chain: &ChainRef, seq: u64| repository.delete(chain, &[seq]);
        count(&unless_shredded(core, version, delete).await?);
    }
    Ok(())
}

fn count(freed: &Freed) {
    metrics::counter!("cbr_deleted_stored_bytes_total").increment(freed.freed_bytes);
    metrics::counter!("cbr_store_audit_rescues_total").increment(freed.rescued_packs);
}

/// As [`blocking`], for what takes away. Where a tenant's keys were destroyed everything it had is gone,
/// so there is nothing to be done.
async fn unless_shredded<T: Default + Send + 'static>(
    core: &Core,
    version: &StoredVersion,
    work: impl FnOnce(&Repository, &ChainRef, u64) -> cbr_store::Result<T> + Send + 'static,
) -> Result<T, Trouble> {
    let work =
        move |repository: &Repository, chain: &ChainRef, seq| match work(repository, chain, seq) {
            Err(StoreError::Shredded { .. }) => Ok(T::default()),
            done => done,
        };
    blocking(core, version, work).await
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
