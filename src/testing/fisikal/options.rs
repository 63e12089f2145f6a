//! How the mock server behaves, as the builder sets it.

use http::StatusCode;
use jiff::SignedDuration;

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) access_lifetime: SignedDuration,
    pub(super) booking_error_status: StatusCode,
    pub(super) grant_error_status: StatusCode,
    pub(super) late_window: SignedDuration,
    pub(super) login_error_status: StatusCode,
    pub(super) refresh_lifetime: SignedDuration,
    pub(super) refresh_tokens: bool,
    /// Whether a refresh revokes the older access tokens of its login.
    pub(super) revokes_old_tokens: bool,
    pub(super) session_lifetime: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_lifetime: SignedDuration::from_hours(1),
            booking_error_status: StatusCode::OK,
            grant_error_status: StatusCode::BAD_REQUEST,
            late_window: SignedDuration::from_hours(2),
            login_error_status: StatusCode::UNAUTHORIZED,
            refresh_lifetime: SignedDuration::MAX,
            refresh_tokens: false,
            revokes_old_tokens: false,
            session_lifetime: SignedDuration::from_hours(30 * 24),
        }
    }
}
