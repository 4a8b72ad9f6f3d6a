//! Names and descriptions as the guide allows them (VLT-22, BAK-06, Y.4).

use serde::{Deserialize, Serialize};

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// The longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 255;

/// The name of a vault, policy or backup: Chinese characters, ASCII letters,
/// digits, `_` and `-`, 1 to 64 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// A name has no character or too many.
    #[error("a name has 1 to {NAME_CHARS_MAX} characters")]
    NameLength,
    /// A name has a character outside the allowed set.
    #[error("a name consists of Chinese characters, letters, digits, `_` and `-`; it has `{0}`")]
    NameCharacter(char),
    /// A description is too long.
    #[error("a description has at most {DESCRIPTION_CHARS_MAX} characters")]
    DescriptionLength,
    /// A description has an angle bracket (contract A.7).
    #[error("a description must not contain `<` or `>`")]
    DescriptionCharacter,
}

impl Name {
    /// `text` as a name.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
        let text = text.into();
        if text.is_empty() || text.chars().count() > NAME_CHARS_MAX {
            return Err(InvalidText::NameLength);
        }
        match text.chars().find(|c| !is_allowed(*c)) {
            Some(bad) => Err(InvalidText::NameCharacter(bad)),
            None => Ok(Self(text)),
        }
    }

    /// `text` as the name of something that was ordered: dots are allowed as well (contract C2).
    pub fn with_dots(text: impl Into<String>) -> Result<Self, InvalidText> {
        let text = text.into();
        Self::new(text.replace('.', "_")).map(|_| Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The ranges of contract A.7 and the ASCII set.
const fn is_allowed(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FA5}' | '\u{F900}'..='\u{FA2D}' | 'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-')
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// For names that were accepted once: any of them.
impl TryFrom<String> for Name {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        Self::with_dots(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// Checks a description (Y.4, contract A.7).
pub fn check_description(text: &str) -> Result<(), InvalidText> {
    if text.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(InvalidText::DescriptionLength);
    }
    if text.contains(['<', '>']) {
        return Err(InvalidText::DescriptionCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VLT-22, BAK-06, POL-08: `Name` is the type of a policy's name as well.
    #[test]
    fn names_take_chinese_letters_digits_underscore_and_hyphen_up_to_64() {
        for good in ["vault_12ab", "backup_policy", "备份-a_1", "x", &"长".repeat(64)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        assert_eq!(Name::new(""), Err(InvalidText::NameLength));
        assert_eq!(Name::new("长".repeat(65)), Err(InvalidText::NameLength));
        for bad in ["a b", "a.b", "a/b", "é", "a\n"] {
            assert!(matches!(Name::new(bad), Err(InvalidText::NameCharacter(_))), "{bad}");
        }
        assert_eq!(Name::with_dots("a.b").unwrap().as_str(), "a.b");
        assert_eq!(Name::try_from("a.b".to_owned()), Name::with_dots("a.b"));
        assert!(Name::with_dots("a b").is_err() && Name::with_dots("").is_err());
    }

    #[test]
    fn descriptions_have_no_angle_brackets_and_end_at_255() {
        assert!(check_description(&"说".repeat(255)).is_ok());
        assert_eq!(check_description(&"x".repeat(256)), Err(InvalidText::DescriptionLength));
        assert_eq!(check_description("<b>"), Err(InvalidText::DescriptionCharacter));
    }
}
