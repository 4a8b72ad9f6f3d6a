//! The server: exports by name, many connections, bounded work.

mod answer;
mod contexts;
mod exports;
mod limits;
mod negotiate;
mod perform;
mod serve;
mod transmit;

pub use exports::Exports;
pub use limits::Limits;
pub use serve::Server;
