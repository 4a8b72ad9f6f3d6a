//! A directory of this host as a bucket.
//!
//! Every part of a path is opened beneath the one before and no link is followed, so that nothing outside the
//! directory can be reached, whatever is moved or linked meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::image::Padded;
use super::{Bucket, BucketError, Found, HEAD_BYTES, ObjectPath, Seen, check_image};
use crate::disk::DiskReader;
use crate::local::{Directory, RawReader};

/// So deep beneath the bucket a listing looks.
const DEPTH_MAX: usize = 8;
/// So many directories a listing looks at.
const DIRECTORIES_MAX: usize = 10_000;

/// A directory of this host.
#[derive(Debug)]
pub struct DirectoryBucket {
    path: PathBuf,
}

impl DirectoryBucket {
    /// The directory at `path`. It need not be there yet: then nothing can be read.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Opens a regular file beneath the directory.
    fn file(&self, path: &ObjectPath) -> Result<File, BucketError> {
        let mut directory = Directory::open(&self.path).map_err(BucketError::Unreachable)?;
        let mut parts = path.parts().peekable();
        let opened = loop {
            let Some(part) = parts.next() else { break Err(io::ErrorKind::NotFound.into()) };
            if parts.peek().is_none() {
                break directory.open_file(part, false);
            }
            match directory.subdirectory(part) {
                Ok(next) => directory = next,
                Err(error) => break Err(error),
            }
        };
        opened.map_err(|error| refused(path, error))
    }
}

/// What a failure to open means. A link is as good as nothing.
fn refused(path: &ObjectPath, error: io::Error) -> BucketError {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    match number {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => BucketError::NotFound(path.clone()),
        // A socket, or a device that is not there.
        Some(Errno::NXIO | Errno::NODEV) => unusable(path, "it is not a regular file"),
        Some(Errno::ACCESS | Errno::PERM) => unusable(path, "the service may not read it"),
        _ if error.kind() == io::ErrorKind::InvalidInput => {
            unusable(path, "it is not a regular file")
        }
        _ => BucketError::Unreachable(error),
    }
}

fn unusable(path: &ObjectPath, why: impl Into<String>) -> BucketError {
    BucketError::Unusable { path: path.clone(), why: why.into() }
}

fn seen(file: &File) -> io::Result<Seen> {
    let about = file.metadata()?;
    Ok(Seen {
        size_bytes: about.len(),
        fingerprint: format!(
            "{}:{}:{}:{}.{}:{}.{}",
            about.dev(),
            about.ino(),
            about.len(),
            about.mtime(),
            about.mtime_nsec(),
            about.ctime(),
            about.ctime_nsec()
        ),
    })
}

