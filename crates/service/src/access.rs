//! Proof that a caller may act, and what it is acting with.

use std::net::IpAddr;
use std::sync::Arc;

use cbr_model::audit::Event;
use cbr_model::identity::Caller;
use cbr_model::{DomainId, ProjectId, UserId};

use crate::identity::Permissions;
use crate::{Error, Result};

/// What is known of a request before it is let in.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its id, as operation logs show it.
    pub id: String,
    /// What it will be recorded as; none: it may change nothing.
    pub event: Option<Event>,
    /// Where it came from.
    pub source_ip: Option<IpAddr>,
    /// Its body as text, if it can hold no secret and is short enough to be recorded.
    pub body: Option<String>,
}

/// A caller with a request.
#[derive(Clone, Debug)]
pub struct Actor {
    caller: Caller,
    request: Request,
    /// What the caller was found to be allowed in its account.
    rests_on: Option<String>,
}

impl Actor {
    pub(crate) const fn new(caller: Caller, request: Request) -> Self {
        Self { caller, request, rests_on: None }
    }

    /// Let in because it may do `action` in its account; whatever it changes looks at that again.
    pub(crate) fn permitted(self, action: &str) -> Self {
        Self { rests_on: Some(action.to_owned()), ..self }
    }

    pub(crate) fn rests_on(&self) -> Option<&str> {
        self.rests_on.as_deref()
    }

    /// Who calls.
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Id of the request, as operation logs show it.
    pub fn request_id(&self) -> &str {
        &self.request.id
    }

    pub(crate) const fn event(&self) -> Option<Event> {
        self.request.event
    }

    pub(crate) const fn source_ip(&self) -> Option<IpAddr> {
        self.request.source_ip
    }

    pub(crate) fn body(&self) -> Option<&str> {
        self.request.body.as_deref()
    }
}

/// A caller in a project it may use, for one request.
///
/// Only [`crate::Identity::access`] makes one, so a use case that takes it cannot
/// be reached without the check.
#[derive(Clone, Debug)]
pub struct Access {
    actor: Actor,
    project: ProjectId,
    permissions: Arc<Permissions>,
}

impl Access {
    pub(crate) fn new(actor: Actor, project: ProjectId, permissions: Permissions) -> Self {
        Self { actor, project, permissions: Arc::new(permissions) }
    }

    /// Refuses unless the caller may also do `action` here, beside what the operation is.
    pub(crate) fn require(&self, action: &str) -> Result<()> {
        self.permissions.require(action)
    }

    /// Who calls, with which request.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Who calls.
    pub const fn caller(&self) -> &Caller {
        self.actor.caller()
    }

    /// The project the request acts in.
    pub const fn project(&self) -> ProjectId {
        self.project
    }

    /// Id of the request, as operation logs show it.
    pub fn request_id(&self) -> &str {
        self.actor.request_id()
    }
}

/// A caller who may do the operation in its account as a whole, for one request.
///
/// Only [`crate::Identity::account`] makes one.
#[derive(Clone, Debug)]
pub struct AccountAccess {
    actor: Actor,
}

impl AccountAccess {
    pub(crate) const fn new(actor: Actor) -> Self {
        Self { actor }
    }

    /// Who calls, with which request.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The account.
    pub const fn domain(&self) -> DomainId {
        self.actor.caller().domain.id
    }
}

/// A caller who may do the operation to itself, and perhaps to others, for one request.
///
/// Only [`crate::Identity::own`] makes one.
#[derive(Clone, Debug)]
pub struct OwnAccess {
    actor: Actor,
    is_permitted: bool,
}

impl OwnAccess {
    pub(crate) const fn new(actor: Actor, is_permitted: bool) -> Self {
        Self { actor, is_permitted }
    }

    /// Who calls, with which request.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The account.
    pub const fn domain(&self) -> DomainId {
        self.actor.caller().domain.id
    }

    /// The caller and its request, for what is made with its credential.
    pub fn into_parts(self) -> (Caller, Request) {
        (self.actor.caller, self.actor.request)
    }

    /// Whether others are within reach as well.
    pub(crate) const fn reaches_others(&self) -> bool {
        self.is_permitted
    }

    /// Refuses unless `user` is the caller itself, or others are within reach.
    pub(crate) fn over(&self, user: UserId) -> Result<()> {
        let caller = self.actor.caller();
        let is_own = caller.user.id == user && caller.agency.is_none();
        if is_own || self.is_permitted { Ok(()) } else { Err(Error::Forbidden) }
    }
}
