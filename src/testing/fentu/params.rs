//! The query parameters of the API.

use jiff::civil::Date;

use super::error_response::bad_request;
use crate::testing::error_response::ErrorResponse;
use crate::testing::query::Query;

const DEFAULT_SIZE: usize = 25;
const MAX_SIZE: i64 = 100;

/// The parameters of one request. Unknown ones are ignored, and the last value of a repeated one counts.
#[derive(Debug)]
pub(super) struct Params(Query);

/// The part of a list that a response holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// From 1.
    pub(super) number: usize,
    pub(super) size: usize,
}

impl Params {
    pub(super) fn parse(query: Option<&str>) -> Self {
        Self(Query::parse(query))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    /// The requested page. A size above the maximum is refused; what the vendor does is unknown.
    pub(super) fn page(&self) -> Result<Page, ErrorResponse> {
        let number = self.integer("page", i64::MAX)?.unwrap_or(1);
        let size = self.integer("per_page", MAX_SIZE)?.unwrap_or(DEFAULT_SIZE);
        Ok(Page { number, size })
    }

    pub(super) fn one_of(&self, name: &str, values: &[&str]) -> Result<Option<&str>, ErrorResponse> {
        self.0.one_of(name, values).map_err(bad_request)
    }

    pub(super) fn date(&self, name: &str) -> Result<Option<Date>, ErrorResponse> {
        self.0.date(name).map_err(bad_request)
    }

    fn integer(&self, name: &str, max: i64) -> Result<Option<usize>, ErrorResponse> {
        self.0.integer(name, 1..=max).map_err(bad_request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<(usize, usize), u16> {
        let page = Params::parse(Some(query)).page();
        page.map(|page| (page.number, page.size)).map_err(|error| error.status.as_u16())
    }

    #[test]
    fn a_page_has_the_documented_defaults_and_maximum_size() {
        assert_eq!(page(""), Ok((1, 25)));
        assert_eq!(page("page=3&per_page=10&sort=name"), Ok((3, 10)));
        assert_eq!(page("per_page=100"), Ok((1, 100)));
    }

    #[test]
    fn invalid_numbers_are_refused() {
        for query in
            ["page=0", "page=-1", "page=one", "page=", "per_page=0", "per_page=101", "per_page=1.5", "page=%2B1"]
        {
            assert_eq!(page(query), Err(400), "{query}");
        }
    }

    #[test]
    fn a_date_has_one_form() {
        let params = Params::parse(Some("from_date=2026-03-02&to_date=02.03.2026"));
        assert!(params.date("from_date").is_ok_and(|date| date.is_some()));
        assert!(params.date("to_date").is_err() && params.date("created_after") == Ok(None));
    }
}
