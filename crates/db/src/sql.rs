//! A statement with its arguments, numbered as they are bound.
//!
//! Both engines understand `$1`. A statement is built of constant text and
//! bound values only: there is no way to put a value into the text.

use cbr_model::Timestamp;
use cbr_model::id::{Id, Kind};
use cbr_model::size::{Bytes, Gib};
use sqlx::Arguments;
use sqlx::any::AnyArguments;

/// A value of one of the three column types, or its absence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Vec<u8>),
}

/// A type that can be stored in a column.
pub(crate) trait Column {
    /// What NULL looks like in its column; PostgreSQL wants to know the type.
    const NULL: Value;
    /// The stored form.
    fn into_value(self) -> Value;
}

macro_rules! columns {
    ($($type:ty: $variant:ident = |$it:ident| $form:expr;)+) => {$(
        impl Column for $type {
            const NULL: Value = Value::$variant(None);
            fn into_value(self) -> Value {
                let $it = self;
                Value::$variant(Some($form))
            }
        }
    )+};
}

columns! {
    i64: Int = |it| it;
    bool: Int = |it| i64::from(it);
    u8: Int = |it| i64::from(it);
    u32: Int = |it| i64::from(it);
    // No disk and no count comes near 2^63.
    u64: Int = |it| i64::try_from(it).unwrap_or(i64::MAX);
    usize: Int = |it| i64::try_from(it).unwrap_or(i64::MAX);
    Timestamp: Int = |it| it.0;
    Bytes: Int = |it| i64::try_from(it.0).unwrap_or(i64::MAX);
    Gib: Int = |it| i64::try_from(it.0).unwrap_or(i64::MAX);
    &str: Text = |it| it.to_owned();
    String: Text = |it| it;
    &String: Text = |it| it.clone();
}

impl<K: Kind> Column for Id<K> {
    const NULL: Value = Value::Text(None);
    fn into_value(self) -> Value {
        Value::Text(Some(self.to_string()))
    }
}

impl<T: Column> Column for Option<T> {
    const NULL: Value = T::NULL;
    fn into_value(self) -> Value {
        self.map_or(T::NULL, T::into_value)
    }
}

impl Column for Value {
    const NULL: Value = Self::Int(None);
    fn into_value(self) -> Value {
        self
    }
}

/// How many values of a list go into one statement; both engines take many times as many.
pub(crate) const VALUES_MAX: usize = 1000;

/// A statement under construction.
#[derive(Debug)]
pub(crate) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// A statement that begins with `text`.
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// The next argument; the text names it by its number.
    pub(crate) fn bind(mut self, value: impl Column) -> Self {
        self.values.push(value.into_value());
        self
    }

    /// More text.
    pub(crate) fn text(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A placeholder in the text and its value.
    pub(crate) fn value(&mut self, value: impl Column) -> &mut Self {
        self.values.push(value.into_value());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// ` AND column = value`, if there is a value.
    pub(crate) fn and_equal(
        &mut self,
        column: &'static str,
        value: Option<impl Column>,
    ) -> &mut Self {
        if let Some(value) = value {
            self.text(" AND ").text(column).text(" = ").value(value);
        }
        self
    }

    /// ` AND column IN (…)`, if there are values.
    pub(crate) fn and_one_of<C: Column>(
        &mut self,
        column: &'static str,
        values: impl IntoIterator<Item = C>,
    ) -> &mut Self {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            self.text(" AND ").text(column).text(" IN (");
            self.values_list(values).text(")");
        }
        self
    }

    /// `$1, $2, …`
    pub(crate) fn values_list<C: Column>(
        &mut self,
        values: impl IntoIterator<Item = C>,
    ) -> &mut Self {
        for (i, value) in values.into_iter().enumerate() {
            if i > 0 {
                self.text(", ");
            }
            self.value(value);
        }
        self
    }

    /// The same statement between `before` and `after`, which bind nothing.
    pub(crate) fn wrapped(&self, before: &'static str, after: &'static str) -> Self {
        Self { text: format!("{before}{}{after}", self.text), values: self.values.clone() }
    }

    /// Text and arguments for the driver.
    pub(crate) fn into_parts(self) -> Result<(String, AnyArguments), sqlx::Error> {
        let mut arguments = AnyArguments::default();
        for value in self.values {
            match value {
                Value::Int(value) => arguments.add(value),
                Value::Text(value) => arguments.add(value),
                Value::Blob(value) => arguments.add(value),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok((self.text, arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_in_the_order_of_the_values() {
        let mut sql = Sql::new("SELECT x FROM t WHERE a = $1").bind(1_i64);
        sql.and_equal("b", Some("two"))
            .and_equal("c", None::<i64>)
            .and_one_of("d", [3_i64, 4])
            .and_one_of("e", Vec::<i64>::new());
        assert_eq!(sql.text, "SELECT x FROM t WHERE a = $1 AND b = $2 AND d IN ($3, $4)");
        assert_eq!(sql.values[1], Value::Text(Some("two".into())));
        assert_eq!(sql.values.len(), 4);
    }
}
