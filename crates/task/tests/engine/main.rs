//! The engine against toy tasks: crashes, leases, keys, cancellation, retries, shutdown.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod cancelling;
mod crashing;
mod retrying;
mod running;
mod toy;
