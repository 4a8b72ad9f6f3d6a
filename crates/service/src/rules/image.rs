//! What images may be made of, and what they may be called (IMG-01 … IMG-10).

use cbr_model::backup::{Backup, BackupState};
use cbr_model::image::{DESCRIPTION_CHARS_MAX, Image, NAME_CHARS_MAX, RAM_MIB_MAX};
use cbr_model::resource::{ProtectStatus, ResourceKind};
use cbr_model::tag::{TAGS_MAX, check_tags};
use cbr_model::vault::{Vault, VaultUse};

use crate::images::ImageError;
use crate::{Error, Result};

/// Refuses backups that make no image; `is_settled`: it is being made and its snapshot is taken; `made`: the
/// caller's image of it, if there is one.
pub(crate) fn check_backup(backup: &Backup, is_settled: bool, made: Option<&Image>) -> Result<()> {
    if backup.resource_kind != ResourceKind::Server {
        return Err(ImageError::NotOfServer { backup: backup.id }.into());
    }
    match &backup.state {
        BackupState::Available { .. } => {}
        BackupState::Protecting if is_settled => {}
        other => return Err(ImageError::BackupStatus { status: other.as_str() }.into()),
    }
    check_disks(backup)?;
    match made {
        Some(image) => Err(ImageError::MadeAlready { image: image.id }.into()),
        None => Ok(()),
    }
}

/// IMG-03.
pub(crate) fn check_disks(backup: &Backup) -> Result<()> {
    if backup.system_disk { Ok(()) } else { Err(ImageError::WithoutSystemDisk(backup.id).into()) }
}

/// Refuses where the vault does not allow it (VLT-56, IMG-09, IMG-10), or the backups of the server are
/// about to go with it.
pub(crate) fn check_vault(vault: &Vault, backup: &Backup) -> Result<()> {
    if !vault.status.allows(VaultUse::Restore) {
        return Err(Error::VaultStatus { status: vault.status });
    }
    let (bound, capacity) = (vault.allocated(), vault.size);
    if bound > capacity {
        return Err(ImageError::VaultOverbound { vault: vault.id, bound, capacity }.into());
    }
    let is_removing = |resource: &&cbr_model::resource::BoundResource| {
        resource.id == backup.resource && resource.protect_status == ProtectStatus::Removing
    };
    match vault.resources.iter().find(is_removing) {
        Some(resource) => Err(Error::ResourceRemoving { resource: resource.id }),
        None => Ok(()),
    }
}

/// Checks what people may choose of an image.
pub(crate) fn check_texts(image: &Image) -> Result<()> {
    let length = image.name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length) || image.name.chars().any(char::is_control) {
        let reason = format!("1 to {NAME_CHARS_MAX} characters, none of them a control character");
        return Err(Error::invalid("name", reason));
    }
    let is_bad = |c: char| matches!(c, '<' | '>');
    if image.description.chars().count() > DESCRIPTION_CHARS_MAX
        || image.description.contains(is_bad)
    {
        let reason = format!("at most {DESCRIPTION_CHARS_MAX} characters, without < and >");
        return Err(Error::invalid("description", reason));
    }
    if image.min_ram_mib > RAM_MIB_MAX {
        return Err(Error::invalid("min_ram", format!("0 to {RAM_MIB_MAX} MB")));
    }
    if image.max_ram_mib.is_some_and(|max| max > RAM_MIB_MAX || max < image.min_ram_mib) {
        return Err(Error::invalid("max_ram", format!("min_ram to {RAM_MIB_MAX} MB, or 0")));
    }
    check_tags(&image.tags, TAGS_MAX).map_err(Error::Tags)
}

#[cfg(test)]
mod tests {
    use cbr_model::backup::Content;
    use cbr_model::size::Gib;
    use cbr_model::vault::{VaultKind, VaultStatus};
    use cbr_model::{ImageId, Timestamp};
    use uuid::Uuid;

