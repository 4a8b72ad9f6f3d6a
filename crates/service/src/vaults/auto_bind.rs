//! A vault that binds unprotected resources by itself (RES-30, RES-31).

use cbr_model::ChainId;
use cbr_model::audit::Event;
use cbr_model::resource::ResourceKind;
use cbr_model::vault::{Vault, VaultUse};

use super::requests::WantedResource;
use super::service::{existing, facts};
use crate::Result;
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::resources::{server_candidate, volume_candidate};
use crate::rules::binding::{self, Candidate};

/// What it is recorded as.
const BOUND: Event = Event::new("addResources", "vault");

/// Binds what is in no vault and matches the vault's rules, as far as it has room; says how many.
pub(crate) async fn bind_unprotected(core: &Core, vault: &Vault) -> Result<u64> {
    let candidates = candidates(core, vault).await?;
    let doing = "binding unprotected resources";
    let mut tx = core.db.begin().await.map_err(db(doing))?;
    let mut count = 0;
    for candidate in candidates {
        let vault = existing(&mut tx, vault.project, vault.id).await?;
        if !vault.auto_bind || !vault.status.allows(VaultUse::Bind) {
            return Ok(0);
        }
        let wanted = WantedResource {
            id: candidate.id,
            kind: candidate.kind.into(),
            exclude_volumes: Vec::new(),
            include_volumes: Vec::new(),
        };
        let wanted = [wanted];
        let facts = facts(&mut tx, &wanted, vec![Some(candidate)]).await?;
        if facts.iter().any(|fact| fact.bound_to.is_some()) {
            continue;
        }
        let new_chain = || ChainId::random(&*core.random);
        match binding::plan(&vault, &wanted, &facts, new_chain) {
            Ok(bindings) => {
                for resource in bindings {
                    tx.bindings().insert(vault.id, &resource).await.map_err(db(doing))?;
                    tracing::info!(
                        vault.id = %vault.id, resource.id = %resource.id, "bound by its vault"
                    );
                    let subject = Subject::new(vault.id, &vault.name);
                    core.record_by_system(&mut tx, vault.project, BOUND, subject).await?;
                    count += 1;
                }
            }
            // It is too large, or the vault is full: the others may fit.
            Err(error) => tracing::warn!(
                vault.id = %vault.id, resource.id = %wanted[0].id,
                error = &error as &dyn std::error::Error, "not bound by its vault"
            ),
        }
    }
    tx.commit().await.map_err(db(doing))?;
    Ok(count)
}

/// What could be backed up now.
async fn candidates(core: &Core, vault: &Vault) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    match vault.kind.resource_kind() {
        // Of what there is none, none is unprotected.
        None | Some(ResourceKind::Native) => {}
        Some(ResourceKind::Volume) => {
            let volumes = core.resources.volumes(vault.project).await?;
            found.extend(volumes.iter().map(volume_candidate));
        }
        Some(ResourceKind::Server) => {
            for server in core.resources.servers(vault.project).await? {
                let disks = core.resources.disks(&server).await?;
                found.push(server_candidate(&server, &disks));
            }
        }
    }
    found.retain(|candidate| {
        let can_be_bound = candidate.obstacle.is_none() && candidate.has_disk_without(&[]);
        can_be_bound && candidate.matches(&vault.bind_rules)
    });
    Ok(found)
}
