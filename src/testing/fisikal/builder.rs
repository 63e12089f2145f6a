//! The builder of a mock server.

use std::time::Duration;

use jiff::SignedDuration;

use super::mock_server::MockServer;
use super::options::Options;
use crate::testing::mock_server_builder::{mock_server_builder, status_options};

mock_server_builder! {
    Options,
    /// Sets what the vendor's documentation leaves open, and starts a [`MockServer`].
    ///
    /// Each default is what the known clients of the vendor suggest, or else the value that hides the fewest bugs. A
    /// client that also passes with the other values does not depend on a guess.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::time::Duration;
    ///
    /// use servicebay::testing::fisikal::MockServer;
    ///
    /// let server = MockServer::builder()
    ///     .with_access_lifetime(Duration::from_secs(600))
    ///     .with_refresh_tokens()
    ///     .with_booking_error_status(422)
    ///     .start()
    ///     .await;
    /// assert_ne!(server.access_token(), server.access_token());
    /// # }
    /// ```
}

status_options! {
    /// The status of a rejected booking, whose reasons are in `errors`. Default 200; 422 is as likely.
    with_booking_error_status => booking_error_status;

    /// The status of an error of the token endpoint. Default 400, which newer versions of Doorkeeper send; the vendor
    /// is assumed to use that library. Older versions send 401. For an unknown application both send 401.
    with_grant_error_status => grant_error_status;

    /// The status of a session login with a wrong password or role. Default 401; what the vendor sends is unknown.
    with_login_error_status => login_error_status;
}

impl MockServerBuilder {
    /// How long an access token from `/oauth/token` is valid. Default 1 hour: the vendor's instructions create
    /// applications with an expiration of "1", without a unit.
    pub fn with_access_lifetime(mut self, lifetime: Duration) -> Self {
        self.options.access_lifetime = signed(lifetime);
        self
    }

    /// From how long before its start a class can no longer be canceled. Default 2 hours.
    pub fn with_late_window(mut self, window: Duration) -> Self {
        self.options.late_window = signed(window);
        self
    }

    /// Revokes the old access token when its refresh token is used. Default: it stays valid until it expires.
    pub fn with_old_tokens_revoked(mut self) -> Self {
        self.options.revokes_old_tokens = true;
        self
    }

    /// How long a refresh token is valid. Default: it does not expire.
    pub fn with_refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.options.refresh_lifetime = signed(lifetime);
        self
    }

    /// Issues a refresh token with each access token, and accepts it. Default: neither, because the vendor's
    /// documentation mentions no refresh tokens.
    pub fn with_refresh_tokens(mut self) -> Self {
        self.options.refresh_tokens = true;
        self
    }

    /// How long a session token is valid. Default 30 days, which one client relies on.
    pub fn with_session_lifetime(mut self, lifetime: Duration) -> Self {
        self.options.session_lifetime = signed(lifetime);
        self
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
