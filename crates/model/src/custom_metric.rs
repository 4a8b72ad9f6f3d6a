//! Metrics that users publish themselves (contract F.6): numbers with a name, kept for some days.

use serde::{Deserialize, Serialize};

use uuid::Uuid;

use crate::{ProjectId, Timestamp};

/// What the namespaces of services begin with: nobody publishes in them.
pub const RESERVED: [&str; 3] = ["SYS", "AGT", "SRE"];
/// Most dimensions of a metric.
const DIMENSIONS_MAX: usize = 4;
const NAMESPACE_CHARS: std::ops::RangeInclusive<usize> = 3..=32;
const NAME_CHARS_MAX: usize = 96;
const DIMENSION_CHARS_MAX: usize = 32;
const VALUE_CHARS_MAX: usize = 256;
const UNIT_CHARS_MAX: usize = 32;
/// The longest time for which a value is kept, in seconds: a week.
const TTL_MAX: u32 = 604_800;
/// A value was collected at most so long ago, in seconds: three days.
const PAST_SECONDS: i64 = 3 * 86_400;
/// And at most so far ahead of our clock: ten minutes.
const AHEAD_SECONDS: i64 = 600;

/// What a series of values is of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CustomMetric {
    /// `service.item`.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// One to four, in the order of their names: which one writes first makes no other metric.
    dimensions: Vec<MetricDimension>,
}

/// One thing by which metrics of a name differ.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct MetricDimension {
    /// As in `host`.
    pub name: String,
    /// As in `web-1`.
    pub value: String,
}

/// A value of such a metric.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomValue {
    /// Of what.
    pub metric: CustomMetric,
    /// Its unit; may be empty.
    pub unit: String,
    /// When it was collected.
    pub at: Timestamp,
    /// The number.
    pub value: f64,
    /// For so many seconds it is kept.
    pub ttl: u32,
}

/// What is wrong with it: the field, and what it has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// As it is called in a request.
    pub field: &'static str,
    /// For the user.
    pub why: &'static str,
}

/// What a metric is of, as one word: `name:value`, and with a comma the next. Different things have
/// different ones.
pub fn thing_name(dimensions: &[MetricDimension]) -> String {
    // A value may have what separates them.
    let plain = |text: &str| text.replace('\\', "\\\\").replace(',', "\\,").replace(':', "\\:");
    let part = |one: &MetricDimension| format!("{}:{}", plain(&one.name), plain(&one.value));
    dimensions.iter().map(part).collect::<Vec<_>>().join(",")
}

fn is_word(text: &str, more: &[char]) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || more.contains(&c))
}

impl CustomMetric {
    /// With its dimensions in order.
    pub fn new(namespace: String, name: String, mut dimensions: Vec<MetricDimension>) -> Self {
        dimensions.sort();
        Self { namespace, name, dimensions }
    }

    /// Whether a namespace is one of a service.
    pub fn is_reserved(namespace: &str) -> bool {
        let service = namespace.split('.').next().unwrap_or_default();
        RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(service))
    }

    /// The same for the same metric of the same project, whoever writes first.
    pub fn id(&self, project: ProjectId) -> String {
        let mut parts = vec![self.namespace.as_str(), self.name.as_str()];
        parts
            .extend(self.dimensions.iter().flat_map(|one| [one.name.as_str(), one.value.as_str()]));
        // None has a character of control.
        let text = parts.join("\0");
        Uuid::new_v5(&project.as_uuid(), text.as_bytes()).to_string()
    }

    /// By what it differs from others of its name.
    pub fn dimensions(&self) -> &[MetricDimension] {
        &self.dimensions
    }

    /// What it is of, in a word.
    pub fn thing(&self) -> String {
        thing_name(&self.dimensions)
    }

    /// Whether it can be published.
    pub fn check(&self) -> Result<(), Wrong> {
        Self::check_names(&self.namespace, &self.name)?;
        self.check_dimensions()
    }

    /// Whether users may publish under this namespace and name.
    pub fn check_names(namespace: &str, name: &str) -> Result<(), Wrong> {
        let wrong = |field, why| Err(Wrong { field, why });
        if Self::is_reserved(namespace) {
            return wrong("namespace", "SYS, AGT and SRE are those of services");
        }
        let parts: Vec<&str> = namespace.split('.').collect();
        let is_namespace = parts.len() == 2 && parts.iter().all(|part| is_word(part, &[]));
        if !is_namespace || !NAMESPACE_CHARS.contains(&namespace.len()) {
            return wrong("namespace", "service.item: letters, digits and _, 3 to 32 characters");
        }
        if !is_word(name, &['-']) || name.len() > NAME_CHARS_MAX {
            return wrong("metric_name", "a letter, then letters, digits, _ and -, at most 96");
        }
        Ok(())
    }

    /// Whether values may be in this unit.
    pub fn check_unit(unit: &str) -> Result<(), Wrong> {
        if unit.chars().count() > UNIT_CHARS_MAX || unit.contains(char::is_control) {
            return Err(Wrong { field: "unit", why: "at most 32 characters" });
        }
        Ok(())
    }

    fn check_dimensions(&self) -> Result<(), Wrong> {
        let wrong = |field, why| Err(Wrong { field, why });
        if self.dimensions.is_empty() || self.dimensions.len() > DIMENSIONS_MAX {
            return wrong("dimensions", "1 to 4 of them");
        }
        if self.dimensions.windows(2).any(|two| two[0].name == two[1].name) {
            return wrong("dimensions", "each name once");
        }
        for MetricDimension { name, value } in &self.dimensions {
            if !is_word(name, &['-']) || name.len() > DIMENSION_CHARS_MAX {
                return wrong(
                    "dimensions.name",
                    "a letter, then letters, digits, _ and -, at most 32",
                );
            }
            let chars = value.chars().count();
            if !(1..=VALUE_CHARS_MAX).contains(&chars) || value.contains(char::is_control) {
                return wrong("dimensions.value", "1 to 256 characters");
            }
        }
        Ok(())
    }
}

