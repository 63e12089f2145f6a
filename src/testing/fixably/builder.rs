//! The builder of the mock server: its options and how it starts.

use std::time::Duration;

use super::mock_server::MockServer;
use super::options::{Amounts, ExcludedField, Options};
use crate::testing::mock_server_builder::{
    mock_server_builder, rate_limit_header_options, status_options, unknown_field_option,
};

mock_server_builder! {
    Options,
    /// Sets what the vendor's documentation leaves open, then starts a [`MockServer`].
    ///
    /// Each option defaults to what the known clients of the vendor suggest, or else to the value that hides the fewest
    /// mistakes. A client that also passes with the other values does not depend on a guess.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::time::Duration;
    ///
    /// use servicebay::testing::ResetFormat;
    /// use servicebay::testing::fixably::{Amounts, MockServer};
    ///
    /// let server = MockServer::builder()
    ///     .with_rate_limit(10, Duration::from_secs(1))
    ///     .with_reset_format(ResetFormat::DeltaSeconds)
    ///     .with_amounts(Amounts::Text)
    ///     .with_validation_status(422)
    ///     .start()
    ///     .await;
    /// assert_eq!(server.remaining(), Some(10));
    /// # }
    /// ```
    ///
    /// A server in memory follows a paused clock:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use std::time::Duration;
    ///
    /// use servicebay::testing::fixably::{MockServer, TokenKind};
    ///
    /// let server = MockServer::builder().with_rate_limit(10, Duration::from_secs(3600)).in_memory();
    /// let client = server.client_builder(TokenKind::AdminAll).with_max_wait(Duration::from_secs(7200)).build()?;
    ///
    /// server.exhaust_rate_limit();
    /// let before = server.now();
    /// client.get_order().id(20000010).send().await?; // waits for most of an hour, which passes at once
    /// assert!(server.now().duration_since(before).as_mins() >= 58);
    /// # Ok(())
    /// # }
    /// ```
}

unknown_field_option!();
rate_limit_header_options!();
status_options! {
    /// The status for a token with Customer access level that asks for another customer's record. Default 404, which
    /// does not reveal that the record exists; 403 is as likely.
    with_foreign_record_status => foreign_record_status;

    /// The status for `offset` together with `page`, which the vendor's documentation rules out. Default 400.
    with_offset_and_page_status => offset_and_page_status;

    /// The status of a successful POST. Default 201; 200 is as likely.
    with_post_status => post_status;

    /// The status for a body with an invalid value. Default 400; 422 is as likely.
    with_validation_status => validation_status;
}

impl MockServerBuilder {
    /// The format of amounts of money. Default [`Amounts::Number`]; the vendor's clients convert them, so both are
    /// possible.
    pub fn with_amounts(mut self, amounts: Amounts) -> Self {
        self.options.amounts = amounts;
        self
    }

    /// How a field appears that the token may not see. Default [`ExcludedField::Absent`], because the vendor uses null
    /// for blank fields.
    pub fn with_excluded_fields_as(mut self, excluded: ExcludedField) -> Self {
        self.options.excluded_field = excluded;
        self
    }

    /// The number of orders at the start, with ids from 20000010 upwards. Default 140, which is more than one page
    /// holds. With fewer than 6, some of the orders with special properties are missing.
    pub fn with_order_count(mut self, orders: usize) -> Self {
        self.options.orders = orders;
        self
    }

    /// The number of requests that all tokens together may send in a window, and the length of the window. Default 100
    /// in 60 s; the vendor does not publish its numbers. A window starts with the first request that it counts.
    pub fn with_rate_limit(mut self, requests: u32, window: Duration) -> Self {
        self.options.rate_limit = Some((requests, window));
        self
    }

    /// Removes the rate limit and its headers: for benchmarks, and to test a client without them.
    pub fn without_rate_limit(mut self) -> Self {
        self.options.rate_limit = None;
        self
    }
}
