//! Why a backup is still here, and keeping it whatever its policy says (extension).

pub(crate) mod hold;
pub(crate) mod release;
pub(crate) mod show;
mod wire;
