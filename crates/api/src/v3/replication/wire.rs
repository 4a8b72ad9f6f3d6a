//! Where a copy shall go, on the wire.

use cbr_service::replication::Destination as Wanted;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::ApiError;

/// The longest id of a region (contract C.M).
const REGION_CHARS_MAX: usize = 255;

/// Where a copy shall go.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ReplicationDestination)]
pub(super) struct Destination {
    destination_region: String,
    destination_project_id: String,
    destination_vault_id: String,
}

impl Destination {
    /// Reads it; ids of a wrong form and regions that cannot be are refused.
    pub(super) fn read(self) -> Result<Wanted, ApiError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let region = self.destination_region;
        if region.len() > REGION_CHARS_MAX || !region.chars().all(is_plain) {
            let rule = "at most 255 letters, digits, dots, underscores and hyphens";
            return Err(ApiError::invalid("destination_region", rule));
        }
        let project = self.destination_project_id.parse();
        let project = project.map_err(|e| ApiError::invalid("destination_project_id", e))?;
        let vault = self.destination_vault_id.parse();
        let vault = vault.map_err(|e| ApiError::invalid("destination_vault_id", e))?;
        Ok(Wanted { region, project, vault })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract C.M `BackupReplicateReqBody`.
    #[test]
    fn a_region_has_a_plain_name_and_ids_are_ids() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let read = |region: &str, project: &str, vault: &str| {
            Destination {
                destination_region: region.into(),
                destination_project_id: project.into(),
                destination_vault_id: vault.into(),
            }
            .read()
        };
        assert_eq!(read("eu-de_1.x", id, id).unwrap().region, "eu-de_1.x");
        for bad in ["eu de", "eu/de", &"x".repeat(256), "ä"] {
            assert!(read(bad, id, id).is_err(), "{bad}");
        }
        assert!(read("eu", "project", id).is_err());
        assert!(read("eu", id, "vault").is_err());
    }
}
