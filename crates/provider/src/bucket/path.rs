//! Names of objects in a bucket. They come from tenants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest path.
pub const PATH_BYTES_MAX: usize = 1024;
/// The longest part of a path.
const PART_BYTES_MAX: usize = 255;

/// The path of an object in a bucket: parts with `/` between them, none of which leads out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ObjectPath(String);

/// Text that is no path of an object.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "it must be the path of a file beneath the bucket: at most {PATH_BYTES_MAX} bytes, no `/` at the beginning or \
     the end, no part that is empty, `.` or `..`, no control characters"
)]
pub struct InvalidPath;

impl ObjectPath {
    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts; at least one.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The path without this ending; none if it does not end so.
    pub fn without(&self, suffix: &str) -> Option<Self> {
        self.0.strip_suffix(suffix)?.parse().ok()
    }
}

impl FromStr for ObjectPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.len() <= PART_BYTES_MAX
                && !part.chars().any(char::is_control)
        };
        if text.len() <= PATH_BYTES_MAX && text.split('/').all(is_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPath)
        }
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<ObjectPath> for String {
    fn from(path: ObjectPath) -> Self {
        path.0
    }
}

impl TryFrom<String> for ObjectPath {
    type Error = InvalidPath;

    fn try_from(text: String) -> Result<Self, InvalidPath> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract C33 `image_path`: a tenant's text leads nowhere else.
    #[test]
    fn no_path_leads_out_of_its_bucket() {
        for good in [
            "a",
            "a/b.raw",
            "a b",
            "..a",
            "ä/ö.img",
            &"x/".repeat(300).replace("x/x", "x/y")[..599],
        ] {
            assert_eq!(good.parse::<ObjectPath>().map(String::from).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a\0b",
            "a\nb",
            &"x".repeat(256),
        ] {
            assert_eq!(bad.parse::<ObjectPath>(), Err(InvalidPath), "{bad:?}");
        }
        assert_eq!("y/".repeat(600)[..1199].parse::<ObjectPath>(), Err(InvalidPath), "too long");
    }

    #[test]
    fn a_suffix_is_taken_off_only_if_a_path_is_left() {
        let path: ObjectPath = "a/b.raw.cbr.json".parse().unwrap();
        assert_eq!(path.without(".cbr.json").unwrap().as_str(), "a/b.raw");
        assert_eq!(path.without(".json5"), None);
        let bare: ObjectPath = "a/.cbr.json".parse().unwrap();
        assert_eq!(bare.without(".cbr.json"), None);
    }
}
