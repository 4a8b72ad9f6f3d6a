//! What all records have in common: one section in an envelope.

use cbr_env::Random;

use crate::backend::Key;
use crate::crypto::KeyRing;
use crate::error::{Error, Result};
use crate::format::codec::{Decoded, Decoder, Encoder};
use crate::format::envelope::{ObjectKind, Reader, SectionType, Writer};

/// The longest text field of a record, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;

/// A value that is stored as an object of its own.
pub trait Record: Sized {
    /// The object's kind.
    const KIND: ObjectKind;
    /// Its one section.
    const SECTION: SectionType = SectionType::Record;

    /// Appends the stored form.
    fn encode(&self, to: &mut Encoder);
    /// Reads the stored form; any input gives a value or an error.
    fn decode(from: &mut Decoder<'_>) -> Decoded<Self>;

    /// The object's bytes, to be put under `key`.
    fn seal(&self, key: &Key, keys: &dyn KeyRing, random: &dyn Random) -> Vec<u8> {
        let mut to = Encoder::new();
        self.encode(&mut to);
        Writer::new(Self::KIND, keys, random).section(Self::SECTION, to.into_bytes()).finish(key)
    }

    /// Reads the object found under `key`.
    fn open(object: &[u8], key: &Key, keys: &dyn KeyRing) -> Result<Self> {
        let reader = Reader::open(object, Self::KIND, key, keys)?;
        let plain = reader.section(Self::SECTION, key, keys)?;
        let mut from = Decoder::new(&plain);
        Self::decode(&mut from)
            .and_then(|record| from.finish().map(|()| record))
            .map_err(|wrong| Error::damaged(key, wrong.0))
    }
}
