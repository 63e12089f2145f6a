//! What is left of the vendor's window.
//!
//! A response reports what remained when the vendor wrote it, and responses arrive out of order. So what counts is the least
//! that any response of the window reported, less the calls that it may not include: calls in flight, and calls that ended
//! without limit headers. That can only be too low, and is exact once no call is in flight.

use std::time::Duration;

use tokio::time::Instant;

use super::acquire_request::AcquireRequest;
use super::external_usage::ExternalUsage;
use super::headers::RateLimitHeaders;
use super::unconfirmed::Unconfirmed;
use super::window_length::WindowLength;

/// Resets are whole seconds, rounded up, and so are the dates that they are compared with, rounded down.
const RESOLUTION: Duration = Duration::from_secs(2);
/// So many windows in a row have to begin when the vendor said, before one is taken to begin without asking.
const TRUSTED: u32 = 2;
const MAX_TRUSTED: u32 = 1024;
/// So many responses in a row without limit headers are put down to chance in a window, and at the beginning of one.
const SILENT: u32 = 16;
const SILENT_AT_TURN: u32 = 3;
/// Travel times above this part of the window leave too few responses in time to go by.
const SLOW: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Window {
    /// Calls of this process, ever.
    sent: u64,
    ended: u64,
    /// Calls in flight that were sent in this window, and in the one before. Older ones cannot count any more.
    in_flight: u64,
    carried: u64,
    /// Counts windows, but not those that begin while calls of the one before it are still on their way.
    number: u64,
    counted_at: Option<Instant>,
    limit: Option<u64>,
    /// The most that a window was seen to take, if the vendor does not report the limit.
    largest: Option<u64>,
    /// What remained at last, if the vendor reports that without a reset.
    remaining: Option<u64>,
    current: Option<Current>,
    length: WindowLength,
    unconfirmed: Unconfirmed,
    /// How many responses without limit headers are still put down to chance.
    silent_left: u32,
    /// How many windows in a row began when the vendor said.
    confirmed: u32,
    /// How many are needed: more with each window that did not begin as it was taken to.
    needed: u32,
    external: ExternalUsage,
    /// How long calls take, smoothed.
    round_trip: Duration,
    /// What others are likely to use while a call travels.
    margin: u64,
    is_slow: bool,
}

/// The window that is known last.
#[derive(Clone, Copy, Debug)]
struct Current {
    /// The least that remained, as far as it is known.
    least: u64,
    /// The number of the first call that was sent after that was known.
    mark: u64,
    /// When it began, at the earliest.
    started_at: Instant,
    reset_at: Instant,
    /// Whether a response of this window has arrived. If not, it is taken to have begun at the reset of the one before.
    is_reported: bool,
    /// What the first response reported, and how many calls it could include.
    first: (u64, u64),
}

/// A call that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sent {
    /// How many were sent before it, and how many of these had ended.
    number: u64,
    ended: u64,
    /// The window in which it was sent.
    window: u64,
}

/// A call that got a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceivedResponse {
    pub(super) sent: Sent,
    pub(super) sent_at: Instant,
    pub(super) headers: RateLimitHeaders,
    /// Whether the vendor refused it because of the limit.
    pub(super) is_refused: bool,
}

/// The window that a response belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    Previous,
    Current,
    Next,
}

impl Current {
    /// Which window a response belongs to follows from when its call was sent and from what it reports. The reset alone does
    /// not tell two short windows apart: vendors round it to whole seconds.
    fn classify(&self, call: &ReceivedResponse, remaining: u64, length: Duration, now: Instant) -> Belongs {
        let tolerance = RESOLUTION.max(length / 2);
        // A bucket that is refilled is full again later with each call. A window does not end before its reset, but for rounding.
        let may_be_over = now + RESOLUTION >= self.reset_at;
        let is_later = |reset_at: Instant| may_be_over && reset_at >= self.reset_at + tolerance;
        let earliest = call.headers.reset.map(|ahead| call.sent_at + ahead);
        // A call that leaves as much as there was when it was sent shows that the vendor began anew.
        let rises = self.is_reported && !call.is_refused && call.sent.number >= self.mark && remaining >= self.least;
        if rises || call.sent_at >= self.reset_at || earliest.is_some_and(is_later) {
            return Belongs::Next;
        }
        let is_earlier = match call.headers.reset {
            Some(ahead) => now + ahead + tolerance < self.reset_at,
            None => call.sent_at < self.started_at,
        };
        if is_earlier { Belongs::Previous } else { Belongs::Current }
    }
}

impl Window {
    /// Counts a call that is sent.
    pub(super) fn send(&mut self) -> Sent {
        let sent = Sent { number: self.sent, ended: self.ended, window: self.number };
        self.sent += 1;
        self.in_flight += 1;
        sent
    }

    /// A call has ended and counts no more: it was not sent, or its response said what remains.
    pub(super) fn end(&mut self, call: Sent) {
        self.ended += 1;
        match self.number - call.window {
            0 => self.in_flight -= 1,
            1 => self.carried -= 1,
            _ => {}
        }
    }

    /// A call ended without limit headers. It counts until a response has to include it.
    pub(super) fn on_failure(&mut self, call: Sent) {
        self.end(call);
        self.unconfirmed.add(self.sent);
    }

    /// A response arrived. Returns whether that changes the prospects of waiters.
    pub(super) fn on_response(&mut self, call: &ReceivedResponse, now: Instant) -> bool {
        let headers = &call.headers;
        let trip = now.saturating_duration_since(call.sent_at);
        self.round_trip = if self.round_trip.is_zero() { trip } else { (self.round_trip * 7 + trip) / 8 };
        // A window that holds nothing would take no call: zero is how some write that there is no limit.
        self.limit = headers.limit.filter(|limit| *limit > 0).or(self.limit);
        self.remaining = headers.remaining.or(self.remaining);
        // A window that is reported with refusals alone does not count: nothing would say how much of the next one is used.
        let reset = headers.reset.filter(|_| self.is_known() || !call.is_refused);
        if let (Some(ahead), Some(reset_at)) = (reset, headers.reset_instant(now)) {
            self.length.on_reset(reset_at, ahead);
        }
        self.length.on_policy(headers.window);
        let changed = match (headers.remaining, reset) {
            (Some(remaining), Some(ahead)) => self.on_report(call, remaining, now + ahead, now),
            // Until when it has to last is not known, but within a window it counts all the same.
            (Some(remaining), None) if self.is_known() => {
                self.on_report(call, remaining, call.sent_at + self.length(), now)
            }
            (Some(_), None) => {
                self.end(call.sent);
                false
            }
            (None, _) if call.is_refused => {
                self.end(call.sent);
                false
            }
            (None, _) => {
                self.on_failure(call.sent);
                self.expire_if_silent(call.sent_at)
            }
        };
        self.update_slow();
        changed
    }

