//! Images: records that a backup of a whole server is what new servers are made from (IMG-01, IMG-05).
//!
//! An image has no data of its own. It holds its backup: as long as there is one, the backup is not
//! deleted and retention does not count it (IMG-06, RET-12). What state it is in follows from the
//! backup, so the two cannot disagree.

use crate::Timestamp;
use crate::backup::BackupState;
use crate::id::{BackupId, ImageId, ProjectId};
use crate::tag::Tag;

/// The longest name of an image, in characters.
pub const NAME_CHARS_MAX: usize = 128;
/// The longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 1024;
/// The most memory that may be asked for, in MiB.
pub const RAM_MIB_MAX: u64 = 4_194_304;

/// An image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// The project that made it; the backup may be another's that was shared with it (SHR-10).
    pub project: ProjectId,
    /// What it consists of.
    pub backup: BackupId,
    /// Its name; need not be unique.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Its enterprise project.
    pub enterprise_project: String,
    /// It cannot be deleted as long as this is set.
    pub protected: bool,
    /// The least memory of a server made from it, in MiB; 0: any.
    pub min_ram_mib: u64,
    /// The most memory of a server made from it, in MiB; none: any.
    pub max_ram_mib: Option<u64>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// State of an image (contract F.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ImageStatus {
    /// Its backup is being made (IMG-12).
    Saving,
    /// Servers can be made from it.
    Active,
    /// Its backup did not come to be; it goes by itself.
    Killed,
}

impl ImageStatus {
    /// What follows from the state of its backup.
    pub const fn of(backup: &BackupState) -> Self {
        match backup {
            BackupState::Protecting => Self::Saving,
            BackupState::Available { .. } | BackupState::Restoring { .. } => Self::Active,
            BackupState::Deleting { .. } | BackupState::Error { .. } => Self::Killed,
        }
    }

    /// The image service's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Saving => "saving",
            Self::Active => "active",
            Self::Killed => "killed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::Content;

    /// IMG-01, IMG-12: servers are made only from what is complete.
    #[test]
    fn an_image_is_as_its_backup_is() {
        let of = |state| ImageStatus::of(&state).as_str();
        assert_eq!(of(BackupState::Protecting), "saving");
        assert_eq!(of(BackupState::Available { content: Content::Server }), "active");
        assert_eq!(of(BackupState::Restoring { content: Content::Server }), "active");
        assert_eq!(of(BackupState::Error { reason: String::new(), content: None }), "killed");
    }
}