impl CustomValue {
    /// Whether it can be kept, `now` being the time.
    pub fn check(&self, now: Timestamp) -> Result<(), Wrong> {
        self.metric.check()?;
        CustomMetric::check_unit(&self.unit)?;
        let wrong = |field, why| Err(Wrong { field, why });
        if !(1..=TTL_MAX).contains(&self.ttl) {
            return wrong("ttl", "1 to 604800 seconds");
        }
        if self.at < now.plus_seconds(-PAST_SECONDS) || self.at > now.plus_seconds(AHEAD_SECONDS) {
            return wrong("collect_time", "milliseconds; from three days ago to ten minutes ahead");
        }
        if self.value.is_finite() { Ok(()) } else { wrong("value", "a number") }
    }

    /// Until when it is kept.
    pub fn expires_at(&self) -> Timestamp {
        self.at.plus_seconds(i64::from(self.ttl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> CustomMetric {
        let dimension = |(name, value): &(&str, &str)| MetricDimension {
            name: (*name).into(),
            value: (*value).into(),
        };
        let dimensions = dimensions.iter().map(dimension).collect();
        CustomMetric::new(namespace.into(), name.into(), dimensions)
    }

    /// Contract F.6: only custom metrics, never those of a service.
    #[test]
    fn what_can_be_published_has_a_name_of_its_own() {
        let one = [("host", "web-1")];
        let long = "x".repeat(257);
        #[rustfmt::skip]
        let table = [
            (metric("Shop.orders", "per_minute-2", &one),      None),
            (metric("SYS.CBR", "vault_util", &one),            Some("namespace")),
            (metric("sys.mine", "x", &one),                    Some("namespace")),
            (metric("AGT.ECS", "x", &one),                     Some("namespace")),
            (metric("SYSTEM.mine", "x", &one),                 None),
            (metric("shop", "x", &one),                        Some("namespace")),
            (metric("shop.", "x", &one),                       Some("namespace")),
            (metric("a.b.c", "x", &one),                       Some("namespace")),
            (metric("shop.1", "x", &one),                      Some("namespace")),
            (metric("shop.orders", "", &one),                  Some("metric_name")),
            (metric("shop.orders", "1x", &one),                Some("metric_name")),
            (metric("shop.orders", "x y", &one),               Some("metric_name")),
            (metric("shop.orders", "x", &[]),                  Some("dimensions")),
            (metric("shop.orders", "x", &[("a", "1"), ("a", "2")]), Some("dimensions")),
            (metric("shop.orders", "x", &[("", "1")]),         Some("dimensions.name")),
            (metric("shop.orders", "x", &[("a", "")]),         Some("dimensions.value")),
            (metric("shop.orders", "x", &[("a", &long)]),      Some("dimensions.value")),
        ];
        for (metric, field) in table {
            assert_eq!(metric.check().err().map(|wrong| wrong.field), field, "{metric:?}");
        }
        let (odd, two) = ([("a", "1,b:2")], [("a", "1"), ("b", "2")]);
        let things = [odd.as_slice(), &two].map(|one| metric("s.i", "x", one).thing());
        assert_eq!(things, ["a:1\\,b\\:2", "a:1,b:2"], "different things are named differently");
        let (ab, ba) = ([("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")]);
        assert_eq!(metric("s.i", "x", &ab), metric("s.i", "x", &ba), "the order says nothing");
    }

    #[test]
    fn what_can_be_kept_was_collected_lately() {
        let now = Timestamp(0).plus_seconds(10 * 86_400);
        let good = CustomValue {
            metric: metric("shop.orders", "x", &[("host", "a")]),
            unit: String::new(),
            at: now,
            value: 1.5,
            ttl: 60,
        };
        assert_eq!(good.check(now), Ok(()));
        assert_eq!(good.expires_at(), now.plus_seconds(60));
        let at = |seconds| CustomValue { at: now.plus_seconds(seconds), ..good.clone() };
        assert!(at(-3 * 86_400).check(now).is_ok() && at(600).check(now).is_ok());
        for (bad, field) in [
            (at(-3 * 86_400 - 1), "collect_time"),
            (at(601), "collect_time"),
            (CustomValue { ttl: 0, ..good.clone() }, "ttl"),
            (CustomValue { ttl: 604_801, ..good.clone() }, "ttl"),
            (CustomValue { unit: "x".repeat(33), ..good.clone() }, "unit"),
            (CustomValue { value: f64::NAN, ..good.clone() }, "value"),
        ] {
            assert_eq!(bad.check(now).unwrap_err().field, field);
        }
    }
}
