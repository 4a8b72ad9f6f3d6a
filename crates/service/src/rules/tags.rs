//! How the tags of a vault change, and what may be asked about them (TAG-01 … TAG-06, contract C17 … C22).

use std::collections::BTreeSet;

use cbr_model::query::{TagFilter, TagMatch, ValueMatch};
use cbr_model::tag::{InvalidTags, Tag, check_tags};

use crate::{Error, Result};

/// The most tags one call adds or removes (contract C17).
const TAGS_PER_CALL_MAX: usize = 10;
/// The most keys in one list of a question, and the most values of a key (contract C22).
const ASKED_MAX: usize = 10;
/// The longest key and value of a question, in characters (contract `TagsReq`).
const KEY_CHARS_MAX: usize = 127;
const VALUE_CHARS_MAX: usize = 255;

/// The tags of a vault after `new` were put on it: a key that is there keeps its place and gets the
/// new value.
pub(crate) fn with(existing: &[Tag], new: &[Tag], limit: usize) -> Result<Vec<Tag>> {
    check_number(new.len())?;
    let mut keys = BTreeSet::new();
    if let Some(twice) = new.iter().find(|tag| !keys.insert(&tag.key)) {
        return Err(InvalidTags::Repeated(twice.key.clone()).into());
    }
    let mut tags = existing.to_vec();
    for tag in new {
        cbr_model::tag::check_tag(tag)?;
        match tags.iter_mut().find(|known| known.key == tag.key) {
            Some(known) => known.value.clone_from(&tag.value),
            None => tags.push(tag.clone()),
        }
    }
    // A limit that was lowered does not stop a value from being changed.
    check_tags(&tags, limit.max(existing.len()))?;
    Ok(tags)
}

/// The tags of a vault after those of `keys` were taken away. Keys that are not there are fine.
pub(crate) fn without(existing: &[Tag], keys: &[String]) -> Result<Vec<Tag>> {
    check_number(keys.len())?;
    Ok(existing.iter().filter(|tag| !keys.contains(&tag.key)).cloned().collect())
}

/// The tags of a vault after the one of `key` was taken away.
pub(crate) fn without_one(existing: &[Tag], key: &str) -> Result<Vec<Tag>> {
    let left: Vec<Tag> = existing.iter().filter(|tag| tag.key != key).cloned().collect();
    if left.len() == existing.len() {
        let shown = key.chars().filter(|c| !c.is_control()).take(36).collect();
        return Err(Error::TagNotFound(shown));
    }
    Ok(left)
}

fn check_number(number: usize) -> Result<()> {
    if (1..=TAGS_PER_CALL_MAX).contains(&number) {
        return Ok(());
    }
    Err(Error::invalid("tags", format!("1 to {TAGS_PER_CALL_MAX} in one call")))
}

/// Keys and values each once, and not too many of them.
pub(crate) fn check_filter(filter: &TagFilter) -> Result<()> {
    let lists = [
        ("tags", &filter.all),
        ("tags_any", &filter.any),
        ("not_tags", &filter.not_all),
        ("not_tags_any", &filter.not_any),
    ];
    for (field, list) in lists {
        if list.len() > ASKED_MAX {
            return Err(Error::invalid(field, format!("at most {ASKED_MAX} keys")));
        }
        let mut keys = BTreeSet::new();
        for tag in list {
            if !keys.insert(&tag.key) {
                return Err(Error::invalid(field, "a key appears twice"));
            }
            check_match(field, tag)?;
        }
    }
    Ok(())
}

