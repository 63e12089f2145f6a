//! The rate limit of a mock server: requests counted in fixed windows, and the headers that report them.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};

use super::clock::{ServerTime, http_date, rounded_up, shifted, whole_second};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The format in which a mock server reports when its rate-limit window resets, in `X-RateLimit-Reset` and
/// `Retry-After`.
///
/// Vendors name the header and seldom its format, so test your integration with every format that it might meet.
///
/// ```
/// use servicebay::testing::ResetFormat;
/// use servicebay::testing::fixably::MockServer;
///
/// let server = MockServer::builder()
///     .with_reset_format(ResetFormat::HttpDate)
///     .with_retry_after(ResetFormat::DeltaSeconds)
///     .in_memory();
/// assert_eq!(server.remaining(), Some(100));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetFormat {
    /// Whole seconds from now, rounded up: `42`.
    DeltaSeconds,
    /// Milliseconds since 1970: `1767225600000`.
    EpochMillis,
    /// Seconds since 1970: `1767225600`.
    EpochSeconds,
    /// The date format of HTTP: `Thu, 01 Jan 2026 00:00:00 GMT`.
    HttpDate,
    /// ISO 8601 in UTC: `2026-01-01T00:00:00Z`.
    Iso8601,
    /// This text, whatever the time: `banana`, `-1`, or nothing. Text that a header cannot carry, such as a line break,
    /// is sent as an empty value.
    Raw(String),
}

impl ResetFormat {
    /// Formats the reset of a window. `now` and `reset` are both in the time that the server shows.
    fn write(&self, reset: Timestamp, now: Timestamp) -> HeaderValue {
        let text = match self {
            Self::DeltaSeconds => {
                let left = reset.duration_since(now).as_millis().max(0);
                ((left + 999) / 1000).to_string()
            }
            Self::EpochMillis => reset.as_millisecond().to_string(),
            Self::EpochSeconds => rounded_up(reset).as_second().to_string(),
            Self::HttpDate => http_date(rounded_up(reset)),
            Self::Iso8601 => rounded_up(reset).to_string(),
            Self::Raw(text) => text.clone(),
        };
        HeaderValue::from_bytes(text.as_bytes()).unwrap_or(HeaderValue::from_static(""))
    }
}

/// Counts requests in windows of a fixed length. A window starts with the first request that it counts.
#[derive(Clone, Debug)]
pub(crate) struct FixedWindow {
    size: u32,
    length: SignedDuration,
    reset: Option<Timestamp>,
    used: u32,
}

impl FixedWindow {
    pub(crate) fn new(size: u32, length: Duration) -> Self {
        let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        Self { size, length, reset: None, used: 0 }
    }

    /// Counts requests against the window, and returns how many of them fit.
    pub(crate) fn take(&mut self, requests: u32, now: Timestamp) -> u32 {
        self.open(now);
        let taken = requests.min(self.size - self.used);
        self.used += taken;
        taken
    }

    pub(crate) fn remaining(&self, now: Timestamp) -> u32 {
        if self.reset.is_none_or(|reset| now >= reset) { self.size } else { self.size - self.used }
    }

    /// When the current window resets, or the one that a request would start.
    pub(crate) fn reset(&self, now: Timestamp) -> Timestamp {
        match self.reset {
            Some(reset) if now < reset => reset,
            _ => self.end_of_window_from(now),
        }
    }

    fn open(&mut self, now: Timestamp) {
        if self.reset.is_none_or(|reset| now >= reset) {
            self.reset = Some(self.end_of_window_from(now));
            self.used = 0;
        }
    }

    /// A window of a second or more resets on a whole second, so that every header format expresses the reset exactly,
    /// and a client that trusts it never sends one request too early.
    fn end_of_window_from(&self, now: Timestamp) -> Timestamp {
        let start = if self.length.as_secs() >= 1 { whole_second(now) } else { now };
        shifted(start, self.length)
    }
}

