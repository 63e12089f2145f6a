//! How long a response may be used without asking the vendor: RFC 9111, section 4.2, for a private cache. Pure: time comes in
//! as a value.
//!
//! Freshness is counted on the monotonic clock. The wall clock can only shorten it: it also counts the time in which the machine
//! slept.

use std::time::{Duration, SystemTime};

use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, PRAGMA};
use tokio::time::Instant;

use super::directives::{Directives, seconds};
use crate::clock::Clock;

/// The same moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    at: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(super) fn now(clock: Clock) -> Self {
        Self { at: clock.now(), wall: clock.system_time() }
    }

    pub(super) fn instant(self) -> Instant {
        self.at
    }

    /// The time since an earlier moment, by the clock that counted more.
    fn since(self, earlier: Self) -> Duration {
        let by_wall = self.wall.duration_since(earlier.wall).unwrap_or_default();
        self.at.saturating_duration_since(earlier.at).max(by_wall)
    }
}

/// How long a response is fresh, and what may be done with it afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Freshness {
    /// How old the response may become.
    lifetime: Duration,
    /// How old it was when the request for it was sent. Its way here counts as age.
    initial_age: Duration,
    requested: Moment,
    /// The vendor's time when it sent the response, if the response says so.
    date: Option<SystemTime>,
    must_revalidate: bool,
    /// How long after its lifetime the response may replace an error.
    stale_if_error: Duration,
}

impl Freshness {
    /// The freshness of the response to a request that was sent then; `None` if the response must not be stored.
    pub(super) fn of(headers: &HeaderMap, requested: Moment) -> Option<Self> {
        let date = headers.get(DATE).and_then(http_date);
        Self::dated(headers, date, requested)
    }

    /// The freshness after the vendor has confirmed the response. `headers` are the updated ones.
    pub(super) fn confirmed(&self, headers: &HeaderMap, confirmation: &HeaderMap, requested: Moment) -> Option<Self> {
        // A confirmation without a date was sent at least as long after the response as its request after that one's.
        let elapsed = requested.since(self.requested);
        let date = match confirmation.get(DATE) {
            Some(date) => http_date(date),
            None => self.date.and_then(|date| date.checked_add(elapsed)),
        };
        Self::dated(headers, date, requested)
    }

    fn dated(headers: &HeaderMap, date: Option<SystemTime>, requested: Moment) -> Option<Self> {
        let directives = Directives::read(headers.get_all(CACHE_CONTROL));
        if directives.no_store {
            return None;
        }
        let pragma = headers.get(PRAGMA).filter(|_| !headers.contains_key(CACHE_CONTROL));
        let no_cache = directives.no_cache
            || pragma.is_some_and(|pragma| pragma.as_bytes().to_ascii_lowercase().starts_with(b"no-cache"));
        let lifetime = match directives.max_age {
            _ if no_cache => Duration::ZERO,
            Some(max_age) => max_age,
            None => until_expiry(headers, date).unwrap_or_default(),
        };
        let ages = headers.get_all(AGE).iter().filter_map(|age| seconds(age.as_bytes()));
        Some(Self {
            lifetime,
            initial_age: ages.max().unwrap_or_default(),
            requested,
            date,
            must_revalidate: directives.must_revalidate || no_cache,
            stale_if_error: directives.stale_if_error.unwrap_or_default(),
        })
    }

    /// Whether the response is of use although it cannot be confirmed.
    pub(super) fn is_ever_fresh(&self) -> bool {
        self.lifetime > self.initial_age
    }

    /// How old the response is, in caches on the way and in this one.
    pub(super) fn age(&self, now: Moment) -> Duration {
        self.initial_age.saturating_add(now.since(self.requested))
    }

    /// Whether the response may be used without asking, by a caller with these wishes.
    pub(super) fn is_fresh(&self, now: Moment, wishes: &Directives) -> bool {
        let age = self.age(now);
        let left = self.lifetime.saturating_sub(age);
        !left.is_zero()
            && wishes.max_age.is_none_or(|max_age| age < max_age)
            && wishes.min_fresh.is_none_or(|least| left >= least)
    }

