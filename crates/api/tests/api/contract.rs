//! The operation table against the contract's own list of operations.

use std::collections::{HashMap, HashSet};

use cbr_api::OPERATIONS;
use cbr_api::operation::{Admission, Operation};
use serde::Deserialize;

#[derive(Deserialize)]
struct InContract {
    method: String,
    path: String,
    success_status: u16,
    openapi_name: String,
    iam_action: Option<String>,
    query: Vec<String>,
}

fn contract() -> HashMap<String, InContract> {
    let text = include_str!("../data/contract-operations.json");
    let operations: Vec<InContract> = serde_json::from_str(text).unwrap();
    operations.into_iter().map(|operation| (operation.openapi_name.clone(), operation)).collect()
}

/// The operations of CBR whose path has no project (contract A.1).
const WITHOUT_PROJECT: [&str; 5] =
    ["MigrateDomain", "ShowMigrateStatus", "ListDomainProjects", "ShowDomain", "ListProjects"];
/// The operations whose action the contract does not know (unsure): who may do this in the account as a whole.
const ACTIONS_OF_OURS: [(&str, &str); 2] =
    [("MigrateDomain", "cbr:domains:migrate"), ("ShowMigrateStatus", "cbr:domains:getMigration")];
/// The operations on a project whose action is not documented (contract C68, C69).
const WITHOUT_ACTION: [&str; 2] = ["ListFeatures", "ShowFeature"];

fn is_cbr(operation: &Operation) -> bool {
    let is_on_project = operation.path.starts_with("/v3/{project_id}/");
    // Traces are another service's, though their paths look like those of CBR (contract F.7).
    let is_extension = operation.path.contains("/x/") || operation.group == "Traces";
    WITHOUT_PROJECT.contains(&operation.name) || (is_on_project && !is_extension)
}

/// Contract C, A.5, IAM-14: method, path, success code and IAM action of every operation.
#[test]
fn every_operation_of_cbr_is_the_contracts() {
    let contract = contract();
    let ours: Vec<&Operation> = OPERATIONS.iter().filter(|operation| is_cbr(operation)).collect();
    assert!(ours.len() >= 30, "{} operations", ours.len());
    for operation in ours {
        let known = contract.get(operation.name).expect(operation.name);
        assert_eq!(operation.verb.as_str(), known.method, "{}", operation.name);
        assert_eq!(operation.path, known.path, "{}", operation.name);
        assert_eq!(operation.success, known.success_status, "{}", operation.name);
        let own = ACTIONS_OF_OURS.iter().find(|(name, _)| *name == operation.name);
        let action = own.map(|(_, action)| *action).or(known.iam_action.as_deref());
        assert_eq!(operation.action, action, "{}", operation.name);
    }
}

/// Contract C: no query parameter of the contract is forgotten, except those it says to ignore.
#[test]
fn every_query_parameter_of_the_contract_is_read_or_known_to_be_ignored() {
    // Pages of `ShowFeature`: there is one. `dec`: dedicated cloud only.
    let ignored = ["dec"];
    let contract = contract();
    for operation in OPERATIONS.iter().filter(|operation| is_cbr(operation)) {
        let read: HashSet<&str> = operation.query.iter().map(|parameter| parameter.name).collect();
        for name in &contract[operation.name].query {
            assert!(
                read.contains(name.as_str())
                    || ignored.contains(&name.as_str())
                    || operation.name == "ShowFeature",
                "{} forgets {name}",
                operation.name
            );
        }
    }
}

/// Reliability 10.2: what needs no credential is a short list that somebody wrote down.
#[test]
fn only_these_operations_are_open_to_anybody() {
    let open: Vec<&str> = OPERATIONS
        .iter()
        .filter(|operation| matches!(operation.admission, Admission::Anyone | Admission::Optional))
        .map(|operation| operation.name)
        .collect();
    let expected = [
        "ListVersions",
        "ShowVersion",
        "CreateToken",
        // A secret that was sent to the address is the credential.
        "ShowConfirmation",
        "ConfirmSubscription",
        "ShowHealth",
        "ShowMetrics",
        "ShowOpenApi",
    ];
    assert_eq!(open, expected);
}

#[test]
fn a_path_with_a_project_needs_a_credential_for_that_project() {
    for operation in OPERATIONS {
        let has_project = operation.path.contains("{project_id}");
        assert_eq!(has_project, operation.admission == Admission::Project, "{}", operation.name);
        let has_action = operation.action.is_some() || WITHOUT_ACTION.contains(&operation.name);
        let is_identity = operation.path.starts_with("/v1.0/") || operation.group == "Identity";
        let needs_action = has_project
            || matches!(operation.admission, Admission::OwnProject | Admission::Account);
        assert!(is_identity || needs_action == has_action, "{}", operation.name);
    }
}

#[test]
fn names_and_routes_are_unique() {
    let mut names = HashSet::new();
    let mut routes = HashSet::new();
    for operation in OPERATIONS {
        assert!(names.insert(operation.name), "{} twice", operation.name);
        let route = (operation.verb, operation.path);
        assert!(routes.insert(route), "{route:?} twice");
    }
}
