//! A row on its way to the model: every conversion may fail and then says where.

use std::str::FromStr;

use cbr_model::Timestamp;
use cbr_model::id::{Id, Kind};
use cbr_model::size::{Bytes, Gib};
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, Decode, Row as _, Type};

use crate::error::DbError;

/// A row of `table`.
pub(crate) struct Row {
    inner: AnyRow,
    table: &'static str,
}

impl Row {
    pub(crate) const fn new(inner: AnyRow, table: &'static str) -> Self {
        Self { inner, table }
    }

    /// The error for a value without meaning.
    pub(crate) fn inconsistent(&self, column: &'static str, reason: impl ToString) -> DbError {
        DbError::Inconsistent {
            table: self.table,
            column,
            row: self.inner.try_get("id").unwrap_or_default(),
            reason: reason.to_string(),
        }
    }

    fn get<'r, T: Decode<'r, Any> + Type<Any>>(
        &'r self,
        column: &'static str,
    ) -> Result<T, DbError> {
        self.inner.try_get(column).map_err(|error| self.inconsistent(column, error))
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64, DbError> {
        self.get(column)
    }

    pub(crate) fn int_opt(&self, column: &'static str) -> Result<Option<i64>, DbError> {
        self.get(column)
    }

    /// A number that cannot be negative.
    pub(crate) fn count(&self, column: &'static str) -> Result<u64, DbError> {
        u64::try_from(self.int(column)?).map_err(|error| self.inconsistent(column, error))
    }

    /// A number of a smaller type.
    pub(crate) fn small<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, DbError> {
        T::try_from(self.int(column)?).map_err(|_| self.inconsistent(column, "out of range"))
    }

    /// A number of a smaller type that may be absent.
    pub(crate) fn small_opt<T: TryFrom<i64>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, DbError> {
        let value: Option<i64> = self.get(column)?;
        let small =
            |value| T::try_from(value).map_err(|_| self.inconsistent(column, "out of range"));
        value.map(small).transpose()
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<bool, DbError> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.inconsistent(column, format!("{other} is neither 0 nor 1"))),
        }
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, DbError> {
        self.int(column).map(Timestamp)
    }

    pub(crate) fn time_opt(&self, column: &'static str) -> Result<Option<Timestamp>, DbError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp))
    }

    pub(crate) fn bytes(&self, column: &'static str) -> Result<Bytes, DbError> {
        self.count(column).map(Bytes)
    }

    pub(crate) fn bytes_opt(&self, column: &'static str) -> Result<Option<Bytes>, DbError> {
        let value: Option<i64> = self.get(column)?;
        let bytes = |value: i64| {
            u64::try_from(value).map(Bytes).map_err(|error| self.inconsistent(column, error))
        };
        value.map(bytes).transpose()
    }

    pub(crate) fn gib(&self, column: &'static str) -> Result<Gib, DbError> {
        self.count(column).map(Gib)
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, DbError> {
        self.get(column)
    }

    pub(crate) fn text_opt(&self, column: &'static str) -> Result<Option<String>, DbError> {
        self.get(column)
    }

    pub(crate) fn blob(&self, column: &'static str) -> Result<Vec<u8>, DbError> {
        self.get(column)
    }

    pub(crate) fn blob_opt(&self, column: &'static str) -> Result<Option<Vec<u8>>, DbError> {
        self.get(column)
    }

    pub(crate) fn id<K: Kind>(&self, column: &'static str) -> Result<Id<K>, DbError> {
        self.parsed(column)
    }

    pub(crate) fn id_opt<K: Kind>(&self, column: &'static str) -> Result<Option<Id<K>>, DbError> {
        self.text_opt(column)?
            .map(|text| text.parse().map_err(|error| self.inconsistent(column, error)))
            .transpose()
    }

    /// A text that `T` can be parsed from.
    pub(crate) fn parsed<T>(&self, column: &'static str) -> Result<T, DbError>
    where
        T: FromStr<Err: ToString>,
    {
        self.text(column)?.parse().map_err(|error: T::Err| self.inconsistent(column, error))
    }

    /// One of the contract's words.
    pub(crate) fn word<T>(
        &self,
        column: &'static str,
        read: fn(&str) -> Option<T>,
    ) -> Result<T, DbError> {
        let text = self.text(column)?;
        read(&text).ok_or_else(|| self.inconsistent(column, format!("unknown word `{text}`")))
    }

    /// A structured value.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, DbError> {
        serde_json::from_str(&self.text(column)?).map_err(|error| self.inconsistent(column, error))
    }

    /// A structured value that may be absent.
    pub(crate) fn json_opt<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, DbError> {
        self.text_opt(column)?
            .map(|text| {
                serde_json::from_str(&text).map_err(|error| self.inconsistent(column, error))
            })
            .transpose()
    }
}

/// The stored form of a structured value of ours.
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("our own values have string keys and always serialise")
}
