//! The HTTP contract: CBR v3 and what its clients need of the neighbour services.
//!
//! One table ([`OPERATIONS`]) has a row for each operation; [`router`], the
//! [`openapi`] document and the authorisation tests are made from it. A request
//! passes `answer` (id, log, shape of refusals), then `guard` (body limits,
//! credential, project), then its handler, which parses, calls one use case and
//! answers. Rules are not here: they are in `cbr-service`.
//!
//! To add an operation: a file with its row and handler under the service's
//! folder, and a line in `table.rs`. Conventions: `docs/api/design.md`.

#![expect(clippy::struct_field_names, reason = "fields have the contract's names")]

pub mod auth;
pub mod error;
pub mod forwarded;
pub mod openapi;
pub mod operation;
pub mod router;
pub mod settings;
pub mod shares;
pub mod table;

mod answer;
mod body;
mod ces;
mod cts;
mod ecs;
mod evs;
mod extract;
mod guard;
mod identity;
mod ims;
mod jobs;
mod percent;
mod query;
mod sfsturbo;
mod smn;
mod standing;
mod state;
mod system;
mod time;
mod v3;
mod x;

pub use openapi::{openapi, openapi_json};
pub use router::router;
pub use settings::Settings;
pub use table::OPERATIONS;
