//! Images of whole servers, as their own service (IMS, contract F.2) shows them.
//!
//! An image is a record that holds a backup ([`cbr_model::image`]); nothing is copied.

mod error;
mod held;
mod requests;
mod service;

pub use error::ImageError;
pub(crate) use held::{refuse_imaged, refuse_imaged_in_vault};
pub use requests::{ImageChange, ImageSource, ImageStarted, ImageView, NewImage};
pub use service::Images;
pub(crate) use service::existing;
