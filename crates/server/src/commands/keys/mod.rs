//! `cbr repo key …`: the keys of a repository, over their lifetime.

mod args;
mod change_master;
mod copies;
mod reencrypt;
mod text;

pub(super) use args::{KeyCommand, Opened};
