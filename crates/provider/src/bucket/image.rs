//! What can be taken in: raw images and nothing that only looks like one.

use std::io;
use std::ops::Range;

use crate::disk::{DISK_BYTES_MAX, DiskReader, check_bounds};

/// Disks consist of these; an image that ends within one is filled up with zeros.
pub const SECTOR_BYTES: u64 = 512;
/// So much of an image is looked at before it is taken for a raw one.
pub const HEAD_BYTES: usize = 512;

/// What other formats begin with: where, with what, their name.
const OTHERS: &[(usize, &[u8], &str)] = &[
    (0, b"QFI\xfb", "qcow2"),
    (0, b"QED\0", "qed"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vhd"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"VMA\0", "vma"),
];

/// Refuses what is no raw image of a possible size. `head`: its first [`HEAD_BYTES`], or all of it.
///
/// The content of a raw image is its owner's: nothing else of it is looked at.
pub fn check_image(size_bytes: u64, head: &[u8]) -> Result<(), String> {
    if size_bytes == 0 {
        return Err("it is empty".to_owned());
    }
    if size_bytes > DISK_BYTES_MAX {
        return Err("it is larger than 64 TiB".to_owned());
    }
    let is = |at: usize, magic: &[u8]| head.get(at..at + magic.len()) == Some(magic);
    match OTHERS.iter().find(|(at, magic, _)| is(*at, magic)) {
        Some((_, _, format)) => Err(format!(
            "it is a {format} image, and only raw images are; convert it with `qemu-img convert -O raw`"
        )),
        None => Ok(()),
    }
}

/// The size of the disk that an image of this size is.
pub const fn padded(size_bytes: u64) -> u64 {
    size_bytes.next_multiple_of(SECTOR_BYTES)
}

/// An image as a disk: filled up to whole sectors.
#[derive(Debug)]
pub(super) struct Padded<R> {
    image: R,
}

impl<R: DiskReader> Padded<R> {
    pub(super) const fn new(image: R) -> Self {
        Self { image }
    }
}

impl<R: DiskReader> DiskReader for Padded<R> {
    fn size_bytes(&self) -> u64 {
        padded(self.image.size_bytes())
    }

    fn allocated(&self) -> io::Result<Vec<Range<u64>>> {
        self.image.allocated()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        check_bounds(self.size_bytes(), offset, buffer.len() as u64)?;
        let left = self.image.size_bytes().saturating_sub(offset);
        let held = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let (there, beyond) = buffer.split_at_mut(held);
        beyond.fill(0);
        if there.is_empty() { Ok(()) } else { self.image.read_at(offset, there) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only raw images: a file that is another format's is not taken for a disk.
    #[test]
    fn images_of_other_formats_are_told_apart_by_their_beginning() {
        let mut vdi = [0; 512];
        vdi[0x40..0x44].copy_from_slice(b"\x7f\x10\xda\xbe");
        for (head, format) in [
            (&b"QFI\xfb\0\0\0\x03"[..], "qcow2"),
            (b"KDMV\x01", "vmdk"),
            (b"# Disk DescriptorFile\nversion=1", "vmdk"),
            (b"vhdxfile", "vhdx"),
            (b"conectix", "vhd"),
            (&vdi, "vdi"),
        ] {
            let why = check_image(1 << 20, head).unwrap_err();
            assert!(why.contains(format) && why.contains("qemu-img convert -O raw"), "{why}");
        }
        for raw in [&b""[..], b"Q", b"\0QFI\xfb", b"\xeb\x63\x90"] {
            check_image(1, raw).unwrap();
        }
        assert!(check_image(0, b"").is_err());
        assert!(check_image(DISK_BYTES_MAX + 1, b"").is_err());
    }

    #[test]
    fn an_image_that_ends_within_a_sector_is_filled_up_with_zeros() {
        #[derive(Debug)]
        struct Sevens;
        impl DiskReader for Sevens {
            fn size_bytes(&self) -> u64 {
                700
            }
            fn allocated(&self) -> io::Result<Vec<Range<u64>>> {
                Ok(std::iter::once(0..700).collect())
            }
            fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
                check_bounds(700, offset, buffer.len() as u64)?;
                buffer.fill(7);
                Ok(())
            }
        }
        let disk = Padded::new(Sevens);
        assert_eq!(disk.size_bytes(), 1024);
        let mut bytes = [1; 1024];
        disk.read_at(0, &mut bytes).unwrap();
        assert!(bytes[..700].iter().all(|byte| *byte == 7));
        assert!(bytes[700..].iter().all(|byte| *byte == 0));
        disk.read_at(900, &mut bytes[..124]).unwrap();
        assert_eq!(bytes[..124], [0; 124]);
        assert!(disk.read_at(1000, &mut bytes).is_err());
    }
}
