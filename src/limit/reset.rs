//! Parses the time at which a rate limit resets, in every format that vendors use.

use std::iter;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// Above this a number is epoch seconds: a delta of 31 years is no delta.
const EPOCH_SECONDS: f64 = 1_000_000_000.0;
/// Above this a number is epoch milliseconds: as seconds it would be the year 5138.
const EPOCH_MILLIS: f64 = 100_000_000_000.0;
/// How far in the past a reset may lie and still mean "now": headers count whole seconds and travel.
const GRACE: SignedDuration = SignedDuration::from_secs(2);

/// Why a header was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderProblem {
    /// Neither a number nor a date.
    Unreadable,
    /// A moment that has passed.
    Past,
    /// Further ahead than any window of the vendor.
    TooFar,
}

/// Reads `text` as epoch seconds, epoch milliseconds, delta seconds, an HTTP date or an ISO 8601 timestamp, and returns
/// how far ahead it lies. It may lie as far back as the response can have traveled.
///
/// Moments are compared with `vendor_now`, the vendor's own clock if it reported its time: what counts is the
/// difference, and two clocks that disagree would spoil it.
pub(super) fn read(
    text: &str,
    vendor_now: Timestamp,
    travel: Duration,
    max_window: Duration,
) -> Result<SignedDuration, HeaderProblem> {
    let ahead = match number(text) {
        Some(value) if value >= EPOCH_MILLIS => until(epoch(value / 1000.0)?, vendor_now),
        Some(value) if value >= EPOCH_SECONDS => until(epoch(value)?, vendor_now),
        Some(value) => SignedDuration::try_from_secs_f64(value).map_err(|_| HeaderProblem::TooFar)?,
        None => until(date(text).ok_or(HeaderProblem::Unreadable)?, vendor_now),
    };
    let grace = SignedDuration::try_from(travel).unwrap_or(SignedDuration::MAX).saturating_add(GRACE);
    if ahead < -grace {
        return Err(HeaderProblem::Past);
    }
    if ahead > SignedDuration::try_from(max_window).unwrap_or(SignedDuration::MAX) {
        return Err(HeaderProblem::TooFar);
    }
    Ok(ahead)
}

/// The moments that a header lists. The comma of an HTTP date, which follows the day of the week, separates none.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let text = rest?;
        let end = text.match_indices(',').map(|(end, _)| end).find(|end| !is_weekday(text[..*end].trim_ascii()));
        rest = end.map(|end| &text[end + 1..]);
        Some(text[..end.unwrap_or(text.len())].trim_ascii())
    })
    .filter(|moment| !moment.is_empty())
}

/// A day of the week as HTTP writes it, in full or shortened to three letters.
fn is_weekday(text: &str) -> bool {
    let weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    weekdays.iter().any(|weekday| *weekday == text || weekday[..3] == *text)
}

/// A date in one of the forms that vendors use.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| http_date(text))
}

/// A date as HTTP writes it, in all three forms that a recipient has to accept.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Timestamp::from_duration(SignedDuration::try_from(since).ok()?).ok()
}

/// A plain number: digits, at most one point, nothing else. A sign, an exponent or `NaN` is no time to wait for.
fn number(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain { text.parse().ok() } else { None }
}

fn epoch(seconds: f64) -> Result<Timestamp, HeaderProblem> {
    SignedDuration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|since| Timestamp::from_duration(since).ok())
        .ok_or(HeaderProblem::TooFar)
}

