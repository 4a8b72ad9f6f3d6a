//! What may be asked of the four versions. A wrong answer is a panic; damage that is reported is an
//! error, so that it is seen by whoever called.

use std::sync::{Arc, LazyLock};

use cbr_store::{
    CheckDepth, CheckReport, Error, Job, Repository, Result, ScrubBudget, ScrubCursor, ScrubLevel,
    Verified, VersionRef,
};

use super::process::Process;
use super::starts::{DAMAGED, FOUR, newest};
use crate::world::{BLOCK, CHAIN, Target};

const VERSIONS: [u64; 4] = [1, 2, 3, 4];

fn version(seq: u64) -> VersionRef {
    VersionRef { chain: CHAIN, seq }
}

fn none_of(problems: &[cbr_store::Problem]) -> Result<()> {
    match problems.first() {
        None => Ok(()),
        Some(problem) => Err(Error::damaged(&problem.object, problem.what.clone())),
    }
}

/// P1: the right bytes or an error.
pub(super) fn restore(repository: &Repository) -> Result<()> {
    for (seq, disk) in VERSIONS.into_iter().zip(FOUR.seen.0.iter().flatten()) {
        let target = Target::new(disk.0.len());
        repository.restore(&version(seq), &target, &Job::quiet())?;
        assert!(target.into_disk() == *disk, "version {seq} restored wrong bytes");
    }
    Ok(())
}

pub(super) fn read(repository: &Repository) -> Result<()> {
    let disk = repository.open_disk(&version(4))?;
    disk.extents(0..disk.size_bytes(), 100)?;
    for (at, length) in [(0, 512), (3 * BLOCK - 100, 5 * BLOCK - 1000), (7 * BLOCK, BLOCK)] {
        let mut bytes = vec![0xee; length];
        disk.read_at(at as u64, &mut bytes)?;
        assert!(bytes == newest().0[at..at + length], "wrong bytes at {at}");
    }
    Ok(())
}

pub(super) fn check(repository: &Repository) -> Result<()> {
    assert_eq!(is_clean(repository)?, 4);
    Ok(())
}

/// The number of versions.
pub(super) fn is_clean(repository: &Repository) -> Result<u64> {
    let report = repository.check(CheckDepth::ReadData, &Job::quiet())?;
    none_of(&report.problems)?;
    Ok(report.versions)
}

/// P5: what is wrong and who is hurt is listed exactly, or there is an error.
pub(super) fn check_of_damage(repository: &Repository) -> Result<()> {
    static EXPECTED: LazyLock<CheckReport> = LazyLock::new(|| {
        let process = Process::new(Arc::new(DAMAGED.backend()), 506);
        process.repository().unwrap().check(CheckDepth::ReadData, &Job::quiet()).unwrap()
    });
    let report = repository.check(CheckDepth::ReadData, &Job::quiet())?;
    let hurt: usize = EXPECTED.problems.iter().map(|problem| problem.affected.len()).sum();
    assert!(hurt == 2, "{EXPECTED:?}");
    if report.problems == EXPECTED.problems { Ok(()) } else { Err(Error::damaged("more", "is")) }
}

/// So many notes about the chain, in their order, each once.
pub(super) fn notes(repository: &Repository, count: usize) -> Result<()> {
    let notes = repository.notes()?;
    if notes.len() < count {
        return Err(Error::damaged("a note", "it was left out"));
    }
    let said: Vec<&[u8]> = notes.iter().map(|note| &note.content[..]).collect();
    let expected: [&[u8]; 2] = [b"first", b"second"];
    assert_eq!(said, expected[..count]);
    Ok(())
}

/// P1, P5: the same of one version.
pub(super) fn verify_of_damage(repository: &Repository) -> Result<()> {
    static EXPECTED: LazyLock<Verified> = LazyLock::new(|| {
        let process = Process::new(Arc::new(DAMAGED.backend()), 507);
        process.repository().unwrap().verify(&version(2), &Job::quiet()).unwrap()
    });
    assert!(EXPECTED.lost.iter().eq(std::iter::once(&(0..BLOCK as u64))), "{EXPECTED:?}");
    let verified = repository.verify(&version(2), &Job::quiet())?;
    if verified == *EXPECTED { Ok(()) } else { Err(Error::damaged("more", "is")) }
}

pub(super) fn verify(repository: &Repository) -> Result<()> {
    let verified = repository.verify(&version(2), &Job::quiet())?;
    none_of(&verified.problems)?;
    if !verified.lost.is_empty() {
        return Err(Error::damaged("version 2", format!("lost: {:?}", verified.lost)));
    }
    assert!(verified.read_bytes > 0);
    Ok(())
}

/// In steps that are small, but whole.
pub(super) fn scrub(repository: &Repository) -> Result<()> {
    let budget = ScrubBudget { bytes: 1 << 18, requests: 20, level: ScrubLevel::Full };
    let mut cursor = ScrubCursor::default();
    let mut sound = 0;
    loop {
        let step = repository.scrub(&budget, &cursor, &Job::quiet())?;
        none_of(&step.problems)?;
        sound += step.sound.len();
        if step.is_pass_complete {
            assert!(sound > FOUR.objects.len() / 2, "{sound} objects");
            return Ok(());
        }
        cursor = step.cursor;
    }
}

pub(super) fn audit(repository: &Repository) -> Result<()> {
    let report = repository.audit(&Job::quiet())?;
    if let Some((chain, what)) = report.unreadable.first() {
        return Err(Error::damaged(chain, what.clone()));
    }
    assert!(report.is_right() && report.chains.len() == 1, "{report:?}");
    Ok(())
}

pub(super) fn plan(repository: &Repository) -> Result<()> {
    let plan = repository.plan_repair(&Job::quiet())?;
    none_of(&plan.problems)?;
    assert!(plan.is_empty() && repository.past_repairs()?.is_empty());
    Ok(())
}

/// P10, P17: lists are complete, sums are right.
pub(super) fn list(repository: &Repository) -> Result<()> {
    let listed = repository.versions(&CHAIN)?;
    assert!(listed.iter().map(|info| info.version.seq).eq(VERSIONS));
    assert_eq!(repository.chains()?, [CHAIN]);
    assert_eq!(repository.resolve(&CHAIN)?, CHAIN);
    let found = repository.find_by_owner(&CHAIN, "old 2")?;
    assert_eq!(found.map(|info| info.version.seq), Some(3));
    assert!(repository.unfinished(&CHAIN)?.is_empty());
    let sizes = repository.sizes(&CHAIN)?;
    assert_eq!(sizes.len(), 4);
    assert_eq!(repository.what_if(&CHAIN, &[2])?, sizes[1].unique_bytes);
    assert_eq!(repository.preview_delete(&CHAIN, &[2])?, sizes[1].unique_bytes);
    let plan = repository.plan_reclaim(None)?;
    if let Some((_, error)) = plan.blocked.into_iter().next() {
        return Err(error);
    }
    assert!(plan.chains.is_empty());
    assert_eq!(repository.key_status()?.tenants.len(), 1);
    Ok(())
}