/// Which rate-limit headers a server sends, and in which formats.
#[derive(Clone, Debug)]
pub(crate) struct RateLimitHeaders {
    /// Whether `X-RateLimit-Limit` is sent.
    pub(crate) sends_limit: bool,
    pub(crate) reset: ResetFormat,
    pub(crate) retry_after: Option<ResetFormat>,
}

impl Default for RateLimitHeaders {
    fn default() -> Self {
        Self { sends_limit: true, reset: ResetFormat::EpochSeconds, retry_after: None }
    }
}

impl RateLimitHeaders {
    /// Adds the headers to a response, in the time that the server shows.
    pub(crate) fn add_to(&self, response: &mut Response<Bytes>, window: &FixedWindow, time: ServerTime) {
        let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
        let reset = |format: &ResetFormat| format.write(shifted(window.reset(time.now), time.skew), time.shown());
        let headers = response.headers_mut();
        if self.sends_limit {
            headers.insert(LIMIT, window.size.into());
        }
        headers.insert(REMAINING, window.remaining(time.now).into());
        headers.insert(RESET, reset(&self.reset));
        if let Some(format) = self.retry_after.as_ref().filter(|_| refused) {
            headers.insert(RETRY_AFTER, reset(format));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_767_225_600_000 + millis).expect("in range")
    }

    #[test]
    fn a_window_admits_its_size_and_no_more() {
        let mut window = FixedWindow::new(3, Duration::from_secs(60));
        let taken: u32 = (0..10).map(|i| window.take(1, at(i))).sum();
        assert_eq!(taken, 3);
        assert_eq!(window.remaining(at(10)), 0);
    }

    #[test]
    fn a_new_window_starts_at_the_reset_and_not_before() {
        let mut window = FixedWindow::new(1, Duration::from_secs(60));
        assert_eq!(window.take(1, at(0)), 1);
        assert_eq!(window.take(1, at(59_999)), 0);
        assert_eq!(window.take(1, at(60_000)), 1);
    }

    #[test]
    fn a_window_of_seconds_resets_on_a_whole_second() {
        let mut window = FixedWindow::new(1, Duration::from_secs(60));
        window.take(1, at(700));
        assert_eq!(window.reset(at(700)), at(60_000));
    }

    #[test]
    fn a_window_shorter_than_a_second_keeps_its_length() {
        let mut window = FixedWindow::new(1, Duration::from_millis(200));
        window.take(1, at(700));
        assert_eq!(window.reset(at(700)), at(900));
    }

    #[test]
    fn every_format_expresses_the_same_reset() {
        let (now, reset) = (at(500), at(60_000));
        for (format, text) in [
            (ResetFormat::DeltaSeconds, "60"),
            (ResetFormat::EpochMillis, "1767225660000"),
            (ResetFormat::EpochSeconds, "1767225660"),
            (ResetFormat::HttpDate, "Thu, 01 Jan 2026 00:01:00 GMT"),
            (ResetFormat::Iso8601, "2026-01-01T00:01:00Z"),
            (ResetFormat::Raw("banana".into()), "banana"),
            (ResetFormat::Raw("two\nlines".into()), ""),
        ] {
            assert_eq!(format.write(reset, now), text, "{format:?}");
        }
    }

    #[test]
    fn a_skewed_clock_shifts_times_and_leaves_spans_alone() {
        let mut window = FixedWindow::new(5, Duration::from_secs(60));
        window.take(2, at(0));
        for (format, reset) in [(ResetFormat::EpochSeconds, "1767229260"), (ResetFormat::DeltaSeconds, "60")] {
            let shown = RateLimitHeaders { sends_limit: false, reset: format, retry_after: None };
            let mut response = Response::new(Bytes::new());
            shown.add_to(&mut response, &window, ServerTime { now: at(0), skew: SignedDuration::from_hours(1) });
            let headers = response.headers();
            assert_eq!(headers[RESET], reset, "{headers:?}");
            assert_eq!(headers[REMAINING], "3", "{headers:?}");
            assert!(!headers.contains_key(LIMIT), "{headers:?}");
        }
    }
}
