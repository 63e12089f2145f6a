//! The query string of a request.

use jiff::civil::Date;

use super::refusal::Refusal;

const DEFAULT_SIZE: usize = 25;
const LARGEST_SIZE: usize = 100;

/// The parameters of one request. Those that nobody knows are ignored, and of several of one name the last counts.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// From 1.
    pub(super) page: usize,
    pub(super) size: usize,
}

impl Params {
    pub(super) fn read(query: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The page that is asked for. A size beyond the largest is cut to it; how the vendor takes it is unknown.
    pub(super) fn window(&self) -> Result<Window, Refusal> {
        let page = self.number("page")?.unwrap_or(1);
        let size = self.number("per_page")?.unwrap_or(DEFAULT_SIZE).min(LARGEST_SIZE);
        Ok(Window { page, size })
    }

    /// One of several values.
    pub(super) fn one_of(&self, name: &str, known: &[&str]) -> Result<Option<&str>, Refusal> {
        match self.get(name) {
            Some(value) if !known.contains(&value) => {
                Err(Refusal::bad_request(format!("`{name}` has to be one of {}.", known.join(", "))))
            }
            value => Ok(value),
        }
    }

    pub(super) fn day(&self, name: &str) -> Result<Option<Date>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match day(text) {
            Some(day) => Ok(Some(day)),
            None => Err(Refusal::bad_request(format!("`{name}` has to be a date such as 2026-03-02."))),
        }
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse().ok().filter(|number| *number >= 1 && !text.starts_with('+')) {
            Some(number) => Ok(Some(number)),
            None => Err(Refusal::bad_request(format!("`{name}` has to be an integer from 1."))),
        }
    }
}

/// A day in the one form that the vendor names.
pub(super) fn day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| text.len() == 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(query: &str) -> Result<(usize, usize), u16> {
        let window = Params::read(Some(query)).window();
        window.map(|window| (window.page, window.size)).map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn a_window_has_the_documented_defaults_and_largest_size() {
        assert_eq!(window(""), Ok((1, 25)));
        assert_eq!(window("page=3&per_page=10&sort=name"), Ok((3, 10)));
        assert_eq!(window("per_page=101"), Ok((1, 100)));
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        for query in ["page=0", "page=-1", "page=one", "page=", "per_page=0", "per_page=1.5", "page=%2B1"] {
            assert_eq!(window(query), Err(400), "{query}");
        }
    }

    #[test]
    fn a_day_has_one_form() {
        let params = Params::read(Some("from_date=2026-03-02&to_date=02.03.2026"));
        assert!(params.day("from_date").is_ok_and(|day| day.is_some()));
        assert!(params.day("to_date").is_err() && params.day("created_after") == Ok(None));
    }
}
