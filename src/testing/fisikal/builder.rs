//! What can be chosen about a tenant before it starts.

use std::time::Duration;

use http::StatusCode;
use jiff::SignedDuration;

use super::MockServer;
use crate::testing::response as reply;

/// The choices themselves.
#[derive(Clone, Debug)]
pub(in crate::testing) struct Options {
    pub(super) access_lifetime: SignedDuration,
    pub(super) booking_refusal_status: StatusCode,
    pub(super) grant_refusal_status: StatusCode,
    pub(super) late_window: SignedDuration,
    pub(super) login_refusal_status: StatusCode,
    pub(super) old_access_dies: bool,
    pub(super) refresh_lifetime: SignedDuration,
    pub(super) refresh_tokens: bool,
    pub(super) session_lifetime: SignedDuration,
}

crate::testing::mock_server_builder::mock_server_builder! {
    Options,
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
    /// use servicebay::testing::fisikal::MockServer;
    ///
    /// let tenant = MockServer::builder()
    ///     .with_access_lifetime(Duration::from_secs(600))
    ///     .with_refresh_tokens()
    ///     .with_booking_refusal_status(422)
    ///     .start()
    ///     .await;
    /// assert_ne!(tenant.access_token(), tenant.access_token());
    /// # }
    /// ```
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_lifetime: SignedDuration::from_hours(1),
            booking_refusal_status: StatusCode::OK,
            grant_refusal_status: StatusCode::BAD_REQUEST,
            late_window: SignedDuration::from_hours(2),
            login_refusal_status: StatusCode::UNAUTHORIZED,
            old_access_dies: false,
            refresh_lifetime: SignedDuration::MAX,
            refresh_tokens: false,
            session_lifetime: SignedDuration::from_hours(30 * 24),
        }
    }
}

impl MockServerBuilder {
    /// How long a token from `/oauth/token` lives. Default an hour: the vendor has applications made with an expiration of
    /// "1", without a unit.
    pub fn with_access_lifetime(mut self, lifetime: Duration) -> Self {
        self.options.access_lifetime = signed(lifetime);
        self
    }

    /// The status of a booking that is refused, whose `errors` are in the body all the same. Default 200; 422 is as likely.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn with_booking_refusal_status(mut self, status: u16) -> Self {
        self.options.booking_refusal_status = reply::status_code(status);
        self
    }

    /// The status with which the token endpoint refuses what is not the application's fault. Default 400, as newer
    /// versions of the library do that the vendor is taken to use; older ones answer 401. An unknown application gets 401
    /// from both.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn with_grant_refusal_status(mut self, status: u16) -> Self {
        self.options.grant_refusal_status = reply::status_code(status);
        self
    }

    /// How long before its beginning a class can no longer be left for free. Default two hours.
    pub fn with_late_window(mut self, window: Duration) -> Self {
        self.options.late_window = signed(window);
        self
    }

    /// The status of a log-in with a wrong password or role. Default 401; the vendor's is not known.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn with_login_refusal_status(mut self, status: u16) -> Self {
        self.options.login_refusal_status = reply::status_code(status);
        self
    }

    /// Lets an access token die when its refresh token is used. Default: it lives until it expires.
    pub fn with_old_tokens_revoked(mut self) -> Self {
        self.options.old_access_dies = true;
        self
    }

    /// Lets refresh tokens expire. Default: they do not.
    pub fn with_refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.options.refresh_lifetime = signed(lifetime);
        self
    }

    /// Answers a refresh token with each access token, and takes it. Default: neither, because nothing says that the
    /// vendor does.
    pub fn with_refresh_tokens(mut self) -> Self {
        self.options.refresh_tokens = true;
        self
    }

    /// How long a session token lives. Default 30 days, which one client counts on.
    pub fn with_session_lifetime(mut self, lifetime: Duration) -> Self {
        self.options.session_lifetime = signed(lifetime);
        self
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
