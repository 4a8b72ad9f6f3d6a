//! Which policies may work for which vaults (POL-02, POL-03, REP-07, Y.1, contract C12).

use cbr_model::VaultId;
use cbr_model::policy::{Policy, PolicyOperation};
use cbr_model::vault::{Vault, VaultUse};

use crate::policies::PolicyRefusal;
use crate::{Error, Result};

/// A policy that shall work for a vault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bind<'p> {
    /// It backs the vault up.
    Backup(&'p Policy),
    /// It copies the vault's backups into another one.
    Replication(&'p Policy, VaultId),
}

/// What is to be bound, as far as it can be said from the vault and the policies alone.
/// `destination` is where replicas shall go.
pub(crate) fn plan<'p>(
    vault: &Vault,
    policies: &'p [Policy],
    destination: Option<VaultId>,
) -> Result<Vec<Bind<'p>>> {
    if !vault.status.allows(VaultUse::BindPolicy) {
        return Err(Error::VaultStatus { status: vault.status });
    }
    for (i, policy) in policies.iter().enumerate() {
        if policies[..i].iter().any(|earlier| earlier.operation == policy.operation) {
            let reason = format!(
                "a vault has one {} policy; the request names several",
                policy.operation.as_str()
            );
            return Err(Error::invalid("add_policy_ids", reason));
        }
    }
    let replicates = policies.iter().any(|policy| policy.operation == PolicyOperation::Replication);
    if destination.is_some() && !replicates {
        let reason = "it belongs to replication policies, and this is none";
        return Err(Error::invalid("destination_vault_id", reason));
    }
    policies.iter().map(|policy| bind(vault, policy, destination)).collect()
}

fn bind<'p>(vault: &Vault, policy: &'p Policy, destination: Option<VaultId>) -> Result<Bind<'p>> {
    match policy.operation {
        PolicyOperation::Backup => Ok(Bind::Backup(policy)),
        PolicyOperation::Replication if !vault.kind.is_replicable() => {
            Err(PolicyRefusal::NotReplicable(vault.id).into())
        }
        PolicyOperation::Replication => {
            let reason = "a replication policy needs it: the vault that takes the replicas";
            let to = destination.ok_or_else(|| Error::invalid("destination_vault_id", reason))?;
            Ok(Bind::Replication(policy, to))
        }
    }
}

/// The policy a vault is created with does backups (contract C1).
pub(crate) fn check_at_creation(policy: &Policy) -> Result<()> {
    if policy.operation == PolicyOperation::Backup {
        return Ok(());
    }
    Err(PolicyRefusal::NotApplicable { policy: policy.id, operation: policy.operation.as_str() }
        .into())
}

#[cfg(test)]
mod tests {
    use cbr_model::vault::{VaultKind, VaultStatus};
    use uuid::Uuid;

    use super::*;
    use crate::rules::policy::tests::{policy, replication, wanted};
    use crate::rules::vault::tests::vault;

    const VAULT: VaultId = VaultId::from_uuid(Uuid::from_u128(9));

    const ELSEWHERE: Option<VaultId> = Some(VAULT);

    /// POL-03, Z-10: vaults of every kind take backup policies.
    #[test]
    fn a_backup_policy_is_for_vaults_of_every_kind() {
        let backup = [policy(&wanted()).unwrap()];
        for kind in VaultKind::ALL {
            assert_eq!(plan(&vault(kind), &backup, None).unwrap(), [Bind::Backup(&backup[0])]);
        }
    }

    /// Y.1: available and locked vaults take policies.
    #[test]
    fn a_policy_is_bound_to_vaults_that_work() {
        let backup = [policy(&wanted()).unwrap()];
        for (status, allowed) in [
            (VaultStatus::Available, true),
            (VaultStatus::Lock, true),
            (VaultStatus::Deleting, false),
            (VaultStatus::Frozen, false),
            (VaultStatus::Error, false),
        ] {
            let vault = Vault { status, ..vault(VaultKind::Disk) };
            let got = plan(&vault, &backup, None);
            assert_eq!(got.is_ok(), allowed, "{status:?}");
            assert!(allowed || matches!(got, Err(Error::VaultStatus { .. })));
        }
    }

    /// POL-02, REP-07: one of each operation.
    #[test]
    fn a_vault_has_one_policy_of_each_operation() {
        let (backup, copy) = (policy(&wanted()).unwrap(), policy(&replication()).unwrap());
        let server = vault(VaultKind::Server);
        let both = [backup.clone(), copy];
        let planned = plan(&server, &both, ELSEWHERE).unwrap();
        assert_eq!(planned, [Bind::Backup(&both[0]), Bind::Replication(&both[1], VAULT)]);
        let twice = [backup.clone(), backup];
        let twice = plan(&server, &twice, None);
        assert!(matches!(twice, Err(Error::Invalid { field: "add_policy_ids", .. })));
    }

    /// REP-07, contract C12: disks are not replicated; a destination goes with replication only.
    #[test]
    fn replication_is_for_server_vaults_and_needs_a_destination() {
        let (backup, copy) = ([policy(&wanted()).unwrap()], [policy(&replication()).unwrap()]);
        let server = vault(VaultKind::Server);
        for kind in [VaultKind::Disk, VaultKind::File] {
            let refused = plan(&vault(kind), &copy, ELSEWHERE);
            assert!(matches!(refused, Err(Error::Policy(PolicyRefusal::NotReplicable(_)))));
        }
        for (policies, destination) in [(&copy, None), (&backup, ELSEWHERE)] {
            let refused = plan(&server, policies, destination);
            assert!(matches!(refused, Err(Error::Invalid { field: "destination_vault_id", .. })));
        }
        assert!(plan(&server, &copy, ELSEWHERE).is_ok());
    }

    /// Contract C1, code 6127.
    #[test]
    fn a_vault_is_created_with_a_backup_policy_only() {
        assert!(check_at_creation(&policy(&wanted()).unwrap()).is_ok());
        let refused = check_at_creation(&policy(&replication()).unwrap());
        assert!(matches!(refused, Err(Error::Policy(PolicyRefusal::NotApplicable { .. }))));
    }
}
