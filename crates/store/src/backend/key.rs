//! The name of an object in a backend.
//!
//! Narrow enough to be a file name on every file system, an S3 key and a part
//! of a URL without any escaping, so one name is one object everywhere.

use std::fmt;
use std::str::FromStr;

use super::interface::{BackendError, Op};

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// The longest part of a key between two `/`, in bytes.
pub const SEGMENT_BYTES_MAX: usize = 200;

/// A validated name: segments of `[A-Za-z0-9._-]`, joined by `/`, none of which begins with a dot.
///
/// The leading dot is what a backend may use for files of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`BackendError::Refused`] if it is not a key.
    pub fn new(name: impl Into<String>) -> Result<Self, BackendError> {
        let name = name.into();
        if Self::is_valid(&name) {
            return Ok(Self(name));
        }
        let reason = "not an object name".to_owned();
        Err(BackendError::Refused { op: Op::Name, key: shorten(name), reason })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` could be a key.
    pub fn is_valid(name: &str) -> bool {
        name.len() <= KEY_BYTES_MAX && name.split('/').all(is_segment)
    }

    /// For names built by this crate from ids and numbers only.
    pub(crate) fn from_parts(name: String) -> Self {
        debug_assert!(Self::is_valid(&name), "{name:?}");
        Self(name)
    }
}

fn is_segment(segment: &str) -> bool {
    !segment.is_empty()
        && segment.len() <= SEGMENT_BYTES_MAX
        && !segment.starts_with('.')
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn shorten(mut name: String) -> String {
    let mut end = name.len().min(64);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_segments_of_safe_characters_without_leading_dots() {
        let long = "a".repeat(SEGMENT_BYTES_MAX);
        let deep = format!("{0}/{0}", "b".repeat(199));
        for good in ["store.v1", "t/0/c/00.claim", "A_b-c.9", &long, &deep] {
            assert!(Key::is_valid(good), "{good}");
        }
        let too_long_part = "a".repeat(SEGMENT_BYTES_MAX + 1);
        let too_long = ["a".repeat(180), "b".repeat(180), "c".repeat(180)].join("/");
        let bad = [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/.b",
            ".tmp",
            "a b",
            "ä",
            "a\0",
            "a\\b",
            "a:b",
            &too_long_part,
            &too_long,
        ];
        for bad in bad {
            assert!(Key::new(bad).is_err(), "{bad}");
        }
    }
}