    fn on_report(&mut self, call: &ReceivedResponse, remaining: u64, reset_at: Instant, now: Instant) -> bool {
        self.silent_left = SILENT;
        let length = self.length();
        match self.current.map(|current| (current, current.classify(call, remaining, length, now))) {
            None => {
                self.begin(call, remaining, reset_at, now);
                true
            }
            Some((current, Belongs::Next)) => {
                if !call.is_refused {
                    self.largest = self.largest.max(Some(remaining.saturating_add(1)));
                }
                self.confirm(call, &current, remaining, reset_at);
                self.begin(call, remaining, reset_at, now);
                true
            }
            Some((current, Belongs::Previous)) => {
                if call.sent_at >= current.started_at && !current.is_reported {
                    // It was sent when this window was taken to have begun, and had not.
                    self.confirmed = 0;
                }
                self.on_failure(call.sent);
                false
            }
            Some((current, Belongs::Current)) => {
                self.end(call.sent);
                let reset_at = call.headers.reset.map_or(current.reset_at, |_| reset_at);
                self.update(call, current, remaining, reset_at, now)
            }
        }
    }

    /// The first response of a new window shows whether the window before ended when the vendor said, and whether a whole one
    /// followed.
    fn confirm(&mut self, call: &ReceivedResponse, current: &Current, remaining: u64, reset_at: Instant) {
        let is_later = reset_at > current.reset_at + self.length() / 2;
        let is_whole = self.size().is_some_and(|size| remaining + (self.sent - current.mark) >= size);
        self.confirmed = if is_later && is_whole && !call.is_refused { self.confirmed.saturating_add(1) } else { 0 };
    }

    /// A response of the current window arrived.
    fn update(
        &mut self,
        call: &ReceivedResponse,
        mut current: Current,
        remaining: u64,
        reset_at: Instant,
        now: Instant,
    ) -> bool {
        let is_first = !current.is_reported;
        if is_first {
            current.is_reported = true;
            current.reset_at = reset_at;
            current.first = (remaining, call.sent.ended + 1);
        }
        if is_first || remaining < current.least {
            current.least = remaining.min(current.least);
            current.mark = self.sent;
        }
        // Of all resets that are reported for a window the earliest is closest to the truth. Only a bucket that is refilled is
        // full again later the more of it was used.
        if remaining > 0 || reset_at <= current.reset_at + RESOLUTION / 2 {
            current.reset_at = current.reset_at.min(reset_at);
        } else {
            current.reset_at = reset_at;
        }
        self.current = Some(current);
        let (first, known) = current.first;
        let unexplained = first.saturating_sub(remaining).saturating_sub(self.sent.saturating_sub(known));
        self.unconfirmed.settle(call.sent.number, self.sent);
        let more = self.external.see(unexplained, now);
        if more {
            self.update_margin();
        }
        more || is_first
    }

    /// The first response of a window arrived.
    fn begin(&mut self, call: &ReceivedResponse, remaining: u64, reset_at: Instant, now: Instant) {
        let started_at = self.current.map_or(call.sent_at, |current| current.reset_at.min(call.sent_at));
        // What ended while this call was on its way may have come to the vendor after it.
        let meanwhile = self.ended - call.sent.ended;
        self.end(call.sent);
        self.turn(
            Current {
                least: remaining,
                mark: self.sent,
                started_at,
                reset_at,
                is_reported: true,
                first: (remaining, call.sent.ended + 1),
            },
            now,
        );
        self.unconfirmed = Unconfirmed::default();
        self.unconfirmed.add_all(meanwhile, self.sent);
        self.external.turn(now);
        self.update_margin();
    }

    fn turn(&mut self, current: Current, now: Instant) {
        self.current = Some(current);
        if self.counted_at.is_none_or(|counted_at| now >= counted_at + self.round_trip * 2) {
            self.counted_at = Some(now);
            self.number += 1;
            (self.carried, self.in_flight) = (self.in_flight, 0);
        }
    }

    /// Takes a window that is over to be followed by a whole one, if the vendor's resets have proved right. Calls that ended
    /// in the last moments may count in the new window.
    pub(super) fn pass_time(&mut self, now: Instant) {
        let Some(current) = self.current.filter(|current| current.is_reported && now >= current.reset_at) else {
            return;
        };
        let (Some(size), Some(length)) = (self.size(), self.length.get()) else { return };
        if self.confirmed < self.needed.max(TRUSTED) || self.has_external() || self.is_slow {
            return;
        }
        self.turn(
            Current {
                least: size,
                mark: self.sent,
                started_at: current.reset_at,
                reset_at: now + length,
                is_reported: false,
                first: (size, self.ended),
            },
            now,
        );
        self.external.turn(now);
    }

    /// Ends a window of which no response has shown that it has begun.
    pub(super) fn end_assumed(&mut self, now: Instant) {
        if let Some(current) = self.current.as_mut().filter(|current| !current.is_reported) {
            (current.least, current.reset_at, current.is_reported) = (0, now, true);
        }
    }

    /// A call failed, or was refused: ask before the next window is taken to have begun.
    pub(super) fn distrust(&mut self) {
        self.confirmed = 0;
        if self.is_assumed() {
            self.needed = (self.needed.max(TRUSTED) * 2).min(MAX_TRUSTED);
        }
    }

    /// The vendor accepted a call and said nothing of the limit. At the beginning of a window a few such responses mean that
    /// there is none any more, within a window many.
    fn expire_if_silent(&mut self, sent_at: Instant) -> bool {
        let Some(current) = self.current else { return false };
        self.silent_left = self.silent_left.saturating_sub(1);
        if sent_at >= current.reset_at {
            self.silent_left = self.silent_left.min(SILENT_AT_TURN - 1);
        }
        if self.silent_left == 0 {
            self.forget();
        }
        self.silent_left == 0
    }

