//! Vaults that grow by themselves (VLT-72 … VLT-76).

use cbr_db::{DbError, Tx};
use cbr_model::operation::{OperationDetails, OperationError, OperationType};
use cbr_model::quota::Quota;
use cbr_model::vault::{CAPACITY_MAX, Vault};

use crate::core::Core;
use crate::failure::Code;
use crate::rules::capacity::{Growth, growth};
use crate::tasks::order::recorded_by_itself;

/// Lets a vault grow whose used capacity was that of `before` and is that of `after`, in the transaction
/// in which it became so. What happened is an operation log, also when it may not grow any further.
pub(crate) async fn grow(
    core: &Core,
    tx: &mut Tx,
    before: &Vault,
    after: &Vault,
) -> Result<(), DbError> {
    if !after.auto_expand {
        return Ok(());
    }
    let mut most = CAPACITY_MAX;
    if let Some(limit) = tx.quotas().limit(after.project, Quota::CapacityGb).await? {
        let others = tx.vaults().capacity(after.project).await?.0 - after.size.0;
        most.0 = most.0.min(limit.saturating_sub(others));
    }
    let size = match growth(after.kind, after.size, before.used, after.used, most) {
        Growth::None => return Ok(()),
        Growth::To(size) => size,
        Growth::AtMaximum => after.size,
    };
    let details = OperationDetails::AutoExpand { from_gb: after.size.0, to_gb: size.0 };
    let log = recorded_by_itself(core, after, OperationType::AutoExpand, details);
    if size > after.size {
        tx.vaults().update(&Vault { size, ..after.clone() }).await?;
        tracing::info!(vault = %after.id, from_gb = after.size.0, to_gb = size.0, "a vault grew");
        return tx.tasks().insert_done(&log).await;
    }
    let message = format!(
        "the vault is full and may not grow beyond {} GB ({}); delete backups, or move resources \
         to another vault",
        after.size.0,
        if most == CAPACITY_MAX { "the largest capacity" } else { "the quota of the project" },
    );
    tracing::warn!(vault = %after.id, message, "a vault cannot grow");
    let error = OperationError { code: Code::VaultFull.as_str().to_owned(), message };
    tx.tasks().insert_failed(&log, &error).await
}
