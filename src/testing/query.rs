//! The query parameters of a request, and the checks that several vendors make on them.

use std::ops::RangeInclusive;

use jiff::civil::Date;

/// The query parameters of one request. If a name occurs twice, the last value counts.
///
/// The errors are sentences for the message of an error response.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// Parses a query of a vendor that refuses unknown and repeated parameters.
    pub(crate) fn parse_strict(query: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let query = Self::parse(query);
        for (index, (name, _)) in query.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(format!("There is no parameter `{name}` here."));
            }
            if query.0[..index].iter().any(|(other, _)| other == name) {
                return Err(format!("The parameter `{name}` is given twice."));
            }
        }
        Ok(query)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// An integer within bounds. An upper bound of `i64::MAX` is no bound: a larger number counts as that one.
    pub(crate) fn integer(&self, name: &str, bounds: RangeInclusive<i64>) -> Result<Option<usize>, String> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let is_large = *bounds.end() == i64::MAX && text.len() > 18 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_large { Some(i64::MAX) } else { text.parse().ok() };
        let number = number.filter(|number| bounds.contains(number) && !text.starts_with('+'));
        match number.and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None if *bounds.end() == i64::MAX => Err(format!("`{name}` must be an integer from {}.", bounds.start())),
            None => Err(format!("`{name}` must be an integer from {} to {}.", bounds.start(), bounds.end())),
        }
    }

    /// One of several values.
    pub(crate) fn one_of(&self, name: &str, values: &[&str]) -> Result<Option<&str>, String> {
        match self.get(name) {
            Some(value) if !values.contains(&value) => Err(format!("`{name}` must be one of {}.", values.join(", "))),
            value => Ok(value),
        }
    }

    pub(crate) fn date(&self, name: &str) -> Result<Option<Date>, String> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match date(text) {
            Some(date) => Ok(Some(date)),
            None => Err(format!("`{name}` must be a date such as 2026-03-02.")),
        }
    }
}

/// A date in the form `2026-03-02`, the only one that the vendors name.
pub(crate) fn date(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| text.len() == "2026-03-02".len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strict_query_refuses_unknown_and_repeated_parameters_by_name() {
        for (query, message) in [
            ("sort=id", "There is no parameter `sort` here."),
            ("limit=1&limit=2", "The parameter `limit` is given twice."),
        ] {
            assert_eq!(Query::parse_strict(Some(query), &["limit"]).expect_err(query), message);
        }
    }

    #[test]
    fn a_parameter_is_decoded() {
        let query = Query::parse_strict(Some("q=a%2Cb+c"), &["q"]).expect("valid");
        assert_eq!((query.get("q"), query.get("r")), (Some("a,b c"), None));
    }

    #[test]
    fn the_last_of_two_values_counts() {
        assert_eq!(Query::parse(Some("q=a&q=b")).get("q"), Some("b"));
    }

    #[test]
    fn an_integer_outside_its_bounds_is_refused_with_the_bounds() {
        let query = Query::parse(Some("a=0&b=101&c=5&d=%2B5&e=99999999999999999999&f="));
        assert_eq!(query.integer("c", 1..=100), Ok(Some(5)));
        assert_eq!(query.integer("z", 1..=100), Ok(None));
        assert!(query.integer("e", 1..=i64::MAX).is_ok_and(|number| number > Some(1_000_000)));
        assert_eq!(query.integer("a", 1..=i64::MAX), Err("`a` must be an integer from 1.".to_owned()));
        for name in ["a", "b", "d", "e", "f"] {
            let message = format!("`{name}` must be an integer from 1 to 100.");
            assert_eq!(query.integer(name, 1..=100), Err(message));
        }
    }

    #[test]
    fn a_value_out_of_a_list_is_refused_with_the_list() {
        let query = Query::parse(Some("status=open"));
        assert_eq!(query.one_of("status", &["open", "done"]), Ok(Some("open")));
        assert_eq!(query.one_of("status", &["new", "done"]), Err("`status` must be one of new, done.".to_owned()));
        assert_eq!(query.one_of("state", &["new"]), Ok(None));
    }

    #[test]
    fn a_date_has_one_form() {
        let query = Query::parse(Some("from=2026-03-02&to=02.03.2026"));
        assert!(query.date("from").is_ok_and(|date| date.is_some()));
        assert!(query.date("to").is_err() && query.date("since") == Ok(None));
    }
}
