//! Tags: key and value pairs on a vault.

use serde::{Deserialize, Serialize};

/// Most tags a vault may carry (contract A.9, Y.4).
pub const TAGS_MAX: usize = 10;

/// A key with its value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Tag {
    /// 1 to 36 characters.
    pub key: String,
    /// 0 to 43 characters.
    #[serde(default)]
    pub value: String,
}

/// Why a set of tags is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTags {
    /// More than [`TAGS_MAX`].
    #[error("a vault carries at most {TAGS_MAX} tags")]
    TooMany,
    /// The same key twice.
    #[error("tag key `{0}` appears twice")]
    Repeated(String),
    /// Key or value has a bad length or character.
    #[error("tag key `{0}` or its value has a bad length or character")]
    Text(String),
}

/// Checks the whole set a vault shall carry (Y.4).
pub fn check_tags(tags: &[Tag]) -> Result<(), InvalidTags> {
    if tags.len() > TAGS_MAX {
        return Err(InvalidTags::TooMany);
    }
    for (i, tag) in tags.iter().enumerate() {
        let allowed = |text: &str| {
            text.chars().all(|c| {
                matches!(c, '\u{4E00}'..='\u{9FA5}' | '\u{F900}'..='\u{FA2D}' | '_' | '-')
                    || c.is_ascii_alphanumeric()
            })
        };
        let key_chars = tag.key.chars().count();
        if !(1..=36).contains(&key_chars)
            || tag.value.chars().count() > 43
            || !allowed(&tag.key)
            || !allowed(&tag.value)
        {
            return Err(InvalidTags::Text(tag.key.chars().take(36).collect()));
        }
        if tags[..i].iter().any(|earlier| earlier.key == tag.key) {
            return Err(InvalidTags::Repeated(tag.key.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tags_with_different_keys_are_the_most() {
        let tags = |n: usize| -> Vec<Tag> {
            (0..n).map(|i| Tag { key: format!("k{i}"), value: String::new() }).collect()
        };
        assert_eq!(check_tags(&tags(10)), Ok(()));
        assert_eq!(check_tags(&tags(11)), Err(InvalidTags::TooMany));
        let twice = [tags(1), tags(1)].concat();
        assert_eq!(check_tags(&twice), Err(InvalidTags::Repeated("k0".into())));
        let bad = [Tag { key: "a b".into(), value: String::new() }];
        assert!(matches!(check_tags(&bad), Err(InvalidTags::Text(_))));
    }
}
