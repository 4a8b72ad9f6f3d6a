//! What may be taken back out of the trash (VLT-57, VLT-81).

use cbr_model::backup::{AppConsistency, Backup};
use cbr_model::size::Bytes;
use cbr_model::vault::{Vault, VaultUse};

use super::migration::check_databases;
use crate::content;
use crate::{Error, Result};

/// Refuses a vault that cannot take a backup of this kind or size, beside what is `coming` back already.
pub(crate) fn check_takes(vault: &Vault, coming: Bytes, backup: &Backup) -> Result<()> {
    if !vault.status.allows(VaultUse::Edit) {
        return Err(Error::VaultStatus { status: vault.status });
    }
    if vault.kind.resource_kind() != Some(backup.resource_kind) {
        let resource = backup.resource_kind.into();
        return Err(Error::ResourceKindMismatch { vault: vault.kind, resource });
    }
    check_databases(vault, backup.app_consistency == Some(AppConsistency::Reached))?;
    let sizes = [vault.used, coming, logical_bytes(backup)];
    let used = Bytes(sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(size.0)));
    if used > vault.size.bytes() {
        return Err(Error::VaultFull { used, size: vault.size });
    }
    Ok(())
}

/// What a backup takes of its vault's capacity: its own, or its disks' sum.
pub(crate) fn logical_bytes(backup: &Backup) -> Bytes {
    Bytes(content::versions(backup).iter().map(|version| version.logical_bytes.0).sum())
}
