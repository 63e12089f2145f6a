//! What the headers of a response say about the rate limit.

use std::time::Duration;

use http::header::{AGE, DATE};
use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::reset::{self, HeaderProblem};
use crate::clock::Clock;

const LIMIT: &str = "x-ratelimit-limit";
const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";
const RETRY_AFTER: &str = "retry-after";
/// The header of the IETF draft on rate limits, and the policy that goes with it.
const RATELIMIT: &str = "ratelimit";
const RATELIMIT_POLICY: &str = "ratelimit-policy";

/// The longest wait that is believed where no policy says.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Larger counts mean that there is no limit, and would overflow when they are added up.
const MAX_COUNT: u64 = 1 << 40;

/// What a response says about the limit. Everything may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RateLimitHeaders {
    /// Requests in a window.
    pub(crate) limit: Option<u64>,
    /// Requests left in this window.
    pub(crate) remaining: Option<u64>,
    /// Time to the end of the window.
    pub(crate) reset: Option<Duration>,
    /// How long before the response's arrival the window ended, if it did. The response was under way then.
    pub(crate) late: Duration,
    /// The length of the window, if the vendor reports its policy.
    pub(crate) window: Option<Duration>,
    /// How long the vendor asks this caller to stay away.
    pub(crate) retry_after: Option<Duration>,
    /// Whether a cache on the way responded, which knows nothing of the vendor's window.
    pub(crate) is_cached: bool,
}

/// A header that makes no sense. What it says may be anything, even what the vendor should not repeat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InvalidHeader<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    pub(crate) why: &'static str,
}

impl RateLimitHeaders {
    /// How long to wait after a refusal: what is meant for this caller wins over what describes the window.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.retry_after.or(self.reset)
    }

    /// The same without what remains of a window, from a vendor that reports that with refusals alone: nothing would say how
    /// much of the next one is used, until it is refused again.
    pub(super) fn of_refusal_alone(self) -> Self {
        Self { remaining: None, reset: None, ..self }
    }

    /// When the window ends or ended, if the response arrives now.
    pub(super) fn reset_instant(&self, now: Instant) -> Option<Instant> {
        (now + self.reset?).checked_sub(self.late)
    }
}

/// Reads every header that concerns the limit, without a policy and an observer.
pub(crate) fn read_all(headers: &HeaderMap, clock: Clock) -> RateLimitHeaders {
    read(headers, |date| date.unwrap_or_else(|| clock.wall()), Duration::ZERO, MAX_WAIT, &|_| {})
}