    use super::super::restore::tests::backup;
    use super::super::vault::tests::{resource, vault};
    use super::*;

    fn image(backup: &Backup) -> Image {
        Image {
            id: ImageId::from_uuid(Uuid::from_u128(5)),
            project: backup.project,
            backup: backup.id,
            name: "golden web".into(),
            description: String::new(),
            enterprise_project: "0".into(),
            protected: false,
            min_ram_mib: 0,
            max_ram_mib: None,
            tags: vec![],
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    fn server() -> Backup {
        Backup { system_disk: true, ..backup(1, ResourceKind::Server, Content::Server) }
    }

    /// IMG-02, IMG-03, IMG-05, Y.2.
    #[test]
    fn only_an_available_backup_of_a_whole_server_makes_an_image_and_once() {
        let good = server();
        assert!(check_backup(&good, false, None).is_ok());
        let made = image(&good);
        let settled = Backup { state: BackupState::Protecting, ..server() };
        assert!(check_backup(&settled, true, None).is_ok(), "IMG-02: its content is settled");
        let refused = |backup: &Backup, made| match check_backup(backup, false, made) {
            Err(Error::Image(error)) => error,
            other => panic!("{other:?}"),
        };
        assert!(matches!(refused(&good, Some(&made)), ImageError::MadeAlready { .. }));
        let disk = Backup { system_disk: true, ..backup(1, ResourceKind::Volume, Content::Server) };
        assert!(matches!(refused(&disk, None), ImageError::NotOfServer { .. }));
        let without = Backup { system_disk: false, ..server() };
        assert!(matches!(refused(&without, None), ImageError::WithoutSystemDisk(_)));
        for state in [
            BackupState::Protecting,
            BackupState::Restoring { content: Content::Server },
            BackupState::Deleting { content: Some(Content::Server) },
            BackupState::Error { reason: String::new(), content: None },
        ] {
            let backup = Backup { state, ..server() };
            assert!(matches!(refused(&backup, None), ImageError::BackupStatus { .. }));
        }
    }

    /// IMG-09, IMG-10, RES-18.
    #[test]
    fn the_vault_must_be_usable_and_large_enough_for_what_it_protects() {
        let backup = server();
        let mut home = vault(VaultKind::Server);
        for status in VaultStatus::ALL {
            home.status = status;
            let allowed = check_vault(&home, &backup).is_ok();
            let expected = matches!(status, VaultStatus::Available | VaultStatus::Lock);
            assert_eq!(allowed, expected, "{status:?}");
        }
        home.status = VaultStatus::Available;
        home.resources = vec![resource(1, ResourceKind::Server, home.size.0)];
        assert!(check_vault(&home, &backup).is_ok(), "as much as it may protect");
        home.resources.push(resource(2, ResourceKind::Server, 1));
        let over = check_vault(&home, &backup);
        assert!(matches!(over, Err(Error::Image(ImageError::VaultOverbound { .. }))), "{over:?}");
        home.size = Gib(home.size.0 + 1);
        home.resources[0].id = backup.resource;
        home.resources[0].protect_status = ProtectStatus::Removing;
        assert!(matches!(check_vault(&home, &backup), Err(Error::ResourceRemoving { .. })));
    }

    #[test]
    fn names_and_memory_have_their_limits() {
        let good = image(&server());
        assert!(check_texts(&good).is_ok());
        let bad: [fn(&mut Image); 6] = [
            |it| it.name = String::new(),
            |it| it.name = "x".repeat(NAME_CHARS_MAX + 1),
            |it| it.name = "a\nb".into(),
            |it| it.description = "<b>".into(),
            |it| it.min_ram_mib = RAM_MIB_MAX + 1,
            |it| (it.min_ram_mib, it.max_ram_mib) = (2048, Some(1024)),
        ];
        for (index, spoil) in bad.into_iter().enumerate() {
            let mut image = good.clone();
            spoil(&mut image);
            assert!(check_texts(&image).is_err(), "{index}");
        }
    }
}
