//! Disks as their own service (EVS, contract F.3) shows them.

mod service;
mod views;

pub use service::Volumes;
pub(crate) use service::{VOLUME_MAX, check_space, choose_pool, view};
pub use views::{
    AttachmentView, NewVolumeRequest, VolumeFilter, VolumeJobStarted, VolumeStatus, VolumeView,
};
