//! Reads the headers that report limits, in every form that vendors use, and finds the report that binds.

use std::cmp::Reverse;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};

use super::invalid_header::InvalidHeader;
use super::reset::{self, HeaderProblem};
use super::structured_headers::{StructuredMember, members};

/// Larger counts mean that there is no limit, and would overflow when they are added up.
pub(super) const MAX_COUNT: u64 = 1 << 40;

/// What one policy of the vendor says about the limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LimitReport {
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
    pub(super) reset: Option<SignedDuration>,
    pub(super) window: Option<Duration>,
}

impl LimitReport {
    /// The policy with the least left binds; of those that have as much left, the one that resets last. The order of the reports
    /// decides nothing.
    fn is_stricter_than(&self, other: &Self) -> bool {
        let strictness = |report: &Self| {
            let remaining = Reverse(report.remaining.unwrap_or(u64::MAX));
            // Of two reports of one policy the one that says more counts.
            (remaining, report.reset, Reverse(looseness(report.limit)), report.window)
        };
        strictness(self) > strictness(other)
    }
}

/// A header that was sent, at least once.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentHeader<'a> {
    name: &'a HeaderName,
    value: &'a HeaderValue,
    is_repeated: bool,
}

impl<'a> SentHeader<'a> {
    pub(super) fn add(header: &mut Option<Self>, name: &'a HeaderName, value: &'a HeaderValue) {
        match header {
            Some(header) => header.is_repeated = true,
            None => *header = Some(Self { name, value, is_repeated: false }),
        }
    }
}

/// What the names of the headers of a family begin with.
pub(super) const FAMILIES: [&str; 3] = ["x-ratelimit-", "ratelimit-", "x-rate-limit-"];

/// Headers that together report one policy, which has no name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeaderFamily<'a> {
    limit: Option<SentHeader<'a>>,
    remaining: Option<SentHeader<'a>>,
    reset: Option<SentHeader<'a>>,
}

impl<'a> HeaderFamily<'a> {
    pub(super) fn is_sent(&self) -> bool {
        self.limit.is_some() || self.remaining.is_some() || self.reset.is_some()
    }

    pub(super) fn add(&mut self, part: &str, name: &'a HeaderName, value: &'a HeaderValue) {
        match part {
            "limit" => SentHeader::add(&mut self.limit, name, value),
            "remaining" => SentHeader::add(&mut self.remaining, name, value),
            "reset" => SentHeader::add(&mut self.reset, name, value),
            _ => {}
        }
    }
}

/// A count, and the window that it is for, if the header says so: `100;w=60`.
#[derive(Clone, Copy, Debug)]
struct WindowCount {
    count: u64,
    has_window: bool,
    /// Its length, unless that makes no sense.
    window: Option<Duration>,
}

/// A policy of the vendor, which has a name or is known by its quota.
#[derive(Clone, Copy, Debug)]
struct QuotaPolicy<'a> {
    name: Option<&'a str>,
    quota: Option<u64>,
    window: Option<Duration>,
}

/// Reads headers of one response.
pub(super) struct HeaderReader<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) vendor_now: &'a dyn Fn() -> Timestamp,
    pub(super) travel: Duration,
    pub(super) max_window: Duration,
    pub(super) report: &'a dyn Fn(InvalidHeader<'_>),
}

