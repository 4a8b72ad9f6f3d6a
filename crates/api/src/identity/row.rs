//! Rows of identity and access, which differ in few things.

use axum::routing::{MethodFilter, MethodRouter};
use cbr_model::audit::Event;

use crate::operation::{Admission, Operation, Parameter, SchemaOf, Verb};
use crate::state::Api;

/// A row for who may do `action` in the account as a whole.
pub(super) const fn account(
    name: &'static str,
    (verb, path): (Verb, &'static str),
    summary: &'static str,
    action: &'static str,
    mount: fn(MethodFilter) -> MethodRouter<Api>,
) -> Operation {
    Operation {
        name,
        verb,
        path,
        group: "Identity",
        summary,
        admission: Admission::Account,
        action: Some(action),
        event: None,
        success: 200,
        query: &[],
        request: None,
        response: None,
        mount,
    }
}

/// A row for everybody about oneself, and for who may do `action` in the account about others.
pub(super) const fn own(
    name: &'static str,
    route: (Verb, &'static str),
    summary: &'static str,
    action: &'static str,
    mount: fn(MethodFilter) -> MethodRouter<Api>,
) -> Operation {
    let row = account(name, route, summary, action, mount);
    Operation { admission: Admission::Caller, ..row }
}

impl Operation {
    /// The same, recorded as `name` of a `resource_type`.
    pub(crate) const fn records(self, name: &'static str, resource_type: &'static str) -> Self {
        Self { event: Some(Event::new(name, resource_type)), ..self }
    }

    /// The same, with this status of success.
    pub(crate) const fn succeeds_with(self, success: u16) -> Self {
        Self { success, ..self }
    }

    /// The same, with a body.
    pub(crate) const fn takes(self, body: SchemaOf) -> Self {
        Self { request: Some(body), ..self }
    }

    /// The same, with an answer.
    pub(crate) const fn gives(self, body: SchemaOf) -> Self {
        Self { response: Some(body), ..self }
    }

    /// The same, with query parameters.
    pub(crate) const fn reads(self, query: &'static [Parameter]) -> Self {
        Self { query, ..self }
    }
}
