//! Jobs of the neighbour services (contract F.2, F.3, F.4): they share one path.

pub(crate) mod show;
pub(crate) mod show_image;
pub(crate) mod wire;
