//! `service:resource:verb`, with `*` for any text within a part (IAM-09). Letters' case does not matter.

use serde::{Deserialize, Serialize};

/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 128;

/// Which actions a statement is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// Text that names no actions.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "`{0}` is no action: write service:resource:verb, each of letters, digits, `-`, `_` and `*`"
)]
pub struct InvalidPattern(String);

impl Pattern {
    /// `text` as a pattern.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidPattern> {
        let text = text.into();
        let parts: Vec<&str> = text.split(':').collect();
        let is_text = |part: &&str| part.bytes().all(is_allowed);
        // A few actions of the contract have no resource: `cbr::updateThirdAuth`.
        let is_whole = parts.len() == 3 && !parts[0].is_empty() && !parts[2].is_empty();
        if is_whole && parts.iter().all(is_text) && text.len() <= PATTERN_BYTES_MAX {
            Ok(Self(text))
        } else {
            Err(InvalidPattern(text.chars().take(PATTERN_BYTES_MAX).collect()))
        }
    }

    /// Whether `action` is one of those meant.
    pub fn matches(&self, action: &str) -> bool {
        let mut wanted = action.split(':');
        self.0
            .split(':')
            .all(|part| wanted.next().is_some_and(|word| glob(part.as_bytes(), word.as_bytes())))
            && wanted.next().is_none()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'_')
}

/// Whether `pattern` fits `text`; takes at most their lengths multiplied.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // After a star: where to go on when what follows does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|byte| byte.eq_ignore_ascii_case(&text[t])) {
            p += 1;
            t += 1;
        } else if let Some((after, from)) = retry {
            p = after;
            t = from + 1;
            retry = Some((after, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        Self::new(text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IAM-09: a star stands for any text, but never for more than its part.
    #[test]
    fn stars_stand_for_text_within_their_part() {
        let cases = [
            ("cbr:vaults:get", "cbr:vaults:get", true),
            ("cbr:vaults:get", "cbr:vaults:getTags", false),
            ("cbr:*:get*", "cbr:vaults:getTags", true),
            ("cbr:*:get*", "cbr:vaults:list", false),
            ("cbr:*:get*", "evs:volumes:get", false),
            ("*:*:*", "evs:volumes:create", true),
            ("cbr:vaults:*Tags", "cbr:vaults:bulkCreateOrDeleteTags", true),
            ("cbr:vaults:*a*b*", "cbr:vaults:xaxxaxbx", true),
            ("cbr:vaults:*a*b*", "cbr:vaults:xbxa", false),
            ("cbr:*:*", "cbr::updateThirdAuth", true),
            ("CBR:Vaults:GET", "cbr:vaults:get", true),
            ("cbr:vaults:*", "cbr:vaults", false),
            ("cbr:vaults:*", "cbr:vaults:a:b", false),
            ("cbr:*:*", "cbr:vaults:a:b", false),
        ];
        for (pattern, action, fits) in cases {
            assert_eq!(Pattern::new(pattern).unwrap().matches(action), fits, "{pattern} {action}");
        }
    }

    #[test]
    fn what_is_no_action_is_refused() {
        let long = format!("cbr:vaults:{}", "x".repeat(PATTERN_BYTES_MAX));
        for bad in [
            "",
            "*",
            "cbr",
            "cbr:vaults",
            "cbr:vaults:",
            ":v:g",
            "a:b:c:d",
            "a:b c:d",
            "a:ä:c",
            &long,
        ] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn many_stars_cost_no_more_than_their_lengths_multiplied() {
        let pattern = Pattern::new(format!("a:b:{}c", "*a".repeat(60))).unwrap();
        assert!(!pattern.matches(&format!("a:b:{}", "a".repeat(100_000))));
    }
}