    /// What others are likely to use between a response and the next call.
    fn update_margin(&mut self) {
        // No more than a quarter is left for what is only a guess.
        let most = self.size().unwrap_or_default() / 4;
        self.margin = if self.has_external() { self.external.within(self.round_trip).min(most) } else { 0 };
    }

    fn update_slow(&mut self) {
        let slow = match (self.size(), self.length.get()) {
            (Some(_), Some(length)) if self.is_slow => self.round_trip * (SLOW + 1) > length,
            (Some(_), Some(length)) => self.round_trip * SLOW > length,
            _ => false,
        };
        self.is_slow = slow;
    }

    /// How many such calls may be sent: all there is if nothing is known.
    pub(super) fn room(&self, request: AcquireRequest) -> u64 {
        match &self.current {
            Some(current) => current.least.saturating_sub(self.pending() + self.margin + self.reserve(request)),
            None => u64::MAX,
        }
    }

    /// The same, less what others are likely to have used since the last response.
    pub(super) fn room_at(&self, request: AcquireRequest, now: Instant) -> u64 {
        let room = self.room(request);
        if self.pending() == 0 || !self.has_external() || self.is_over(now) {
            return room;
        }
        room.saturating_sub(self.external.since_report(now))
    }

    /// Calls that the least that remains may not include.
    fn pending(&self) -> u64 {
        self.in_flight + self.carried + self.unconfirmed.count()
    }

    /// What will be left for waiters once no call is in flight, if that is all until the reset.
    pub(super) fn left(&self, request: AcquireRequest) -> Option<u64> {
        self.current.map(|current| current.least.saturating_sub(self.margin + self.reserve(request)))
    }

    /// Whether the vendor said that there is room, and only guesses say that there is none.
    pub(super) fn is_held_back_by_guesses(&self, request: AcquireRequest, now: Instant) -> bool {
        let has_room = |current: Current| now < current.reset_at && current.least > self.reserve(request);
        self.current.is_some_and(has_room)
    }

    /// When the vendor said that there is nothing left, and until when.
    pub(super) fn exhausted_until(&self, request: AcquireRequest, now: Instant) -> Option<Instant> {
        self.running(now).filter(|current| current.least <= self.reserve(request)).map(|current| current.reset_at)
    }

    /// When the window ends of which the vendor said that nothing is left.
    pub(super) fn exhausted_at(&self, now: Instant) -> Option<Instant> {
        self.running(now).filter(|current| current.least == 0).map(|current| current.reset_at)
    }

    /// The end of the window, if all of it is used but for a call that the vendor has just refused.
    pub(super) fn spent_until(&self, now: Instant) -> Option<Instant> {
        let current = self.current.filter(|current| now < current.reset_at)?;
        (current.least.saturating_sub(self.pending() + self.margin) <= 1).then_some(current.reset_at)
    }

    /// What a call leaves to others.
    fn reserve(&self, request: AcquireRequest) -> u64 {
        // In thousandths; no window is so large that this overflows.
        let first = || self.current.map(|current| current.first.0.saturating_add(1));
        let size = || self.size().or_else(first).unwrap_or_default();
        if request.reserve == 0 { 0 } else { size().saturating_mul(request.reserve.into()) / 1000 }
    }

    /// What a whole window holds for a call of this kind.
    pub(super) fn share(&self, request: AcquireRequest) -> Option<u64> {
        self.size().map(|size| size.saturating_sub(self.reserve(request)).max(1))
    }

    /// How many calls a window takes, as the vendor reports or as was seen.
    fn size(&self) -> Option<u64> {
        self.limit.or(self.largest)
    }

    /// Calls a second over whole windows, if responses are too late to go by and calls have to be spaced instead.
    pub(super) fn slow_rate(&self) -> Option<f64> {
        let (limit, length) = (self.size()?, self.length.get()?);
        self.is_slow.then(|| limit as f64 / length.as_secs_f64())
    }

    /// Whether others use the tenant so much that it matters how old the last response is.
    pub(super) fn has_external(&self) -> bool {
        // Most tenants are used by this process alone, and need no length.
        self.external.rate() > 0.0 && self.external.rate() * self.length().as_secs_f64() >= 1.0
    }

