//! The `q` parameter: the search of a list.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::request::Param;

/// A search that narrows a list: the `q` of list operations.
///
/// Build it from fields, or pass the vendor's own syntax as a string. The forms are observed in clients, not documented. That
/// a result has to match all terms is assumed.
///
/// Observed fields: `createdAt`, `updatedAt`, `isClosed`, `internalLocation`, and `status.id` of orders; `firstName` and
/// `company` of customers; `serialNumber` of devices; `name` of locations and queues.
///
/// # Example
///
/// ```
/// use jiff::civil::date;
/// use servicebay::fixably::Query;
///
/// let changed = Query::field("isClosed").is(false).and(Query::field("updatedAt").since(date(2026, 3, 1)));
/// assert_eq!(changed.to_string(), "isClosed:false,updatedAt:[2026-03-01,]");
///
/// let waiting = Query::field("status.id").one_of([450, 454]);
/// assert_eq!(waiting.to_string(), "status.id:(450,454)");
///
/// let raw: Query = "jill,company:Acme".into();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(Result<String, String>);

impl Query {
    /// A search without a field. Which fields the vendor searches is unknown.
    pub fn text(text: impl fmt::Display) -> Self {
        Self(checked(&text.to_string()))
    }

    /// Starts a condition on a field. A field of a related object has a dotted path, such as `status.id`.
    pub fn field(path: impl Into<String>) -> Field {
        Field { path: path.into() }
    }

    /// Requires both conditions.
    pub fn and(self, other: Self) -> Self {
        Self(match (self.0, other.0) {
            (Ok(this), Ok(other)) if this.is_empty() => Ok(other),
            (Ok(this), Ok(other)) if other.is_empty() => Ok(this),
            (Ok(this), Ok(other)) => Ok(format!("{this},{other}")),
            (Err(reason), _) | (_, Err(reason)) => Err(reason),
        })
    }
}

/// A field to build a condition on, from [`Query::field`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a field alone is not a condition"]
pub struct Field {
    path: String,
}

impl Field {
    /// The field has this value. Whether text has to match completely is unknown.
    pub fn is(self, value: impl fmt::Display) -> Query {
        self.condition(checked(&value.to_string()))
    }

    /// The date is on or after this one (inferred: the vendor does not state that ranges include their ends).
    pub fn since(self, date: impl Into<Day>) -> Query {
        let date = date.into();
        self.condition(Ok(format!("[{date},]")))
    }

    /// The date is on or before this one (inferred as for [`since`](Self::since)).
    pub fn until(self, date: impl Into<Day>) -> Query {
        let date = date.into();
        self.condition(Ok(format!("[,{date}]")))
    }

    /// The date is between the first and the last, both included (inferred as for [`since`](Self::since)).
    pub fn between(self, first: impl Into<Day>, last: impl Into<Day>) -> Query {
        let (first, last) = (first.into(), last.into());
        if first.0 > last.0 {
            return Query(Err(format!("{}: the first day, {first}, is after the last, {last}", self.path)));
        }
        self.condition(Ok(format!("[{first},{last}]")))
    }

    /// The date is this one.
    pub fn on(self, date: impl Into<Day>) -> Query {
        let date = date.into();
        self.condition(Ok(date.to_string()))
    }

    /// The field has one of these values. Observed for ids.
    pub fn one_of(self, values: impl IntoIterator<Item = impl fmt::Display>) -> Query {
        let values: Result<Vec<String>, String> = values.into_iter().map(|value| checked(&value.to_string())).collect();
        self.condition(match values {
            Ok(values) if values.is_empty() => Err("the list of values is empty".to_owned()),
            values => values.map(|values| format!("({})", values.join(","))),
        })
    }

    fn condition(self, value: Result<String, String>) -> Query {
        let path = &self.path;
        let name =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !path.split('.').all(name) {
            return Query(Err(format!(
                "{path:?} is not the path of a field: names with letters, digits, and underscores, separated by dots"
            )));
        }
        Query(value.map(|value| format!("{path}:{value}")).map_err(|reason| format!("{path}: {reason}")))
    }
}

