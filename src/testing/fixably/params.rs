//! The query parameters of the API.

use http::StatusCode;

use super::error_response::{bad_request, error};
use super::expand::{Expand, Level};
use crate::testing::error_response::ErrorResponse;
use crate::testing::query::Query;

/// The parameters of every list.
pub(super) const OF_A_LIST: &[&str] = &["limit", "offset", "page", "expand", "q"];

const DEFAULT_LIMIT: usize = 25;
const MAX_LIMIT: i64 = 100;

/// The parameters of one request.
#[derive(Debug)]
pub(super) struct Params(Query);

/// The part of a list that a response holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl Page {
    /// The part without parameters, such as of a list that is expanded inside another object.
    pub(super) const FIRST: Self = Self { limit: DEFAULT_LIMIT, offset: 0 };
}

impl Params {
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, ErrorResponse> {
        Query::parse_strict(query, known).map(Self).map_err(bad_request)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    pub(super) fn expand(&self, level: Level) -> Result<Expand, ErrorResponse> {
        let expand = self.get("expand").map(|text| Expand::parse(text, level)).transpose();
        Ok(expand.map_err(bad_request)?.unwrap_or_default())
    }

    /// The part that `limit` with `offset` or `page` asks for. `offset` and `page` together get the status `both`.
    pub(super) fn page(&self, both: StatusCode) -> Result<Page, ErrorResponse> {
        let limit = self.integer("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
        let offset = self.integer("offset", 0, i64::MAX)?;
        let page = self.integer("page", 1, i64::MAX)?;
        match (offset, page) {
            (Some(_), Some(_)) => Err(error(both, "`offset` and `page` cannot be combined.")),
            (Some(offset), None) => Ok(Page { limit, offset }),
            (None, Some(page)) => Ok(Page { limit, offset: (page - 1).saturating_mul(limit) }),
            (None, None) => Ok(Page { limit, offset: 0 }),
        }
    }

    fn integer(&self, name: &str, min: i64, max: i64) -> Result<Option<usize>, ErrorResponse> {
        self.0.integer(name, min..=max).map_err(bad_request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, (u16, String)> {
        Params::read(Some(query), OF_A_LIST)
            .and_then(|params| params.page(StatusCode::BAD_REQUEST))
            .map_err(|error| (error.status.as_u16(), error.text("developerMessage").to_owned()))
    }

    #[test]
    fn a_page_has_the_documented_defaults() {
        assert_eq!(page(""), Ok(Page { limit: 25, offset: 0 }));
        assert_eq!(page("q=a%2Cb&expand=items"), Ok(Page { limit: 25, offset: 0 }));
    }

    #[test]
    fn the_second_page_starts_where_the_first_ended() {
        assert_eq!(page("limit=10&page=1"), Ok(Page { limit: 10, offset: 0 }));
        assert_eq!(page("limit=10&page=2"), Ok(Page { limit: 10, offset: 10 }));
        assert_eq!(page("limit=10&offset=15"), Ok(Page { limit: 10, offset: 15 }));
    }

    #[test]
    fn a_page_number_beyond_the_range_does_not_overflow() {
        for number in ["9223372036854775807", "99999999999999999999"] {
            assert_eq!(page(&format!("limit=100&page={number}")).map(|page| page.limit), Ok(100));
        }
    }

    #[test]
    fn numbers_out_of_bounds_are_refused() {
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
        ] {
            assert_eq!(page(query).map_err(|(status, _)| status), Err(400), "{query}");
        }
        let (_, message) = page("limit=101").expect_err("out of bounds");
        assert_eq!(message, "`limit` must be an integer from 1 to 100.");
    }

    #[test]
    fn offset_and_page_together_are_refused() {
        assert_eq!(page("offset=0&page=1"), Err((400, "`offset` and `page` cannot be combined.".into())));
    }
}
