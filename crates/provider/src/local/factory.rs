//! Making and deleting volumes.

use std::io;

use async_trait::async_trait;
use cbr_model::ResourceId;
use rustix::io::Errno;

use super::catalogue::{Sidecar, format_of};
use super::config::PoolConfig;
use super::durable::Directory;
use super::guard;
use super::in_use::Usage;
use super::place::Place;
use super::qcow2;
use super::reach::UnreachablePools;
use super::service::{LocalProvider, Shared};
use crate::disk::DISK_BYTES_MAX;
use crate::error::{Doing, ProviderError, Result};
use crate::provider::Factory;
use crate::resource::{NewVolume, Volume, VolumeFormat};

/// Sizes of disks are multiples of a sector.
const SECTOR_BYTES: u64 = 512;

#[async_trait]
impl Factory for LocalProvider {
    async fn create_volume(&self, volume: &NewVolume) -> Result<Volume> {
        let volume = volume.clone();
        self.blocking("create a volume", move |shared| shared.create_volume(&volume)).await
    }

    async fn delete_volume(&self, volume: ResourceId) -> Result<()> {
        self.blocking("delete a volume", move |shared| shared.delete_volume(volume)).await
    }
}

impl Shared {
    fn create_volume(&self, volume: &NewVolume) -> Result<Volume> {
        let _alone = self.changing();
        check_size(volume.size_bytes)?;
        if let Some(existing) = self.existing(volume)? {
            return Ok(existing);
        }
        let pool = self.pool_for(volume)?;
        let format = volume.format.unwrap_or(pool.default_format);
        let extension = match format {
            VolumeFormat::Raw => "raw",
            VolumeFormat::Qcow2 => "qcow2",
            VolumeFormat::BlockDevice => {
                let why = "block devices cannot be created";
                return Err(ProviderError::refused(why, "choose the format raw or qcow2"));
            }
        };
        let file = format!("{}.{extension}", volume.id);
        let doing = || format!("create volume {} in pool {}", volume.id, pool.name);
        let directory = pool.open().doing(doing)?;
        self.write_volume(&directory, volume, &file, format).doing(doing)?;
        self.existing(volume)?.ok_or_else(|| ProviderError::not_found("volume", volume.id))
    }

    /// Description first, image last: an image without description would be another volume.
    fn write_volume(
        &self,
        directory: &Directory,
        volume: &NewVolume,
        file: &str,
        format: VolumeFormat,
    ) -> io::Result<()> {
        let temporary = unfinished(file);
        directory.remove_file(&temporary)?;
        let image = directory.create_file(&temporary)?;
        match format {
            VolumeFormat::Qcow2 => qcow2::create(image.try_clone()?, volume.size_bytes)?,
            VolumeFormat::Raw | VolumeFormat::BlockDevice => image.set_len(volume.size_bytes)?,
        }
        image.sync_all()?;
        let description = Sidecar {
            id: volume.id,
            file: file.to_owned(),
            name: volume.name.clone(),
            description: volume.description.clone(),
            created_at: self.clock.now(),
        };
        let json = serde_json::to_vec_pretty(&description).map_err(io::Error::other)?;
        directory.write_small(&Sidecar::file_name(file), &json)?;
        directory.rename(&temporary, file)
    }

    /// The volume of a creation that has happened already.
    fn existing(&self, volume: &NewVolume) -> Result<Option<Volume>> {
        let catalogue = self.catalogue()?;
        // It would be in the pool it is to be made in; whether that can be read, making it shows.
        let Some(entry) = catalogue.known_volume(volume.id) else { return Ok(None) };
        let existing = self.volume_of(entry, &catalogue, &Usage::scan())?;
        if existing.size_bytes != volume.size_bytes {
            return Err(ProviderError::refused(
                format!("volume {} exists with {} bytes", volume.id, existing.size_bytes),
                "use another id",
            ));
        }
        Ok(Some(existing))
    }

    fn pool_for(&self, volume: &NewVolume) -> Result<&PoolConfig> {
        let pools = &self.config.pools;
        match &volume.pool {
            None => pools.first().ok_or_else(|| {
                ProviderError::refused("there is no pool to create volumes in", "configure one")
            }),
            Some(name) => pools
                .iter()
                .find(|pool| pool.name == *name)
                .ok_or_else(|| ProviderError::not_found("pool", name)),
        }
    }

