//! What a response says about the rate limit by its status.

use http::StatusCode;

use super::headers::RateLimitHeaders;

/// What a response says about the rate limit by its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseKind {
    /// The vendor looked at the call, and counted it.
    Accepted,
    /// The vendor refused the call because of its limit.
    Refused,
    /// The vendor is down (503), and may say until when.
    Unavailable,
    /// The vendor failed to process this call. Without headers this says nothing.
    Failed,
}

impl ResponseKind {
    /// Some vendors, and firewalls in front of them, say 403 for "slow down", and add when to come back or that nothing is left.
    pub(crate) fn of(status: StatusCode, headers: &RateLimitHeaders) -> Self {
        match status {
            StatusCode::TOO_MANY_REQUESTS => Self::Refused,
            StatusCode::FORBIDDEN if headers.retry_after.is_some() || headers.remaining == Some(0) => Self::Refused,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            StatusCode::REQUEST_TIMEOUT => Self::Failed,
            status if status.is_server_error() => Self::Failed,
            _ => Self::Accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_status_decides_and_a_403_may_mean_slow_down() {
        let nothing = RateLimitHeaders::default();
        let wait = RateLimitHeaders { retry_after: Some(Duration::from_secs(5)), ..nothing };
        let exhausted = RateLimitHeaders { remaining: Some(0), ..nothing };
        let left = RateLimitHeaders { remaining: Some(7), ..nothing };
        for (status, headers, expected) in [
            (200, nothing, ResponseKind::Accepted),
            (200, exhausted, ResponseKind::Accepted),
            (404, nothing, ResponseKind::Accepted),
            (403, nothing, ResponseKind::Accepted),
            (403, left, ResponseKind::Accepted),
            (403, wait, ResponseKind::Refused),
            (403, exhausted, ResponseKind::Refused),
            (429, nothing, ResponseKind::Refused),
            (408, wait, ResponseKind::Failed),
            (500, left, ResponseKind::Failed),
            (503, wait, ResponseKind::Unavailable),
            (522, nothing, ResponseKind::Failed),
        ] {
            assert_eq!(
                ResponseKind::of(StatusCode::from_u16(status).unwrap(), &headers),
                expected,
                "{status} {headers:?}"
            );
        }
    }
}