fn check_match(field: &'static str, tag: &TagMatch) -> Result<()> {
    if !(1..=KEY_CHARS_MAX).contains(&tag.key.chars().count()) {
        return Err(Error::invalid(field, format!("a key has 1 to {KEY_CHARS_MAX} characters")));
    }
    if tag.values.len() > ASKED_MAX {
        return Err(Error::invalid(field, format!("at most {ASKED_MAX} values of a key")));
    }
    for (i, value) in tag.values.iter().enumerate() {
        let (ValueMatch::Is(text) | ValueMatch::Contains(text)) = value;
        if text.chars().count() > VALUE_CHARS_MAX {
            let reason = format!("a value has at most {VALUE_CHARS_MAX} characters");
            return Err(Error::invalid(field, reason));
        }
        if tag.values[..i].contains(value) {
            return Err(Error::invalid(field, "a value appears twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag { key: key.into(), value: value.into() }
    }

    /// TAG-04, contract C17, C18: what is there gets a new value and keeps its place.
    #[test]
    fn a_key_that_is_there_gets_the_new_value() {
        let existing = [tag("a", "1"), tag("b", "2")];
        let after = with(&existing, &[tag("c", "3"), tag("a", "9")], 10).unwrap();
        assert_eq!(after, [tag("a", "9"), tag("b", "2"), tag("c", "3")]);
    }

    /// TAG-01, contract C17: 6600 for the eleventh; a repeated key is refused.
    #[test]
    fn the_limit_counts_what_is_there_afterwards() {
        let ten: Vec<Tag> = (0..10).map(|n| tag(&format!("k{n}"), "")).collect();
        assert!(with(&ten, &[tag("k3", "new")], 10).is_ok());
        let more = with(&ten, &[tag("k10", "")], 10);
        assert!(matches!(more, Err(Error::Tags(InvalidTags::TooMany { limit: 10 }))));
        assert!(with(&ten, &[tag("k10", "")], 11).is_ok(), "a raised limit");
        assert!(with(&ten, &[tag("k3", "new")], 5).is_ok(), "a lowered limit takes nothing away");
        let twice = with(&[], &[tag("a", "1"), tag("a", "1")], 10);
        assert!(matches!(twice, Err(Error::Tags(InvalidTags::Repeated(_)))));
        assert!(matches!(with(&[], &[], 10), Err(Error::Invalid { field: "tags", .. })));
        let eleven: Vec<Tag> = (0..11).map(|n| tag(&format!("k{n}"), "")).collect();
        assert!(matches!(with(&[], &eleven, 20), Err(Error::Invalid { field: "tags", .. })));
    }

    /// Contract C17, C19: in a batch an absent key is fine, alone it is 6601; no rule for letters.
    #[test]
    fn taking_away_an_absent_key_is_fine_in_a_batch_only() {
        let existing = [tag("a", "1"), tag("b", "2")];
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let left = without(&existing, &keys(&["b", "b", "not there/at all"])).unwrap();
        assert_eq!(left, [tag("a", "1")]);
        assert!(without(&existing, &[]).is_err());
        assert_eq!(without_one(&existing, "b").unwrap(), [tag("a", "1")]);
        assert!(matches!(without_one(&existing, "B"), Err(Error::TagNotFound(_))));
    }

    /// Contract C22: at most 10 keys of 127 characters with 10 values of 255, each once.
    #[test]
    fn a_question_has_its_limits() {
        let asked = |key: &str, values: &[&str]| TagMatch {
            key: key.into(),
            values: values.iter().map(|v| ValueMatch::Is((*v).into())).collect(),
        };
        let check = |all: Vec<TagMatch>| check_filter(&TagFilter { all, ..TagFilter::default() });
        let keys = |n: usize| (0..n).map(|i| asked(&format!("k{i}"), &[])).collect();
        let values: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let table = [
            ("ten keys", keys(10), true),
            ("eleven keys", keys(11), false),
            ("ten values", vec![asked("k", &values[..10])], true),
            ("eleven values", vec![asked("k", &values)], false),
            ("a key twice", vec![asked("k", &[]), asked("k", &["v"])], false),
            ("a value twice", vec![asked("k", &["v", "v"])], false),
            ("no key", vec![asked("", &[])], false),
            ("a long key", vec![asked(&"k".repeat(127), &[])], true),
            ("a longer key", vec![asked(&"k".repeat(128), &[])], false),
            ("a longer value", vec![asked("k", &[&"v".repeat(256)])], false),
        ];
        for (what, list, is_good) in table {
            assert_eq!(check(list).is_ok(), is_good, "{what}");
        }
        let not_any = TagFilter { not_any: keys(11), ..TagFilter::default() };
        assert!(matches!(
            check_filter(&not_any),
            Err(Error::Invalid { field: "not_tags_any", .. })
        ));
    }
}
