//! Pseudonyms for the values of a recording: the same value gets the same one, of the same form.

use std::collections::{HashMap, HashSet};

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Span, Timestamp};

use super::clock::{http_date, shifted};
use crate::idempotency_key::uuid;

/// The shortest text that a pseudonym must not contain by chance.
const MIN_CLASH: usize = 4;
/// How many candidates are tried before one is accepted that contains another value by chance.
const MAX_TRIES: u64 = 100;
/// The digits of the golden ratio. Multiples of such a step, modulo the size of a class, spread over the class.
const STEP: &str = "618033988749894848204586834";
const WEEK: i64 = 7 * 24 * 3600;
/// A number in a header that is this near to the time of the recording is a time: ten years, in seconds.
const EPOCH_RANGE: i64 = 520 * WEEK;

/// Replaces values. Two rounds are needed: the first learns all original values, which no pseudonym of the second must contain.
#[derive(Debug)]
pub(crate) struct Pseudonyms {
    start: Timestamp,
    /// The shift of all dates: the recording starts in the first week of 2018, on the weekday and at the time it was made.
    weeks: i64,
    originals: HashSet<String>,
    assigned: HashMap<String, String>,
    taken: HashSet<String>,
    /// The next candidate of each class: a number of digits, or a kind of text.
    next: HashMap<usize, u64>,
}

/// The classes of text, beyond those of digits.
const TEXT: usize = usize::MAX;
const UUID: usize = usize::MAX - 1;

impl Pseudonyms {
    pub(crate) fn new(start: Timestamp) -> Self {
        /// Monday, January 1, 2018. From 2001 back, a time in seconds would have fewer digits than clients expect of one.
        const FIRST_WEEK: i64 = 1_514_764_800;
        Self {
            start,
            weeks: -(start.as_second() - FIRST_WEEK).div_euclid(WEEK),
            originals: HashSet::new(),
            assigned: HashMap::new(),
            taken: HashSet::new(),
            next: HashMap::new(),
        }
    }

    /// The second round, with what the first one learned.
    pub(crate) fn again(self) -> Self {
        Self { originals: self.originals, ..Self::new(self.start) }
    }

    pub(crate) fn start(&self) -> Timestamp {
        self.moved(self.start)
    }

    /// The pseudonym of a text: a date for a date, a number for a number, a UUID for a UUID.
    pub(crate) fn text(&mut self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        self.originals.insert(text.to_owned());
        if let Some(date) = self.date(text) {
            return date;
        }
        if let Some(number) = self.number(text) {
            return number;
        }
        let is_uuid = text.len() == 36
            && text.char_indices().all(|(index, c)| match index {
                8 | 13 | 18 | 23 => c == '-',
                _ => c.is_ascii_hexdigit(),
            });
        match is_uuid {
            true => self.assign(text, UUID, |count| Some(uuid(fastrand::Rng::with_seed(count).u128(..)))),
            false => self.assign(text, TEXT, |count| Some(format!("s{}", count + 1))),
        }
    }

