//! The encoding of tables and records: little-endian fixed numbers, minimal
//! varints, length-prefixed bytes.
//!
//! One value has one encoding: a varint longer than needed, an unknown tag or
//! a byte left over is damage.

use uuid::Uuid;

/// What a decoder found wrong. The caller adds which object it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// A decoder's result.
pub type Decoded<T> = Result<T, Malformed>;

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends to what is already in `bytes`.
    pub fn onto(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// What was encoded.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// One to ten bytes: seven bits each from the lowest, the top bit says that more follow.
    pub fn varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                return self.bytes.push(low);
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// A length as a varint.
    pub fn count(&mut self, count: usize) {
        self.varint(count as u64);
    }

    /// Bytes as they are; the decoder knows how many.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A count, then the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, id: Uuid) {
        self.raw(id.as_bytes());
    }

    /// 0, or 1 and the value.
    pub fn option<T>(&mut self, value: Option<T>, encode: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                encode(self, value);
            }
        }
    }
}

/// Takes values from the front of a slice.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads `bytes` from the front.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Ends the decoding: nothing may be left over.
    pub fn finish(self) -> Decoded<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes left over")) }
    }

    /// The next `count` bytes.
    pub fn raw(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed("cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed("cut short"))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Decoded<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self) -> Decoded<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Decoded<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Decoded<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A varint in its shortest form.
    pub fn varint(&mut self) -> Decoded<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed("number too large"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let is_minimal = shift == 0 || byte != 0;
                return if is_minimal { Ok(value) } else { Err(Malformed("number not minimal")) };
            }
        }
        Err(Malformed("number too large"))
    }

    /// A varint that fits 32 bits.
    pub fn varint_u32(&mut self) -> Decoded<u32> {
        u32::try_from(self.varint()?).map_err(|_| Malformed("number too large"))
    }

    /// A count of things that take at least `each_bytes_min` encoded bytes, at most `max` of them.
    ///
    /// Whoever allocates by a count reads it here: it never exceeds what the input can hold.
    pub fn count(&mut self, max: usize, each_bytes_min: usize) -> Decoded<usize> {
        let count = usize::try_from(self.varint()?).map_err(|_| Malformed("count too large"))?;
        if count > max {
            return Err(Malformed("count too large"));
        }
        if count.saturating_mul(each_bytes_min) > self.left() {
            return Err(Malformed("cut short"));
        }
        Ok(count)
    }

    /// A count, then at most `max` bytes.
    pub fn bytes(&mut self, max: usize) -> Decoded<&'a [u8]> {
        let count = self.count(max, 1)?;
        self.raw(count)
    }

    /// A count, then at most `max` bytes of UTF-8.
    pub fn text(&mut self, max: usize) -> Decoded<&'a str> {
        std::str::from_utf8(self.bytes(max)?).map_err(|_| Malformed("text is not UTF-8"))
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self) -> Decoded<Uuid> {
        self.array().map(Uuid::from_bytes)
    }

    /// 0, or 1 and the value.
    pub fn option<T>(
        &mut self,
        decode: impl FnOnce(&mut Self) -> Decoded<T>,
    ) -> Decoded<Option<T>> {
        match self.u8()? {
            0 => Ok(None),
            1 => decode(self).map(Some),
            _ => Err(Malformed("neither present nor absent")),
        }
    }
}
