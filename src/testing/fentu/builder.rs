//! The builder of the mock server: its options and how it starts.

use std::time::Duration;

use super::mock_server::MockServer;
use super::options::{BasePath, Consent, Options, Pkce, RefreshTokens, Tier};
use crate::testing::mock_server_builder::{mock_server_builder, rate_limit_header_options, unknown_field_option};
use crate::testing::token_issuer::TokenLifetimes;

mock_server_builder! {
    Options,
    /// Sets what the vendor's documentation leaves open, then starts a [`MockServer`].
    ///
    /// Each option defaults to what the vendor's samples suggest, or else to the value that hides the fewest mistakes.
    /// A client that also passes with the other values does not depend on a guess.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use servicebay::testing::ResetFormat;
    /// use servicebay::testing::fentu::{BasePath, KeyKind, MockServer, RefreshTokens, Tier};
    ///
    /// let server = MockServer::builder()
    ///     .with_base_path(BasePath::ApiV1)
    ///     .with_tier(Tier::Professional)
    ///     .with_reset_format(ResetFormat::Iso8601)
    ///     .with_refresh_tokens(RefreshTokens::Rotated)
    ///     .start()
    ///     .await;
    /// assert_eq!(server.remaining(KeyKind::Admin), Some(10_000));
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
    /// use servicebay::testing::fentu::{KeyKind, MockServer};
    ///
    /// let server = MockServer::builder().in_memory();
    /// let client = server.client_builder(KeyKind::Admin).with_max_wait(Duration::from_secs(7200)).build()?;
    ///
    /// server.exhaust_rate_limit();
    /// let before = server.now();
    /// client.get_work_order().id("wo-10001").send().await?; // waits for most of an hour, which passes at once
    /// assert!(server.now().duration_since(before).as_mins() >= 58);
    /// # Ok(())
    /// # }
    /// ```
}

unknown_field_option!();
rate_limit_header_options!();

impl MockServerBuilder {
    /// The prefix of the API's paths. Default [`BasePath::Both`]. [`MockServer::base_url`] ends with `/v1` all the
    /// same, as the base URL of a client does.
    pub fn with_base_path(mut self, path: BasePath) -> Self {
        self.options.base_path = path;
        self
    }

    /// What users do on the authorization page. Default [`Consent::Given`].
    pub fn with_consent(mut self, consent: Consent) -> Self {
        self.options.oauth.consent = consent;
        self
    }

    /// Responds with 501 to every operation whose method and path the vendor's documentation does not show, so that a
    /// test reveals what rests on an assumption.
    pub fn with_documented_operations_only(mut self) -> Self {
        self.options.only_documented = true;
        self
    }

    /// How PKCE is treated. Default [`Pkce::Checked`].
    pub fn with_pkce(mut self, pkce: Pkce) -> Self {
        self.options.oauth.pkce = pkce;
        self
    }

    /// The number of requests that each key and each login may send in a window, and the length of the window, in place
    /// of those of a [tier](Self::with_tier). A window starts with the first request that it counts.
    pub fn with_rate_limit(mut self, requests: u32, window: Duration) -> Self {
        self.options.rate_limit = Some((requests, window));
        self
    }

    /// What a refresh does to the refresh token. Default [`RefreshTokens::Repeated`].
    pub fn with_refresh_tokens(mut self, refresh_tokens: RefreshTokens) -> Self {
        self.options.oauth.refresh_tokens = refresh_tokens;
        self
    }

    /// How many requests each key and each login may send in an hour. Default [`Tier::Standard`].
    pub fn with_tier(mut self, tier: Tier) -> Self {
        self.options.rate_limit = tier.rate_limit();
        self
    }

    /// How long access tokens and refresh tokens are valid. Default 1 hour and 30 days, as documented.
    pub fn with_token_lifetimes(mut self, access: Duration, refresh: Duration) -> Self {
        self.options.oauth.token_lifetimes = TokenLifetimes::new(access, refresh);
        self
    }
}
