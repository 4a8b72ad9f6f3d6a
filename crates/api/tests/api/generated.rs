//! Generated documents are fresh: `cargo xtask gen` writes them.

use std::fs;
use std::path::Path;

use cbr_api::{OPERATIONS, error, openapi_json};

fn committed(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_committed_openapi_document_is_what_the_code_says() {
    let fresh = openapi_json().unwrap();
    assert!(committed("openapi/v3.json") == fresh, "openapi/v3.json is stale: cargo xtask gen");
}

#[test]
fn the_committed_list_of_error_codes_is_what_the_code_says() {
    let fresh = error::reference_markdown();
    assert!(
        committed("docs/api/errors.md") == fresh,
        "docs/api/errors.md is stale: cargo xtask gen"
    );
}

/// One operation table drives the document: nothing is reachable without being described.
#[test]
fn the_document_describes_every_operation_and_refers_to_nothing_it_has_not() {
    let document: serde_json::Value = serde_json::from_str(&openapi_json().unwrap()).unwrap();
    for operation in OPERATIONS {
        let verb = operation.verb.as_str().to_lowercase();
        let described = &document["paths"][operation.path][&verb];
        assert_eq!(described["operationId"], operation.name);
        assert!(described["responses"].get(operation.success.to_string()).is_some());
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name} is not defined");
    }
}
