//! Whose disks are, by the cards of their backups. Pure.

use std::collections::BTreeMap;

use cbr_model::ResourceId;

use super::plan::Found;
use crate::card::AccountCard;

/// The disks that projects had made themselves, and who they were. The newest backup of a disk knows best.
pub(super) fn claims<'a>(
    found: impl Iterator<Item = &'a Found>,
) -> BTreeMap<ResourceId, AccountCard> {
    let mut newest: BTreeMap<ResourceId, &Found> = BTreeMap::new();
    for one in found.filter(|one| one.card.resource.is_own) {
        let known = newest.entry(one.card.resource.id).or_insert(one);
        if known.card.backup.created_at < one.card.backup.created_at {
            *known = one;
        }
    }
    newest.into_iter().map(|(disk, found)| (disk, found.card.account.clone())).collect()
}
