//! What a password must be.

use crate::{Error, Result};

/// The fewest characters.
const CHARS_MIN: usize = 8;
/// The most characters.
const CHARS_MAX: usize = 128;
/// So many of the four kinds of characters it must have.
const KINDS_MIN: usize = 3;
/// What everybody tries first, in lower case and without what is put around it.
const COMMON: [&str; 24] = [
    "password",
    "passw0rd",
    "p@ssword",
    "p@ssw0rd",
    "qwerty",
    "123456",
    "abc123",
    "letmein",
    "welcome",
    "admin",
    "administrator",
    "changeme",
    "iloveyou",
    "monkey",
    "dragon",
    "huawei",
    "1qaz2wsx",
    "root",
    "secret",
    "default",
    "master",
    "login",
    "test",
    "backup",
];

/// Whether `password` is good enough for the user called `user`.
pub(crate) fn check(password: &str, user: &str) -> Result<()> {
    let refused = |reason: String| Err(Error::invalid("password", reason));
    let length = password.chars().count();
    if !(CHARS_MIN..=CHARS_MAX).contains(&length) {
        return refused(format!("it has {CHARS_MIN} to {CHARS_MAX} characters"));
    }
    let is_special = |c: char| !c.is_alphanumeric();
    let kinds = [char::is_lowercase, char::is_uppercase, char::is_numeric, is_special]
        .iter()
        .filter(|kind| password.chars().any(kind))
        .count();
    if kinds < KINDS_MIN {
        return refused(format!(
            "it needs {KINDS_MIN} of: lower case, upper case, digits, special characters"
        ));
    }
    let (lower, user) = (password.to_lowercase(), user.to_lowercase());
    let backwards: String = user.chars().rev().collect();
    if !user.is_empty() && (lower.contains(&user) || lower.contains(&backwards)) {
        return refused("it must not hold the user's name, forwards or backwards".to_owned());
    }
    let core = lower.trim_matches(|c: char| !c.is_alphabetic());
    if COMMON.contains(&core) || COMMON.contains(&lower.as_str()) {
        return refused("it is one of those that everybody tries first".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_refused_and_strong_ones_taken() {
        for good in
            ["Cloud-7-Storm", "correct Horse battery 9", "ÄpfelUndBirnen1", &"aB1".repeat(42)]
        {
            assert!(check(good, "alice").is_ok(), "{good}");
        }
        for bad in [
            "",
            "aB1-xyz",
            "onlyletters",
            "lower-case-only",
            "12345678901234",
            "Xalice-2026",
            "eCilA-2026-x",
            "Password1!",
            "P@ssw0rd",
            "Welcome2026!",
            &"aB1".repeat(43),
        ] {
            assert!(check(bad, "alice").is_err(), "{bad}");
        }
    }

    /// P32.
    #[test]
    fn a_refusal_does_not_repeat_the_password() {
        let refused = check("Xalice-2026", "alice").unwrap_err().to_string();
        assert!(!refused.contains("2026"), "{refused}");
    }
}
