//! The options of the mock server, and their defaults.

use std::time::Duration;

use http::StatusCode;

use crate::testing::rate_limit::RateLimitHeaders;

/// How the mock server formats amounts of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Amounts {
    /// As a JSON number: `249.0`.
    Number,
    /// As a string with two decimals: `"249.00"`.
    Text,
}

/// How a field that the token may not see appears in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExcludedField {
    /// It is left out.
    Absent,
    /// It is null.
    Null,
}

/// What a test can choose. The builder's methods explain each option.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) amounts: Amounts,
    pub(super) excluded_field: ExcludedField,
    pub(super) foreign_record_status: StatusCode,
    pub(super) ignores_unknown_fields: bool,
    pub(super) offset_and_page_status: StatusCode,
    pub(super) orders: usize,
    pub(super) post_status: StatusCode,
    pub(super) rate_limit: Option<(u32, Duration)>,
    pub(super) rate_limit_headers: RateLimitHeaders,
    pub(super) validation_status: StatusCode,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            amounts: Amounts::Number,
            excluded_field: ExcludedField::Absent,
            foreign_record_status: StatusCode::NOT_FOUND,
            ignores_unknown_fields: false,
            offset_and_page_status: StatusCode::BAD_REQUEST,
            orders: 140,
            post_status: StatusCode::CREATED,
            rate_limit: Some((100, Duration::from_secs(60))),
            rate_limit_headers: RateLimitHeaders::default(),
            validation_status: StatusCode::BAD_REQUEST,
        }
    }
}
