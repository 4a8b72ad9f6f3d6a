//! Names and descriptions in identity and access, and how many there may be of what.

use crate::{Error, Result};

/// Accounts of an installation.
pub(crate) const ACCOUNTS_MAX: usize = 1000;
/// Users of an account.
pub(crate) const USERS_MAX: usize = 1000;
/// Groups of an account.
pub(crate) const GROUPS_MAX: usize = 200;
/// Policies an account makes for itself.
pub(crate) const CUSTOM_ROLES_MAX: usize = 200;
/// Policies granted to one group or agency.
pub(crate) const GRANTS_MAX: usize = 200;
/// Projects of an account.
pub(crate) const PROJECTS_MAX: usize = 100;
/// Agencies of an account.
pub(crate) const AGENCIES_MAX: usize = 100;
/// Enterprise projects of an account, without the one it has anyway.
pub(crate) const ENTERPRISE_PROJECTS_MAX: usize = 200;
/// Permanent access keys of a user.
pub(crate) const ACCESS_KEYS_MAX: usize = 2;

const NAME_CHARS_MAX: usize = 64;
const DESCRIPTION_CHARS_MAX: usize = 255;
const EMAIL_CHARS_MAX: usize = 255;

/// Refuses a name that is empty, too long, or has what could be taken for something else.
pub(crate) fn check_name(field: &'static str, name: &str) -> Result<()> {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '@');
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARS_MAX {
        return Err(Error::invalid(field, format!("it has 1 to {NAME_CHARS_MAX} characters")));
    }
    if name.trim() != name || !name.chars().all(is_allowed) {
        let reason = "it consists of letters, digits, `_`, `-`, `.`, `@` and blanks in between";
        return Err(Error::invalid(field, reason));
    }
    Ok(())
}

/// Refuses a description that is too long or has angle brackets.
pub(crate) fn check_description(text: &str) -> Result<()> {
    if text.chars().count() > DESCRIPTION_CHARS_MAX {
        let reason = format!("it has at most {DESCRIPTION_CHARS_MAX} characters");
        return Err(Error::invalid("description", reason));
    }
    if text.contains(['<', '>']) || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Error::invalid(
            "description",
            "it must not contain `<`, `>` or control characters",
        ));
    }
    Ok(())
}

/// Refuses what is no mail address; none is fine.
pub(crate) fn check_email(text: &str) -> Result<()> {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | ',');
    let has_form = text
        .split_once('@')
        .is_some_and(|(who, host)| !who.is_empty() && host.contains('.') && !host.contains('@'));
    if text.is_empty() || (has_form && text.chars().all(is_plain) && text.len() <= EMAIL_CHARS_MAX)
    {
        Ok(())
    } else {
        Err(Error::invalid("email", "it is no mail address"))
    }
}

/// Refuses one more when there are as many as there may be.
pub(crate) fn check_room(noun: &'static str, there_are: usize, limit: usize) -> Result<()> {
    if there_are < limit { Ok(()) } else { Err(Error::IdentityLimit { noun, limit }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_descriptions_and_addresses_have_their_forms() {
        for good in ["alice", "backup operators", "备份", "a.b-c_d@e", &"x".repeat(64)] {
            assert!(check_name("name", good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a\nb", "<b>", "a/b", "a:b", &"x".repeat(65)] {
            assert!(check_name("name", bad).is_err(), "{bad}");
        }
        assert!(check_description("two\nlines").is_ok());
        for bad in ["<i>", "\u{7}", &"x".repeat(256)] {
            assert!(check_description(bad).is_err(), "{bad}");
        }
        for good in ["", "a@example.org"] {
            assert!(check_email(good).is_ok(), "{good}");
        }
        for bad in ["a", "@example.org", "a@b", "a@b@c.d", "a b@example.org"] {
            assert!(check_email(bad).is_err(), "{bad}");
        }
    }
}
