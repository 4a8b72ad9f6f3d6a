//! Query strings (contract A.4).
//!
//! Values that may be several come either as the key repeated or as one value
//! with commas; both are read everywhere. Keys nobody asks for are ignored. A value
//! out of its range is refused with the name of its key.

use std::fmt;
use std::str::FromStr;

use cbr_model::Timestamp;
use cbr_model::query::{PAGE_LIMIT_MAX, Page};
use uuid::Uuid;

use crate::error::ApiError;
use crate::percent::decode;
use crate::time;

/// Most values of one key; more are refused, so that no query grows without bound.
const VALUES_MAX: usize = 1000;

/// The longest `sort` (contract A.4).
const SORT_CHARS_MAX: usize = 255;

/// A parsed query string.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads what follows the `?`.
    pub(crate) fn parse(raw: &str) -> Self {
        let text = |part| String::from_utf8_lossy(&decode(part, true)).into_owned();
        let pairs = raw
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (text(key), text(value)))
            .collect();
        Self { pairs }
    }

    /// The key of a value with the character 0, if there is one.
    pub(crate) fn with_zero(&self) -> Option<&str> {
        let found = self.pairs.iter().find(|(_, value)| value.contains('\0'));
        found.map(|(key, _)| key.as_str())
    }

    /// The value of `key`, if it is there and not empty. Of several, the first.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// Whether `key` is there, with or without a value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(k, _)| k == key)
    }

    /// All values of `key`, repeated or separated by commas.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<&str>, ApiError> {
        let values: Vec<&str> = self
            .pairs
            .iter()
            .filter(|(k, _)| k == key)
            .flat_map(|(_, v)| v.split(','))
            .filter(|v| !v.is_empty())
            .collect();
        if values.len() > VALUES_MAX {
            return Err(ApiError::invalid(key, format_args!("at most {VALUES_MAX} values")));
        }
        Ok(values)
    }

    /// The value of `key` in a form that can be read from text.
    pub(crate) fn value<T: FromStr<Err: fmt::Display>>(
        &self,
        key: &str,
    ) -> Result<Option<T>, ApiError> {
        self.text(key)
            .map(|text| text.parse().map_err(|why| ApiError::invalid(key, why)))
            .transpose()
    }

    /// All values of `key`.
    pub(crate) fn values<T: FromStr<Err: fmt::Display>>(
        &self,
        key: &str,
    ) -> Result<Vec<T>, ApiError> {
        self.texts(key)?
            .into_iter()
            .map(|text| text.parse().map_err(|why| ApiError::invalid(key, why)))
            .collect()
    }

    /// The value of `key`, one of the words `read` knows.
    pub(crate) fn word<T>(
        &self,
        key: &str,
        read: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        self.text(key).map(|text| read(text).ok_or_else(|| unknown_word(key, text))).transpose()
    }

    /// All values of `key`, each one of the words `read` knows.
    pub(crate) fn words<T>(
        &self,
        key: &str,
        read: fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ApiError> {
        self.texts(key)?
            .into_iter()
            .map(|text| read(text).ok_or_else(|| unknown_word(key, text)))
            .collect()
    }

    /// The time in `key`.
    pub(crate) fn time(&self, key: &str) -> Result<Option<Timestamp>, ApiError> {
        self.text(key)
            .map(|text| {
                time::parse(text)
                    .ok_or_else(|| ApiError::invalid(key, "write times as 2020-02-21T07:00:54Z"))
            })
            .transpose()
    }

    /// What a list is sorted by, most significant first, and whether the smallest is first: keys with
    /// a direction each; a missing direction is descending (contract A.4).
    pub(crate) fn sort<T>(
        &self,
        key: &str,
        read: fn(&str) -> Option<T>,
    ) -> Result<Vec<(T, bool)>, ApiError> {
        let Some(text) = self.text(key) else { return Ok(vec![]) };
        if text.chars().count() > SORT_CHARS_MAX {
            let limit = format_args!("at most {SORT_CHARS_MAX} characters");
            return Err(ApiError::invalid(key, limit));
        }
        text.split(',')
            .map(|criterion| {
                let (word, direction) = criterion.split_once(':').unwrap_or((criterion, "desc"));
                let Some(found) = read(word.trim()) else {
                    return Err(ApiError::invalid(key, "unknown key"));
                };
                match direction.trim() {
                    "asc" => Ok((found, true)),
                    "desc" => Ok((found, false)),
                    _ => Err(ApiError::invalid(key, "a direction is asc or desc")),
                }
            })
            .collect()
    }

    /// Which part of a list: `limit` 1 to 1000, `offset` from 0, `marker` an id.
    pub(crate) fn page(&self) -> Result<Page, ApiError> {
        self.page_of(PAGE_LIMIT_MAX)
    }

    /// Like [`Self::page`], with another largest and default limit.
    pub(crate) fn page_of(&self, limit_max: u32) -> Result<Page, ApiError> {
        let limit = match self.value::<i64>("limit")? {
            None => limit_max,
            Some(limit) => u32::try_from(limit)
                .ok()
                .filter(|limit| (1..=limit_max).contains(limit))
                .ok_or_else(|| ApiError::invalid("limit", format_args!("1 to {limit_max}")))?,
        };
        let offset = match self.value::<i64>("offset")? {
            None => 0,
            Some(offset) => {
                u64::try_from(offset).map_err(|_| ApiError::invalid("offset", "0 or more"))?
            }
        };
        let marker = self.value::<Uuid>("marker")?;
        Ok(Page { limit, offset, marker })
    }
}

