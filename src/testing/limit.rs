//! A tenant's request budget, and the headers that tell of it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};

use super::clock::{rounded_up, shifted, whole_second};
use super::desk::Time;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How a tenant writes the end of its rate-limit window, in `X-RateLimit-Reset` or `Retry-After`.
///
/// Vendors name the header and seldom say what it holds. A client that reads them all is tested against them all.
///
/// ```
/// use servicebay::testing::ResetFormat;
/// use servicebay::testing::fixably::MockServer;
///
/// let tenant = MockServer::builder()
///     .with_reset_format(ResetFormat::HttpDate)
///     .with_retry_after(ResetFormat::DeltaSeconds)
///     .in_memory();
/// assert_eq!(tenant.remaining(), Some(100));
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
    /// This very text, whatever the time: `banana`, `-1`, nothing at all. Text that cannot travel in a header (a line
    /// break, say) is sent as an empty value.
    Raw(String),
}

impl ResetFormat {
    /// Writes the end of a window. `now` and `reset` are both in the time that the tenant shows its callers.
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

/// A time as HTTP writes it; empty for a year that the format cannot express.
pub(crate) fn http_date(time: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}

/// One budget of requests in windows of a fixed length. A window begins with the first request that it counts.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    size: u32,
    window: SignedDuration,
    reset: Option<Timestamp>,
    used: u32,
}

impl Bucket {
    pub(crate) fn new(size: u32, window: Duration) -> Self {
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        Self { size, window, reset: None, used: 0 }
    }

    /// Counts requests against the window and tells how many of them fitted.
    pub(crate) fn take(&mut self, requests: u32, now: Timestamp) -> u32 {
        self.open(now);
        let taken = requests.min(self.size - self.used);
        self.used += taken;
        taken
    }

    pub(crate) fn remaining(&self, now: Timestamp) -> u32 {
        if self.reset.is_none_or(|reset| now >= reset) { self.size } else { self.size - self.used }
    }

    /// The end of the window that `now` is in, or of the one that a request would open.
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

    /// Windows of a second and more end on a whole second, so that every header format can name their end exactly and
    /// a caller who trusts it is never one request early.
    fn end_of_window_from(&self, now: Timestamp) -> Timestamp {
        let start = if self.window.as_secs() >= 1 { whole_second(now) } else { now };
        shifted(start, self.window)
    }
}

/// Which rate-limit headers a tenant sends, and how it writes them.
#[derive(Clone, Debug)]
pub(crate) struct LimitHeaders {
    pub(crate) limit: Limit,
    pub(crate) reset: ResetFormat,
    pub(crate) retry_after: Option<ResetFormat>,
}

/// Whether `X-RateLimit-Limit` is among the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Omitted,
    Sent,
}

impl LimitHeaders {
    /// Adds the headers of an answer, in the time that the tenant shows.
    pub(crate) fn add_to(&self, response: &mut Response<Bytes>, bucket: &Bucket, time: Time) {
        let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
        let reset = |format: &ResetFormat| format.write(shifted(bucket.reset(time.now), time.skew), time.shown());
        let headers = response.headers_mut();
        if self.limit == Limit::Sent {
            headers.insert(LIMIT, bucket.size.into());
        }
        headers.insert(REMAINING, bucket.remaining(time.now).into());
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
    fn a_window_lets_its_size_through_and_no_more() {
        let mut bucket = Bucket::new(3, Duration::from_secs(60));
        let taken: u32 = (0..10).map(|i| bucket.take(1, at(i))).sum();
        assert_eq!(taken, 3);
        assert_eq!(bucket.remaining(at(10)), 0);
    }

    #[test]
    fn a_new_window_opens_at_the_reset_and_not_before() {
        let mut bucket = Bucket::new(1, Duration::from_secs(60));
        assert_eq!(bucket.take(1, at(0)), 1);
        assert_eq!(bucket.take(1, at(59_999)), 0);
        assert_eq!(bucket.take(1, at(60_000)), 1);
    }

    #[test]
    fn a_window_of_seconds_ends_on_a_whole_second() {
        let mut bucket = Bucket::new(1, Duration::from_secs(60));
        bucket.take(1, at(700));
        assert_eq!(bucket.reset(at(700)), at(60_000));
    }

    #[test]
    fn a_window_shorter_than_a_second_keeps_its_length() {
        let mut bucket = Bucket::new(1, Duration::from_millis(200));
        bucket.take(1, at(700));
        assert_eq!(bucket.reset(at(700)), at(900));
    }

    #[test]
    fn every_format_names_the_same_end() {
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
        let mut bucket = Bucket::new(5, Duration::from_secs(60));
        bucket.take(2, at(0));
        for (format, reset) in [(ResetFormat::EpochSeconds, "1767229260"), (ResetFormat::DeltaSeconds, "60")] {
            let shown = LimitHeaders { limit: Limit::Omitted, reset: format, retry_after: None };
            let mut response = Response::new(Bytes::new());
            shown.add_to(&mut response, &bucket, Time { now: at(0), skew: SignedDuration::from_hours(1) });
            let headers = response.headers();
            assert_eq!(headers[RESET], reset, "{headers:?}");
            assert_eq!(headers[REMAINING], "3", "{headers:?}");
            assert!(!headers.contains_key(LIMIT), "{headers:?}");
        }
    }
}