    fn delete_volume(&self, volume: ResourceId) -> Result<()> {
        let _alone = self.changing();
        let catalogue = self.catalogue()?;
        let found = match catalogue.volume(volume) {
            Ok(entry) => Some(entry),
            Err(error) if error.is_not_found() => None,
            // It may be there: only looking says whether it is gone.
            Err(error) => return Err(error),
        };
        if let Some(entry) = found {
            let Place::File { directory, file, .. } = &entry.place else {
                let why = format!("volume {volume} is a block device");
                return Err(ProviderError::refused(why, "remove it from the configuration"));
            };
            if let Some(attachment) = catalogue.attachments(volume).first() {
                let why = format!("attached to server {}; detach it first", attachment.server);
                return Err(ProviderError::in_use(volume, why));
            }
            catalogue.refuse_unknown_owner(volume)?;
            self.refuse_if_open(volume)?;
            // Claimed for a moment: nobody may have it open. A damaged image can be deleted.
            guard::claim_for_deletion(volume, &entry.place)?;
            let doing = || format!("delete volume {volume}");
            let directory = Directory::open(directory).doing(doing)?;
            directory.remove_file(file).and_then(|()| directory.sync()).doing(doing)?;
        }
        self.remove_descriptions(volume, &catalogue.unreachable)?;
        self.state.clear_restore(volume)
    }

    /// A snapshot that reads the volume in place, or a restore under way, needs it.
    fn refuse_if_open(&self, volume: ResourceId) -> Result<()> {
        let handles = self.handles();
        let is_open = handles.readers.keys().any(|(_, id)| *id == volume)
            || handles.writers.keys().any(|(_, id)| *id == volume);
        if is_open {
            return Err(ProviderError::in_use(volume, "a backup or a restore of it is running"));
        }
        Ok(())
    }

    /// A crash between the two removals leaves the description of no image, beside where that was: not in a pool
    /// that cannot be read, or the volume would not have been found.
    fn remove_descriptions(
        &self,
        volume: ResourceId,
        unreachable: &UnreachablePools,
    ) -> Result<()> {
        for pool in self.config.pools.iter().filter(|pool| !unreachable.contains(&pool.name)) {
            let doing = || format!("remove the description of volume {volume}");
            let directory = pool.open().doing(doing)?;
            let names = directory.file_names().doing(doing)?;
            for name in names.iter().filter(|name| name.ends_with(".cbr.json")) {
                let bytes = match directory.read_small(name) {
                    Ok(bytes) => bytes,
                    // Of one volume it says nothing, and must not keep all others. What passes is tried again.
                    Err(error) if says_what_it_is(&error) => {
                        tracing::warn!(
                            pool = pool.name,
                            file = name,
                            error = &error as &dyn std::error::Error,
                            "a description cannot be read and was left as it is"
                        );
                        continue;
                    }
                    Err(error) => return Err(error).doing(doing),
                };
                let found = bytes.and_then(|b| serde_json::from_slice::<Sidecar>(&b).ok());
                let ours = |d: &Sidecar| d.id == volume && !names.contains(&d.file);
                if found.is_some_and(|d| ours(&d) && format_of(&d.file).is_some()) {
                    directory.remove_file(name).and_then(|()| directory.sync()).doing(doing)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether an error says something about the file itself, and not about this moment.
fn says_what_it_is(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, IsADirectory, PermissionDenied};
    // A link is not followed, so it is one that never ends.
    let is_link = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    is_link || matches!(error.kind(), InvalidData | IsADirectory | PermissionDenied)
}

/// The name of an image until it is whole.
pub(crate) fn unfinished(file: &str) -> String {
    format!(".{file}.new")
}

fn check_size(size_bytes: u64) -> Result<()> {
    if size_bytes == 0 || !size_bytes.is_multiple_of(SECTOR_BYTES) || size_bytes > DISK_BYTES_MAX {
        return Err(ProviderError::refused(
            format!("a volume cannot have {size_bytes} bytes"),
            "choose a multiple of 512 up to 64 TiB",
        ));
    }
    Ok(())
}
