//! What several policies together say of one action.

use super::document::{Document, Effect};

/// The answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Decision {
    /// A statement allows it, and none denies it.
    Allowed,
    /// A statement denies it; whatever else is said.
    Denied,
    /// Nothing is said of it.
    NotGranted,
}

impl Decision {
    /// Whether the action may be done.
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }
}

/// What `documents` say of `action`. Their order does not matter (IAM-11).
pub fn decide<'d>(documents: impl IntoIterator<Item = &'d Document>, action: &str) -> Decision {
    let statements = documents.into_iter().flat_map(Document::statements);
    let about = statements.filter(|s| s.actions.iter().any(|pattern| pattern.matches(action)));
    about.fold(Decision::NotGranted, |so_far, statement| match (so_far, statement.effect) {
        (Decision::Denied, _) | (_, Effect::Deny) => Decision::Denied,
        (_, Effect::Allow) => Decision::Allowed,
    })
}

#[cfg(test)]
mod tests {
    use super::super::system::system_role;
    use super::*;

    fn document(json: &str) -> Document {
        Document::parse(json).unwrap()
    }

    fn system(name: &str) -> Document {
        system_role(name).unwrap().document()
    }

    fn check(documents: &[Document], cases: &[(&str, Decision)]) {
        for (action, expected) in cases {
            assert_eq!(decide(documents, action), *expected, "{action}");
            let backwards = documents.iter().rev();
            assert_eq!(decide(backwards, action), *expected, "{action}, in the other order");
        }
    }

    use Decision::{Allowed, Denied, NotGranted};

    /// IAM-01: who was granted nothing may do nothing.
    #[test]
    fn nothing_is_allowed_that_nobody_allowed() {
        check(&[], &[("cbr:vaults:list", NotGranted)]);
    }

    /// IAM-10: the first example of the guide.
    #[test]
    fn get_and_list_everything_and_create_update_delete_vaults() {
        let example = document(
            r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["cbr:*:get*",
            "cbr:*:list*","cbr:vaults:update","cbr:vaults:delete","cbr:vaults:create"]}]}"#,
        );
        check(
            &[example],
            &[
                ("cbr:vaults:get", Allowed),
                ("cbr:tasks:list", Allowed),
                ("cbr:backups:getMetadata", Allowed),
                ("cbr:vaults:create", Allowed),
                ("cbr:vaults:update", Allowed),
                ("cbr:vaults:delete", Allowed),
                ("cbr:vaults:backup", NotGranted),
                ("cbr:backups:delete", NotGranted),
                ("cbr:policies:create", NotGranted),
                ("evs:volumes:list", NotGranted),
            ],
        );
    }

    /// IAM-11: the second example: everything but deleting vaults and backups; alone it has no effect.
    #[test]
    fn a_denial_wins_and_allows_nothing() {
        let deny = document(
            r#"{"Version":"1.1","Statement":[{"Effect":"Deny",
            "Action":["cbr:backups:delete","cbr:vaults:delete"]}]}"#,
        );
        check(
            &[system("CBR FullAccess"), deny.clone()],
            &[
                ("cbr:vaults:create", Allowed),
                ("cbr:policies:delete", Allowed),
                ("cbr:vaults:delete", Denied),
                ("cbr:backups:delete", Denied),
            ],
        );
        check(&[deny], &[("cbr:vaults:delete", Denied), ("cbr:vaults:list", NotGranted)]);
    }

    /// IAM-12: the third example: several statements, and actions of other services.
    #[test]
    fn a_policy_may_be_about_several_services() {
        let example = document(
            r#"{"Version":"1.1","Statement":[
            {"Effect":"Allow","Action":["cbr:vaults:create","cbr:vaults:update","cbr:vaults:delete"]},
            {"Effect":"Allow","Action":["sfs:shares:createShare"]}]}"#,
        );
        check(
            &[example],
            &[
                ("cbr:vaults:create", Allowed),
                ("sfs:shares:createShare", Allowed),
                ("sfs:shares:deleteShare", NotGranted),
                ("cbr:vaults:list", NotGranted),
            ],
        );
    }

    /// IAM-05, IAM-06: the 21 rows of the guide's table, and the rows it forgot.
    #[test]
    fn the_system_policies_allow_what_the_table_says() {
        // action, FullAccess, BackupsAndVaultsFullAccess, ReadOnlyAccess
        let rows = [
            ("cbr:vaults:get", true, true, true),
            ("cbr:vaults:create", true, true, false),
            ("cbr:vaults:list", true, true, true),
            ("cbr:vaults:update", true, true, false),
            ("cbr:vaults:delete", true, true, false),
            ("cbr:vaults:addResources", true, true, false),
            ("cbr:vaults:removeResources", true, true, false),
            ("cbr:policies:create", true, false, false),
            ("cbr:policies:update", true, false, false),
            ("cbr:vaults:associatePolicy", true, true, false),
            ("cbr:vaults:dissociatePolicy", true, true, false),
            ("cbr:policies:delete", true, false, false),
            ("cbr:vaults:backup", true, true, false),
            ("cbr:vaults:updateOrder", true, true, false),
            ("cbr:backups:checkAgent", true, true, false),
            ("cbr:backups:delete", true, true, false),
            ("cbr:backups:restore", true, true, false),
            ("cbr:vaults:mount", true, true, false),
            ("cbr:vaults:bulkCreateOrDeleteTags", true, true, false),
            ("cbr:vaults:setTags", true, true, false),
            ("cbr:vaults:updateTags", true, true, false),
            // IAM-06
            ("cbr:member:create", true, true, false),
            ("cbr:vaults:migrateResources", true, true, false),
            ("cbr:backups:replicate", true, true, false),
            ("cbr:vaults:deleteTags", true, true, false),
            ("cbr:backups:export", true, true, false),
            ("cbr:tasks:get", true, true, true),
            ("cbr:tasks:list", true, true, true),
            ("cbr:policies:get", true, true, true),
            ("cbr:policies:list", true, true, true),
            ("cbr:organizationPolicies:create", true, false, false),
            ("cbr:organizationPolicies:list", true, true, true),
            ("cbr:vaults:showCheckpoint", true, true, true),
            // IAM-07: any other service is shut to those who only read.
            ("evs:volumes:list", true, true, false),
            ("ecs:cloudServers:list", true, true, false),
            ("evs:volumes:delete", false, false, false),
            ("iam:users:createUser", false, false, false),
        ];
        let names = ["CBR FullAccess", "CBR BackupsAndVaultsFullAccess", "CBR ReadOnlyAccess"];
        for (action, full, most, read) in rows {
            for (name, expected) in names.into_iter().zip([full, most, read]) {
                assert_eq!(
                    decide(&[system(name)], action).is_allowed(),
                    expected,
                    "{name} {action}"
                );
            }
        }
        let both = [system(names[0]), system(names[1])];
        assert!(decide(&both, "cbr:policies:create").is_allowed(), "more groups give more");
    }
}
