//! Tags: key and value pairs on a vault.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Most tags a vault may carry, unless an administrator says otherwise (contract A.9, Y.4, TAG-01).
pub const TAGS_MAX: usize = 10;

/// The most an administrator may allow; some clients know as many (contract C17).
pub const TAGS_LIMIT_MAX: usize = 20;

/// A key with its value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Tag {
    /// 1 to 36 characters.
    pub key: String,
    /// 0 to 43 characters.
    #[serde(default)]
    pub value: String,
}

/// A tag that an account has defined, to be chosen from (TAG-02).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PredefinedTag {
    /// The tag.
    pub tag: Tag,
    /// When it was defined.
    pub updated_at: Timestamp,
}

/// Why a set of tags is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTags {
    /// More than the limit.
    #[error("a vault carries at most {limit} tags")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The same key twice.
    #[error("tag key `{0}` appears twice")]
    Repeated(String),
    /// Key or value has a bad length or character.
    #[error("tag key `{0}` or its value has a bad length or character")]
    Text(String),
}

/// Checks the whole set a vault shall carry (TAG-01 to TAG-03, Y.4).
pub fn check_tags(tags: &[Tag], limit: usize) -> Result<(), InvalidTags> {
    if tags.len() > limit {
        return Err(InvalidTags::TooMany { limit });
    }
    for (i, tag) in tags.iter().enumerate() {
        check_tag(tag)?;
        if tags[..i].iter().any(|earlier| earlier.key == tag.key) {
            return Err(InvalidTags::Repeated(tag.key.clone()));
        }
    }
    Ok(())
}

/// Checks one tag. A dot is allowed in a value only (contract `Tag`).
pub fn check_tag(tag: &Tag) -> Result<(), InvalidTags> {
    let is_letter = |c: char| {
        matches!(c, '\u{4E00}'..='\u{9FA5}' | '\u{F900}'..='\u{FA2D}' | '_' | '-')
            || c.is_ascii_alphanumeric()
    };
    let is_key = (1..=36).contains(&tag.key.chars().count()) && tag.key.chars().all(is_letter);
    let is_value =
        tag.value.chars().count() <= 43 && tag.value.chars().all(|c| is_letter(c) || c == '.');
    if is_key && is_value {
        return Ok(());
    }
    let shown = tag.key.chars().filter(|c| !c.is_control()).take(36).collect();
    Err(InvalidTags::Text(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tags_with_different_keys_are_the_most() {
        let tags = |n: usize| -> Vec<Tag> {
            (0..n).map(|i| Tag { key: format!("k{i}"), value: String::new() }).collect()
        };
        assert_eq!(check_tags(&tags(10), TAGS_MAX), Ok(()));
        assert_eq!(check_tags(&tags(11), TAGS_MAX), Err(InvalidTags::TooMany { limit: 10 }));
        assert_eq!(check_tags(&tags(20), 20), Ok(()));
        let twice = [tags(1), tags(1)].concat();
        assert_eq!(check_tags(&twice, TAGS_MAX), Err(InvalidTags::Repeated("k0".into())));
    }

    /// TAG-02, TAG-03, Y.4.
    #[test]
    fn keys_and_values_have_their_letters_and_lengths() {
        let long = |n: usize| "备".repeat(n);
        let table = [
            ("Key_0001".to_owned(), "Value_0001".to_owned(), true),
            ("k-备份".to_owned(), String::new(), true),
            (long(36), long(43), true),
            ("k".to_owned(), "1.2".to_owned(), true),
            ("k.1".to_owned(), String::new(), false),
            (String::new(), "v".to_owned(), false),
            (long(37), String::new(), false),
            ("k".to_owned(), long(44), false),
            ("a b".to_owned(), String::new(), false),
            ("k".to_owned(), "a/b".to_owned(), false),
        ];
        for (key, value, is_good) in table {
            let tag = Tag { key, value };
            assert_eq!(check_tag(&tag).is_ok(), is_good, "{tag:?}");
        }
    }
}