/// A day in a search: the vendor's search is not known to be more precise than that.
///
/// A [`Timestamp`] becomes its day in UTC, so a search *since* a time also finds results from earlier that day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

impl From<Date> for Day {
    fn from(date: Date) -> Self {
        Self(date)
    }
}

impl From<Timestamp> for Day {
    fn from(moment: Timestamp) -> Self {
        Self(moment.to_zoned(TimeZone::UTC).date())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Refuses values that contain the syntax of a search. How the vendor escapes them is unknown, and unescaped they would
/// search for something else.
fn checked(value: &str) -> Result<String, String> {
    if value.trim().is_empty() {
        return Err("the value is empty".to_owned());
    }
    match value.chars().find(|c| matches!(c, ',' | ':' | '(' | ')' | '[' | ']' | '!') || c.is_control()) {
        Some(c) => Err(format!(
            "{value:?} contains {c:?}, and how the vendor escapes it is unknown; search for a part of the value, or pass \
             the complete search as a string"
        )),
        None => Ok(value.to_owned()),
    }
}

impl From<&str> for Query {
    fn from(raw: &str) -> Self {
        raw.to_owned().into()
    }
}

impl From<String> for Query {
    fn from(raw: String) -> Self {
        Self(Ok(raw))
    }
}

impl fmt::Display for Query {
    /// The search as it is sent, or, in parentheses, why it cannot be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(query) => f.write_str(query),
            Err(reason) => write!(f, "({reason})"),
        }
    }
}

impl Param for Query {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        match &self.0 {
            Ok(query) => Ok(query.into()),
            Err(reason) => Err(reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_observed_form_can_be_built() {
        let (first, last) = (date(2010, 12, 24), date(2015, 4, 22));
        for (query, text) in [
            (Query::text("jill"), "jill"),
            (Query::field("firstName").is("Jill"), "firstName:Jill"),
            (Query::text("jill").and(Query::field("company").is("Acme")), "jill,company:Acme"),
            (Query::field("isClosed").is(false), "isClosed:false"),
            (Query::field("updatedAt").on(date(2000, 1, 1)), "updatedAt:2000-01-01"),
            (Query::field("createdAt").between(first, last), "createdAt:[2010-12-24,2015-04-22]"),
            (Query::field("updatedAt").since(date(2000, 1, 1)), "updatedAt:[2000-01-01,]"),
            (Query::field("updatedAt").until(date(2000, 1, 1)), "updatedAt:[,2000-01-01]"),
            (Query::field("status.id").is(450), "status.id:450"),
            (Query::field("status.id").one_of([450, 454, 460]), "status.id:(450,454,460)"),
        ] {
            assert_eq!(query.encode().unwrap(), text);
        }
    }

    #[test]
    fn a_timestamp_becomes_its_day_in_utc() {
        let late: Timestamp = "2026-03-01T23:59:59-05:00".parse().unwrap();
        assert_eq!(Query::field("updatedAt").since(late).to_string(), "updatedAt:[2026-03-02,]");
    }

    #[test]
    fn values_that_contain_search_syntax_are_refused() {
        for query in [
            Query::field("company").is("Acme, Inc."),
            Query::field("company").is("a:b"),
            Query::field("company").is(""),
            Query::field("company,x").is("a"),
            Query::field("").is("a"),
            Query::field("a..b").is("a"),
            Query::text("[x"),
            Query::field("status.id").one_of(Vec::<i64>::new()),
            Query::field("createdAt").between(date(2015, 1, 1), date(2010, 1, 1)),
        ] {
            assert!(query.encode().is_err(), "{query}");
            assert!(query.clone().and(Query::text("jill")).encode().is_err(), "{query}");
            assert!(Query::text("jill").and(query).encode().is_err());
        }
    }

    proptest! {
        #[test]
        fn no_value_adds_a_condition(value in ".{1,20}") {
            if let Ok(query) = Query::field("company").is(&value).encode() {
                prop_assert_eq!(query.matches(',').count(), 0);
                prop_assert_eq!(query.matches(':').count(), 1);
            }
        }
    }
}
