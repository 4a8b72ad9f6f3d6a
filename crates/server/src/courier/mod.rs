//! Carries messages out of the house: by mail, by signed webhooks, and by a gateway for text messages.

mod addresses;
mod body;
mod house;
mod mail;
mod webhook;

pub(crate) use house::HouseCourier;
