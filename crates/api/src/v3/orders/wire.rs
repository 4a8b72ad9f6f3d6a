//! What orders have in common on the wire.

use cbr_model::OrderId;
use cbr_model::vault::{Consistency, VaultKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::v3::vaults::wire::spec_code;

/// An order that was written down.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderResponseBody {
    order_id: String,
    /// 0: it was done.
    ret_code: u32,
    ret_msg: &'static str,
}

impl OrderResponseBody {
    pub(super) fn done(order: OrderId) -> Self {
        Self { order_id: order.to_string(), ret_code: 0, ret_msg: "success" }
    }
}

/// What a specification means (contract B.3).
pub(super) fn specification(code: &str) -> Result<(VaultKind, Consistency), ApiError> {
    VaultKind::ALL
        .into_iter()
        .flat_map(|kind| {
            [Consistency::CrashConsistent, Consistency::AppConsistent].map(|how| (kind, how))
        })
        .find(|(kind, how)| spec_code(*kind, *how) == code)
        .ok_or_else(|| {
            ApiError::invalid("resource_spec_code", "vaults of this specification are not offered")
        })
}

/// Checks what the caller calls the product (contract `CbcProductInfoOrderChange`).
pub(super) fn product(id: String) -> Result<String, ApiError> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if (1..=64).contains(&id.len()) && id.chars().all(is_letter) {
        return Ok(id);
    }
    Err(ApiError::invalid("product_id", "1 to 64 letters, digits, `_` and `-`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract B.3: the codes of what is offered, and no other.
    #[test]
    fn specifications_are_those_of_vaults_that_are_offered() {
        let database = (VaultKind::Server, Consistency::AppConsistent);
        assert_eq!(specification("vault.backup.database.normal").unwrap(), database);
        assert_eq!(specification("vault.backup.volume.normal").unwrap().0, VaultKind::Disk);
        assert_eq!(specification("vault.backup.turbo.normal").unwrap().0, VaultKind::Turbo);
        assert_eq!(specification("vault.hybrid.server.normal").unwrap().0, VaultKind::File);
        assert!(specification("vault.backup.rds.normal").is_err());
        assert!(product("p-1_a".into()).is_ok());
        for bad in ["", "a b", &"p".repeat(65)] {
            assert!(product(bad.into()).is_err(), "{bad}");
        }
    }
}