    /// Whether the response may replace an error.
    pub(super) fn may_replace_error(&self, now: Moment) -> bool {
        !self.must_revalidate && self.age(now) < self.lifetime.saturating_add(self.stale_if_error)
    }
}

/// The time between the date of a response and its expiry. Zero if the expiry cannot be read, or if the response has no date to
/// compare it with: this machine's clock may be wrong.
fn until_expiry(headers: &HeaderMap, date: Option<SystemTime>) -> Option<Duration> {
    let mut expiries = headers.get_all(EXPIRES).iter().map(http_date);
    let expiry = expiries.next()?;
    let expiry = if expiries.next().is_some() { None } else { expiry };
    Some(expiry.zip(date).and_then(|(expiry, date)| expiry.duration_since(date).ok()).unwrap_or_default())
}

/// A date in one of the three formats of HTTP.
pub(super) fn http_date(value: &http::HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);
    const ANY: Directives = Directives {
        no_store: false,
        no_cache: false,
        must_revalidate: false,
        max_age: None,
        min_fresh: None,
        stale_if_error: None,
    };

    fn start() -> Moment {
        Moment { at: Instant::now(), wall: SystemTime::UNIX_EPOCH + 500_000 * HOUR }
    }

    /// The moment after so much time on the monotonic clock and, in seconds, on the wall clock.
    fn after(start: Moment, at: Duration, wall: i64) -> Moment {
        let by = Duration::from_secs(wall.unsigned_abs());
        let wall = if wall < 0 { start.wall - by } else { start.wall + by };
        Moment { at: start.at + at, wall }
    }

    fn headers(headers: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        headers.iter().map(header).collect()
    }

    /// For how many seconds a response with these headers is fresh.
    fn lifetime(fields: &[(&str, &str)]) -> u64 {
        let freshness = Freshness::of(&headers(fields), start()).unwrap();
        freshness.lifetime.saturating_sub(freshness.initial_age).as_secs()
    }

    const NOON: &str = "Sun, 06 Nov 1994 12:00:00 GMT";
    const ONE: &str = "Sun, 06 Nov 1994 13:00:00 GMT";

    #[test]
    fn the_lifetime_is_what_the_vendor_grants_and_else_none() {
        for (fields, expected) in [
            (&[][..], 0),
            (&[("cache-control", "max-age=60")], 60),
            (&[("cache-control", "private, max-age=60, s-maxage=1")], 60),
            (&[("cache-control", "max-age=60"), ("expires", ONE), ("date", NOON)], 60),
            (&[("cache-control", "no-cache, max-age=60")], 0),
            (&[("cache-control", "max-age=60"), ("age", "20")], 40),
            (&[("cache-control", "max-age=60"), ("age", "20"), ("age", "50")], 10),
            (&[("cache-control", "max-age=60"), ("age", "garbage")], 60),
            (&[("cache-control", "max-age=60"), ("age", "99999999999999999999999999")], 0),
            (&[("cache-control", "max-age=60"), ("pragma", "no-cache")], 60),
            (&[("pragma", "no-cache"), ("expires", ONE), ("date", NOON)], 0),
            (&[("expires", ONE), ("date", NOON)], 3600),
            (&[("expires", NOON), ("date", ONE)], 0),
            (&[("expires", "Sunday, 06-Nov-94 13:00:00 GMT"), ("date", NOON)], 3600),
            (&[("expires", "0"), ("date", NOON)], 0),
            (&[("expires", ONE), ("expires", ONE), ("date", NOON)], 0),
            (&[("expires", ONE)], 0),
            (&[("expires", ONE), ("date", "garbage")], 0),
            // An object that has not changed for years may change now.
            (&[("last-modified", NOON)], 0),
        ] {
            assert_eq!(lifetime(fields), expected, "{fields:?}");
        }
        assert!(Freshness::of(&headers(&[("cache-control", "no-store, max-age=60")]), start()).is_none());
    }

    #[test]
    fn a_response_is_fresh_until_its_lifetime_is_over_by_either_clock() {
        let start = start();
        let freshness = Freshness::of(&headers(&[("cache-control", "max-age=60")]), start).unwrap();
        let is_fresh = |at: Duration, wall| freshness.is_fresh(after(start, at, wall), &ANY);
        assert!(is_fresh(MINUTE - Duration::from_nanos(1), 59));
        assert!(!is_fresh(MINUTE, 60));
        assert!(!is_fresh(MINUTE, -86_400), "a wall clock that is set back makes nothing fresh again");
        assert!(is_fresh(MINUTE / 2, -86_400));
        assert!(!is_fresh(Duration::from_secs(1), 60), "the machine slept, or the wall clock was set forward");
    }

    #[test]
    fn the_wishes_of_a_caller_are_respected() {
        let start = start();
        let freshness = Freshness::of(&headers(&[("cache-control", "max-age=60")]), start).unwrap();
        let is_fresh = |wishes: &Directives| freshness.is_fresh(after(start, MINUTE / 2, 30), wishes);
        let (most, less) = (Some(Duration::from_secs(31)), Some(Duration::from_secs(30)));
        assert!(is_fresh(&Directives { max_age: most, ..ANY }) && !is_fresh(&Directives { max_age: less, ..ANY }));
        assert!(is_fresh(&Directives { min_fresh: less, ..ANY }) && !is_fresh(&Directives { min_fresh: most, ..ANY }));
        assert!(!is_fresh(&Directives { min_fresh: Some(Duration::MAX), ..ANY }));
    }

    #[test]
    fn a_stale_response_replaces_an_error_for_as_long_as_the_vendor_allows() {
        let start = start();
        let may_replace = |control: &str, at: Duration| {
            let freshness = Freshness::of(&headers(&[("cache-control", control)]), start).unwrap();
            freshness.may_replace_error(after(start, at, 0))
        };
        assert!(may_replace("max-age=60, stale-if-error=60", 2 * MINUTE - Duration::from_nanos(1)));
        assert!(!may_replace("max-age=60, stale-if-error=60", 2 * MINUTE));
        assert!(!may_replace("max-age=60", MINUTE));
        assert!(!may_replace("max-age=60, stale-if-error=60, must-revalidate", MINUTE));
        assert!(!may_replace("no-cache, stale-if-error=60", Duration::ZERO));
    }

    #[test]
    fn a_confirmation_without_a_date_does_not_start_an_expiry_anew() {
        let start = start();
        let stored = headers(&[("expires", ONE), ("date", NOON)]);
        let freshness = Freshness::of(&stored, start).unwrap();
        let later = after(start, HOUR / 2, -3600);
        let confirmed = freshness.confirmed(&stored, &HeaderMap::new(), later).unwrap();
        assert_eq!(confirmed.lifetime, HOUR / 2);
        let later = after(start, 2 * HOUR, 0);
        let confirmed = freshness.confirmed(&stored, &HeaderMap::new(), later).unwrap();
        assert_eq!(confirmed.lifetime, Duration::ZERO);
        let dated = headers(&[("date", NOON)]);
        assert_eq!(freshness.confirmed(&stored, &dated, later).unwrap().lifetime, HOUR);
    }

    proptest! {
        #[test]
        fn no_headers_break_the_rules_and_time_never_makes_a_response_fresh_again(
            control in "[ -~]{0,40}|max-age=[0-9]{1,25}", age in "[ -~]{0,30}|[0-9]{1,25}", date in "[ -~]{0,30}",
            steps in proptest::collection::vec((0..u64::from(u32::MAX), any::<i32>()), 1..6),
        ) {
            let start = start();
            let fields = [("cache-control", &*control), ("age", &*age), ("date", &*date), ("expires", &*date)];
            if let Some(freshness) = Freshness::of(&headers(&fields), start) {
                let (mut at, mut was_fresh) = (Duration::ZERO, true);
                for (by, wall) in steps {
                    at += Duration::from_secs(by);
                    let is_over = at >= freshness.lifetime.saturating_sub(freshness.initial_age);
                    let is_fresh = freshness.is_fresh(after(start, at, wall.into()), &ANY);
                    prop_assert!(!(is_over && is_fresh));
                    // With a steady wall clock, what has become stale stays stale.
                    let is_fresh = freshness.is_fresh(after(start, at, 0), &ANY);
                    prop_assert!(was_fresh || !is_fresh);
                    was_fresh = is_fresh;
                }
            }
        }
    }
}
