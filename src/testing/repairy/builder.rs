//! The builder of a mock server.

use std::time::Duration;

use super::mock_server::MockServer;
use super::options::{Options, RefreshTokens, UnknownPhone};
use super::rules::Transitions;
use crate::testing::mock_server_builder::{mock_server_builder, status_options, unknown_field_option};
use crate::testing::token_issuer::TokenLifetimes;

mock_server_builder! {
    Options,
    /// Sets what the vendor's documentation leaves open, and starts a [`MockServer`].
    ///
    /// Each default is the value that hides the fewest bugs. A client that also passes with the other values does not
    /// depend on a guess.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::testing::repairy::MockServer;
    ///
    /// // The vendor documents neither an envelope nor the responses to changes, so a client must not rely on them.
    /// let server = MockServer::builder().with_envelope("data").with_empty_change_responses().start().await;
    /// let booking = server.client()?.get_booking().id("670000000000000000000001").send().await?;
    /// assert_eq!(booking.code.as_deref(), Some("BK000001"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A server in memory follows tokio's paused clock:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use std::time::Duration;
    ///
    /// use servicebay::testing::repairy::{MockServer, Partner};
    ///
    /// let server = MockServer::builder().in_memory();
    /// let tokens = server.issue_tokens(Partner::Main);
    /// assert!(server.is_valid(&tokens.access_token));
    /// tokio::time::advance(Duration::from_secs(48 * 3600)).await;
    /// assert!(!server.is_valid(&tokens.access_token));
    /// # Ok(())
    /// # }
    /// ```
}

unknown_field_option!();

status_options! {
    /// The status of a request without `X-Partner-ID`. Default 403; 401 is as likely.
    with_missing_partner_status => missing_partner_status;

    /// The status of a successful POST that creates something. Default 201; 200 is as likely.
    with_post_status => post_status;
}

impl MockServerBuilder {
    /// How many bookings of a category a workshop accepts in a day. Default: unlimited. The vendor documents that there
    /// are such limits, but not the error; here it is 409.
    pub fn with_daily_limit(mut self, category: impl Into<String>, bookings: u32) -> Self {
        self.options.daily_limits.limit_category(category.into(), bookings);
        self
    }

    /// How many bookings of one service, by its id in the catalog, a workshop accepts in a day. It overrides the limit
    /// of the service's category.
    pub fn with_daily_limit_of_service(mut self, catalog_id: impl Into<String>, bookings: u32) -> Self {
        self.options.daily_limits.limit_item(catalog_id.into(), bookings);
        self
    }

    /// The fields of a booking that an update may change. Default: all fields of a new booking except the workshop.
    /// Which fields the vendor allows is unknown.
    pub fn with_editable_fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.options.editable_fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Leaves the responses to changes, quotes and reminders empty. Default: they contain the record.
    pub fn with_empty_change_responses(mut self) -> Self {
        self.options.empty_change_responses = true;
        self
    }

    /// Wraps the content of every successful response in an object, under this name. Default: not wrapped. The vendor
    /// promises one shape for all responses, but does not document it.
    pub fn with_envelope(mut self, name: impl Into<String>) -> Self {
        self.options.envelope = Some(name.into());
        self
    }

    /// Adds `expiresIn`, the lifetime of the access token in seconds, to token responses. Default: left out, because
    /// the vendor does not document it.
    pub fn with_expires_in(mut self) -> Self {
        self.options.expires_in = true;
        self
    }

    /// What a refresh does to the refresh token. Default [`RefreshTokens::Rotated`], the stricter one; the vendor does
    /// not document it.
    pub fn with_refresh_tokens(mut self, refresh_tokens: RefreshTokens) -> Self {
        self.options.refresh_tokens = refresh_tokens;
        self
    }

    /// How long access tokens and refresh tokens are valid. Default 48 hours and 14 days, which the vendor documents.
    pub fn with_token_lifetimes(mut self, access: Duration, refresh: Duration) -> Self {
        self.options.lifetimes = TokenLifetimes::new(access, refresh);
        self
    }

    /// The permitted transitions from one status of a booking to another. They replace the default ones. A new booking
    /// has the first status of the first transition; a status without a transition from it is final.
    ///
    /// # Panics
    ///
    /// If there are no transitions.
    #[track_caller]
    pub fn with_transitions(mut self, transitions: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        self.options.transitions = Transitions::new(transitions);
        self
    }

    /// What a reminder to an unknown phone number does. Default [`UnknownPhone::CreatesCustomer`]; the vendor mentions
    /// a special case for new customers, whose documentation is not public.
    pub fn with_unknown_phone(mut self, unknown_phone: UnknownPhone) -> Self {
        self.options.unknown_phone = unknown_phone;
        self
    }

    /// The member of a webhook's body that contains the booking (feature `webhooks`). Default `data`; which one the vendor uses
    /// is unknown.
    #[cfg(feature = "webhooks")]
    #[cfg_attr(docsrs, doc(cfg(feature = "webhooks")))]
    pub fn with_webhook_content(mut self, name: impl Into<String>) -> Self {
        self.options.webhook_content = name.into();
        self
    }

    /// How webhooks are signed (feature `webhooks`). Default: [`HmacSha256`](crate::webhook::HmacSha256) with its defaults and
    /// the [secret](MockServer::webhook_secret) of all mock servers; the vendor's recipe is unknown. For a recipe that is no
    /// HMAC-SHA256, sign each webhook with [`with_signature`](super::WebhookDelivery::with_signature).
    #[cfg(feature = "webhooks")]
    #[cfg_attr(docsrs, doc(cfg(feature = "webhooks")))]
    pub fn with_webhook_signature(mut self, signature: crate::webhook::HmacSha256) -> Self {
        self.options.webhook_signature = signature;
        self
    }
}
