//! Big-endian fields out of a slice that is already in memory.

/// Bytes that are not what the protocol allows there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

const SHORT: Malformed = Malformed("shorter than its fields");

/// A slice read from its beginning.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A UTF-8 string of `length` bytes, at most [`super::numbers::STRING_MAX`].
    pub(crate) fn string(&mut self, length: u32) -> Result<&'a str, Malformed> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > super::numbers::STRING_MAX {
            return Err(Malformed("a string is too long"));
        }
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Malformed("a string is not UTF-8"))
    }

    /// A string behind its 32-bit length.
    pub(crate) fn counted_string(&mut self) -> Result<&'a str, Malformed> {
        let length = self.u32()?;
        self.string(length)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("longer than its fields")) }
    }
}
