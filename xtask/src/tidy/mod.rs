//! The rules of the tree. One file per group of rules; exceptions stand with
//! their reasons in `xtask/exceptions.toml`.

mod complaint;
mod dependencies;
mod documents;
mod exceptions;
mod form;
mod run;
mod sizes;

pub(crate) use complaint::Complaint;
pub(crate) use run::check;
