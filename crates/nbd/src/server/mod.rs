//! The server: exports by name, many connections, bounded work.

mod answer;
mod contexts;
mod limits;
mod negotiate;
mod perform;
mod serve;
mod transmit;

pub use limits::Limits;
pub use serve::{Exports, Server};
