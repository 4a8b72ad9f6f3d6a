//! Vaults that reach their threshold or their capacity: told once for each crossing (MON-10).

use cbr_db::{DbError, Tx};
use cbr_model::VaultId;
use cbr_model::event::EventKind;
use cbr_model::size::{Bytes, Gib};
use cbr_model::vault::Vault;

use super::events::NewEvent;

/// Whether a vault is above threshold, and above capacity.
type Levels = (bool, bool);

/// Where a vault is now.
fn levels(used: Bytes, size: Gib, threshold: u8) -> Levels {
    let (used, size) = (u128::from(used.0), u128::from(size.bytes().0));
    (used * 100 >= size * u128::from(threshold), used >= size)
}

/// What happened between two looks.
fn crossed(before: Levels, after: Levels) -> impl Iterator<Item = EventKind> {
    let threshold = (after.0 && !before.0).then_some(EventKind::VaultThreshold);
    let capacity = (after.1 && !before.1).then_some(EventKind::VaultFull);
    threshold.into_iter().chain(capacity)
}

/// Notes how full vaults are, and what that means. May be called at any time, by anybody.
pub(crate) async fn note_usage(tx: &mut Tx, vaults: &[Vault]) -> Result<(), DbError> {
    let ids: Vec<VaultId> = vaults.iter().map(|vault| vault.id).collect();
    let known = tx.vault_levels().find(&ids).await?;
    for vault in vaults {
        let before = known.get(&vault.id).copied().unwrap_or_default();
        note_level(tx, vault, before).await?;
    }
    Ok(())
}

async fn note_level(tx: &mut Tx, vault: &Vault, before: Levels) -> Result<(), DbError> {
    let after = levels(vault.used, vault.size, vault.threshold);
    if before == after {
        return Ok(());
    }
    tx.vault_levels().set(vault.id, after).await?;
    for kind in crossed(before, after) {
        let detail = format!(
            "{:.2} of {} GB are used; the threshold is {} %",
            vault.used.0 as f64 / cbr_model::size::GIB as f64,
            vault.size.0,
            vault.threshold
        );
        NewEvent::of_vault(kind, vault, detail).raise(tx).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MON-10: reaching it counts; being above it is no news; falling below makes it news again.
    #[test]
    fn a_crossing_is_one_however_long_it_lasts() {
        use EventKind::{VaultFull, VaultThreshold};
        let gib = |n: u64| Gib(n).bytes();
        let mut before = (false, false);
        #[rustfmt::skip]
        let story: [(Bytes, Gib, &[EventKind]); 8] = [
            (gib(79),  Gib(100), &[]),
            (gib(80),  Gib(100), &[VaultThreshold]),
            (gib(90),  Gib(100), &[]),
            (gib(100), Gib(100), &[VaultFull]),
            (gib(125), Gib(100), &[]),
            (gib(125), Gib(200), &[]),               // enlarged
            (gib(160), Gib(200), &[VaultThreshold]), // and filled again
            (gib(1),   Gib(200), &[]),
        ];
        for (used, size, want) in story {
            let after = levels(used, size, 80);
            assert_eq!(crossed(before, after).collect::<Vec<_>>(), want, "{used:?} of {size:?}");
            before = after;
        }
        assert_eq!(crossed((false, false), (true, true)).count(), 2, "both at once");
        assert_eq!(levels(gib(10_485_760), Gib(10_485_760), 100), (true, true));
    }
}
