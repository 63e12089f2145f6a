//! What can be chosen about a tenant before it starts.

use std::time::Duration;

use http::StatusCode;

use super::MockServer;
use super::shop::Shop;
use crate::testing::ResetFormat;
use crate::testing::clock::Clock;
use crate::testing::limit::{Limit, LimitHeaders};
use crate::testing::reply;

/// The host of a tenant that has no socket.
const IN_MEMORY: &str = "https://demo.fixably.com";

/// Chooses what the vendor's pages leave open, then starts a [`MockServer`].
///
/// Each choice has the default that the known clients of the vendor point to, or the one that hides the fewest mistakes.
/// A client that passes with the other values too does not depend on a guess.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::time::Duration;
///
/// use servicebay::testing::ResetFormat;
/// use servicebay::testing::fixably::{Amounts, MockServer};
///
/// let tenant = MockServer::builder()
///     .with_rate_limit(10, Duration::from_secs(1))
///     .with_reset_format(ResetFormat::DeltaSeconds)
///     .with_amounts(Amounts::Text)
///     .with_validation_status(422)
///     .start()
///     .await;
/// assert_eq!(tenant.remaining(), Some(10));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a tenant begins with `start` or `in_memory`"]
pub struct MockServerBuilder {
    clock: Option<Clock>,
    options: Options,
}

/// How a tenant writes money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Amounts {
    /// A JSON number: `249.0`.
    Number,
    /// A string with two decimals: `"249.00"`.
    Text,
}

/// How a property looks that a token may not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExcludedField {
    /// It is left out.
    Absent,
    /// It is there, and null.
    Null,
}

/// The choices themselves.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) amounts: Amounts,
    pub(super) excluded_field: ExcludedField,
    pub(super) foreign_record_status: StatusCode,
    pub(super) ignores_unknown_fields: bool,
    pub(super) limit_headers: LimitHeaders,
    pub(super) offset_and_page_status: StatusCode,
    pub(super) orders: usize,
    pub(super) post_status: StatusCode,
    pub(super) rate_limit: Option<(u32, Duration)>,
    pub(super) validation_status: StatusCode,
}

crate::testing::mock_server::limit_options!();
crate::testing::mock_server::field_options!();
crate::testing::mock_server::options!(|host, options, _| Shop::new(host, options));

impl MockServerBuilder {
    pub(super) fn new() -> Self {
        let limit_headers = LimitHeaders { limit: Limit::Sent, reset: ResetFormat::EpochSeconds, retry_after: None };
        let options = Options {
            amounts: Amounts::Number,
            excluded_field: ExcludedField::Absent,
            foreign_record_status: StatusCode::NOT_FOUND,
            ignores_unknown_fields: false,
            limit_headers,
            offset_and_page_status: StatusCode::BAD_REQUEST,
            orders: 140,
            post_status: StatusCode::CREATED,
            rate_limit: Some((100, Duration::from_secs(60))),
            validation_status: StatusCode::BAD_REQUEST,
        };
        Self { clock: None, options }
    }

    /// How money is written. Default [`Amounts::Number`]; the vendor's clients cast it, so it may be either.
    pub fn with_amounts(mut self, amounts: Amounts) -> Self {
        self.options.amounts = amounts;
        self
    }

    /// How a property looks that a token may not see. Default [`ExcludedField::Absent`], because the vendor keeps null
    /// for what is blank.
    pub fn with_excluded_fields_as(mut self, excluded: ExcludedField) -> Self {
        self.options.excluded_field = excluded;
        self
    }

    /// The status for a token of Customer access level that asks for somebody else's record. Default 404, which does not
    /// give the record away; 403 is as likely.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn with_foreign_record_status(mut self, status: u16) -> Self {
        self.options.foreign_record_status = reply::status(status);
        self
    }

    /// The status for `offset` together with `page`, which the vendor says not to combine. Default 400.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn with_offset_and_page_status(mut self, status: u16) -> Self {
        self.options.offset_and_page_status = reply::status(status);
        self
    }

    /// How many orders there are at the start, with ids from 20000010 upwards. Default 140, so that no single page holds
    /// them all. With fewer than 6, some of the special ones are missing.
    pub fn with_order_count(mut self, orders: usize) -> Self {
        self.options.orders = orders;
        self
    }

    /// The status of a successful POST. Default 201; 200 is as likely.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn with_post_status(mut self, status: u16) -> Self {
        self.options.post_status = reply::status(status);
        self
    }

    /// How many requests all tokens together may make in a window, and how long a window is. Default 100 in 60 s; the
    /// real numbers are not published. A window begins with the first request that it counts.
    pub fn with_rate_limit(mut self, requests: u32, window: Duration) -> Self {
        self.options.rate_limit = Some((requests, window));
        self
    }

    /// The status for a body that says something wrong. Default 400; 422 is as likely.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn with_validation_status(mut self, status: u16) -> Self {
        self.options.validation_status = reply::status(status);
        self
    }

    /// Counts nothing, refuses nothing for its number, and sends no rate-limit headers: for benchmarks, and to see what a
    /// client does without them.
    pub fn without_rate_limit(mut self) -> Self {
        self.options.rate_limit = None;
        self
    }

    /// Makes the tenant without any socket, at `https://demo.fixably.com`. Only a [client that was made for it](MockServer::client_builder)
    /// can reach it; in return its delays and windows follow tokio's paused clock, and months pass in milliseconds.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use std::time::Duration;
    ///
    /// use servicebay::testing::fixably::{MockServer, TokenKind};
    ///
    /// let tenant = MockServer::builder().with_rate_limit(10, Duration::from_secs(3600)).in_memory();
    /// let client = tenant.client_builder(TokenKind::AdminAll).with_max_wait(Duration::from_secs(7200)).build()?;
    ///
    /// tenant.exhaust_rate_limit();
    /// let before = tenant.now();
    /// client.get_order().id(20000010).send().await?; // waits most of an hour, on a clock that is paused
    /// assert!(tenant.now().duration_since(before).as_mins() >= 58);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn in_memory(self) -> MockServer {
        MockServer::without_a_port(self.clock.unwrap_or_else(Clock::starting_now), Shop::new(IN_MEMORY, self.options))
    }
}
