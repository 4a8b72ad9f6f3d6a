//! The policies and roles that every account has (IAM-03, IAM-04). They only allow, so that
//! being in more groups never takes anything away.

use super::document::Document;
use crate::id::{Id, RoleId};

/// A policy or role that every account has and nobody can change.
#[derive(Debug)]
pub struct SystemRole {
    id: u128,
    /// What people call it.
    pub name: &'static str,
    /// What clients call it.
    pub code: &'static str,
    /// The service it belongs to.
    pub catalog: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Where it has an effect: in projects, or in the account as a whole.
    pub is_for_projects: bool,
    actions: &'static [&'static str],
}

const fn for_projects(
    id: u128,
    (name, code): (&'static str, &'static str),
    catalog: &'static str,
    about: &'static str,
    actions: &'static [&'static str],
) -> SystemRole {
    SystemRole { id, name, code, catalog, about, is_for_projects: true, actions }
}

/// All of them. Ids never change.
pub static SYSTEM_ROLES: &[SystemRole] = &[
    for_projects(
        0xcb00_0000_0000_0000_0000_0000_0000_0001,
        ("CBR FullAccess", "system_all_cbr_full"),
        "CBR",
        "Everything in Cloud Backup and Recovery.",
        &["cbr:*:*", "ecs:*:get*", "ecs:*:list*", "evs:*:get*", "evs:*:list*"],
    ),
    for_projects(
        0xcb00_0000_0000_0000_0000_0000_0000_0002,
        ("CBR BackupsAndVaultsFullAccess", "system_all_cbr_backups_vaults"),
        "CBR",
        "Everything but creating, changing and deleting policies.",
        &[
            "cbr:vaults:*",
            "cbr:backups:*",
            "cbr:member:*",
            "cbr:tasks:*",
            "cbr:agents:*",
            "cbr:policies:get*",
            "cbr:policies:list*",
            "cbr:organizationPolicies:get*",
            "cbr:organizationPolicies:list*",
            "ecs:*:get*",
            "ecs:*:list*",
            "evs:*:get*",
            "evs:*:list*",
        ],
    ),
    for_projects(
        0xcb00_0000_0000_0000_0000_0000_0000_0003,
        ("CBR ReadOnlyAccess", "system_all_cbr_readonly"),
        "CBR",
        "Looking only.",
        &["cbr:*:get*", "cbr:*:list*", "cbr:*:show*", "cbr:*:query*"],
    ),
    for_projects(
        0xcb00_0000_0000_0000_0000_0000_0000_0004,
        ("Tenant Administrator", "te_admin"),
        "BASE",
        "Everything in all services of a project.",
        &[
            "cbr:*:*",
            "evs:*:*",
            "ecs:*:*",
            "ims:*:*",
            "sfsturbo:*:*",
            "ces:*:*",
            "smn:*:*",
            "cts:*:*",
        ],
    ),
    for_projects(
        0xcb00_0000_0000_0000_0000_0000_0000_0005,
        ("Tenant Guest", "readonly"),
        "BASE",
        "Looking only, in all services of a project.",
        &[
            "cbr:*:get*",
            "cbr:*:list*",
            "cbr:*:show*",
            "cbr:*:query*",
            "evs:*:get*",
            "evs:*:list*",
            "ecs:*:get*",
            "ecs:*:list*",
            "ims:*:get*",
            "ims:*:list*",
            "sfsturbo:*:get*",
            "sfsturbo:*:list*",
            "ces:*:get*",
            "ces:*:list*",
            "smn:*:get*",
            "smn:*:list*",
            "cts:*:get*",
            "cts:*:list*",
        ],
    ),
    for_projects(
        0xcb00_0000_0000_0000_0000_0000_0000_0006,
        ("EVS FullAccess", "system_all_evs_full"),
        "EVS",
        "Everything about disks.",
        &["evs:*:*"],
    ),
    for_projects(
        0xcb00_0000_0000_0000_0000_0000_0000_0007,
        ("EVS ReadOnlyAccess", "system_all_evs_readonly"),
        "EVS",
        "Looking at disks.",
        &["evs:*:get*", "evs:*:list*"],
    ),
    for_projects(
        0xcb00_0000_0000_0000_0000_0000_0000_0008,
        ("ECS FullAccess", "system_all_ecs_full"),
        "ECS",
        "Everything about servers.",
        &["ecs:*:*"],
    ),
    for_projects(
        0xcb00_0000_0000_0000_0000_0000_0000_0009,
        ("ECS ReadOnlyAccess", "system_all_ecs_readonly"),
        "ECS",
        "Looking at servers.",
        &["ecs:*:get*", "ecs:*:list*"],
    ),
    SystemRole {
        id: 0xcb00_0000_0000_0000_0000_0000_0000_000a,
        name: "Security Administrator",
        code: "secu_admin",
        catalog: "BASE",
        about: "Users, groups, policies, keys and agencies of the account.",
        is_for_projects: false,
        actions: &["iam:*:*", "eps:*:*"],
    },
    SystemRole {
        id: 0xcb00_0000_0000_0000_0000_0000_0000_000b,
        name: "IAM ReadOnlyAccess",
        code: "system_all_iam_readonly",
        catalog: "IAM",
        about: "Looking at users, groups, policies and agencies of the account.",
        is_for_projects: false,
        actions: &["iam:*:get*", "iam:*:list*", "iam:*:check*", "eps:*:get*", "eps:*:list*"],
    },
    SystemRole {
        id: 0xcb00_0000_0000_0000_0000_0000_0000_000c,
        name: "Agent Operator",
        code: "te_agency",
        catalog: "BASE",
        about: "Acting for accounts that trust this one, through their agencies.",
        is_for_projects: false,
        actions: &["iam:agencies:assume"],
    },
    SystemRole {
        id: 0xcb00_0000_0000_0000_0000_0000_0000_000d,
        name: "EPS FullAccess",
        code: "system_all_eps_full",
        catalog: "EPS",
        about: "Everything about enterprise projects.",
        is_for_projects: false,
        actions: &["eps:*:*"],
    },
];

impl SystemRole {
    /// Its id; the same in all installations.
    pub const fn id(&self) -> RoleId {
        Id::from_uuid(uuid::Uuid::from_u128(self.id))
    }

    /// Its text.
    pub fn document(&self) -> Document {
        Document::allowing(self.actions)
    }
}

/// The built-in policy that people or clients call `name`.
pub fn system_role(name: &str) -> Option<&'static SystemRole> {
    SYSTEM_ROLES.iter().find(|role| role.name == name || role.code == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// IAM-04.
    #[test]
    fn every_built_in_policy_is_a_policy_and_is_told_from_the_others() {
        let mut seen = HashSet::new();
        for role in SYSTEM_ROLES {
            let text = role.document().to_json();
            assert_eq!(Document::parse(&text).unwrap(), role.document(), "{}", role.name);
            assert!(seen.insert(role.id().to_string()), "{}", role.name);
            assert!(seen.insert(role.name.to_owned()) && seen.insert(role.code.to_owned()));
            assert!(std::ptr::eq(system_role(role.name).unwrap(), role));
        }
    }
}