    /// Whether the window is known to be over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.current.is_some_and(|current| now >= current.reset_at)
    }

    /// Whether a response of a window has arrived that is not over.
    pub(super) fn is_running(&self, now: Instant) -> bool {
        self.running(now).is_some()
    }

    /// The window, if a response of it has arrived and it is not over.
    fn running(&self, now: Instant) -> Option<Current> {
        self.current.filter(|current| current.is_reported && now < current.reset_at)
    }

    /// Whether the vendor reports when its windows end, with calls that it accepts.
    pub(super) fn is_known(&self) -> bool {
        self.current.is_some()
    }

    /// Whether the window is taken to have begun, without a response that says so.
    pub(super) fn is_assumed(&self) -> bool {
        self.current.is_some_and(|current| !current.is_reported)
    }

    pub(super) fn length(&self) -> Duration {
        self.length.get_or_longest().unwrap_or_default()
    }

    pub(super) fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// Calls in flight, of all windows.
    pub(super) fn in_flight(&self) -> u64 {
        self.sent - self.ended
    }

    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    pub(super) fn remaining(&self) -> Option<u64> {
        self.current.filter(|current| current.is_reported).map(|current| current.least).or(self.remaining)
    }

    pub(super) fn reset_at(&self) -> Option<Instant> {
        self.current.map(|current| current.reset_at)
    }

    /// Calls a second that others use.
    pub(super) fn external(&self) -> f64 {
        self.external.rate()
    }

    /// Forgets all that responses said.
    pub(super) fn forget(&mut self) {
        self.current = None;
        self.unconfirmed = Unconfirmed::default();
        self.confirmed = 0;
        self.external = ExternalUsage::default();
        self.length = WindowLength::default();
        self.is_slow = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::priority::Priority;

    const SECOND: Duration = Duration::from_secs(1);

    fn normal() -> AcquireRequest {
        AcquireRequest::test(Priority::Normal)
    }

    fn headers(remaining: u64, seconds: u64) -> RateLimitHeaders {
        let reset = Some(Duration::from_secs(seconds));
        RateLimitHeaders { limit: Some(100), remaining: Some(remaining), reset, ..RateLimitHeaders::default() }
    }

    /// A response that was accepted. Returns whether it is news to waiters.
    fn respond(window: &mut Window, sent: Sent, sent_at: Instant, headers: RateLimitHeaders, now: Instant) -> bool {
        window.on_response(&ReceivedResponse { sent, sent_at, headers, is_refused: false }, now)
    }

    /// What remains, without a reset.
    fn remaining(remaining: u64) -> RateLimitHeaders {
        RateLimitHeaders { reset: None, ..headers(remaining, 0) }
    }

    /// A call that is sent at `now` and gets its response at once.
    fn call(window: &mut Window, headers: RateLimitHeaders, now: Instant) -> bool {
        let sent = window.send();
        respond(window, sent, now, headers, now)
    }

    /// A window of a minute with so much left.
    fn window(remaining: u64) -> (Window, Instant) {
        let now = Instant::now();
        let mut window = Window::default();
        let sent = window.send();
        respond(&mut window, sent, now, headers(remaining, 60), now);
        (window, now)
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_flight_count_against_what_remains() {
        let (mut window, now) = window(10);
        let calls: Vec<Sent> = (0..4).map(|_| window.send()).collect();
        assert_eq!((window.room(normal()), window.in_flight()), (6, 4));
        respond(&mut window, calls[0], now, headers(9, 60), now);
        assert_eq!(window.room(normal()), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn of_responses_out_of_order_the_least_counts() {
        let (mut window, now) = window(10);
        let calls: Vec<Sent> = (0..4).map(|_| window.send()).collect();
        for (call, remaining) in calls.into_iter().zip([7, 9, 6, 8]) {
            respond(&mut window, call, now, headers(remaining, 60), now);
        }
        assert_eq!((window.room(normal()), window.remaining()), (6, Some(6)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_counts_until_a_response_to_a_later_one_includes_it() {
        let (mut window, now) = window(10);
        let (earlier, lost) = (window.send(), window.send());
        window.on_failure(lost);
        assert_eq!(window.room(normal()), 8);
        respond(&mut window, earlier, now, headers(9, 60), now);
        assert_eq!(window.room(normal()), 8, "the response may not include it");
        let later = window.send();
        respond(&mut window, later, now, headers(7, 60), now);
        assert_eq!(window.room(normal()), 7, "this one does");
    }

    #[tokio::test(start_paused = true)]
    async fn failed_calls_settle_although_there_are_always_others_in_flight() {
        let (mut window, now) = window(90);
        let mut earlier = window.send();
        for remaining in (0..20).rev() {
            let later = window.send();
            let lost = window.send();
            window.on_failure(lost);
            respond(&mut window, earlier, now, headers(remaining * 2, 60), now);
            earlier = later;
        }
        assert!(window.unconfirmed.count() <= 3, "{:?}", window.unconfirmed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_not_sent_gives_its_place_back() {
        let (mut window, _) = window(10);
        let call = window.send();
        window.end(call);
        assert_eq!((window.room(normal()), window.in_flight()), (10, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_sent_after_the_reset_reports_the_new_window() {
        let (mut window, now) = window(0);
        let reset = now + 60 * SECOND;
        assert!(window.is_over(reset) && !window.is_over(reset - SECOND));
        let probe = window.send();
        respond(&mut window, probe, reset, headers(99, 60), reset + SECOND);
        assert_eq!((window.room(normal()), window.reset_at()), (99, Some(reset + 61 * SECOND)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_of_an_older_window_says_nothing_of_this_one() {
        let (mut window, now) = window(5);
        let late = window.send();
        let reset = now + 60 * SECOND;
        let probe = window.send();
        respond(&mut window, probe, reset, headers(99, 60), reset);
        assert_eq!(window.room(normal()), 98, "the late one may come to count in this window");
        respond(&mut window, late, now, headers(4, 0), reset);
        assert_eq!(window.room(normal()), 98);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_turns_before_its_reset_is_recognized_by_what_the_response_says() {
        let (mut window, now) = window(50);
        let call = window.send();
        let early = now + 30 * SECOND;
        respond(&mut window, call, early, headers(98, 60), early);
        assert_eq!(
            (window.room(normal()), window.reset_at()),
            (98, Some(early + 60 * SECOND)),
            "more is left than before"
        );
        let (mut window, now) = self::window(50);
        let (call, almost) = (window.send(), now + 59 * SECOND);
        respond(&mut window, call, now + 31 * SECOND, headers(30, 60), almost);
        assert_eq!(window.reset_at(), Some(almost + 60 * SECOND), "its reset is far beyond");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_whose_reset_moves_on_with_each_call_does_not_forget_the_calls_in_flight() {
        let (mut window, now) = window(99);
        let calls: Vec<Sent> = (0..40).map(|_| window.send()).collect();
        for (call, ahead) in calls[..10].iter().zip((61..).step_by(3)) {
            respond(&mut window, *call, now, headers(98 - (ahead - 61) / 3, ahead), now);
        }
        assert_eq!((window.room(normal()), window.in_flight()), (89 - 30, 30));
    }

    #[tokio::test(start_paused = true)]
    async fn windows_that_follow_each_other_within_a_round_trip_do_not_forget_the_calls_in_flight() {
        let (mut window, now) = window(10);
        let late: Vec<Sent> = (0..5).map(|_| window.send()).collect();
        for turn in 1..4 {
            let (call, sent_at) = (window.send(), now + turn * SECOND);
            // More remains than before, so a window has begun.
            respond(&mut window, call, sent_at, headers(u64::from(10 + turn), 60), sent_at + 4 * SECOND);
        }
        assert_eq!((window.room(normal()), window.in_flight()), (13 - 5, 5));
        drop(late);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_reset_of_a_window_counts() {
        let (mut window, now) = window(50);
        // In whole seconds, the reset seems to wander with the time of the call.
        for (millis, seconds, reset) in [(300, 60, 60_000), (900, 60, 60_000), (1050, 58, 59_050), (1500, 58, 59_050)] {
            call(&mut window, headers(49 - millis / 100, seconds), now + Duration::from_millis(millis));
            assert_eq!(window.reset_at(), Some(now + Duration::from_millis(reset)), "{millis}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_is_used_up_is_full_again_at_the_reset_that_it_reports_last() {
        // Up to a second is only rounding. Of a window with calls left the earliest reset counts, however late the others are.
        for (left, ahead, reset) in
            [(0, 61_000, 60_000), (0, 61_001, 61_001), (0, 100_000, 100_000), (0, 59_000, 59_000), (1, 100_000, 60_000)]
        {
            let (mut window, now) = window(50);
            let ahead = Some(Duration::from_millis(ahead));
            call(&mut window, RateLimitHeaders { reset: ahead, ..headers(left, 0) }, now);
            assert_eq!(window.reset_at(), Some(now + Duration::from_millis(reset)), "{left} {ahead:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_remains_without_a_reset_holds_no_call_back() {
        let now = Instant::now();
        let mut window = Window::default();
        call(&mut window, remaining(0), now);
        assert_eq!((window.room(normal()), window.remaining()), (u64::MAX, Some(0)));
        assert_eq!(window.in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_remains_without_a_reset_counts_until_the_known_reset_and_begins_a_window_after_it() {
        let (mut window, now) = window(50);
        call(&mut window, remaining(0), now + 30 * SECOND);
        assert_eq!((window.room(normal()), window.reset_at()), (0, Some(now + 60 * SECOND)));
        call(&mut window, remaining(99), now + 70 * SECOND);
        assert_eq!((window.room(normal()), window.reset_at()), (99, Some(now + 130 * SECOND)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_send_time_and_the_reset_decide_which_window_a_response_belongs_to() {
        let at = |millis: u64| Instant::now() + Duration::from_millis(millis);
        let current = Current {
            least: 50,
            mark: 5,
            started_at: at(100_000),
            reset_at: at(160_000),
            is_reported: true,
            first: (50, 5),
        };
        use Belongs::{Current as Same, Next, Previous};
        // The length of the window, when the call was sent and its response arrived, and the time to the reset.
        for (length, sent, arrived, ahead, expected) in [
            // Without a reset the send time decides.
            (60, 99_999, 100_500, None, Previous),
            (60, 100_000, 100_500, None, Same),
            (60, 159_999, 160_500, None, Same),
            (60, 160_000, 160_500, None, Next),
            // A reset that is later by half a window is of the next one, counted from when the call was sent.
            (60, 159_000, 159_000, Some(30_999), Same),
            (60, 159_000, 159_000, Some(31_000), Next),
            (60, 150_000, 159_000, Some(39_999), Same),
            // A shorter window is told apart by two seconds, by which whole seconds can be wrong.
            (1, 159_000, 159_000, Some(2_999), Same),
            (1, 159_000, 159_000, Some(3_000), Next),
            // But not while the known window cannot be over.
            (60, 157_999, 157_999, Some(60_000), Same),
            (60, 158_000, 158_000, Some(60_000), Next),
            // A reset that is earlier by half a window is of the one before, counted from when the response arrived.
            (60, 100_000, 110_000, Some(20_000), Same),
            (60, 100_000, 110_000, Some(19_999), Previous),
            (1, 157_000, 157_500, Some(500), Same),
            (1, 157_000, 157_500, Some(499), Previous),
        ] {
            let sent = (Sent { number: 4, ended: 4, window: 1 }, at(sent));
            let headers = RateLimitHeaders { reset: ahead.map(Duration::from_millis), ..remaining(40) };
            let call = ReceivedResponse { sent: sent.0, sent_at: sent.1, headers, is_refused: false };
            let belongs = current.classify(&call, 40, SECOND * length, at(arrived));
            assert_eq!(belongs, expected, "{length} {sent:?} {arrived} {ahead:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_leaves_as_much_as_there_was_when_it_was_sent_shows_that_a_window_has_begun() {
        let now = Instant::now();
        let reported = Current {
            least: 50,
            mark: 5,
            started_at: now,
            reset_at: now + 60 * SECOND,
            is_reported: true,
            first: (50, 5),
        };
        for (number, remaining, is_refused, is_reported, expected) in [
            (5, 50, false, true, Belongs::Next),
            (4, 50, false, true, Belongs::Current),
            (5, 49, false, true, Belongs::Current),
            (5, 50, true, true, Belongs::Current),
            (5, 50, false, false, Belongs::Current),
        ] {
            let sent = Sent { number, ended: number, window: 1 };
            let call = ReceivedResponse { sent, sent_at: now, headers: headers(remaining, 60), is_refused };
            let belongs = Current { is_reported, ..reported }.classify(&call, remaining, 60 * SECOND, now);
            assert_eq!(belongs, expected, "{call:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_remains_was_known_since_it_was_reported_first() {
        let (mut window, now) = window(10);
        let [first, same] = [(); 2].map(|()| window.send());
        respond(&mut window, first, now, headers(9, 60), now);
        let later = window.send();
        // The vendor did not count this call.
        respond(&mut window, same, now, headers(9, 60), now);
        let is_news = respond(&mut window, later, now + SECOND, headers(9, 60), now + SECOND);
        assert!(is_news, "the later call left as many as there were before it, so the window is a new one");
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_new_window_other_programs_and_the_end_of_all_limits_are_news_to_waiters() {
        let now = Instant::now();
        let mut window = Window::default();
        assert!(!call(&mut window, remaining(7), now), "no window is known");
        assert!(!call(&mut window, RateLimitHeaders::default(), now), "and none ends");
        let refused = window.send();
        let refusal = ReceivedResponse { sent: refused, sent_at: now, headers: headers(0, 60), is_refused: true };
        let silent_refusal = ReceivedResponse { headers: RateLimitHeaders::default(), ..refusal };
        assert!(!window.on_response(&silent_refusal, now), "it says nothing");
        assert!(call(&mut window, headers(99, 60), now), "the first window");
        assert!(!call(&mut window, headers(98, 60), now), "explained by our own call");
        let late = window.send();
        assert!(call(&mut window, headers(80, 60), now + SECOND), "others used the limit");
        assert!(call(&mut window, headers(99, 60), now + 60 * SECOND), "the next window");
        assert!(!respond(&mut window, late, now, headers(79, 0), now + 60 * SECOND), "of the window before");
        for _ in 1..SILENT {
            assert!(!call(&mut window, RateLimitHeaders::default(), now + 61 * SECOND), "it may be a proxy's");
        }
        assert!(call(&mut window, RateLimitHeaders::default(), now + 61 * SECOND), "no limit counts any more");
    }

    #[tokio::test(start_paused = true)]
    async fn the_length_of_the_window_is_what_the_policy_says() {
        let (mut window, now) = window(50);
        assert_eq!(window.length(), 60 * SECOND);
        call(&mut window, RateLimitHeaders { window: Some(300 * SECOND), ..headers(49, 60) }, now);
        assert_eq!(window.length(), 300 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_reported_limit_a_window_holds_the_most_that_one_was_seen_to_hold() {
        let mut now = Instant::now();
        let mut window = Window::default();
        for (left, is_refused, share) in
            [(9, false, None), (7, false, Some(8)), (9, false, Some(10)), (3, false, Some(10)), (50, true, Some(10))]
        {
            let (sent, headers) = (window.send(), RateLimitHeaders { limit: None, ..headers(left, 60) });
            window.on_response(&ReceivedResponse { sent, sent_at: now, headers, is_refused }, now);
            assert_eq!(window.share(normal()), share, "{left}");
            now += 60 * SECOND;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_that_stops_reporting_its_limit_holds_no_call_back_after_a_few_windows_or_many_calls() {
        let (mut window, now) = window(0);
        let reset = now + 60 * SECOND;
        for _ in 0..SILENT_AT_TURN {
            assert_eq!(window.room(normal()), 0);
            let call = window.send();
            respond(&mut window, call, reset, RateLimitHeaders::default(), reset);
        }
        assert_eq!(window.room(normal()), u64::MAX);

        let (mut window, now) = self::window(50);
        for call in 0..SILENT {
            assert_eq!((window.room(normal()), window.in_flight()), (50 - u64::from(call), 0));
            let call = window.send();
            respond(&mut window, call, now, RateLimitHeaders::default(), now);
        }
        assert_eq!(window.room(normal()), u64::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_zero_is_none() {
        let (mut window, now) = window(30);
        let call = window.send();
        respond(&mut window, call, now, RateLimitHeaders { limit: Some(0), ..headers(29, 60) }, now);
        assert_eq!((window.limit(), window.share(normal())), (Some(100), Some(100)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reserve_is_a_share_of_the_window() {
        let (window, _) = window(30);
        assert_eq!(window.room(AcquireRequest { reserve: 200, ..normal() }), 10);
        assert_eq!(window.room(AcquireRequest { reserve: 900, ..normal() }), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_our_calls_do_not_explain_was_used_by_others() {
        let (mut window, now) = window(99);
        let mut remaining = 99;
        for tenth in 1..=10 {
            let call = window.send();
            remaining -= 5;
            let sent_at = now + SECOND / 10 * tenth;
            respond(&mut window, call, sent_at, headers(remaining, 60), sent_at + SECOND / 10);
        }
        assert!((30.0..45.0).contains(&window.external()), "{}", window.external());
        assert!((5..=12).contains(&window.margin), "4 are used in a round trip: {}", window.margin);
        assert!(window.has_external());
        assert_eq!(window.room(normal()), 49 - window.margin);
        let in_flight = window.send();
        assert!(window.room_at(normal(), now + 5 * SECOND) < 10, "{in_flight:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_calls_are_not_taken_for_those_of_others_in_whatever_order_responses_arrive() {
        let (mut window, now) = window(99);
        let calls: Vec<Sent> = (0..64).map(|_| window.send()).collect();
        for (call, remaining) in calls.into_iter().rev().zip(35..) {
            respond(&mut window, call, now, headers(remaining, 60), now + SECOND / 10);
        }
        assert_eq!(window.external(), 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn each_call_of_others_is_counted_once_the_calls_that_were_in_flight_are_accounted_for() {
        let (mut window, now) = window(99);
        for remaining in (90..99).rev() {
            call(&mut window, headers(remaining, 60), now);
        }
        let parallel = window.send();
        assert!(!call(&mut window, headers(88, 60), now), "the call in flight explains it");
        assert!(call(&mut window, headers(86, 60), now), "of these two one was not ours");
        assert!(!respond(&mut window, parallel, now, headers(89, 60), now));
        assert_eq!(window.external(), 10.0, "one call, in a tenth of a second at least");
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_was_not_as_whole_as_it_was_taken_to_be_shows_no_other_programs() {
        let (mut window, reset) = used_up(2);
        window.pass_time(reset);
        let (sent, two) = (window.send(), |left| RateLimitHeaders { limit: Some(2), ..headers(left, 60) });
        let is_news = respond(&mut window, sent, reset, two(0), reset);
        assert_eq!((is_news, window.external()), (true, 0.0));
        assert_eq!((window.room(normal()), window.is_assumed()), (0, false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_use_of_a_window_that_was_taken_to_begin_counts_from_its_beginning() {
        let (mut window, reset) = used_up(2);
        window.limit = Some(100);
        window.pass_time(reset);
        call(&mut window, headers(50, 60), reset);
        assert!(call(&mut window, headers(48, 60), reset + SECOND), "one of the two calls was not ours");
        assert_eq!(window.external(), 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_reset_that_is_reported_replaces_the_assumed_one() {
        let (mut window, reset) = used_up(2);
        window.pass_time(reset);
        assert_eq!(window.reset_at(), Some(reset + 60 * SECOND));
        call(&mut window, RateLimitHeaders { limit: Some(2), ..headers(1, 70) }, reset);
        assert_eq!(window.reset_at(), Some(reset + 70 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_a_quarter_of_the_window_is_left_to_others() {
        let (mut window, now) = window(99);
        let sent = window.send();
        respond(&mut window, sent, now, headers(9, 60), now + SECOND);
        assert_eq!(window.margin, 25);
    }

    #[tokio::test(start_paused = true)]
    async fn responses_are_late_from_a_third_of_the_window_on_until_a_quarter() {
        let nano = Duration::from_nanos(1);
        let (mut window, _) = used_up(2);
        for (round_trip, is_slow) in [
            (20 * SECOND, false),
            (20 * SECOND + nano, true),
            (15 * SECOND + nano, true),
            (15 * SECOND, false),
            (15 * SECOND + nano, false),
        ] {
            window.round_trip = round_trip;
            window.update_slow();
            assert_eq!(window.is_slow, is_slow, "{round_trip:?}");
        }
        // As long as nothing is known of the length, nothing is late.
        window = Window { round_trip: 16 * SECOND, limit: Some(100), ..Window::default() };
        window.update_slow();
        window.length.on_policy(Some(60 * SECOND));
        window.update_slow();
        assert!(!window.is_slow);
    }

    #[tokio::test(start_paused = true)]
    async fn the_age_of_the_last_response_counts_while_others_use_the_limit_and_calls_are_in_flight() {
        for (has_external, is_in_flight, seconds, lost) in
            [(true, true, 6, 6), (true, false, 6, 0), (false, true, 6, 0), (true, true, 60, 0)]
        {
            let (mut window, now) = window(50);
            if has_external {
                window.external.see(1, now + SECOND);
            }
            if is_in_flight {
                window.send();
            }
            let at = now + SECOND + SECOND * seconds;
            assert_eq!(
                window.room_at(normal(), at),
                window.room(normal()) - lost,
                "{has_external} {is_in_flight} {seconds}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn others_matter_once_they_use_a_call_in_a_window() {
        for (seconds, matter) in [(60, true), (61, false)] {
            let (mut window, now) = window(50);
            assert!(!window.has_external());
            window.external.see(1, now + SECOND * seconds);
            assert_eq!(window.has_external(), matter, "a call in {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_is_exhausted_for_calls_whose_reserve_is_all_that_is_left_and_only_until_its_reset() {
        let soon = Duration::from_millis(1);
        let (window, now) = window(30);
        let reset = now + 60 * SECOND;
        let reserving = |reserve| AcquireRequest { reserve, ..normal() };
        for (reserve, left, is_exhausted) in
            [(0, 30, false), (290, 1, false), (299, 1, false), (300, 0, true), (900, 0, true)]
        {
            let request = reserving(reserve);
            assert_eq!((window.left(request), window.room(request)), (Some(left), left), "{reserve}");
            assert_eq!(window.exhausted_until(request, reset - soon), is_exhausted.then_some(reset), "{reserve}");
            assert_eq!(window.exhausted_until(request, reset), None);
            assert_eq!(window.is_held_back_by_guesses(request, reset - soon), !is_exhausted, "{reserve}");
            assert!(!window.is_held_back_by_guesses(request, reset));
        }
        assert_eq!([0, 300, 999, 1000].map(|reserve| window.share(reserving(reserve)).unwrap()), [100, 70, 1, 1]);
        assert_eq!(window.exhausted_at(reset - soon), None);
        let (window, _) = self::window(0);
        assert_eq!((window.exhausted_at(reset - soon), window.exhausted_at(reset)), (Some(reset), None));
        assert!(window.is_running(reset - soon) && !window.is_running(reset));
        assert!(!Window::default().is_held_back_by_guesses(normal(), now), "nothing holds a call back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reserve_is_a_share_of_what_the_first_response_shows_if_the_vendor_reports_no_limit() {
        let now = Instant::now();
        let mut window = Window::default();
        call(&mut window, RateLimitHeaders { limit: None, ..headers(49, 60) }, now);
        assert_eq!(window.room(AcquireRequest { reserve: 200, ..normal() }), 39);
    }

    #[tokio::test(start_paused = true)]
    async fn what_responses_said_is_forgotten_and_what_is_in_flight_is_not() {
        let (mut window, now) = used_up(3);
        let [_in_flight, failed] = [(); 2].map(|()| window.send());
        window.on_failure(failed);
        window.external.see(100, now);
        window.is_slow = true;
        assert!(window.slow_rate().is_some() && window.confirmed > 0 && window.external() > 0.0);
        window.forget();
        assert_eq!((window.is_known(), window.is_over(now), window.is_assumed()), (false, false, false));
        assert_eq!((window.room(normal()), window.in_flight(), window.pending()), (u64::MAX, 1, 1));
        assert_eq!((window.confirmed, window.external(), window.length()), (0, 0.0, Duration::ZERO));
        assert!(!window.is_slow);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_ends_a_window_of_which_it_would_have_been_the_last() {
        for (in_flight, margin, is_spent) in [(2, 0, true), (1, 0, false), (1, 1, true), (9, 0, true)] {
            let (mut window, now) = window(3);
            for _ in 0..in_flight {
                window.send();
            }
            window.margin = margin;
            let reset = now + 60 * SECOND;
            let until = window.spent_until(reset - Duration::from_millis(1));
            assert_eq!(until, is_spent.then_some(reset), "{in_flight} {margin}");
            assert_eq!(window.spent_until(reset), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_travel_time_counts_fully_and_each_that_follows_an_eighth() {
        let now = Instant::now();
        let mut window = Window::default();
        for (trip, smoothed) in [(800, 800), (0, 700), (1500, 800)] {
            let sent = window.send();
            respond(&mut window, sent, now, headers(50, 60), now + Duration::from_millis(trip));
            assert_eq!(window.round_trip(), Duration::from_millis(smoothed), "{trip}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_to_others_follows_their_usage_from_window_to_window() {
        let (mut window, now) = window(99);
        let sent = window.send();
        respond(&mut window, sent, now, headers(58, 60), now + SECOND);
        let margin = window.margin;
        assert!(margin > 5, "{margin}");
        for turn in 1..=6 {
            let sent_at = now + 60 * SECOND * turn;
            let sent = window.send();
            respond(&mut window, sent, sent_at, headers(99, 60), sent_at + SECOND);
        }
        assert!(window.margin < margin / 2, "{} {margin}", window.margin);
    }

    /// A window of a minute and two calls, after so many others that were used up. Returns its reset.
    fn used_up(windows: u32) -> (Window, Instant) {
        let mut window = Window::default();
        let reset = turn(&mut window, Instant::now(), windows + 1);
        (window, reset)
    }

    /// Windows that are used up. Returns the reset of the last one.
    fn turn(window: &mut Window, mut reset: Instant, windows: u32) -> Instant {
        for _ in 0..windows {
            for remaining in [1, 0] {
                let call = window.send();
                respond(window, call, reset, RateLimitHeaders { limit: Some(2), ..headers(remaining, 60) }, reset);
            }
            reset += 60 * SECOND;
        }
        reset
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_begins_without_asking_once_two_began_when_the_vendor_said() {
        for (windows, room) in [(1, 0), (2, 2)] {
            let (mut window, reset) = used_up(windows);
            window.pass_time(reset - Duration::from_millis(1));
            assert_eq!(window.room(normal()), 0);
            window.pass_time(reset);
            assert_eq!(window.room(normal()), room, "after {windows} windows");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_whole_windows_that_begin_half_a_window_later_at_least_prove_the_vendors_resets_right() {
        let late = Duration::from_millis(1);
        for (left, reset, is_refused, confirmed) in [
            (1, 30 * SECOND + late, false, 3),
            (1, 30 * SECOND, false, 0),
            (0, 60 * SECOND, false, 0),
            (1, 60 * SECOND, true, 0),
        ] {
            let (mut window, reset_at) = used_up(2);
            let (sent, current) = (window.send(), window.current.unwrap());
            let call = ReceivedResponse { sent, sent_at: reset_at, headers: headers(left, 60), is_refused };
            window.confirm(&call, &current, left, reset_at + reset);
            assert_eq!(window.confirmed, confirmed, "{left} {reset:?} {is_refused}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_of_the_old_window_ends_the_trust_in_one_that_began_without_asking() {
        let old = RateLimitHeaders { limit: Some(2), ..headers(0, 1) };
        let soon = Duration::from_millis(1);
        for (asks_first, sent_before, is_trusted) in [(false, false, false), (false, true, true), (true, false, true)] {
            let (mut window, reset) = used_up(2);
            window.pass_time(reset);
            if asks_first {
                call(&mut window, RateLimitHeaders { limit: Some(2), ..headers(1, 60) }, reset);
            }
            let (sent, confirmed) = (window.send(), window.confirmed);
            let sent_at = if sent_before { reset - soon } else { reset };
            respond(&mut window, sent, sent_at, old, reset + soon);
            assert_eq!(window.confirmed, if is_trusted { confirmed } else { 0 }, "{asks_first} {sent_before}");
            assert_eq!((window.in_flight(), window.pending()), (0, 1), "it may count in this window");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_is_not_taken_to_begin_if_others_use_it_or_responses_are_late() {
        for (is_slow, has_external) in [(true, false), (false, true), (true, true), (false, false)] {
            let (mut window, reset) = used_up(2);
            window.is_slow = is_slow;
            if has_external {
                window.external.see(50, reset);
            }
            window.pass_time(reset);
            assert_eq!(window.is_assumed(), !is_slow && !has_external, "{is_slow} {has_external}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_begins_at_the_reset_of_the_one_before_or_earlier_if_a_call_shows_it() {
        for (sent, started) in [(65, 60), (58, 58)] {
            let (mut window, now) = window(50);
            call(&mut window, headers(99, 60), now + SECOND * sent);
            assert_eq!(window.current.unwrap().started_at, now + SECOND * started);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_ended_while_the_first_call_of_a_window_traveled_may_count_in_it() {
        let (mut window, now) = window(50);
        let [early, other, first] = [(); 3].map(|()| window.send());
        let reset = now + 60 * SECOND;
        window.on_failure(early);
        respond(&mut window, other, now, headers(48, 60), now);
        respond(&mut window, first, reset, headers(99, 60), reset + SECOND);
        assert_eq!((window.in_flight(), window.room(normal())), (0, 97));
        call(&mut window, headers(96, 60), reset + SECOND);
        assert_eq!(window.room(normal()), 96, "this response includes them");
    }

    #[tokio::test(start_paused = true)]
    async fn windows_that_begin_two_round_trips_after_each_other_count_as_two() {
        for (millis, forgotten) in [(1999, false), (2000, true)] {
            let (mut window, now) = window(50);
            let turn = |window: &mut Window, at: Instant| {
                window.turn(Current { least: 99, ..window.current.unwrap() }, at);
            };
            window.round_trip = SECOND;
            turn(&mut window, now + 10 * SECOND);
            let unpolled = window.send();
            turn(&mut window, now + 20 * SECOND);
            turn(&mut window, now + 20 * SECOND + Duration::from_millis(millis));
            let room = if forgotten { 99 } else { 98 };
            assert_eq!(window.room(normal()), room, "{millis} {unpolled:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_does_not_begin_as_expected_is_not_expected_again_for_a_while() {
        let (mut window, reset) = used_up(2);
        window.pass_time(reset);
        window.distrust();
        window.end_assumed(reset);
        assert_eq!((window.room(normal()), window.is_over(reset), window.is_assumed()), (0, true, false));
        let reset = turn(&mut window, reset, 3);
        window.pass_time(reset);
        assert_eq!(window.room(normal()), 0);
        let reset = turn(&mut window, reset, 1);
        window.pass_time(reset);
        assert_eq!(window.room(normal()), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_flight_at_the_turn_of_a_window_count_in_the_next_one_and_not_in_the_one_after() {
        let (mut window, reset) = used_up(3);
        let unpolled = window.send();
        window.pass_time(reset);
        assert_eq!(window.room(normal()), 1);
        let reset = turn(&mut window, reset, 1);
        window.pass_time(reset);
        assert_eq!((window.room(normal()), window.in_flight()), (2, 1));
        window.end(unpolled);
        assert_eq!((window.room(normal()), window.in_flight()), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn late_responses_make_calls_go_at_an_even_rate() {
        let (mut window, reset) = used_up(2);
        assert_eq!(window.slow_rate(), None);
        for number in 0..40 {
            let call = window.send();
            respond(&mut window, call, reset, headers(90 - number, 60), reset + 30 * SECOND);
        }
        let rate = window.slow_rate().unwrap();
        assert!((1.6..1.7).contains(&rate), "{rate}");
    }
}
