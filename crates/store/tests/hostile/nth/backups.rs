//! Backups as their tasks run them.

use std::sync::{Arc, LazyLock};

use cbr_store::{ChainRef, CheckDepth, Job, Result, Session, Spot};

use super::process::Process;
use super::starts::DAMAGED;
use crate::healing::spots;
use crate::world::{CHAIN, Disk};

/// Ends what it had begun, looks whether it was done, does it.
fn again(
    process: &Process,
    chain: &ChainRef,
    write: impl FnOnce(&mut Session) -> Result<()>,
) -> Result<()> {
    let repository = process.repository()?;
    repository.abort_unfinished(chain, "task")?;
    if repository.find_by_owner(chain, "task")?.is_some() {
        return Ok(());
    }
    let mut session = repository.begin(chain, "task")?;
    write(&mut session)?;
    session.commit(b"task").map(drop)
}

pub(super) fn task(process: &Process, chain: &ChainRef, disk: &Disk) -> Result<()> {
    again(process, chain, |session| session.write(disk, None, &Job::quiet()).map(drop))
}

/// The owner changes his mind when everything is written.
pub(super) fn given_up(process: &Process, disk: &Disk) -> Result<()> {
    let repository = process.repository()?;
    repository.abort_unfinished(&CHAIN, "task")?;
    let mut session = repository.begin(&CHAIN, "task")?;
    session.write(disk, None, &Job::quiet())?;
    session.abort()
}

/// A backup that knows what is damaged.
pub(super) fn healing(process: &Process, disk: &Disk) -> Result<()> {
    again(process, &CHAIN, |session| {
        session.distrust(&KNOWN);
        session.write(disk, None, &Job::quiet()).map(drop)
    })
}

/// What a check found earlier.
static KNOWN: LazyLock<Vec<Spot>> = LazyLock::new(|| {
    let process = Process::new(Arc::new(DAMAGED.backend()), 505);
    let repository = process.repository().unwrap();
    spots(&repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap())
});