/// The enterprise project that is asked for; `all_granted_eps` asks for any.
pub(crate) fn enterprise_project(query: &Query) -> Option<String> {
    let wanted = query.text("enterprise_project_id").filter(|id| *id != "all_granted_eps");
    wanted.map(str::to_owned)
}

fn unknown_word(key: &str, text: &str) -> ApiError {
    let shown: String = text.chars().take(64).filter(|c| !c.is_control()).collect();
    ApiError::invalid(key, format_args!("`{shown}` is not one of its values"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    /// Contract A.4: the SDK repeats the key, the documentation writes commas.
    #[test]
    fn several_values_come_repeated_or_with_commas() {
        let query = Query::parse("id=a&id=b,c&name=x%20y+z&empty=");
        assert_eq!(query.texts("id").unwrap(), ["a", "b", "c"]);
        assert_eq!(query.text("name"), Some("x y z"));
        assert_eq!(query.text("empty"), None);
        assert_eq!(query.text("absent"), None);
    }

    /// Contract C3: limit 1..1000, offset=0 is sent and valid.
    #[test]
    fn pages_have_their_limits() {
        let page = |text: &str| Query::parse(text).page();
        assert_eq!(page("").unwrap(), Page::default());
        let last = "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let found = page(&format!("limit=1000&offset=0&marker={last}")).unwrap();
        assert_eq!((found.limit, found.offset), (1000, 0));
        assert_eq!(found.marker.unwrap().to_string(), last);
        for bad in
            ["limit=0", "limit=1001", "limit=-1", "limit=x", "offset=-1", "marker=x", "limit=1e3"]
        {
            let error = page(bad).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidParameter, "{bad}");
        }
        assert_eq!(Query::parse("limit=51").page_of(50).unwrap_err().status(), 400);
    }

    #[test]
    fn words_and_times_outside_their_form_name_the_key() {
        let query = Query::parse("status=odd&start_time=yesterday&flag=maybe");
        let read = |text: &str| (text == "even").then_some(());
        assert!(query.word("status", read).unwrap_err().message.contains("status"));
        assert!(query.time("start_time").unwrap_err().message.contains("start_time"));
        assert!(query.value::<bool>("flag").unwrap_err().message.contains("flag"));
    }
}
