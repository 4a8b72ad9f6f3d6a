//! Billing: hours of vaults that are charged by use, orders of those that are prepaid, balances of accounts,
//! and what follows when nobody pays (BIL-01 … BIL-09, ADR 0022).
//!
//! ```text
//!   paid ──▶ noticed ──grace──▶ frozen ──retention──▶ released (only where the operator says so)
//!     ▲──────── paid ─────────────┘
//! ```

mod accounts;
mod arrears;
mod driver;
mod forgetting;
mod metering;
mod observed;
mod orders;
mod service;

pub use accounts::{AccountState, Credit};
pub use cbr_db::{MeteredHour, MeteredThing, MeteringFilter};
pub use cbr_model::billing::{Charged, Price, PriceList, Prices};
pub use driver::{BillingSettings, Driver, Prepayment, Showback};
pub use metering::{MeteringState, hour_of};
pub(crate) use observed::observed_so_far;
pub(crate) use orders::{carry_out, new_line, place, take};
pub use service::Billing;