impl<'a> HeaderReader<'a> {
    /// The report that binds. What has no name completes each other, and what has a name stays as it is: a count and a reset of
    /// two policies say nothing together.
    pub(super) fn strictest(
        &self,
        families: &[HeaderFamily<'a>; FAMILIES.len()],
        ratelimit: Option<SentHeader<'a>>,
        policy: Option<SentHeader<'a>>,
    ) -> LimitReport {
        let policies = policy.map(|policy| self.policies(policy)).unwrap_or_default();
        let (named, dictionaries) = match ratelimit {
            Some(ratelimit) => self.ratelimit(ratelimit, &policies),
            None => (None, Vec::new()),
        };
        let families = families.map(|family| self.family(&family));
        let unnamed = || families.iter().chain(&dictionaries);
        let reset = unnamed().filter_map(|report| report.reset).max();
        let limit = unnamed().min_by_key(|report| looseness(report.limit)).copied().unwrap_or_default();
        let completed = unnamed().map(|report| {
            let source = if report.limit.is_some() { report } else { &limit };
            LimitReport { limit: source.limit, window: source.window, reset: report.reset.or(reset), ..*report }
        });
        let reports = named.into_iter().chain(completed);
        let mut found = reports.reduce(|a, b| if b.is_stricter_than(&a) { b } else { a }).unwrap_or_default();
        if let (Some(limit), None) = (found.limit, found.window) {
            let same = policies.iter().filter(|policy| policy.name.is_none() && policy.quota == Some(limit));
            found.window = same.filter_map(|policy| policy.window).max();
        }
        found
    }

    pub(super) fn family(&self, family: &HeaderFamily<'_>) -> LimitReport {
        let reset = self.latest(family.reset);
        match (single_count(family.limit), single_count(family.remaining)) {
            (Some(limit), Some(remaining)) => LimitReport { limit, remaining, reset, window: None },
            _ => LimitReport { reset, ..self.listed_counts(family) },
        }
    }

    /// Reads counts that are more than a number each: lists as proxies join them, or lists of policies.
    #[cold]
    fn listed_counts(&self, family: &HeaderFamily<'_>) -> LimitReport {
        let (limits, remaining) = (self.counts(family.limit), self.counts(family.remaining));
        let least = remaining.iter().enumerate().min_by_key(|(_, remaining)| remaining.count);
        // The first limit is the one that binds, and those with windows are the policies that it comes from. Some send only these.
        let (policies, plain): (Vec<_>, Vec<_>) = limits.iter().partition(|limit| limit.has_window);
        let of_least = [&plain, &limits].into_iter().find(|limits| limits.len() == remaining.len());
        let limit = match (least, of_least) {
            (Some((index, _)), Some(limits)) => limits.get(index),
            _ => [&plain, &limits]
                .into_iter()
                .find_map(|limits| limits.iter().min_by_key(|limit| looseness(Some(limit.count)))),
        };
        let window = limit.and_then(|limit| {
            let same = policies.iter().filter(|policy| policy.count == limit.count);
            limit.window.or_else(|| same.filter_map(|policy| policy.window).max())
        });
        LimitReport {
            limit: limit.map(|limit| limit.count),
            remaining: least.map(|(_, remaining)| remaining.count),
            reset: None,
            window,
        }
    }

    fn counts(&self, header: Option<SentHeader<'a>>) -> Vec<WindowCount> {
        let Some(header) = header else { return Vec::new() };
        let members = self.texts(header).flat_map(members);
        let counts = members.filter_map(|member| {
            Some(WindowCount {
                count: self.count(header, member.value(), member.value())?,
                has_window: member.parameter("w").next().is_some(),
                window: self.window(header, member),
            })
        });
        counts.collect()
    }

    /// Reads `RateLimit`, in both of its forms: `"default";r=50;t=30` and, in earlier drafts, `limit=100, remaining=50, reset=30`.
    /// Returns the strictest of the policies with names, and the reports without one.
    #[cold]
    fn ratelimit(
        &self,
        header: SentHeader<'a>,
        policies: &[QuotaPolicy<'_>],
    ) -> (Option<LimitReport>, Vec<LimitReport>) {
        let mut named: Option<LimitReport> = None;
        // The first key begins a report, as one that comes again does.
        let (mut dictionaries, mut has_parts) = (Vec::new(), [true; 3]);
        for member in self.texts(header).flat_map(members) {
            if let Some((key, value)) = member.entry() {
                let keys = ["limit", "remaining", "reset"];
                let Some(part) = keys.iter().position(|other| key.eq_ignore_ascii_case(other)) else { continue };
                // A key that comes again belongs to another report, which a proxy has joined to the first.
                if has_parts[part] {
                    dictionaries.push(LimitReport::default());
                    has_parts = [false; 3];
                }
                has_parts[part] = true;
                let Some(report) = dictionaries.last_mut() else { continue };
                match part {
                    0 => report.limit = self.count(header, value, member.text),
                    1 => report.remaining = self.count(header, value, member.text),
                    _ => report.reset = self.moment(header, value),
                }
            } else if let Some(report) = self.named(header, member, policies)
                && named.is_none_or(|strictest| report.is_stricter_than(&strictest))
            {
                named = Some(report);
            }
        }
        (named, dictionaries)
    }

    /// Reads `"default";r=50;t=30`, and adds what is said of this policy.
    fn named(
        &self,
        header: SentHeader<'_>,
        member: StructuredMember<'_>,
        policies: &[QuotaPolicy<'_>],
    ) -> Option<LimitReport> {
        let remaining = member.parameter("r").filter_map(count).min();
        let (Some(name), Some(remaining)) = (member.name(), remaining) else {
            self.report(header, member.text, HeaderProblem::Unreadable);
            return None;
        };
        let reset = member.parameter("t").filter_map(|moment| self.moment(header, moment)).max();
        let same = policies.iter().filter(|policy| policy.name == Some(name));
        let policy = same.min_by_key(|policy| looseness(policy.quota));
        Some(LimitReport {
            limit: policy.and_then(|policy| policy.quota),
            remaining: Some(remaining),
            reset,
            window: policy.and_then(|policy| policy.window),
        })
    }

    /// Reads `RateLimit-Policy`, in both of its forms: `"default";q=100;w=60` and, in earlier drafts, `100;w=60`.
    #[cold]
    fn policies(&self, header: SentHeader<'a>) -> Vec<QuotaPolicy<'a>> {
        let members = self.texts(header).flat_map(members);
        let policies = members.filter_map(|member| {
            let Some(name) = member.name() else {
                self.report(header, member.text, HeaderProblem::Unreadable);
                return None;
            };
            let quota = count(name).filter(|_| !member.is_string());
            Some(QuotaPolicy {
                name: Some(name).filter(|_| quota.is_none()),
                quota: quota.or_else(|| self.parameter(header, member, "q")),
                window: self.window(header, member),
            })
        });
        policies.collect()
    }

    /// The length of the window that a member is about.
    fn window(&self, header: SentHeader<'_>, member: StructuredMember<'_>) -> Option<Duration> {
        let window = self.parameter(header, member, "w").map(Duration::from_secs);
        window.filter(|window| *window <= self.max_window)
    }

    fn parameter(&self, header: SentHeader<'_>, member: StructuredMember<'_>, key: &str) -> Option<u64> {
        member.parameter(key).find_map(|value| self.count(header, value, member.text))
    }

    /// Reads a count. `context` is what is reported if it is none.
    fn count(&self, header: SentHeader<'_>, text: &str, context: &str) -> Option<u64> {
        let count = count(text);
        if count.is_none() {
            self.report(header, context, HeaderProblem::Unreadable);
        }
        count
    }

    /// The latest moment that a header names: too early is refused again.
    pub(super) fn latest(&self, header: Option<SentHeader<'_>>) -> Option<SignedDuration> {
        let header = header?;
        let single = (!header.is_repeated).then(|| self.read_moment(text(header.value)?).ok()).flatten();
        single.or_else(|| self.latest_of_list(header))
    }

    #[cold]
    fn latest_of_list(&self, header: SentHeader<'_>) -> Option<SignedDuration> {
        let moments = self.texts(header).flat_map(reset::list);
        moments.filter_map(|moment| self.moment(header, moment.split(';').next()?.trim_ascii_end())).max()
    }

    fn moment(&self, header: SentHeader<'_>, text: &str) -> Option<SignedDuration> {
        self.read_moment(text).map_err(|why| self.report(header, text, why)).ok()
    }

    fn read_moment(&self, text: &str) -> Result<SignedDuration, HeaderProblem> {
        reset::read(text, (self.vendor_now)(), self.travel, self.max_window)
    }

    /// The values of a header. Those that say nothing are reported.
    fn texts(&self, header: SentHeader<'_>) -> impl Iterator<Item = &'a str> {
        let values = self.headers.get_all(header.name).iter();
        values.map(|value| text(value).unwrap_or_default()).inspect(move |text| {
            if text.bytes().all(|byte| byte == b',' || byte.is_ascii_whitespace()) {
                self.report(header, text, HeaderProblem::Unreadable);
            }
        })
    }

    #[cold]
    fn report(&self, header: SentHeader<'_>, value: &str, why: HeaderProblem) {
        let why = match why {
            HeaderProblem::Unreadable => "unreadable",
            HeaderProblem::Past => "past",
            HeaderProblem::TooFar => "too_far",
        };
        (self.report)(InvalidHeader { name: header.name.as_str(), value, why });
    }
}

/// The count of a header that is missing, or is one number, as nearly all are.
fn single_count(header: Option<SentHeader<'_>>) -> Option<Option<u64>> {
    match header {
        None => Some(None),
        Some(SentHeader { value, is_repeated: false, .. }) => text(value).and_then(count).map(Some),
        Some(_) => None,
    }
}

/// A number of calls. Of a decimal the whole calls count.
fn count(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number =
        !whole.is_empty() && [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    // Too many digits for an integer are too many calls to count.
    is_number.then(|| whole.parse().map_or(MAX_COUNT, |count: u64| count.min(MAX_COUNT)))
}

/// Orders limits by how much they allow. Zero is how some write that there is none.
fn looseness(limit: Option<u64>) -> u64 {
    limit.map_or(u64::MAX, |limit| if limit == 0 { u64::MAX - 1 } else { limit })
}

pub(super) fn text(value: &HeaderValue) -> Option<&str> {
    str::from_utf8(value.as_bytes().trim_ascii()).ok()
}
