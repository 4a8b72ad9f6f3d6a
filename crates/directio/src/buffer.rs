//! Bytes that begin where a page begins.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::file::ALIGN_BYTES;

/// A buffer whose first byte is aligned for direct writes. Its memory is kept when it shrinks.
#[derive(Default)]
pub struct PageBuffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl PageBuffer {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, len: 0 }
    }

    /// Makes the buffer `len` bytes long. Which bytes those are is not said: it is to be filled.
    pub fn set_len(&mut self, len: usize) {
        if self.bytes.len() < self.start + len {
            self.bytes = vec![0; len + ALIGN_BYTES];
            // Where no offset aligns (it always does for bytes), writes go through the page cache.
            self.start = self.bytes.as_ptr().align_offset(ALIGN_BYTES).min(ALIGN_BYTES);
        }
        self.len = len;
    }

    /// Makes the buffer empty.
    pub const fn clear(&mut self) {
        self.len = 0;
    }
}

impl Deref for PageBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl DerefMut for PageBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

impl fmt::Debug for PageBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageBuffer").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_whatever_its_length_was_before() {
        let mut buffer = PageBuffer::new();
        for len in [0, 1, 4096, 1 << 20, 5, 3 << 20] {
            buffer.set_len(len);
            assert_eq!(buffer.len(), len);
            assert!(len == 0 || buffer.as_ptr().align_offset(ALIGN_BYTES) == 0, "{len}");
        }
        buffer.clear();
        assert!(buffer.is_empty());
    }
}
