//! Rows of monitoring and messages, which differ in few things.

use axum::routing::{MethodFilter, MethodRouter};

use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;

/// A row for who may do `action` in the project of the path.
pub(crate) const fn project(
    (name, group): (&'static str, &'static str),
    (verb, path): (Verb, &'static str),
    summary: &'static str,
    action: &'static str,
    mount: fn(MethodFilter) -> MethodRouter<Api>,
) -> Operation {
    Operation {
        name,
        verb,
        path,
        group,
        summary,
        admission: Admission::Project,
        action: Some(action),
        event: None,
        success: 200,
        query: &[],
        request: None,
        response: None,
        mount,
    }
}
