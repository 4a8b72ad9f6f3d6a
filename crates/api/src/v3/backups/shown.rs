//! Backups with what is told beside them: used by every operation that answers with backups.

use std::collections::BTreeMap;

use cbr_model::backup;
use cbr_service::Access;

use super::wire::Backup;
use crate::error::ApiError;
use crate::extract::Extensions;
use crate::state::Api;

/// These backups as the caller's project sees them.
pub(super) async fn shown(
    api: &Api,
    access: &Access,
    extensions: Extensions,
    backups: Vec<backup::Backup>,
) -> Result<Vec<Backup>, ApiError> {
    let service = &api.services.backups;
    let extras = async {
        if extensions.are_hidden() {
            return Ok(BTreeMap::new());
        }
        // What another project's backups cost is that project's business.
        let is_own = |backup: &&backup::Backup| backup.project == access.project();
        let own: Vec<&backup::Backup> = backups.iter().filter(is_own).collect();
        service.extras(access, &own).await
    };
    let (around, extras) = tokio::try_join!(service.surroundings(access, &backups), extras)?;
    Ok(backups.into_iter().map(|backup| Backup::with(backup, &around, &extras)).collect())
}

/// One backup as the caller's project sees it.
pub(super) async fn shown_one(
    api: &Api,
    access: &Access,
    extensions: Extensions,
    backup: backup::Backup,
) -> Result<Backup, ApiError> {
    shown(api, access, extensions, vec![backup]).await?.pop().ok_or_else(ApiError::unknown)
}
