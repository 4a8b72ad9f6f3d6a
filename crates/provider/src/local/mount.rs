//! Pools that lie on a file system of their own: an empty mount point is not an empty pool (RGN-07).

use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};

use super::config::PoolConfig;
use super::durable::Directory;

impl PoolConfig {
    /// Opens the pool's directory; of a pool with a mount point only while a file system is mounted there.
    pub(crate) fn open(&self) -> io::Result<Directory> {
        let Some(mount_point) = &self.mount_point else { return Directory::open(&self.path) };
        let root = Directory::open(mount_point)?;
        if !is_mounted(&root)? {
            let why = format!("no file system is mounted at {}", mount_point.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        match self.path.strip_prefix(mount_point) {
            // From what was looked at: it may be unmounted meanwhile.
            Ok(inner) if inner != Path::new("") => root.directory_at(inner),
            _ => Ok(root),
        }
    }
}

/// Whether the directory is the topmost one of a file system, as the kernel says (Linux 5.8 and later).
fn is_mounted(directory: &Directory) -> io::Result<bool> {
    let about = statx(directory, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
    if !about.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
        let why = "this kernel does not say what is mounted; `mount_point` needs Linux 5.8";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    Ok(about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::config::PoolKind;
    use crate::resource::VolumeFormat;

    fn pool(path: &Path, mount_point: &Path) -> PoolConfig {
        PoolConfig {
            name: "images".into(),
            path: path.to_owned(),
            mount_point: Some(mount_point.to_owned()),
            kind: PoolKind::Directory,
            availability_zone: "local".into(),
            default_format: VolumeFormat::Raw,
        }
    }

    /// RGN-07: a directory that is there is not the pool while nothing is mounted.
    #[test]
    fn a_pool_is_opened_only_while_its_file_system_is_mounted() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("pool");
        std::fs::create_dir(&inner).unwrap();
        for path in [directory.path(), &inner] {
            let error = pool(path, directory.path()).open().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("no file system is mounted"), "{error}");
        }
        // Every Linux has this one mounted.
        let proc = Path::new("/proc");
        pool(proc, proc).open().unwrap();
        pool(&proc.join("self/task"), proc).open().unwrap();
        let gone = pool(&proc.join("none"), proc).open().unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}
