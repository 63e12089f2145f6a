//! What the headers of a response say about the rate limit: the strictest reading of all that was sent.

use std::cell::LazyCell;
use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, DATE};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::header_reader::{FAMILIES, HeaderFamily, HeaderReader, LimitReport, SentHeader, text};
use super::invalid_header::InvalidHeader;
use super::reset;
use crate::clock::Clock;

/// The longest wait that is believed where no policy says.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

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

impl RateLimitHeaders {
    /// How long to wait after a refusal: what is meant for this caller wins over what describes the window.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.retry_after.or(self.reset)
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
    let mut families = [HeaderFamily::default(); FAMILIES.len()];
    let (mut ratelimit, mut policy, mut retry_after) = (None, None, None);
    let (mut date, mut is_cached) = (None, false);
    // One pass over the headers: a response has about ten, and to look each name up costs more.
    for (name, value) in headers {
        match name.as_str().as_bytes() {
            b"retry-after" => SentHeader::add(&mut retry_after, name, value),
            b"ratelimit" => SentHeader::add(&mut ratelimit, name, value),
            b"ratelimit-policy" => SentHeader::add(&mut policy, name, value),
            [b'x', b'-', b'r', b'a', ..] | [b'r', b'a', ..] => {
                for (family, prefix) in families.iter_mut().zip(FAMILIES) {
                    if let Some(part) = name.as_str().strip_prefix(prefix) {
                        family.add(part, name, value);
                    }
                }
            }
            _ if *name == DATE => date = date.or(Some(value)),
            _ if *name == AGE => {
                is_cached |= text(value).is_some_and(|age| age.parse::<u64>().is_ok_and(|age| age > 0));
            }
            _ => {}
        }
    }
    let now = LazyCell::new(|| vendor_now(date.and_then(text).and_then(reset::http_date)));
    let reader = HeaderReader { headers, vendor_now: &|| *now, travel, max_window, report };
    let retry_after = reader.latest(retry_after).map(|ahead| Duration::try_from(ahead).unwrap_or_default());
    if is_cached {
        // The window was another one when the cache got the response. How long to stay away still counts.
        return RateLimitHeaders { is_cached, retry_after, ..RateLimitHeaders::default() };
    }
    let mut sent = families.iter().filter(|family| family.is_sent());
    let found = match (sent.next(), sent.next()) {
        (family, None) if ratelimit.is_none() && policy.is_none() => {
            family.map_or_else(LimitReport::default, |family| reader.family(family))
        }
        _ => reader.strictest(&families, ratelimit, policy),
    };
    RateLimitHeaders {
        limit: found.limit,
        remaining: found.remaining,
        reset: found.reset.map(|ahead| Duration::try_from(ahead).unwrap_or_default()),
        late: found.reset.filter(SignedDuration::is_negative).map_or(Duration::ZERO, |ahead| ahead.unsigned_abs()),
        window: found.window,
        retry_after,
        is_cached,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::super::header_reader::MAX_COUNT;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn header_map<N: AsRef<str>, V: AsRef<str>>(headers: &[(N, V)]) -> HeaderMap {
        headers.iter().fold(HeaderMap::new(), |mut map, (name, value)| {
            let name = name.as_ref().parse::<HeaderName>().unwrap();
            map.append(name, HeaderValue::from_bytes(value.as_ref().as_bytes()).unwrap());
            map
        })
    }

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn read_map(headers: &HeaderMap, report: &dyn Fn(InvalidHeader<'_>)) -> RateLimitHeaders {
        read(headers, |date| date.unwrap_or_else(now), Duration::from_secs(60), HOUR, report)
    }

    fn signals<N: AsRef<str>, V: AsRef<str>>(headers: &[(N, V)]) -> RateLimitHeaders {
        read_map(&header_map(headers), &|_| {})
    }

    /// The headers that are reported as invalid.
    fn invalid_headers(headers: Headers<'_>) -> Vec<(String, String, &'static str)> {
        let found = RefCell::new(Vec::new());
        read_map(&header_map(headers), &|header| {
            found.borrow_mut().push((header.name.to_owned(), header.value.to_owned(), header.why));
        });
        found.into_inner()
    }

    /// What a response says: the limit, the remaining calls, and the seconds to the reset and in the window.
    fn reading(
        limit: Option<u64>,
        remaining: Option<u64>,
        reset: Option<u64>,
        window: Option<u64>,
    ) -> RateLimitHeaders {
        RateLimitHeaders {
            limit,
            remaining,
            reset: reset.map(Duration::from_secs),
            window: window.map(Duration::from_secs),
            ..RateLimitHeaders::default()
        }
    }

    /// Checks that headers read as expected, in whatever order they come, without an invalid one.
    #[track_caller]
    fn check(headers: Headers<'_>, expected: RateLimitHeaders) {
        for rotation in 0..headers.len() {
            let mut rotated = headers.to_vec();
            rotated.rotate_left(rotation);
            assert_eq!(signals(&rotated), expected, "{rotated:?}");
        }
        assert_eq!(invalid_headers(headers), []);
    }

    #[test]
    fn the_three_classic_headers_are_read() {
        for prefix in ["x-ratelimit", "x-rate-limit", "ratelimit"] {
            let names = ["limit", "remaining", "reset"].map(|field| format!("{prefix}-{field}"));
            let headers = [(&*names[0], "100"), (&*names[1], "7"), (&*names[2], "30")];
            check(&headers, reading(Some(100), Some(7), Some(30), None));
        }
    }

    #[test]
    fn a_part_of_the_classic_headers_is_read_too() {
        check(&[("x-rate-limit-limit", "100")], reading(Some(100), None, None, None));
        check(&[("ratelimit-remaining", "7")], reading(None, Some(7), None, None));
        check(&[("x-ratelimit-reset", "30")], reading(None, None, Some(30), None));
        check(&[("x-ratelimit-limit", "100"), ("ratelimit-reset", "30")], reading(Some(100), None, Some(30), None));
        check(&[("x-ratelimit-remaining", "7"), ("ratelimit-remaining", "3")], reading(None, Some(3), None, None));
    }

    #[test]
    fn without_a_policy_a_wait_of_up_to_a_year_is_believed() {
        let wait = |headers: &[(&str, &str)]| read_all(&header_map(headers), Clock::System).wait();
        let year = 365 * 24 * 3600;
        assert_eq!(wait(&[("retry-after", &year.to_string())]), Some(Duration::from_secs(year)));
        assert_eq!(wait(&[("retry-after", &(year + 1).to_string())]), None);
        let tomorrow = [("date", "Sun, 01 Mar 2026 12:00:00 GMT"), ("retry-after", "Mon, 02 Mar 2026 12:00:00 GMT")];
        assert_eq!(wait(&tomorrow), Some(Duration::from_secs(24 * 3600)));
    }

    #[test]
    fn other_headers_are_not_read() {
        for name in
            ["x-ratelimit-used", "x-ratelimit", "ratelimit-", "x-rate-limit", "x-ratelimit-reset-after", "reset"]
        {
            check(&[(name, "5")], RateLimitHeaders::default());
        }
    }

    #[test]
    fn a_limit_may_list_its_policies() {
        for (limit, expected) in [
            ("100, 100;w=60", reading(Some(100), None, None, Some(60))),
            ("100,1000;w=3600,100;w=60", reading(Some(100), None, None, Some(60))),
            ("100, 100;w=60, 100;w=1", reading(Some(100), None, None, Some(60))),
            ("10, 10;w=60;name=\"a, 1;w=2\"", reading(Some(10), None, None, Some(60))),
            ("10;w=60", reading(Some(10), None, None, Some(60))),
            ("0;w=1, 1000;w=3600, 10;w=60", reading(Some(10), None, None, Some(60))),
            ("100, 50;w=60", reading(Some(100), None, None, None)),
            ("100;w=7200", reading(Some(100), None, None, None)),
            ("100, 50;w=7200", reading(Some(100), None, None, None)),
            ("100 ; W = 60", reading(Some(100), None, None, Some(60))),
        ] {
            for name in ["ratelimit-limit", "x-ratelimit-limit", "x-rate-limit-limit"] {
                check(&[(name, limit)], expected);
            }
        }
        // As Docker Hub writes it.
        check(
            &[("ratelimit-limit", "100;w=1800"), ("ratelimit-remaining", "76;w=1800")],
            reading(Some(100), Some(76), None, Some(1800)),
        );
    }

    #[test]
    fn of_values_that_were_joined_the_strictest_count() {
        check(&[("x-ratelimit-remaining", "5, 3")], reading(None, Some(3), None, None));
        check(&[("x-ratelimit-remaining", "3,5,,")], reading(None, Some(3), None, None));
        check(&[("x-ratelimit-remaining", "5"), ("x-ratelimit-remaining", "3")], reading(None, Some(3), None, None));
        check(&[("x-ratelimit-limit", "0, 100"), ("x-ratelimit-limit", "50")], reading(Some(50), None, None, None));
        check(&[("x-ratelimit-limit", "0, 0")], reading(Some(0), None, None, None));
        check(&[("x-ratelimit-limit", "0"), ("x-ratelimit-remaining", "5")], reading(Some(0), Some(5), None, None));
        check(&[("x-ratelimit-reset", "5, 40"), ("x-ratelimit-reset", "30")], reading(None, None, Some(40), None));
        check(&[("ratelimit-reset", "30 ;w=60")], reading(None, None, Some(30), None));
    }

    #[test]
    fn of_joined_values_the_limit_is_that_of_the_least_that_remains() {
        let of =
            |limit, remaining| signals(&[("x-ratelimit-limit", limit), ("x-ratelimit-remaining", remaining)]).limit;
        assert_eq!(of("1000, 50", "3, 49"), Some(1000));
        assert_eq!(of("50, 1000", "49, 3"), Some(1000));
        assert_eq!(of("1000, 50, 50;w=60", "3, 49"), Some(1000));
        assert_eq!(of("50;w=1, 1000;w=60", "49;w=1, 3;w=60"), Some(1000));
        let headers = [("x-ratelimit-limit", "100;w=60, 100;w=1800"), ("x-ratelimit-remaining", "3, 5")];
        check(&headers, reading(Some(100), Some(3), None, Some(60)));
        // Which one belongs to which is not known.
        assert_eq!(of("1000, 50, 70", "3, 49"), Some(50));
        assert_eq!(of("1000, 50", "3"), Some(50));
    }

    #[test]
    fn decimals_are_read() {
        check(
            &[("x-ratelimit-limit", "9.5"), ("x-ratelimit-remaining", "4.7"), ("x-ratelimit-reset", "30.0")],
            reading(Some(9), Some(4), Some(30), None),
        );
        check(&[("x-ratelimit-remaining", "0.9")], reading(None, Some(0), None, None));
        check(&[("ratelimit", "\"a\";r=1.9;t=30.0")], reading(None, Some(1), Some(30), None));
        assert_eq!(signals(&[("retry-after", "1.5")]).wait(), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn counts_without_bounds_are_bounded() {
        for count in ["18446744073709551615", "99999999999999999999999999", "1099511627776"] {
            check(
                &[("x-ratelimit-limit", count), ("x-ratelimit-remaining", count)],
                reading(Some(MAX_COUNT), Some(MAX_COUNT), None, None),
            );
            check(&[("ratelimit", &format!("a;r={count}"))], reading(None, Some(MAX_COUNT), None, None));
        }
        check(&[("x-ratelimit-limit", "1099511627775")], reading(Some((1 << 40) - 1), None, None, None));
    }

    #[test]
    fn a_vendor_whose_clock_is_wrong_is_read_by_its_own_clock() {
        // Its clock is a day ahead; the reset lies 20 s after its own now.
        let read = signals(&[("date", "Mon, 02 Mar 2026 12:00:00 GMT"), ("x-ratelimit-reset", "1772452820")]);
        assert_eq!(read.reset, Some(Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_window_is_counted_from_the_arrival_of_the_response() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let end = |reset, late| RateLimitHeaders { reset, late, ..RateLimitHeaders::default() }.reset_instant(now);
        assert_eq!(end(Some(30 * second), Duration::ZERO), Some(now + 30 * second));
        assert_eq!(end(Some(Duration::ZERO), 5 * second), now.checked_sub(5 * second));
        assert_eq!(end(None, Duration::ZERO), None);
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
        let read = signals(&[("retry-after", "5"), ("retry-after", "9"), ("retry-after", "banana")]);
        assert_eq!(read.wait(), Some(Duration::from_secs(9)));
    }

    #[test]
    fn of_two_resets_that_have_passed_the_later_counts() {
        let past = |seconds: i64| (now().as_second() - seconds).to_string();
        let read = signals(&[("x-ratelimit-reset", past(50)), ("x-ratelimit-reset", past(20))]);
        assert_eq!((read.reset, read.late), (Some(Duration::ZERO), Duration::from_secs(20)));
        let read = signals(&[("x-ratelimit-reset", past(50)), ("x-ratelimit-reset", "0".to_owned())]);
        assert_eq!((read.reset, read.late), (Some(Duration::ZERO), Duration::ZERO));
    }

    #[test]
    fn retry_after_may_be_a_date() {
        let read = signals(&[("retry-after", "Sun, 01 Mar 2026 12:00:09 GMT")]);
        assert_eq!(read.wait(), Some(Duration::from_secs(9)));
        let read = signals(&[("retry-after", "Sun, 01 Mar 2026 12:00:09 GMT, Sunday, 01-Mar-26 12:00:19 GMT, 7")]);
        assert_eq!(read.wait(), Some(Duration::from_secs(19)));
    }

    #[test]
    fn nonsense_is_as_if_missing_and_reported() {
        for (reset, why) in [
            ("banana", "unreadable"),
            ("-1", "unreadable"),
            ("99999999999999", "too_far"),
            ("3313526400", "too_far"),
            ("1772366000", "past"),
            ("", "unreadable"),
            (", ,", "unreadable"),
        ] {
            for name in ["x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset", "retry-after"] {
                assert_eq!(signals(&[(name, reset)]), RateLimitHeaders::default(), "{reset:?}");
                assert_eq!(invalid_headers(&[(name, reset)]), [(name.to_owned(), reset.to_owned(), why)]);
            }
        }
        for count in ["-3", "many", "", "+5", "1.2.3", "1e3", ".5", "0x10", ", ,"] {
            for name in ["x-ratelimit-remaining", "x-rate-limit-limit", "ratelimit-limit"] {
                assert_eq!(signals(&[(name, count)]), RateLimitHeaders::default(), "{count:?}");
                let invalid = [(name.to_owned(), count.to_owned(), "unreadable")];
                assert_eq!(invalid_headers(&[(name, count)]), invalid);
            }
        }
        let headers = HeaderValue::from_bytes(b"\xfc").unwrap();
        let headers = HeaderMap::from_iter([(HeaderName::from_static("ratelimit"), headers)]);
        assert_eq!(read_map(&headers, &|_| {}), RateLimitHeaders::default());
    }

    #[test]
    fn what_can_be_read_beside_nonsense_counts() {
        let headers = [("x-ratelimit-remaining", "5, -1, many, 3"), ("x-ratelimit-reset", "soon, 9999999, 30")];
        assert_eq!(signals(&headers), reading(None, Some(3), Some(30), None));
        let values: Vec<_> = invalid_headers(&headers).into_iter().map(|(_, value, why)| (value, why)).collect();
        let expected = [("soon", "unreadable"), ("9999999", "too_far"), ("-1", "unreadable"), ("many", "unreadable")];
        assert_eq!(values, expected.map(|(value, why)| (value.to_owned(), why)));
    }

    #[test]
    fn the_ietf_headers_are_read_and_the_tightest_policy_counts() {
        check(
            &[
                ("ratelimit-policy", "\"burst\";q=10;w=1, \"daily\";q=1000;w=86400"),
                ("ratelimit", "\"daily\";r=400;t=3000, \"burst\";r=2;t=1"),
            ],
            reading(Some(10), Some(2), Some(1), Some(1)),
        );
        check(
            &[
                ("ratelimit", "\"daily\";r=400;t=3000"),
                ("ratelimit-policy", "\"daily\";q=1000;w=3600"),
                ("ratelimit", "\"burst\";r=2;t=1"),
                ("ratelimit-policy", "\"burst\";q=10;w=1"),
            ],
            reading(Some(10), Some(2), Some(1), Some(1)),
        );
        check(
            &[("ratelimit", "\"100\";r=5;t=3"), ("ratelimit-policy", "100;w=1, \"100\";q=9;w=60")],
            reading(Some(9), Some(5), Some(3), Some(60)),
        );
        check(&[("ratelimit", "default;r=5;t=3;pk=:cHsd/Q==:")], reading(None, Some(5), Some(3), None));
        check(
            &[("ratelimit", "\"a\" ; R = 5 ; T = 3"), ("ratelimit-policy", "a; Q=9; W=60")],
            reading(Some(9), Some(5), Some(3), Some(60)),
        );
    }

    #[test]
    fn an_exhausted_daily_policy_counts_more_than_an_exhausted_one_of_a_second() {
        for ratelimit in ["\"burst\";r=0;t=1, \"daily\";r=0;t=3000", "\"daily\";r=0;t=3000, \"burst\";r=0;t=1"] {
            check(
                &[("ratelimit-policy", "\"burst\";q=10;w=1, \"daily\";q=1000;w=3600"), ("ratelimit", ratelimit)],
                reading(Some(1000), Some(0), Some(3000), Some(3600)),
            );
        }
        check(&[("ratelimit", "a;r=0, b;r=0;t=0")], reading(None, Some(0), Some(0), None));
    }

    #[test]
    fn names_and_parameters_may_hold_any_character_in_quotes() {
        for name in [r#""a, b""#, r#""a;r=0;t=9""#, r#""a\", b\\""#, r#""\\\"" "#, r#""r=1, limit=0""#, r#""""#] {
            check(
                &[
                    ("ratelimit", &format!(r#"{name};note="\";r=0, x;r=0";r=2;t=7"#)),
                    ("ratelimit-policy", &format!(r#""b";q=8;w=1, {name};note=",;q=1";q=9;w=60"#)),
                ],
                reading(Some(9), Some(2), Some(7), Some(60)),
            );
        }
    }

    #[test]
    fn the_dictionary_of_earlier_drafts_is_read() {
        check(&[("ratelimit", "limit=100, remaining=50, reset=30")], reading(Some(100), Some(50), Some(30), None));
        check(&[("ratelimit", "remaining=0")], reading(None, Some(0), None, None));
        check(
            &[("ratelimit", "Limit=100,partition=\"a, remaining=1\",remaining=50,reset=30;a=b")],
            reading(Some(100), Some(50), Some(30), None),
        );
        check(
            &[("ratelimit", "limit=100, remaining=50, reset=30"), ("ratelimit-policy", "1000;w=3600, 100;w=60")],
            reading(Some(100), Some(50), Some(30), Some(60)),
        );
        check(
            &[
                ("ratelimit-limit", "100"),
                ("ratelimit-remaining", "50"),
                ("ratelimit-reset", "30"),
                ("ratelimit-policy", "100;w=60;comment=\"a;w=1\", 100;w=30"),
            ],
            reading(Some(100), Some(50), Some(30), Some(60)),
        );
    }

    #[test]
    fn a_dictionary_that_repeats_a_key_begins_another_report() {
        for (ratelimit, expected) in [
            (
                "limit=100, remaining=50, reset=3, limit=9, remaining=0, reset=1",
                reading(Some(9), Some(0), Some(1), None),
            ),
            (
                "limit=9, remaining=0, reset=1, limit=100, remaining=50, reset=3",
                reading(Some(9), Some(0), Some(1), None),
            ),
            ("remaining=0, reset=1, remaining=0, reset=3", reading(None, Some(0), Some(3), None)),
        ] {
            check(&[("ratelimit", ratelimit)], expected);
            let (first, second) = ratelimit.split_at(ratelimit.find("reset=").unwrap() + "reset=1".len());
            check(&[("ratelimit", first), ("ratelimit", second)], expected);
        }
        let read = signals(&[("ratelimit", "remaining=x, reset=30, remaining=0, reset=60")]);
        assert_eq!(read, reading(None, Some(0), Some(60), None));
    }

    #[test]
    fn the_strictest_of_the_vendors_own_headers_and_the_ietf_ones_counts() {
        let own = |remaining, reset| [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", reset)];
        for (own, ietf, expected) in [
            (own("5", "9"), "\"a\";r=2;t=1", (2, 1)),
            (own("2", "1"), "\"a\";r=5;t=9", (2, 1)),
            (own("0", "9"), "\"a\";r=0;t=1", (0, 9)),
            (own("0", "1"), "\"a\";r=0;t=9", (0, 9)),
            (own("0", "1"), "remaining=1, reset=9", (0, 1)),
            (own("1", "9"), "remaining=0, reset=1", (0, 1)),
        ] {
            let headers = [own[0], own[1], ("ratelimit", ietf)];
            check(&headers, reading(None, Some(expected.0), Some(expected.1), None));
        }
        for prefix in ["ratelimit", "x-rate-limit"] {
            let (remaining, reset) = (format!("{prefix}-remaining"), format!("{prefix}-reset"));
            let headers = [own("0", "1")[0], own("0", "1")[1], (&remaining, "4"), (&reset, "60")];
            check(&headers, reading(None, Some(0), Some(1), None));
        }
    }

    #[test]
    fn of_equal_reports_the_one_that_says_more_counts() {
        let own = [("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "30")];
        check(&[own[0], own[1], own[2], ("ratelimit", "a;r=5;t=30")], reading(Some(100), Some(5), Some(30), None));
        check(
            &[own[1], own[2], ("ratelimit", "a;r=5;t=30"), ("ratelimit-policy", "a;q=100;w=60")],
            reading(Some(100), Some(5), Some(30), Some(60)),
        );
        let other = [("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "5"), ("ratelimit-reset", "30")];
        check(&[own, other].concat(), reading(Some(100), Some(5), Some(30), Some(60)));
        let both = |ratelimit, policy| [("ratelimit", ratelimit), ("ratelimit-policy", policy)];
        for ratelimit in ["a;r=0;t=9, b;r=0;t=9", "b;r=0;t=9, a;r=0;t=9"] {
            let lower = reading(Some(10), Some(0), Some(9), Some(1));
            check(&both(ratelimit, "a;q=10;w=1, b;q=1000;w=60"), lower);
            check(&both(ratelimit, "a;q=0, b;q=10;w=1"), lower);
            check(&both(ratelimit, "b;q=10;w=1"), lower);
            check(&both(ratelimit, "a;q=10, b;q=10;w=1"), lower);
            check(&both(ratelimit, "a;w=1, b;q=10;w=1"), lower);
        }
        // It knows the window too.
        check(
            &[own[0], own[1], own[2], ("ratelimit", "a;r=5;t=30"), ("ratelimit-policy", "a;q=100;w=60")],
            reading(Some(100), Some(5), Some(30), Some(60)),
        );
    }

    #[test]
    fn what_remains_is_not_combined_with_the_reset_or_the_limit_of_another_policy() {
        check(
            &[
                ("ratelimit", "a;r=0, b;r=5;t=3000"),
                ("ratelimit-policy", "b;q=10;w=60"),
                ("x-ratelimit-reset", "30"),
                ("x-ratelimit-limit", "100"),
            ],
            reading(None, Some(0), None, None),
        );
        check(
            &[("ratelimit", "a;r=0"), ("ratelimit-policy", "a;q=10, b;q=10;w=60")],
            reading(Some(10), Some(0), None, None),
        );
        let own = [("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "30")];
        let other = [("ratelimit-limit", "50"), ("ratelimit-remaining", "40"), ("ratelimit-reset", "60")];
        check(&[own, other].concat(), reading(Some(100), Some(3), Some(30), None));
    }

    #[test]
    fn headers_without_a_name_complete_each_other() {
        check(
            &[("x-ratelimit-remaining", "5"), ("ratelimit-reset", "30"), ("x-rate-limit-reset", "60")],
            reading(None, Some(5), Some(60), None),
        );
        check(&[("x-ratelimit-remaining", "5"), ("ratelimit-limit", "0")], reading(Some(0), Some(5), None, None));
        check(
            &[("x-ratelimit-remaining", "5"), ("ratelimit-reset", "30"), ("x-rate-limit-limit", "100")],
            reading(Some(100), Some(5), Some(30), None),
        );
        check(
            &[("x-ratelimit-remaining", "0"), ("ratelimit", "limit=100, remaining=5, reset=30")],
            reading(Some(100), Some(0), Some(30), None),
        );
        check(
            &[("x-ratelimit-remaining", "5"), ("ratelimit-limit", "0"), ("x-rate-limit-limit", "100, 70")],
            reading(Some(70), Some(5), None, None),
        );
        check(
            &[("x-ratelimit-remaining", "5"), ("ratelimit-limit", "100, 100;w=60")],
            reading(Some(100), Some(5), None, Some(60)),
        );
    }

    #[test]
    fn a_policy_that_is_listed_twice_counts_with_its_lower_quota() {
        for policy in ["a;q=10;w=60, a;q=5;w=1, a;q=0, a", "a;q=5;w=1, a;q=10;w=60"] {
            check(&[("ratelimit", "a;r=2"), ("ratelimit-policy", policy)], reading(Some(5), Some(2), None, Some(1)));
        }
        check(&[("ratelimit", "a;r=2;r=1;r=3;t=2;t=9;t=3")], reading(None, Some(1), Some(9), None));
    }

    #[test]
    fn malformed_ietf_headers_are_ignored_and_reported() {
        for value in [
            "",
            ";;;",
            "\"a\"",
            "\"a\";r=x",
            "\"a\";t=5",
            "\"a;r=0;t=5",
            "\"a\\n\";r=0",
            "\"a\"b;r=0",
            "a b;r=0",
            "\"\u{e9}\";r=0",
            "a;r=-1",
            "a;r",
            "a;r=",
            "=5",
            "remaining=many",
            "remaining=",
            "remaining",
            "reset=soon",
            "100;w=60",
            "r=5",
        ] {
            assert_eq!(signals(&[("ratelimit", value)]), RateLimitHeaders::default(), "{value:?}");
            // Keys of a dictionary that mean nothing here are no mistake.
            assert_eq!(invalid_headers(&[("ratelimit", value)]).is_empty(), value == "r=5", "{value:?}");
        }
        assert_eq!(signals(&[("ratelimit", "a;r=x, ;r=0, \"b\";r=3")]), reading(None, Some(3), None, None));
        assert_eq!(signals(&[("ratelimit", "\"a\";r=1;t=9999999")]), reading(None, Some(1), None, None));
        assert_eq!(
            invalid_headers(&[("ratelimit", "\"a\";r=1;t=9999999")]),
            [("ratelimit".to_owned(), "9999999".to_owned(), "too_far")]
        );
        for policy in ["", "a", "a;q=x;w=y", "\"a;q=1", "b;q=9;w=9", ";q=9", "9;w=9"] {
            let read = signals(&[("ratelimit", "\"a\";r=1;t=9"), ("ratelimit-policy", policy)]);
            assert_eq!(read, reading(None, Some(1), Some(9), None), "{policy:?}");
        }
        for policy in ["\"a;q=1", ";q=9", "a b;q=1", "a;q=x", "a;w=", ""] {
            let invalid = invalid_headers(&[("ratelimit", "\"a\";r=1"), ("ratelimit-policy", policy)]);
            assert_eq!(invalid, [("ratelimit-policy".to_owned(), policy.to_owned(), "unreadable")]);
        }
        check(&[("ratelimit", "a;r=1"), ("ratelimit-policy", "a;q=5;w=86400")], reading(Some(5), Some(1), None, None));
    }

    #[test]
    fn a_policy_alone_says_nothing_about_this_window_and_is_reported_if_it_makes_no_sense() {
        check(&[("ratelimit-policy", "a;q=10;w=60, 10;w=60")], RateLimitHeaders::default());
        let invalid = [("ratelimit-policy".to_owned(), "a;q=x".to_owned(), "unreadable")];
        assert_eq!(invalid_headers(&[("ratelimit-policy", "a;q=x")]), invalid);
    }

    #[test]
    fn a_cached_response_says_only_how_long_to_stay_away() {
        let headers = [
            ("age", " 30 "),
            ("age", "0"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "30"),
            ("ratelimit", "a;r=0;t=9"),
            ("retry-after", "5, 7"),
        ];
        let expected = RateLimitHeaders {
            is_cached: true,
            retry_after: Some(Duration::from_secs(7)),
            ..RateLimitHeaders::default()
        };
        assert_eq!(signals(&headers), expected);
        for (age, is_cached) in [("0", false), ("1", true), ("\u{e9}", false), ("old", false), ("", false)] {
            assert_eq!(signals(&[("age", age), ("x-ratelimit-remaining", "0")]).is_cached, is_cached, "{age:?}");
        }
        let headers = HeaderMap::from_iter([(AGE, HeaderValue::from_bytes(b"\xfc").unwrap())]);
        assert!(!read_map(&headers, &|_| {}).is_cached);
    }

    /// A complete report of a policy, in one of the forms that vendors use.
    #[derive(Clone, Debug)]
    struct Reported {
        form: usize,
        limit: Option<u64>,
        remaining: u64,
        reset: u64,
        is_joined: bool,
    }

    const FORMS: usize = 5;

    impl Reported {
        /// Adds its headers to those of a response.
        fn add_to(&self, headers: &mut Vec<(String, String)>, number: usize) {
            let Self { form, limit, remaining, reset, .. } = self;
            let mut add = |name: String, value: String| match headers
                .iter_mut()
                .find(|(other, _)| *other == name && self.is_joined)
            {
                Some((_, values)) => *values = format!("{values}, {value}"),
                None => headers.push((name, value)),
            };
            match ["x-ratelimit", "x-rate-limit", "ratelimit"].get(*form) {
                Some(prefix) => {
                    if let Some(limit) = limit {
                        add(format!("{prefix}-limit"), limit.to_string());
                    }
                    add(format!("{prefix}-remaining"), remaining.to_string());
                    add(format!("{prefix}-reset"), reset.to_string());
                }
                None if *form == 3 => {
                    let limit = limit.map(|limit| format!("limit={limit}, ")).unwrap_or_default();
                    add("ratelimit".to_owned(), format!("{limit}remaining={remaining}, reset={reset}"));
                }
                None => {
                    if let Some(limit) = limit {
                        add("ratelimit-policy".to_owned(), format!("\"{number}, \\\"\";q={limit};w=60"));
                    }
                    add("ratelimit".to_owned(), format!("\"{number}, \\\"\";r={remaining};t={reset}"));
                }
            }
        }
    }

    fn reported() -> impl Strategy<Value = Reported> {
        let values = (proptest::option::of(0_u64..100), 0_u64..4, 0_u64..=3600);
        (0..FORMS, values, any::<bool>()).prop_map(|(form, (limit, remaining, reset), is_joined)| Reported {
            form,
            limit,
            remaining,
            reset,
            is_joined,
        })
    }

    /// A text that is likely to mean something to the reader.
    fn value() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[ -~]{0,6}",
            "[0-9]{1,22}(\\.[0-9]{0,3})?",
            proptest::sample::select(vec![
                "limit=",
                "remaining=",
                "reset=",
                "r=",
                "t=",
                "q=",
                "w=",
                "\"a\"",
                "a",
                "\"",
                "\\\"",
                ";",
                ", ",
                ",",
                "=",
                "Sun, 01 Mar 2026 12:30:00 GMT",
                "2026-03-01T12:30:00Z",
                "1772366400",
                "1772366500000",
                "Sun",
                "\u{e9}",
            ])
            .prop_map(str::to_owned),
        ];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    fn name() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(vec![
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "x-rate-limit-limit",
            "x-rate-limit-remaining",
            "x-rate-limit-reset",
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "date",
            "age",
        ])
    }

    proptest! {
        #[test]
        fn no_headers_make_a_wait_beyond_the_longest_window(headers in proptest::collection::vec((name(), value()), 0..8)) {
            let read = signals(&headers);
            for wait in [read.wait(), read.reset, read.retry_after, read.window] {
                prop_assert!(wait <= Some(HOUR), "{read:?}");
            }
            for count in [read.limit, read.remaining] {
                prop_assert!(count <= Some(MAX_COUNT), "{read:?}");
            }
        }

        #[test]
        fn another_report_never_makes_the_reading_less_strict(
            reports in proptest::collection::vec(reported(), 1..5),
            another in reported(),
        ) {
            let mut headers = Vec::new();
            for (number, report) in reports.iter().enumerate() {
                report.add_to(&mut headers, number);
            }
            let before = signals(&headers);
            another.add_to(&mut headers, reports.len());
            let after = signals(&headers);
            prop_assert_eq!(after.remaining, before.remaining.min(Some(another.remaining)));
            if after.remaining == before.remaining {
                prop_assert!(after.reset >= before.reset, "{:?} {:?}", before, after);
            }
            if after.remaining == Some(another.remaining) {
                prop_assert!(after.reset >= Some(Duration::from_secs(another.reset)), "{:?}", after);
            }
        }

        #[test]
        fn reports_in_different_forms_stay_pairs(
            reports in proptest::collection::vec(reported(), FORMS),
            forms in Just((0..FORMS).collect::<Vec<_>>()).prop_shuffle(),
            count in 1..=FORMS,
        ) {
            let mut headers = Vec::new();
            let reports: Vec<_> = forms.into_iter().zip(reports).take(count).map(|(form, report)| Reported { form, ..report }).collect();
            for (number, report) in reports.iter().enumerate() {
                report.add_to(&mut headers, number);
            }
            let tightest = reports.iter().min_by_key(|report| (report.remaining, std::cmp::Reverse(report.reset))).unwrap();
            let read = signals(&headers);
            prop_assert_eq!(read.remaining, Some(tightest.remaining));
            prop_assert_eq!(read.reset, Some(Duration::from_secs(tightest.reset)));
        }
    }
}