    /// The pseudonym of a number, with as many digits, its sign and its point; `None` if the text is no number.
    pub(crate) fn number(&mut self, text: &str) -> Option<String> {
        /// Such as `e-300`.
        const MAX_EXPONENT: usize = 5;
        let unsigned = text.trim_start_matches(['-', '+']);
        let sign = &text[..text.len() - unsigned.len()];
        let (mantissa, exponent) = unsigned.split_at(unsigned.find(['e', 'E']).unwrap_or(unsigned.len()));
        let point = mantissa.find('.');
        let digits = mantissa.replacen('.', "", 1);
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_exponent = exponent.is_empty() || is_digits(exponent[1..].trim_start_matches(['-', '+']));
        if sign.len() > 1
            || !is_exponent
            || exponent.len() > MAX_EXPONENT
            || !is_digits(&digits)
            || mantissa.ends_with('.')
        {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() {
            // Zero says nothing; a longer row of zeros may be a code.
            return (digits.len() < MIN_CLASH || point.is_some()).then(|| text.to_owned());
        }
        self.originals.insert(significant.to_owned());
        let length = significant.len();
        let mut pseudonym = "0".repeat(digits.len() - length);
        pseudonym.push_str(&self.assign(significant, length, |count| candidate(length, count)));
        if let Some(point) = point {
            pseudonym.insert(point, '.');
        }
        Some(format!("{sign}{pseudonym}{exponent}"))
    }

    /// A date, or a date with a time, moved by the shift of the recording; `None` if the text is none.
    pub(crate) fn date(&self, text: &str) -> Option<String> {
        if let Some((date, time)) = text.split_at_checked("2026-03-02".len())
            && let Ok(date) = date.parse::<Date>()
        {
            let separated = time.is_empty() || time.starts_with(['T', 't', ' ']);
            let is_time = || {
                let joined = format!("{date}T{}", time.get(1..).unwrap_or_default());
                joined.parse::<Timestamp>().is_ok() || joined.parse::<DateTime>().is_ok()
            };
            let is_plain = time.bytes().skip(1).all(|byte| byte.is_ascii_digit() || b":.+-Zz".contains(&byte));
            if separated && is_plain && (time.is_empty() || is_time()) {
                let date = date.checked_add(Span::new().weeks(self.weeks)).ok()?;
                return Some(format!("{date}{time}"));
            }
        }
        let moment = httpdate::parse_http_date(text).ok()?;
        Some(http_date(self.moved(Timestamp::try_from(moment).ok()?)))
    }

    /// A number in a header, moved if it is a time in seconds or milliseconds; `None` if it is neither that nor a small number.
    pub(crate) fn moment(&self, number: &str) -> Option<String> {
        const MAX_DIGITS: usize = 7;
        let value: i64 = number.parse().ok()?;
        for unit in [1, 1000] {
            if (value / unit - self.start.as_second()).abs() < EPOCH_RANGE {
                return Some((value + self.weeks * WEEK * unit).to_string());
            }
        }
        (number.len() <= MAX_DIGITS).then(|| number.to_owned())
    }

    fn moved(&self, time: Timestamp) -> Timestamp {
        shifted(time, SignedDuration::from_secs(self.weeks * WEEK))
    }

    /// The pseudonym that was assigned to a value, or the next candidate of its class that contains no original value.
    fn assign(&mut self, original: &str, class: usize, candidate: impl Fn(u64) -> Option<String>) -> String {
        if let Some(pseudonym) = self.assigned.get(original) {
            return pseudonym.clone();
        }
        let first = self.next.get(&class).copied().unwrap_or_default();
        let mut chosen = None;
        for count in first.. {
            let Some(pseudonym) = candidate(count) else { break };
            let is_taken = self.taken.contains(&pseudonym);
            if !is_taken && (count - first > MAX_TRIES || !self.clashes(&pseudonym)) {
                self.next.insert(class, count + 1);
                chosen = Some(pseudonym);
                break;
            }
        }
        // A small class is used up: some values get the pseudonym that is the value of another, or their own.
        let rest = || (0..).map_while(&candidate).find(|pseudonym| !self.taken.contains(pseudonym));
        let pseudonym = chosen.or_else(rest).unwrap_or_else(|| original.to_owned());
        self.taken.insert(pseudonym.clone());
        self.assigned.insert(original.to_owned(), pseudonym.clone());
        pseudonym
    }

    /// Whether a pseudonym is an original value or contains one.
    fn clashes(&self, pseudonym: &str) -> bool {
        let lengths = MIN_CLASH..=pseudonym.len();
        self.originals.contains(pseudonym)
            || lengths
                .flat_map(|length| (0..=pseudonym.len() - length).map(move |start| &pseudonym[start..start + length]))
                .any(|part| self.originals.contains(part))
    }
}

/// The candidates of a class of numbers with this many digits, each of which comes once, spread over the class.
fn candidate(length: usize, count: u64) -> Option<String> {
    // More digits than this do not fit; those that follow are zeros.
    let spread = length.min(STEP.len());
    let power = 10_u128.pow(spread as u32 - 1);
    // Numbers that barely fit into 32 or 64 bits stay below 2 at their first digit.
    let size = if matches!(length, 10 | 19 | 20) { power } else { 9 * power };
    let mut step: u128 = STEP[..spread].parse().ok()?;
    while step.is_multiple_of(2) || step.is_multiple_of(3) || step.is_multiple_of(5) {
        step += 1;
    }
    if u128::from(count) >= size {
        return None;
    }
    let number = power + u128::from(count).wrapping_add(1) * (step % size) % size;
    Some(format!("{number:0<length$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonyms(originals: &[&str]) -> Pseudonyms {
        let mut first = Pseudonyms::new("2026-03-04T10:20:30.5Z".parse().unwrap());
        for original in originals {
            first.text(original);
        }
        first.again()
    }

    #[test]
    fn the_same_value_gets_the_same_pseudonym_and_another_another() {
        let mut pseudonyms = pseudonyms(&[]);
        for (one, other) in [("Jane", "John"), ("20000010", "20000011"), ("1.50", "1.51"), ("7", "8")] {
            let pseudonym = pseudonyms.text(one);
            assert_ne!(pseudonym, one);
            assert_ne!(pseudonyms.text(other), pseudonym);
            assert_eq!(pseudonyms.text(one), pseudonym);
        }
    }

    #[test]
    fn a_number_keeps_its_sign_its_digits_and_its_point() {
        let mut pseudonyms = pseudonyms(&[]);
        for text in ["7", "42", "-1.5", "0.05", "+61412345678", "0412345678", "1234567890123456789012345678901", "1e20"]
        {
            let pseudonym = pseudonyms.text(text);
            let form = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "9");
            assert_eq!(form(&pseudonym).len(), form(text).len(), "{text} {pseudonym}");
            assert_eq!(form(&pseudonym).replace('9', ""), form(text).replace('9', ""), "{text} {pseudonym}");
            assert_ne!(pseudonym, text);
        }
        assert_eq!(pseudonyms.text("0"), "0");
        assert_eq!(pseudonyms.number("12").unwrap(), pseudonyms.text("12"));
        for text in ["", ".", "1.", "1.2.3", "--1", "1e", "12 34"] {
            assert_eq!(pseudonyms.number(text), None, "{text}");
        }
    }

    #[test]
    fn a_uuid_gets_one_in_which_no_original_value_occurs() {
        let id = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
        for original in ["00000", "0000", "8000-0000"] {
            let pseudonym = pseudonyms(&[original, id]).text(id);
            assert!(pseudonym.len() == id.len() && pseudonym != id && !pseudonym.contains(original), "{pseudonym}");
        }
    }

    #[test]
    fn every_number_of_a_class_has_a_pseudonym_of_the_class() {
        let mut pseudonyms = pseudonyms(&[]);
        let all: HashSet<String> = (10..100).map(|number: u32| pseudonyms.text(&number.to_string())).collect();
        assert!(all.len() == 90 && all.iter().all(|number| number.len() == 2), "{all:?}");
    }

    #[test]
    fn a_pseudonym_is_no_original_value_while_there_is_another() {
        let originals = ["s1", "s2", "1", "2", "3", "6"];
        let mut pseudonyms = pseudonyms(&originals);
        for original in originals {
            let pseudonym = pseudonyms.text(original);
            assert!(!originals.contains(&pseudonym.as_str()), "{original} {pseudonym}");
        }
    }

    #[test]
    fn dates_move_by_whole_weeks_and_keep_their_form() {
        let mut pseudonyms = pseudonyms(&[]);
        assert_eq!(pseudonyms.start().to_string(), "2018-01-03T10:20:30.5Z");
        for (text, moved) in [
            ("2026-03-04", "2018-01-03"),
            ("2026-03-05T23:00:00+10:00", "2018-01-04T23:00:00+10:00"),
            ("2026-03-05 09:00:00", "2018-01-04 09:00:00"),
            ("2026-03-05T09:00:00.123Z", "2018-01-04T09:00:00.123Z"),
            ("Wed, 04 Mar 2026 12:00:00 GMT", "Wed, 03 Jan 2018 12:00:00 GMT"),
        ] {
            assert_eq!(pseudonyms.text(text), moved);
        }
        for text in ["2026-03-04 Jane", "2026-03-04T[Jane]", "2026-13-04", "2026-03-04 0412345678", "2026-03-04é"] {
            assert!(pseudonyms.text(text).starts_with('s'), "{text}");
        }
    }

    #[test]
    fn a_number_in_a_header_is_a_time_if_it_is_near_the_recording() {
        let pseudonyms = pseudonyms(&[]);
        let start = pseudonyms.start.as_second();
        let moved = pseudonyms.start().as_second();
        assert_eq!(pseudonyms.moment(&(start + 60).to_string()), Some((moved + 60).to_string()));
        assert_eq!(pseudonyms.moment(&(start * 1000).to_string()), Some((moved * 1000).to_string()));
        assert_eq!(pseudonyms.moment("60"), Some("60".to_owned()));
        assert_eq!(pseudonyms.moment("412345678"), None);
    }

    #[test]
    fn a_uuid_stays_one() {
        let mut pseudonyms = pseudonyms(&[]);
        let pseudonym = pseudonyms.text("3f2504e0-4f89-11d3-9a0c-0305e82c3301");
        assert_eq!(pseudonym, uuid(fastrand::Rng::with_seed(0).u128(..)));
        assert!(pseudonym[14..].starts_with('4') && pseudonym.matches('-').count() == 4, "{pseudonym}");
    }
}
