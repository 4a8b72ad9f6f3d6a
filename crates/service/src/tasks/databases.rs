//! Whether a backup of a server is application consistent (DBS-01), asked when its snapshot is about to be taken.

use cbr_model::ResourceId;
use cbr_model::backup::AppConsistency;
use cbr_model::resource::ResourceKind;
use cbr_model::vault::{Consistency, Vault};
use cbr_provider::Quiescence;

use super::trouble::Trouble;
use crate::core::Core;
use crate::failure::Code;

/// What comes of the wish of a database vault that the resource's databases are at rest for the snapshot; none: the
/// vault has no such wish. That they are not is no reason to back up nothing (VLT-08, VLT-09, DBS-16).
pub(super) async fn bring_to_rest(
    core: &Core,
    vault: &Vault,
    (kind, resource): (ResourceKind, ResourceId),
) -> Result<Option<AppConsistency>, Trouble> {
    if kind != ResourceKind::Server || vault.consistency == Consistency::CrashConsistent {
        return Ok(None);
    }
    let server = core.resources.provider().inventory().server(resource).await?;
    let Quiescence::NoAgent { why } = server.databases;
    Ok(Some(AppConsistency::FellBack {
        code: Code::AgentNotFound.as_str().to_owned(),
        message: format!(
            "The database backup of server {} failed: no agent in it could bring its databases to rest, because {why}. \
             An ordinary server backup is made instead: a database that is restored from it starts as after a power cut.",
            server.name
        ),
    }))
}
