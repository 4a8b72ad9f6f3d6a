//! Writing down what a verification found: damage by domain, and a mark on each backup.

use std::collections::BTreeMap;

use cbr_db::{DamagedSpot, DbError, StoredDisk, Tx};
use cbr_model::event::EventKind;
use cbr_model::integrity::{Integrity, IntegrityState};
use cbr_store::format::place::{self, Place};
use cbr_store::{DomainId, Problem, VersionRef};

use crate::alarms::NewEvent;
use crate::content::reference;

/// A whole disk, however large.
const EVERYTHING: (u64, u64) = (0, u64::MAX >> 1);
/// What is damaged where the tenant's key cannot be read; it is no place in a pack.
const KEY: &str = "key";

/// What is wrong in one domain, and which of its versions were just read wholly.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) domain: DomainId,
    pub(crate) problems: Vec<Problem>,
    /// This version was read to its last byte.
    pub(crate) verified: Option<VersionRef>,
}

/// Replaces what is known of a domain.
pub(crate) async fn apply_domain(tx: &mut Tx, finding: &Finding) -> Result<(), DbError> {
    let domain = finding.domain.to_string();
    let known = tx.verification().damage_in(&domain).await?;
    let now = tx.now();
    let mut spots: Vec<DamagedSpot> = finding
        .problems
        .iter()
        .filter_map(|problem| {
            let spot = problem.spot?.to_string();
            let (domain, object, what) =
                (domain.clone(), problem.object.clone(), problem.what.clone());
            Some(DamagedSpot { domain, spot, object, what, found_at: now })
        })
        .collect();
    // Nothing of the tenant opens: what was known is still so, and all of it is lost until its key is back.
    let key =
        finding.problems.iter().find(|one| one.object == place::tenant(finding.domain.tenant));
    if let Some(Problem { object, what, .. }) = key {
        let (domain, object, what) = (domain.clone(), object.clone(), what.clone());
        spots = known.iter().filter(|one| one.spot != KEY).cloned().collect();
        spots.push(DamagedSpot { domain, spot: KEY.to_owned(), object, what, found_at: now });
    }
    let new = spots.iter().filter(|spot| known.iter().all(|one| one.spot != spot.spot)).count();
    metrics::counter!("cbr_verify_damage_found_total").increment(new as u64);
    tx.verification().set_damage(&domain, &spots).await?;
    let (lost, everything) = (lost_ranges(&finding.problems), vec![EVERYTHING]);
    for disk in tx.backups().stored_disks().await? {
        let version = reference(&disk.version);
        if version.chain.domain() == finding.domain {
            let lost = if key.is_some() { Some(&everything) } else { lost.get(&version) };
            mark(tx, &disk, lost, finding.verified == Some(version)).await?;
        }
    }
    Ok(())
}

/// MON-08: somebody is to hear of it.
async fn damaged(tx: &mut Tx, disk: &StoredDisk, lost: &[(u64, u64)]) -> Result<(), DbError> {
    let backup = tx.backups().find(disk.project, disk.backup).await?;
    let bytes: u64 = lost.iter().map(|(from, to)| to - from).sum();
    let event = NewEvent {
        project: disk.project,
        kind: EventKind::DamageFound,
        vault: backup.as_ref().map(|backup| backup.vault),
        resource: Some(disk.backup.to_string()),
        resource_name: backup.map(|backup| backup.name.to_string()).unwrap_or_default(),
        detail: format!("{bytes} bytes in {} ranges cannot be restored", lost.len()),
    };
    event.raise(tx).await
}

/// The mark of one disk's backup.
async fn mark(
    tx: &mut Tx,
    disk: &StoredDisk,
    lost: Option<&Vec<(u64, u64)>>,
    is_verified: bool,
) -> Result<(), DbError> {
    let before = tx.verification().integrity(disk.project, disk.backup).await?;
    let before = before.unwrap_or_default();
    let verified_at = if is_verified { Some(tx.now()) } else { before.verified_at };
    let known = if let Some(lost) = lost {
        if before.state != IntegrityState::Damaged {
            tracing::error!(
                backup = %disk.backup,
                project = %disk.project,
                ranges = lost.len(),
                bytes = lost.iter().map(|(from, to)| to - from).sum::<u64>(),
                "a backup is damaged"
            );
            damaged(tx, disk, lost).await?;
        }
        let verified_at = before.verified_at;
        Integrity { state: IntegrityState::Damaged, verified_at, lost: lost.clone() }
    } else {
        if before.state == IntegrityState::Damaged {
            tracing::warn!(backup = %disk.backup, project = %disk.project, "a backup is whole again");
        }
        let state = match verified_at {
            Some(_) => IntegrityState::Ok,
            None => IntegrityState::Unknown,
        };
        Integrity { state, verified_at, lost: Vec::new() }
    };
    if known == before {
        return Ok(());
    }
    tx.verification().set_integrity(disk.backup, &known).await
}

/// By version: what it has lost, sorted and joined.
fn lost_ranges(problems: &[Problem]) -> BTreeMap<VersionRef, Vec<(u64, u64)>> {
    let mut lost: BTreeMap<VersionRef, Vec<(u64, u64)>> = BTreeMap::new();
    for problem in problems {
        for affected in &problem.affected {
            let ranges = affected.ranges.iter().map(|range| (range.start, range.end));
            lost.entry(affected.version).or_default().extend(ranges);
        }
        // Without its record nothing of a version can be restored.
        let key = cbr_store::backend::Key::new(problem.object.clone()).ok();
        if let Some(Place::Outcome(chain, seq) | Place::Claim(chain, seq)) =
            key.as_ref().and_then(Place::parse)
        {
            lost.entry(VersionRef { chain, seq }).or_default().push(EVERYTHING);
        }
    }
    for ranges in lost.values_mut() {
        *ranges = joined(std::mem::take(ranges));
    }
    lost
}

fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_or_overlap_are_one() {
        let ranges = vec![(10, 20), (0, 5), (20, 30), (12, 13), (40, 41)];
        assert_eq!(joined(ranges), [(0, 5), (10, 30), (40, 41)]);
    }
}
