//! What an operation is: one row of the table (`table.rs`).
//!
//! Router, OpenAPI document and authorisation test are made from these rows, so
//! nothing can be reachable without being documented, guarded and tested.

use std::borrow::Cow;

use axum::routing::{MethodFilter, MethodRouter};
use cbr_model::audit::Event;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, schema::Schema};

use crate::state::Api;

/// An operation of the contract.
#[derive(Debug)]
pub struct Operation {
    /// The contract's name, e.g. `CreateVault`.
    pub name: &'static str,
    /// Method.
    pub verb: Verb,
    /// Path with parameters in braces.
    pub path: &'static str,
    /// What it belongs to, e.g. `Vaults`.
    pub group: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Who may call it.
    pub admission: Admission,
    /// The IAM action it needs (contract C).
    pub action: Option<&'static str>,
    /// What a change by it is recorded as; none: it changes nothing (AUD-02).
    pub event: Option<Event>,
    /// Status of a successful answer.
    pub success: u16,
    /// Query parameters it reads. Others are ignored.
    pub query: &'static [Parameter],
    /// The body it reads.
    pub request: Option<SchemaOf>,
    /// The body it answers with.
    pub response: Option<SchemaOf>,
    /// Puts its handler on a route.
    pub(crate) mount: fn(MethodFilter) -> MethodRouter<Api>,
}

/// A method.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verb {
    /// Reads.
    Get,
    /// Asks whether something is so.
    Head,
    /// Makes something.
    Post,
    /// Changes something.
    Put,
    /// Changes what the body names.
    Patch,
    /// Removes something.
    Delete,
}

/// Who may call an operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Admission {
    /// Anybody, without a credential.
    Anyone,
    /// Anybody; a good credential is noticed.
    Optional,
    /// Who has a good credential; what is not its own needs the action in the account.
    Caller,
    /// Who may do the action in the account as a whole, with a credential not only for a project.
    Account,
    /// Who has a good credential for the project of the path.
    Project,
    /// Who has a good credential for the project that `X-Project-Id` names, or else the credential.
    OwnProject,
}

/// A query parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Form of its value.
    pub form: Form,
    /// What it does.
    pub about: &'static str,
}

/// The form of a query parameter's value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Form {
    /// Any text.
    Text,
    /// Several texts: the parameter repeated, or separated by commas.
    Texts,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Flag,
    /// `2020-02-21T07:00:54Z`.
    Time,
}

/// A body's schema, made when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct SchemaOf {
    pub(crate) name: fn() -> Cow<'static, str>,
    pub(crate) collect: fn(&mut Vec<(String, RefOr<Schema>)>),
    /// What it is sent as.
    pub(crate) media_type: &'static str,
}

/// The media type of a stream of events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// The schema of `T`.
pub(crate) const fn schema_of<T: ToSchema>() -> SchemaOf {
    SchemaOf {
        name: T::name,
        collect: |schemas| {
            schemas.push((T::name().into_owned(), T::schema()));
            T::schemas(schemas);
        },
        media_type: "application/json",
    }
}

/// A stream of server-sent events, each with a `T` as its data.
pub(crate) const fn stream_of<T: ToSchema>() -> SchemaOf {
    SchemaOf { media_type: EVENT_STREAM, ..schema_of::<T>() }
}

/// A query parameter, short enough for a table.
pub(crate) const fn parameter(name: &'static str, form: Form, about: &'static str) -> Parameter {
    Parameter { name, form, about }
}

impl Operation {
    /// Whether the contract does not have it.
    pub fn is_extension(&self) -> bool {
        self.path.contains("/x/")
    }

    /// Whether its answer goes on for as long as there is something to tell.
    pub(crate) fn is_stream(&self) -> bool {
        self.response.is_some_and(|response| response.media_type == EVENT_STREAM)
    }

    /// Whether it may change something.
    pub const fn is_mutating(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::Head)
    }
}

impl Verb {
    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    pub(crate) const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Head => MethodFilter::HEAD,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}