/// Reads every header that concerns the limit. A header that makes no sense is reported, and otherwise as if it were missing.
///
/// `vendor_now` is the vendor's time, given the date of the response. The response took `travel` at most, so what has happened
/// meanwhile is no error.
pub(crate) fn read(
    headers: &HeaderMap,
    vendor_now: impl FnOnce(Option<Timestamp>) -> Timestamp,
    travel: Duration,
    max_window: Duration,
    report: &dyn Fn(InvalidHeader<'_>),
) -> RateLimitHeaders {
    let mut found = RateLimitHeaders::default();
    let (mut has_ietf, mut has_times, mut date) = (false, false, None);
    // One pass over the headers: a response has about ten, and to look each name up costs more.
    for (name, value) in headers {
        match name.as_str() {
            LIMIT => found.limit = found.limit.or_else(|| count(LIMIT, value, report)),
            REMAINING => found.remaining = found.remaining.or_else(|| count(REMAINING, value, report)),
            RESET | RETRY_AFTER => has_times = true,
            RATELIMIT => has_ietf = true,
            _ if *name == DATE => date = date.or(Some(value)),
            _ if *name == AGE => {
                found.is_cached |= text(value).is_some_and(|age| age.parse::<u64>().is_ok_and(|age| age > 0))
            }
            _ => {}
        }
    }
    if has_times {
        let date = date.and_then(text).and_then(reset::http_date);
        let vendor = VendorTime { now: vendor_now(date), travel, max_window };
        // Sent twice, the later moment counts: too early is refused again.
        for value in headers.get_all(RESET) {
            let moment = moment(RESET, value, &vendor, report);
            let late = moment.filter(|moment| moment.is_negative()).map(|moment| moment.unsigned_abs());
            let reset = moment.map(|moment| Duration::try_from(moment).unwrap_or_default());
            if reset > found.reset || found.reset.is_none() {
                (found.reset, found.late) = (reset, late.unwrap_or_default());
            }
        }
        for value in headers.get_all(RETRY_AFTER) {
            let moment = moment(RETRY_AFTER, value, &vendor, report);
            found.retry_after =
                found.retry_after.max(moment.map(|moment| Duration::try_from(moment).unwrap_or_default()));
        }
    }
    if has_ietf {
        ietf(headers, max_window, &mut found, report);
    }
    if found.is_cached {
        // The window was another one when the cache got the response. How long to stay away still counts.
        return RateLimitHeaders { is_cached: true, retry_after: found.retry_after, ..RateLimitHeaders::default() };
    }
    found
}

/// What the times in headers are compared with.
struct VendorTime {
    now: Timestamp,
    travel: Duration,
    max_window: Duration,
}

/// Fills what the vendor's own headers left open from the IETF ones: `RateLimit: "default";r=50;t=30` and
/// `RateLimit-Policy: "default";q=100;w=60`. Of several policies the one with the least left counts.
fn ietf(headers: &HeaderMap, max_window: Duration, found: &mut RateLimitHeaders, report: &dyn Fn(InvalidHeader<'_>)) {
    let mut tightest: Option<(&str, u64, Option<u64>)> = None;
    for (name, item) in items(headers, RATELIMIT) {
        let Some(remaining) = parameter(item, "r") else {
            report(invalid(RATELIMIT, item, HeaderProblem::Unreadable));
            continue;
        };
        if tightest.is_none_or(|(_, least, _)| remaining < least) {
            tightest = Some((name, remaining, parameter(item, "t")));
        }
    }
    let Some((name, remaining, reset)) = tightest else { return };
    found.remaining = found.remaining.or(Some(remaining));
    if found.limit.is_none() {
        let policy = items(headers, RATELIMIT_POLICY).find(|(policy, _)| *policy == name);
        found.limit = policy.and_then(|(_, item)| parameter(item, "q"));
        found.window = policy.and_then(|(_, item)| parameter(item, "w")).map(Duration::from_secs);
        found.window = found.window.filter(|window| *window <= max_window);
    }
    if let (None, Some(seconds)) = (found.reset, reset) {
        let ahead = Duration::from_secs(seconds);
        if ahead > max_window {
            report(invalid(RATELIMIT, &seconds.to_string(), HeaderProblem::TooFar));
        } else {
            found.reset = Some(ahead);
        }
    }
}

/// The items of a list header with their names. Names are quoted and, as policies are named, hold no comma.
fn items<'a>(headers: &'a HeaderMap, header: &'static str) -> impl Iterator<Item = (&'a str, &'a str)> {
    headers
        .get_all(header)
        .iter()
        .filter_map(text)
        .flat_map(|value| value.split(','))
        .map(|item| (item.split(';').next().unwrap_or_default().trim(), item))
}

fn parameter(item: &str, name: &str) -> Option<u64> {
    item.split(';')
        .skip(1)
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        .map(|value: u64| value.min(MAX_COUNT))
}

fn count(header: &str, value: &HeaderValue, report: &dyn Fn(InvalidHeader<'_>)) -> Option<u64> {
    let text = text(value).unwrap_or_default();
    let count = text.parse().ok().map(|count: u64| count.min(MAX_COUNT));
    if count.is_none() {
        report(invalid(header, text, HeaderProblem::Unreadable));
    }
    count
}

fn moment(
    header: &str,
    value: &HeaderValue,
    vendor: &VendorTime,
    report: &dyn Fn(InvalidHeader<'_>),
) -> Option<SignedDuration> {
    let text = text(value).unwrap_or_default();
    match reset::read(text, vendor.now, vendor.travel, vendor.max_window) {
        Ok(ahead) => Some(ahead),
        Err(why) => {
            report(invalid(header, text, why));
            None
        }
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    str::from_utf8(value.as_bytes().trim_ascii()).ok()
}

#[cold]
fn invalid<'a>(name: &'a str, value: &'a str, why: HeaderProblem) -> InvalidHeader<'a> {
    let why = match why {
        HeaderProblem::Unreadable => "unreadable",
        HeaderProblem::Past => "past",
        HeaderProblem::TooFar => "too_far",
    };
    InvalidHeader { name, value, why }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn signals(headers: &[(&str, &str)]) -> RateLimitHeaders {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
        let now = |date: Option<Timestamp>| date.unwrap_or_else(|| "2026-03-01T12:00:00Z".parse().unwrap());
        read(&headers, now, Duration::ZERO, HOUR, &|_| {})
    }

    #[test]
    fn the_three_classic_headers_are_read() {
        let read =
            signals(&[("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "30")]);
        assert_eq!(
            read,
            RateLimitHeaders {
                limit: Some(100),
                remaining: Some(7),
                reset: Some(Duration::from_secs(30)),
                ..RateLimitHeaders::default()
            }
        );
    }

    #[test]
    fn a_vendor_whose_clock_is_wrong_is_read_by_its_own_clock() {
        // Its clock is a day ahead; the reset lies 20 s after its own now.
        let read = signals(&[("date", "Mon, 02 Mar 2026 12:00:00 GMT"), ("x-ratelimit-reset", "1772452820")]);
        assert_eq!(read.reset, Some(Duration::from_secs(20)));
    }

    #[test]
    fn retry_after_wins_over_the_reset() {
        let read = signals(&[("retry-after", "5"), ("x-ratelimit-reset", "30")]);
        assert_eq!(read.wait(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn of_two_resets_the_later_counts() {
        let read = signals(&[("x-ratelimit-reset", "0"), ("x-ratelimit-reset", "40"), ("x-ratelimit-reset", "banana")]);
        assert_eq!(read.wait(), Some(Duration::from_secs(40)));
    }

    #[test]
    fn retry_after_may_be_a_date() {
        let read = signals(&[("retry-after", "Sun, 01 Mar 2026 12:00:09 GMT")]);
        assert_eq!(read.wait(), Some(Duration::from_secs(9)));
    }

    #[test]
    fn nonsense_is_as_if_missing() {
        for reset in ["banana", "-1", "99999999999999", "3313526400", "", "\u{fc}"] {
            assert_eq!(signals(&[("x-ratelimit-reset", reset)]), RateLimitHeaders::default(), "{reset:?}");
        }
        assert_eq!(
            signals(&[("x-ratelimit-remaining", "-3"), ("x-ratelimit-limit", "many")]),
            RateLimitHeaders::default()
        );
    }

    #[test]
    fn the_ietf_headers_are_read_and_the_tightest_policy_counts() {
        let read = signals(&[
            ("ratelimit-policy", "\"burst\";q=10;w=1, \"daily\";q=1000;w=86400"),
            ("ratelimit", "\"daily\";r=400;t=3000, \"burst\";r=2;t=1"),
        ]);
        assert_eq!(
            read,
            RateLimitHeaders {
                limit: Some(10),
                remaining: Some(2),
                reset: Some(Duration::from_secs(1)),
                window: Some(Duration::from_secs(1)),
                ..RateLimitHeaders::default()
            }
        );
    }

    #[test]
    fn the_vendors_own_headers_win_over_the_ietf_ones() {
        let read =
            signals(&[("ratelimit", "\"a\";r=2;t=1"), ("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "9")]);
        assert_eq!((read.remaining, read.reset), (Some(5), Some(Duration::from_secs(9))));
    }

    #[test]
    fn malformed_ietf_headers_are_ignored() {
        for value in ["", ";;;", "\"a\"", "\"a\";r=x", "\"a\";t=5", ",,,"] {
            assert_eq!(signals(&[("ratelimit", value)]), RateLimitHeaders::default(), "{value:?}");
        }
        assert_eq!(signals(&[("ratelimit", "\"a\";r=1;t=9999999")]).reset, None);
    }
}