fn until(moment: Timestamp, now: Timestamp) -> SignedDuration {
    moment.duration_since(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn ahead(text: &str, travel: Duration) -> Result<SignedDuration, HeaderProblem> {
        read(text, now(), travel, HOUR)
    }

    fn seconds(text: &str) -> Result<u64, HeaderProblem> {
        ahead(text, Duration::ZERO).map(|ahead| u64::try_from(ahead.as_secs()).unwrap_or(0))
    }

    #[test]
    fn every_form_of_the_same_moment_reads_the_same() {
        let epoch = now().as_second() + 30;
        for text in [
            epoch.to_string(),
            format!("{epoch}000"),
            "30".to_owned(),
            "Sun, 01 Mar 2026 12:00:30 GMT".to_owned(),
            "Sunday, 01-Mar-26 12:00:30 GMT".to_owned(),
            "Sun Mar  1 12:00:30 2026".to_owned(),
            "2026-03-01T12:00:30Z".to_owned(),
            "2026-03-01T14:00:30+02:00".to_owned(),
        ] {
            assert_eq!(seconds(&text), Ok(30), "{text}");
        }
    }

    #[test]
    fn a_list_is_split_at_commas_that_are_not_those_of_dates() {
        for (text, moments) in [
            ("30", &["30"] as &[_]),
            ("30,40 , 50", &["30", "40", "50"]),
            (", ,30,,", &["30"]),
            ("", &[]),
            ("Sun, 01 Mar 2026 12:00:30 GMT", &["Sun, 01 Mar 2026 12:00:30 GMT"]),
            (
                "Sunday, 01-Mar-26 12:00:30 GMT,5, Mon, 02 Mar 2026 12:00:30 GMT",
                &["Sunday, 01-Mar-26 12:00:30 GMT", "5", "Mon, 02 Mar 2026 12:00:30 GMT"],
            ),
            ("soon, 30", &["soon", "30"]),
            ("Sun, Sun, 5", &["Sun, Sun", "5"]),
            ("Sun,", &["Sun,"]),
        ] {
            assert_eq!(list(text).collect::<Vec<_>>(), moments, "{text:?}");
        }
        for weekday in ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"] {
            assert!(is_weekday(weekday) && is_weekday(&weekday[..3]) && !is_weekday(&weekday[..4]), "{weekday}");
        }
    }

    #[test]
    fn fractions_are_kept() {
        assert_eq!(ahead("0.25", Duration::ZERO), Ok(SignedDuration::from_millis(250)));
        let epoch = format!("{}.500", now().as_second() + 1);
        assert_eq!(ahead(&epoch, Duration::ZERO), Ok(SignedDuration::from_millis(1500)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["banana", "", "-1", "+5", "1e3", "NaN", "inf", "12 s", "1.2.3", "0x10", "٣٠"] {
            assert_eq!(seconds(text), Err(HeaderProblem::Unreadable), "{text:?}");
        }
    }

    #[test]
    fn absurd_moments_are_refused() {
        assert_eq!(seconds("99999999999999"), Err(HeaderProblem::TooFar));
        let year_2075 = "2075-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
        assert_eq!(seconds(&year_2075.to_string()), Err(HeaderProblem::TooFar));
        assert_eq!(seconds("3601"), Err(HeaderProblem::TooFar));
        assert_eq!(seconds("9".repeat(400).as_str()), Err(HeaderProblem::TooFar));
    }

    #[test]
    fn the_size_of_a_number_says_whether_it_counts_from_now_or_from_1970_in_seconds_or_in_milliseconds() {
        for (text, expected) in [
            ("3600", Ok(3600)),
            ("999999999", Err(HeaderProblem::TooFar)),
            ("1000000000", Err(HeaderProblem::Past)),
            ("99999999999", Err(HeaderProblem::TooFar)),
            ("100000000000", Err(HeaderProblem::Past)),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_moment_just_past_means_now_and_one_long_past_is_refused() {
        assert_eq!(seconds(&(now().as_second() - 1).to_string()), Ok(0));
        assert_eq!(seconds(&(now().as_second() - 60).to_string()), Err(HeaderProblem::Past));
        assert_eq!(seconds("Sun, 01 Mar 2020 12:00:30 GMT"), Err(HeaderProblem::Past));
    }

    #[test]
    fn a_moment_that_has_passed_while_the_response_traveled_is_no_error() {
        let text = (now().as_second() - 60).to_string();
        assert_eq!(ahead(&text, Duration::from_secs(58)), Ok(SignedDuration::from_secs(-60)));
        assert_eq!(ahead(&text, Duration::from_secs(57)), Err(HeaderProblem::Past));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_wait_beyond_the_window(text in ".{0,40}") {
            if let Ok(ahead) = seconds(&text) {
                prop_assert!(ahead <= 3600);
            }
        }

        #[test]
        fn no_number_makes_a_wait_beyond_the_window(number in any::<u64>()) {
            if let Ok(ahead) = seconds(&number.to_string()) {
                prop_assert!(ahead <= 3600);
            }
        }

        #[test]
        fn epochs_within_the_window_read_exactly(ahead in 0_i64..=3600) {
            prop_assert_eq!(seconds(&(now().as_second() + ahead).to_string()), Ok(ahead.unsigned_abs()));
        }
    }
}
