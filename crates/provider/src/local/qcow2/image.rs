//! Reading and writing the disk inside a qcow2 image, by the `imago` library.
//!
//! The library checks much of an image with assertions. A damaged image must not
//! end a thread of ours, so every call into it is isolated and a panic becomes an
//! error (P29). Not here: refusing images (`header.rs`).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use imago::file::File as ImageFile;
use imago::format::access::Mapping;
use imago::format::builder::{FormatCreateBuilder, FormatDriverBuilder};
use imago::qcow2::Qcow2;
use imago::{DenyImplicitOpenGate, FormatAccess};

use super::header::Header;
use super::tables::Piece;
use super::{occupancy, tables};
use crate::disk::{DiskReader, DiskWriter, Ranges, check_bounds};
use crate::local::raw::Broken;

/// How many zeros are written at once where a range cannot be deallocated.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

type Access = FormatAccess<ImageFile>;

/// Makes an empty image of `size_bytes` in an empty file. Not durable before a sync.
pub(crate) fn create(file: File, size_bytes: u64) -> io::Result<()> {
    isolated(|| {
        let file = ImageFile::try_from(file)?;
        Qcow2::<ImageFile>::create_builder(file).size(size_bytes).create()
    })
}

/// Makes an empty qcow2 image of `size_bytes` in an empty file, to be written. What was written is
/// there only once the writer was flushed and dropped.
pub fn qcow2_image(file: File, size_bytes: u64) -> io::Result<Box<dyn DiskWriter>> {
    create(file.try_clone()?, size_bytes)?;
    Ok(Box::new(Qcow2Writer::new(file)?))
}

/// Fills `buffer`, of at most a sector, with the first bytes of the disk, without looking through all tables.
pub(crate) fn read_first(file: &File, buffer: &mut [u8]) -> io::Result<()> {
    match tables::first(file, &check_header(file)?)? {
        Some(Piece::Data(offset)) => file.read_exact_at(buffer, offset),
        Some(Piece::Compressed(_)) => Qcow2Reader::new(file.try_clone()?)?.read_at(0, buffer),
        Some(Piece::Table(_) | Piece::Reserved(_)) | None => {
            buffer.fill(0);
            Ok(())
        }
    }
}

/// Reads the disk inside an image.
#[derive(Debug)]
pub(crate) struct Qcow2Reader {
    access: Access,
}

impl Qcow2Reader {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let header = check_header(&file)?;
        tables::check_for_reading(&file, &header)?;
        Ok(Self { access: open(file, false)? })
    }
}

impl DiskReader for Qcow2Reader {
    fn size_bytes(&self) -> u64 {
        self.access.size()
    }

    fn allocated(&self) -> io::Result<Vec<Range<u64>>> {
        let mut ranges = Ranges::default();
        walk(&self.access, 0..self.access.size(), |range, place| {
            if place == Place::File {
                ranges.push(range);
            }
            Ok(())
        })?;
        Ok(ranges.into_vec())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        check_bounds(self.size_bytes(), offset, buffer.len() as u64)?;
        isolated(|| self.access.read(buffer, offset))
    }
}

/// Writes the disk inside an image.
#[derive(Debug)]
pub(crate) struct Qcow2Writer {
    /// One call at a time: metadata is shared anyway. `None` only while it is dropped.
    access: Mutex<Option<Access>>,
    size_bytes: u64,
    is_known_zero: bool,
    broken: Broken,
}

impl Qcow2Writer {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let header = check_header(&file)?;
        if header.internal_snapshots > 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the qcow2 image holds internal snapshots; delete them with `qemu-img snapshot -d`",
            ));
        }
        let is_known_zero = occupancy::check_for_writing(&file, &header)?.is_zero;
        let access = open(file, true)?;
        let size_bytes = access.size();
        let (access, broken) = (Mutex::new(Some(access)), Broken::default());
        Ok(Self { access, size_bytes, is_known_zero, broken })
    }

    fn with<T>(&self, action: impl FnOnce(&mut Access) -> io::Result<T>) -> io::Result<T> {
        let mut access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        let access = access.as_mut().ok_or_else(|| io::Error::other("the image is closed"))?;
        isolated(|| action(access))
    }
}

impl Drop for Qcow2Writer {
    /// The library writes what is left when it lets go, and may panic over a damaged image.
    fn drop(&mut self) {
        let access = self.access.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // What matters was flushed before; a restore without a flush is not finished.
        let _ = isolated(|| {
            drop(access);
            Ok(())
        });
    }
}

impl DiskWriter for Qcow2Writer {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn is_known_zero(&self) -> bool {
        self.is_known_zero
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.broken.guard(|| {
            check_bounds(self.size_bytes, offset, data.len() as u64)?;
            self.with(|access| access.write(data, offset))
        })
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.broken.guard(|| {
            check_bounds(self.size_bytes, range.start, range.end.saturating_sub(range.start))?;
            self.with(|access| deallocate(access, range))
        })
    }

    fn flush(&self) -> io::Result<()> {
        self.broken.guard(|| {
            self.with(|access| {
                access.flush()?;
                access.sync()
            })
        })
    }
}

