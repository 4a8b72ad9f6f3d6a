//! Map nodes that are lost, rebuilt from what is left around them.
//!
//! A node's parent has the hash of its content. So whatever is put together is either exactly what was
//! lost or is seen not to be: it is allowed to guess. What is guessed comes from the same place of the
//! versions before and after, from what the node's version wrote that nobody else points to, and, in a
//! backup, from the blocks that lie there on the disk now.

mod around;
mod lists;
mod lost;
mod puzzle;
mod rebuild;
mod rebuilt;
mod source;

pub(super) use lists::lost_lists;
pub(crate) use lost::lost_nodes;
pub(crate) use rebuild::Rebuilder;
pub(crate) use rebuilt::Rebuilt;
pub(crate) use source::Source;