/// As much of the beginning as there is.
fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES];
    let mut filled = 0;
    while filled < head.len() {
        match file.read_at(&mut head[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(filled);
    Ok(head)
}

impl Bucket for DirectoryBucket {
    fn look(&self, path: &ObjectPath) -> Result<Seen, BucketError> {
        let file = self.file(path)?;
        let seen = seen(&file).map_err(BucketError::Unreachable)?;
        let head = head(&file).map_err(BucketError::Unreachable)?;
        check_image(seen.size_bytes, &head).map_err(|why| unusable(path, why))?;
        Ok(seen)
    }

    fn open(&self, path: &ObjectPath, before: &Seen) -> Result<Arc<dyn DiskReader>, BucketError> {
        let file = self.file(path)?;
        if seen(&file).map_err(BucketError::Unreachable)? != *before {
            return Err(BucketError::Changed(path.clone()));
        }
        let reader = RawReader::new(file).map_err(BucketError::Unreachable)?;
        Ok(Arc::new(Padded::new(reader)))
    }

    fn list(&self, suffix: &str, limit: usize) -> Result<Found, BucketError> {
        let root = Directory::open(&self.path).map_err(BucketError::Unreachable)?;
        let (mut found, mut looked_at) = (Found::default(), 0);
        let mut waiting = vec![(root, String::new(), 0)];
        while let Some((directory, prefix, depth)) = waiting.pop() {
            looked_at += 1;
            for name in directory.file_names().map_err(BucketError::Unreachable)? {
                let Some(path) = path_of(&prefix, &name).filter(|p| p.as_str().ends_with(suffix))
                else {
                    continue;
                };
                if found.paths.len() == limit {
                    found.is_cut = true;
                    found.paths.sort_unstable();
                    return Ok(found);
                }
                found.paths.push(path);
            }
            for name in directory.directory_names().map_err(BucketError::Unreachable)? {
                let Some(path) = path_of(&prefix, &name) else { continue };
                if depth == DEPTH_MAX || looked_at + waiting.len() >= DIRECTORIES_MAX {
                    found.is_cut = true;
                    continue;
                }
                match directory.subdirectory(&name) {
                    Ok(next) => waiting.push((next, format!("{path}/"), depth + 1)),
                    // Gone meanwhile, or closed to the service: not to be read is not to be taken in.
                    Err(error) => tracing::warn!(%error, "a directory of a bucket is left out"),
                }
            }
        }
        found.paths.sort_unstable();
        Ok(found)
    }

    fn read(&self, path: &ObjectPath, bytes_max: u64) -> Result<Vec<u8>, BucketError> {
        let file = self.file(path)?;
        let mut bytes = Vec::new();
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(BucketError::Unreachable)?;
        if bytes.len() as u64 > bytes_max {
            return Err(unusable(path, format!("it is larger than {bytes_max} bytes")));
        }
        Ok(bytes)
    }
}

fn path_of(prefix: &str, name: &str) -> Option<ObjectPath> {
    format!("{prefix}{name}").parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn path(text: &str) -> ObjectPath {
        text.parse().unwrap()
    }

    fn bucket() -> (tempfile::TempDir, DirectoryBucket) {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("bucket");
        fs::create_dir_all(inside.join("a/b")).unwrap();
        fs::write(folder.path().join("secret"), [9; 600]).unwrap();
        fs::write(inside.join("a/b/disk.raw"), [7; 700]).unwrap();
        let bucket = DirectoryBucket::new(&inside);
        (folder, bucket)
    }

    /// Contract C33: what is there is read byte for byte.
    #[test]
    fn an_image_is_a_disk() {
        let (_folder, bucket) = bucket();
        let image = path("a/b/disk.raw");
        let seen = bucket.look(&image).unwrap();
        assert_eq!(seen.size_bytes, 700);
        let disk = bucket.open(&image, &seen).unwrap();
        let mut bytes = [1; 1024];
        disk.read_at(0, &mut bytes).unwrap();
        assert_eq!((disk.size_bytes(), bytes[699], bytes[700]), (1024, 7, 0));
        assert!(matches!(bucket.look(&path("a/none")), Err(BucketError::NotFound(_))));
        assert!(matches!(bucket.look(&path("a/b/disk.raw/x")), Err(BucketError::NotFound(_))));
        assert!(bucket.look(&path("a/b")).is_err(), "a directory");
    }

    /// A tenant names the path: neither it nor what lies in the bucket leads out.
    #[test]
    fn links_and_pipes_are_not_read() {
        let (folder, bucket) = bucket();
        let inside = folder.path().join("bucket");
        symlink("../secret", inside.join("link")).unwrap();
        symlink(folder.path(), inside.join("out")).unwrap();
        symlink("a", inside.join("within")).unwrap();
        let pipe = inside.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for name in ["link", "out/secret", "within/b/disk.raw"] {
            let refused = bucket.look(&path(name));
            assert!(matches!(refused, Err(BucketError::NotFound(_))), "{name}: {refused:?}");
            assert!(bucket.read(&path(name), 1000).is_err(), "{name}");
        }
        let refused = bucket.look(&path("pipe"));
        assert!(matches!(refused, Err(BucketError::Unusable { .. })), "{refused:?}");
        assert_eq!(bucket.list("", 100).unwrap().paths, [path("a/b/disk.raw")]);
    }

    #[test]
    fn an_image_that_was_written_to_is_another_one() {
        let (folder, bucket) = bucket();
        let image = path("a/b/disk.raw");
        let seen = bucket.look(&image).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(folder.path().join("bucket/a/b/disk.raw"), [8; 700]).unwrap();
        assert!(matches!(bucket.open(&image, &seen), Err(BucketError::Changed(_))));
        assert_ne!(bucket.look(&image).unwrap(), seen);
    }

    #[test]
    fn a_listing_has_limits() {
        let (folder, bucket) = bucket();
        let inside = folder.path().join("bucket");
        for n in 0..5 {
            fs::write(inside.join(format!("{n}.cbr.json")), b"{}").unwrap();
        }
        let found = bucket.list(".cbr.json", 5).unwrap();
        assert_eq!((found.paths.len(), found.is_cut), (5, false));
        let found = bucket.list(".cbr.json", 4).unwrap();
        assert_eq!((found.paths.len(), found.is_cut), (4, true));
        let deep = inside.join("1/2/3/4/5/6/7/8/9");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("x.cbr.json"), b"{}").unwrap();
        let found = bucket.list(".cbr.json", 100).unwrap();
        assert_eq!((found.paths.len(), found.is_cut), (5, true));
        assert_eq!(bucket.read(&path("0.cbr.json"), 2).unwrap(), b"{}");
        assert!(bucket.read(&path("0.cbr.json"), 1).is_err());
    }

    /// A bucket that is not mounted is not one that is empty.
    #[test]
    fn a_directory_that_is_not_there_is_out_of_reach() {
        let bucket = DirectoryBucket::new(Path::new("/nonexistent/bucket"));
        assert!(matches!(bucket.look(&path("a")), Err(BucketError::Unreachable(_))));
        assert!(matches!(bucket.list("", 1), Err(BucketError::Unreachable(_))));
    }
}