/// Makes a range read as zeros. What reads as zeros already is left alone: touching
/// it would fill an empty image with tables.
fn deallocate(access: &mut Access, range: Range<u64>) -> io::Result<()> {
    let mut data = Ranges::default();
    walk(access, range, |range, place| {
        if place == Place::File {
            data.push(range);
        }
        Ok(())
    })?;
    for range in data.into_vec() {
        match access.discard_to_zero(range.start, range.end - range.start) {
            // Version 2 images know no zeroed clusters.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => write_zeros(access, range)?,
            result => result?,
        }
    }
    Ok(())
}

fn write_zeros(access: &Access, range: Range<u64>) -> io::Result<()> {
    let mut offset = range.start;
    while offset < range.end {
        let length = ZEROS.len().min(usize::try_from(range.end - offset).unwrap_or(usize::MAX));
        access.write(&ZEROS[..length], offset)?;
        offset += length as u64;
    }
    Ok(())
}

/// Where a piece of the disk lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nowhere: it reads as zeros.
    Zero,
    /// In the file, compressed or not.
    File,
}

/// Visits the pieces of `range` in order.
fn walk(
    access: &Access,
    range: Range<u64>,
    mut visit: impl FnMut(Range<u64>, Place) -> io::Result<()>,
) -> io::Result<()> {
    let mut offset = range.start;
    while offset < range.end {
        let (mapping, length) = isolated(|| access.get_mapping(offset, range.end - offset))?;
        let place = match mapping {
            Mapping::Zero { .. } => Place::Zero,
            Mapping::Raw { .. } | Mapping::Special { .. } => Place::File,
            _ => break,
        };
        let end = offset.saturating_add(length).min(range.end);
        if end <= offset {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the map does not go on"));
        }
        visit(offset..end, place)?;
        offset = end;
    }
    Ok(())
}

fn check_header(file: &File) -> io::Result<Header> {
    Header::read(file)?.map_err(|unusable| io::Error::new(io::ErrorKind::InvalidData, unusable))
}

/// Opens an image whose header and tables were checked.
fn open(file: File, writable: bool) -> io::Result<Access> {
    isolated(|| {
        // The header names no other file, and if it did: nothing is opened.
        let image = Qcow2::<ImageFile>::builder(ImageFile::try_from(file)?)
            .backing(None)
            .data_file(None)
            .write(writable)
            .open(DenyImplicitOpenGate::default())?;
        Ok(FormatAccess::new(image))
    })
}

/// Runs a call into the library and turns a panic of it into an error.
fn isolated<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::InvalidData, "the qcow2 image is damaged"))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    const CLUSTER: u64 = 64 << 10;

    /// P1: bytes that the file has lost are not backed up as zeros, also not those in the middle
    /// of a long piece that begins before the end of the file.
    #[test]
    fn an_image_that_is_cut_off_is_refused_wherever_it_is_cut() {
        let image = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().read(true).write(true).open(image.path()).unwrap();
        create(open(), 64 * CLUSTER).unwrap();
        let writer = Qcow2Writer::new(open()).unwrap();
        writer.write_at(0, &vec![7; 32 << 16]).unwrap();
        writer.flush().unwrap();
        drop(writer);
        let reader = Qcow2Reader::new(open()).unwrap();
        let allocated = reader.allocated().unwrap();
        assert_eq!((allocated.len(), allocated[0].end), (1, 32 * CLUSTER));
        let whole = open().metadata().unwrap().len();
        let mut last = [0];
        open().read_exact_at(&mut last, whole - 1).unwrap();
        assert_eq!(last, [7], "the data lies at the end of the file");
        for clusters in 1..=20 {
            open().set_len(whole - clusters * CLUSTER).unwrap();
            let answer = Qcow2Reader::new(open()).and_then(|reader| reader.allocated());
            assert!(answer.is_err(), "{clusters} clusters are missing: {answer:?}");
        }
    }

    /// P1: the L2 table itself is lost, and with it all it leads to.
    #[test]
    fn an_image_whose_file_ends_before_an_l2_table_is_refused() {
        const GIB: u64 = 1 << 30;
        let image = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().read(true).write(true).open(image.path()).unwrap();
        create(open(), 2 * GIB).unwrap();
        let writer = Qcow2Writer::new(open()).unwrap();
        for offset in [0, 2 * GIB - CLUSTER] {
            writer.write_at(offset, &[7; 512]).unwrap();
        }
        writer.flush().unwrap();
        drop(writer);
        let mut tables = Vec::new();
        let header = check_header(&open()).unwrap();
        tables::visit(&open(), &header, header.l1_entries, |_, piece| {
            if let tables::Piece::Table(offset) = piece {
                tables.push(offset);
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(tables.len(), 2);
        assert_eq!(Qcow2Reader::new(open()).unwrap().allocated().unwrap().len(), 2);
        open().set_len(tables[1]).unwrap();
        let error = Qcow2Reader::new(open()).unwrap_err();
        assert!(error.to_string().contains("its L2 table at"), "{error}");
    }
}
