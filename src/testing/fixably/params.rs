//! The query string of a request.

use http::StatusCode;

use super::expand::{Expand, Level};
use super::refusal::Refusal;
use crate::testing::query::Query;

/// The parameters of every list.
pub(super) const OF_A_LIST: &[&str] = &["limit", "offset", "page", "expand", "q"];

const DEFAULT_LIMIT: usize = 25;
const MAX_LIMIT: i64 = 100;

/// The parameters of one request.
#[derive(Debug)]
pub(super) struct Params(Query);

/// A window on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl Page {
    /// The window on a list nobody gave parameters for, such as one that is expanded inside another answer.
    pub(super) const FIRST: Self = Self { limit: DEFAULT_LIMIT, offset: 0 };
}

impl Params {
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Refusal> {
        Query::read(query, known).map(Self).map_err(Refusal::bad_request)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    pub(super) fn expand(&self, level: Level) -> Result<Expand, Refusal> {
        let expand = self.get("expand").map(|text| Expand::parse(text, level)).transpose();
        Ok(expand.map_err(Refusal::bad_request)?.unwrap_or_default())
    }

    /// The window that `limit` with `offset` or `page` describes; `clash` is the answer to both at once.
    pub(super) fn page(&self, clash: StatusCode) -> Result<Page, Refusal> {
        let limit = self.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
        let offset = self.number("offset", 0, i64::MAX)?;
        let page = self.number("page", 1, i64::MAX)?;
        match (offset, page) {
            (Some(_), Some(_)) => Err(Refusal::new(clash, "`offset` and `page` cannot be combined.")),
            (Some(offset), None) => Ok(Page { limit, offset }),
            (None, Some(page)) => Ok(Page { limit, offset: (page - 1).saturating_mul(limit) }),
            (None, None) => Ok(Page { limit, offset: 0 }),
        }
    }

    fn number(&self, name: &str, min: i64, max: i64) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (min..=max).contains(number) && !text.starts_with('+'));
        match number.and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None if max == i64::MAX => Err(Refusal::bad_request(format!("`{name}` has to be an integer from {min}."))),
            None => Err(Refusal::bad_request(format!("`{name}` has to be an integer from {min} to {max}."))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, (u16, String)> {
        Params::read(Some(query), OF_A_LIST)
            .and_then(|params| params.page(StatusCode::BAD_REQUEST))
            .map_err(|refusal| (refusal.status.as_u16(), refusal.message))
    }

    #[test]
    fn a_window_has_the_documented_defaults() {
        assert_eq!(page(""), Ok(Page { limit: 25, offset: 0 }));
        assert_eq!(page("q=a%2Cb&expand=items"), Ok(Page { limit: 25, offset: 0 }));
    }

    #[test]
    fn the_second_page_begins_where_the_first_ended() {
        assert_eq!(page("limit=10&page=1"), Ok(Page { limit: 10, offset: 0 }));
        assert_eq!(page("limit=10&page=2"), Ok(Page { limit: 10, offset: 10 }));
        assert_eq!(page("limit=10&offset=15"), Ok(Page { limit: 10, offset: 15 }));
    }

    #[test]
    fn a_page_beyond_all_numbers_is_just_a_late_one() {
        assert_eq!(page("limit=100&page=9223372036854775807").map(|page| page.limit), Ok(100));
    }

    #[test]
    fn numbers_outside_their_bounds_are_refused() {
        for query in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=ten",
            "limit=",
            "limit=1.5",
            "limit=%2B5",
            "offset=-1",
            "page=0",
            "page=99999999999999999999",
        ] {
            assert_eq!(page(query).map_err(|(status, _)| status), Err(400), "{query}");
        }
        let (_, message) = page("limit=101").expect_err("out of bounds");
        assert_eq!(message, "`limit` has to be an integer from 1 to 100.");
    }

    #[test]
    fn offset_and_page_are_not_taken_together() {
        assert_eq!(page("offset=0&page=1"), Err((400, "`offset` and `page` cannot be combined.".into())));
    }
}
