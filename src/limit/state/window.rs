//! What is left of the vendor's window.
//!
//! A response reports what remained when the vendor wrote it, and responses arrive out of order. So what counts is the lowest
//! value reported in the window, less the calls that it may not include: calls in flight, and calls that ended without a
//! response about the limit. That can only be too low, and is exact once no call is in flight.
//!
//! The window that a response belongs to follows from when its call was sent and from what the response says. The reset time
//! alone does not distinguish two short windows: vendors round it to whole seconds, and if it is a span, the response's travel
//! time makes it longer.

use std::time::Duration;

use tokio::time::Instant;

use super::super::headers::RateLimitHeaders;
use super::AcquireRequest;
use super::external_usage::ExternalUsage;
use super::in_flight::InFlight;
use super::unconfirmed::Unconfirmed;

/// Most vendors name their reset in whole seconds, rounded up, and the time of their answer too, rounded down.
const RESOLUTION: Duration = Duration::from_secs(2);
/// No window is shorter, so that a vendor whose reset is always now is not asked without pause.
const SHORTEST: Duration = Duration::from_millis(1);
/// So many answers without a word are put down to chance, from a vendor that tells of the limit otherwise.
const CREDIT: u32 = 3;

#[derive(Debug, Default)]
pub(in crate::limit) struct Window {
    /// Calls of this process, ever.
    sent: u64,
    ended: u64,
    underway: InFlight,
    limit: Option<u64>,
    remaining: Option<u64>,
    /// The most that a window was seen to take, where the vendor does not tell.
    largest: Option<u64>,
    /// The window, where the vendor tells both what remains and until when.
    known: Option<Known>,
    unheard: Unconfirmed,
    /// How many answers may miss the word that is due at the beginning of a window.
    credit: u32,
    others: ExternalUsage,
    /// How long calls take, smoothed.
    round_trip: Duration,
    /// What others are likely to spend while a call is on its way.
    margin: u64,
    /// Whether others use the tenant so much that it matters how old the last answer is.
    crowded: bool,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// The least that an answer of this window said.
    least: u64,
    /// The number of the first call that was sent after that.
    mark: u64,
    reset_at: Instant,
    /// When it began, at the earliest. Calls that were sent before may belong to another.
    since: Option<Instant>,
    /// How long it lasts, at least.
    length: Duration,
    /// Until when calls that ended without a word count against it.
    turns_at: Instant,
    /// What the first answer said, and the calls that it knew of.
    first: (u64, u64),
    /// What became of the call that it answered.
    by: Observation,
}

/// A call that was sent: how many were before it, and how many of those had ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sent {
    number: u64,
    ended: u64,
    /// When it was sent, as calls under way count it.
    span: u64,
}

/// A call that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) sent: Sent,
    pub(super) sent_at: Instant,
    pub(super) signals: RateLimitHeaders,
}

/// Whether the vendor took a call, and counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observation {
    Taken,
    /// With 429.
    Refused,
}

impl Known {
    /// Whether an answer is of a later window.
    fn is_before(&self, call: Heard, remaining: u64, verdict: Observation) -> bool {
        // A call that takes nothing from what was left when it was sent shows that the vendor began anew.
        let rises = verdict == Observation::Taken && call.sent.number >= self.mark && remaining >= self.least;
        // The vendor wrote its answer after the call was sent, so its reset lies no earlier than this.
        let reset_at = call.signals.reset.map(|ahead| call.sent_at + ahead);
        rises
            || call.sent_at >= self.reset_at
            || reset_at.is_some_and(|earliest| earliest >= self.reset_at + self.blur())
    }

    /// Whether an answer may be of an earlier window.
    fn is_after(&self, call: Heard, now: Instant) -> bool {
        match call.signals.reset {
            Some(ahead) => now + ahead + self.blur() < self.reset_at,
            None => self.since.is_some_and(|since| call.sent_at < since),
        }
    }

    /// How far apart two words about one reset may be: they are in whole seconds, and rounded either way.
    fn blur(&self) -> Duration {
        RESOLUTION.max(self.length / 2)
    }
}

impl Window {
    /// Counts a call that is sent.
    pub(super) fn send(&mut self) -> Sent {
        let sent = Sent { number: self.sent, ended: self.ended, span: self.underway.begin() };
        self.sent += 1;
        sent
    }

    pub(in crate::limit) fn in_flight(&self) -> u64 {
        self.sent - self.ended
    }

    /// A call has ended, or was not sent after all.
    pub(super) fn end(&mut self, call: Sent) {
        self.ended += 1;
        self.underway.end(call.span);
    }

    /// A call ended without a word about the limit. It counts until an answer that has to know of it.
    pub(super) fn miss(&mut self, call: Sent, now: Instant) {
        self.end(call);
        self.unheard.add(self.sent);
        if let Some(known) = self.known.as_mut().filter(|known| now >= known.reset_at) {
            // It may have begun the next window.
            known.turns_at = now + known.length;
        }
    }

    /// A call was answered. Says whether the prospects of those who wait have changed.
    pub(super) fn hear(&mut self, call: Heard, verdict: Observation, now: Instant) -> bool {
        let Heard { sent, sent_at, signals } = call;
        let trip = now.saturating_duration_since(sent_at);
        self.round_trip = if self.round_trip.is_zero() { trip } else { (self.round_trip * 7 + trip) / 8 };
        // A window that holds nothing would have taken no call: zero is how some write that there is no limit.
        self.limit = signals.limit.filter(|limit| *limit > 0).or(self.limit);
        self.remaining = signals.remaining.or(self.remaining);
        let reset_at = signals.reset.map(|ahead| now + ahead);
        if signals.remaining.is_some() && verdict == Observation::Taken {
            self.credit = CREDIT;
        }
        match (signals.remaining, &mut self.known, verdict) {
            (None, _, Observation::Refused) => {
                self.end(sent);
                false
            }
            (None, _, Observation::Taken) => {
                self.miss(sent, now);
                self.doubt(sent_at)
            }
            (Some(remaining), None, verdict) => match reset_at {
                Some(reset_at) => {
                    self.begin(call, verdict, remaining, reset_at, now);
                    true
                }
                // Nobody knows until when what remains has to last.
                None => {
                    self.end(sent);
                    false
                }
            },
            (Some(_), Some(known), _) if known.is_after(call, now) => {
                self.miss(sent, now);
                false
            }
            (Some(remaining), Some(known), verdict) if known.is_before(call, remaining, verdict) => {
                let reset_at = reset_at.unwrap_or(sent_at + known.length);
                if verdict == Observation::Taken {
                    self.largest = self.largest.max(Some(remaining.saturating_add(1)));
                }
                self.begin(call, verdict, remaining, reset_at, now);
                true
            }
            (Some(remaining), Some(known), _) => {
                if remaining < known.least {
                    known.least = remaining;
                    known.mark = self.sent;
                }
                if let Some(reset_at) = reset_at.filter(|reset_at| *reset_at < known.reset_at) {
                    known.reset_at = reset_at;
                    known.turns_at = known.turns_at.min(reset_at);
                }
                let (first, knew) = known.first;
                let unexplained = first.saturating_sub(remaining).saturating_sub(self.sent - knew);
                self.end(sent);
                self.unheard.settle(sent.number, self.sent);
                let more = self.others.see(unexplained, now);
                if more {
                    self.widen();
                }
                more
            }
        }
    }

    /// The vendor took a call and said nothing of the limit. Where the window was over, so that this should have been the
    /// first word of the next, that is a reason to believe that there is none; the more so where the vendor tells of the
    /// limit in refusals only.
    fn doubt(&mut self, sent_at: Instant) -> bool {
        if self.known.is_none_or(|known| sent_at < known.reset_at) {
            return false;
        }
        self.credit = self.credit.saturating_sub(1);
        if self.credit == 0 {
            self.known = None;
            self.crowded = false;
        }
        self.credit == 0
    }

    fn begin(&mut self, call: Heard, verdict: Observation, remaining: u64, reset_at: Instant, now: Instant) {
        let Heard { sent, sent_at, .. } = call;
        let since = self.known.map(|known| known.reset_at.min(sent_at));
        self.known = Some(Known {
            least: remaining,
            mark: self.sent,
            reset_at,
            since,
            length: reset_at.saturating_duration_since(sent_at).max(SHORTEST),
            turns_at: reset_at,
            first: (remaining, sent.ended + 1),
            by: verdict,
        });
        // What ended while this call was on its way may have come to the vendor after it.
        let meanwhile = self.ended - sent.ended;
        self.end(sent);
        self.unheard = Unconfirmed::default();
        self.unheard.add_all(meanwhile, self.sent);
        self.others.turn(now);
        self.widen();
    }

    /// Takes anew what is left to others.
    fn widen(&mut self) {
        self.crowded = self.known.is_some_and(|known| self.others.rate() * known.length.as_secs_f64() >= 1.0);
        // No more than a quarter is left for what is only a guess.
        let most = self.least_size().unwrap_or_default() / 4;
        self.margin = if self.others.rate() > 0.0 { self.others.within(self.round_trip).min(most) } else { 0 };
    }

    /// Time has passed. A window that is over takes its calls with it, whether or not an answer tells of the next.
    pub(super) fn pass_time(&mut self, now: Instant) {
        self.underway.pass_time(self.length(), now);
        if let Some(known) = &mut self.known
            && now >= known.turns_at
        {
            known.turns_at = now + known.length;
            self.unheard = Unconfirmed::default();
        }
    }

    /// What may be sent: all there is where nothing is known.
    pub(super) fn room(&self, ask: AcquireRequest) -> u64 {
        match &self.known {
            Some(known) => known.least.saturating_sub(self.underway.count() + self.taken(ask)),
            None => u64::MAX,
        }
    }

    /// What may be sent, with what others are likely to have spent since the last answer. One call may be under way to
    /// ask.
    pub(super) fn room_at(&self, ask: AcquireRequest, now: Instant) -> u64 {
        let room = self.room(ask);
        if self.underway.count() == 0 || !self.has_others() || self.is_over(now) {
            return room;
        }
        room.saturating_sub(self.others.since_heard(now))
    }

    /// What will be left for those who wait once no call is in flight, if that is known to be all until the reset.
    pub(super) fn left(&self, ask: AcquireRequest) -> Option<u64> {
        self.known.map(|known| known.least.saturating_sub(self.taken(ask)))
    }

    fn taken(&self, ask: AcquireRequest) -> u64 {
        self.unheard.count() + self.margin + self.reserve(ask)
    }

    /// What a call leaves to others.
    fn reserve(&self, ask: AcquireRequest) -> u64 {
        match ask.reserve {
            0 => 0,
            // In thousandths; no window is so large that this overflows.
            share => self.least_size().unwrap_or_default().saturating_mul(share.into()) / 1000,
        }
    }

    /// How many calls a window takes at least, where anything is known of that. A refusal tells nothing.
    fn least_size(&self) -> Option<u64> {
        let first =
            self.known.filter(|known| known.by == Observation::Taken).map(|known| known.first.0.saturating_add(1));
        self.size().or(first)
    }

    /// What a whole window holds for a call of this kind.
    pub(super) fn share(&self, ask: AcquireRequest) -> Option<u64> {
        self.size().map(|size| size.saturating_sub(self.reserve(ask)).max(1))
    }

    /// How many calls a window takes, as the vendor tells or as was seen.
    fn size(&self) -> Option<u64> {
        self.limit.or(self.largest)
    }

    /// Whether one more call fits into a window of which nothing is known yet, besides those that are expected.
    pub(super) fn may_probe(&self, expected: u64) -> bool {
        self.least_size().is_none_or(|size| self.underway.count() + self.unheard.count() + expected < size.max(1))
    }

    /// Whether others use the tenant so much that it matters how old the last answer is.
    pub(super) fn has_others(&self) -> bool {
        self.crowded
    }

    /// Whether the window is known to be over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.known.is_some_and(|known| now >= known.reset_at)
    }

    /// The end of the window, if all of it is spent but for a call that the vendor has just refused.
    pub(super) fn spent_until(&self, now: Instant) -> Option<Instant> {
        let known = self.known.filter(|known| now < known.reset_at)?;
        let left = known.least.saturating_sub(self.underway.count() + self.unheard.count() + self.margin);
        (left <= 1).then_some(known.reset_at)
    }

    /// Whether a window is known that is not over.
    pub(super) fn is_running(&self, now: Instant) -> bool {
        self.known.is_some_and(|known| now < known.reset_at)
    }

    /// When the next window begins, or the one after it if nothing was heard of that.
    pub(super) fn turns_at(&self) -> Option<Instant> {
        self.known.map(|known| known.turns_at)
    }

    pub(super) fn length(&self) -> Duration {
        self.known.map(|known| known.length).unwrap_or_default()
    }

    pub(in crate::limit) fn limit(&self) -> Option<u64> {
        self.limit
    }

    pub(in crate::limit) fn remaining(&self) -> Option<u64> {
        self.known.map(|known| known.least).or(self.remaining)
    }

    pub(in crate::limit) fn reset_at(&self) -> Option<Instant> {
        self.known.map(|known| known.reset_at)
    }

    /// Calls a second that others spend.
    pub(in crate::limit) fn others(&self) -> f64 {
        self.others.rate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::priority::Priority;

    const SECOND: Duration = Duration::from_secs(1);
    const NORMAL: AcquireRequest = AcquireRequest { priority: Priority::Normal, reserve: 0 };

    fn told(remaining: u64, seconds: u64) -> RateLimitHeaders {
        let reset = Some(Duration::from_secs(seconds));
        RateLimitHeaders { limit: Some(100), remaining: Some(remaining), reset, retry_after: None }
    }

    fn hear(window: &mut Window, sent: Sent, sent_at: Instant, signals: RateLimitHeaders, now: Instant) {
        window.hear(Heard { sent, sent_at, signals }, Observation::Taken, now);
    }

    /// A window of a minute with so much left.
    fn window(remaining: u64) -> (Window, Instant) {
        let now = Instant::now();
        let mut window = Window::default();
        let sent = window.send();
        hear(&mut window, sent, now, told(remaining, 60), now);
        (window, now)
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_flight_count_against_what_remains() {
        let (mut window, now) = window(10);
        let calls: Vec<Sent> = (0..4).map(|_| window.send()).collect();
        assert_eq!((window.room(NORMAL), window.in_flight()), (6, 4));
        hear(&mut window, calls[0], now, told(9, 60), now);
        assert_eq!(window.room(NORMAL), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn of_answers_that_come_out_of_order_the_least_counts() {
        let (mut window, now) = window(10);
        let calls: Vec<Sent> = (0..4).map(|_| window.send()).collect();
        for (call, remaining) in calls.into_iter().zip([7, 9, 6, 8]) {
            hear(&mut window, call, now, told(remaining, 60), now);
        }
        assert_eq!((window.room(NORMAL), window.remaining()), (6, Some(6)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_ends_without_a_word_counts_until_a_later_one_is_answered() {
        let (mut window, now) = window(10);
        let (earlier, cancelled) = (window.send(), window.send());
        assert_eq!(cancelled.number, 2);
        window.miss(cancelled, now);
        assert_eq!(window.room(NORMAL), 8);
        hear(&mut window, earlier, now, told(9, 60), now);
        assert_eq!(window.room(NORMAL), 8, "the answer may not know of it");
        let later = window.send();
        hear(&mut window, later, now, told(7, 60), now);
        assert_eq!(window.room(NORMAL), 7, "this one does");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_without_a_word_settle_although_there_are_always_others() {
        let (mut window, now) = window(90);
        let mut earlier = window.send();
        for remaining in (0..20).rev() {
            let later = window.send();
            let lost = window.send();
            window.miss(lost, now);
            hear(&mut window, earlier, now, told(remaining * 2, 60), now);
            earlier = later;
        }
        assert!(window.unheard.count() <= 3, "{:?}", window.unheard);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_sent_after_the_reset_tells_of_the_new_window() {
        let (mut window, now) = window(0);
        let reset = now + 60 * SECOND;
        assert!(window.is_over(reset) && !window.is_over(reset - SECOND));
        let probe = window.send();
        hear(&mut window, probe, reset, told(99, 60), reset + SECOND);
        assert_eq!((window.room(NORMAL), window.reset_at()), (99, Some(reset + 61 * SECOND)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_an_older_window_says_nothing_of_this_one() {
        let (mut window, now) = window(5);
        let late = window.send();
        let reset = now + 60 * SECOND;
        let probe = window.send();
        hear(&mut window, probe, reset, told(99, 60), reset);
        assert_eq!(window.room(NORMAL), 98, "the late one may come to count in this window");
        hear(&mut window, late, now, told(4, 0), reset);
        assert_eq!(window.room(NORMAL), 98);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_turns_before_its_reset_is_known_by_what_the_answer_says() {
        let (mut window, now) = window(50);
        let call = window.send();
        let early = now + 30 * SECOND;
        hear(&mut window, call, early, told(30, 60), early);
        assert_eq!(window.reset_at(), Some(early + 60 * SECOND), "its reset is far beyond");

        let call = window.send();
        hear(&mut window, call, early, told(98, 60), early);
        assert_eq!(window.room(NORMAL), 98, "more is left than before");
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_moment_that_the_vendor_names_is_the_reset() {
        let (mut window, now) = window(50);
        // In whole seconds, the moment seems to wander with the time of asking.
        for (millis, seconds) in [(300, 60), (900, 60), (1050, 59), (1500, 59)] {
            let call = window.send();
            let at = now + Duration::from_millis(millis);
            hear(&mut window, call, at, told(49 - millis / 100, seconds), at);
        }
        assert_eq!(window.reset_at(), Some(now + 60 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn what_remains_without_an_end_holds_nobody() {
        let now = Instant::now();
        let mut window = Window::default();
        let call = window.send();
        hear(&mut window, call, now, RateLimitHeaders { reset: None, ..told(0, 0) }, now);
        assert_eq!((window.room(NORMAL), window.remaining()), (u64::MAX, Some(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_is_missing_once_is_taken_from_the_window_before() {
        let (mut window, now) = window(0);
        let reset = now + 60 * SECOND;
        let call = window.send();
        hear(&mut window, call, reset, RateLimitHeaders { reset: None, ..told(99, 0) }, reset);
        assert_eq!((window.room(NORMAL), window.reset_at()), (99, Some(reset + 60 * SECOND)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_that_falls_silent_holds_nobody_after_a_few_calls() {
        let (mut window, now) = window(0);
        let reset = now + 60 * SECOND;
        for _ in 0..CREDIT {
            assert_eq!(window.room(NORMAL), 0);
            let call = window.send();
            hear(&mut window, call, reset, RateLimitHeaders::default(), reset);
        }
        assert_eq!(window.room(NORMAL), u64::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_that_speaks_in_refusals_only_holds_nobody_after_one_call() {
        let now = Instant::now();
        let mut window = Window::default();
        let sent = window.send();
        window.hear(Heard { sent, sent_at: now, signals: told(0, 60) }, Observation::Refused, now);
        assert_eq!(window.room(NORMAL), 0);
        let reset = now + 60 * SECOND;
        let call = window.send();
        hear(&mut window, call, reset, RateLimitHeaders::default(), reset);
        assert_eq!(window.room(NORMAL), u64::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_zero_is_none() {
        let (mut window, now) = window(30);
        let call = window.send();
        hear(&mut window, call, now, RateLimitHeaders { limit: Some(0), ..told(29, 60) }, now);
        assert_eq!((window.limit(), window.share(NORMAL)), (Some(100), Some(100)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_call_leaves_to_others_is_a_share_of_the_window() {
        let (window, _) = window(30);
        assert_eq!(window.room(AcquireRequest { priority: Priority::Bulk, reserve: 200 }), 10);
        assert_eq!(window.room(AcquireRequest { priority: Priority::Bulk, reserve: 900 }), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_our_calls_do_not_explain_was_spent_by_others() {
        let (mut window, now) = window(99);
        let mut remaining = 99;
        for tenth in 1..=10 {
            let call = window.send();
            remaining -= 5;
            let sent_at = now + SECOND / 10 * tenth;
            hear(&mut window, call, sent_at, told(remaining, 60), sent_at + SECOND / 10);
        }
        assert!((30.0..45.0).contains(&window.others()), "{}", window.others());
        assert!((5..=12).contains(&window.margin), "of 4 in a round trip: {}", window.margin);
        assert!(window.has_others());
        assert_eq!(window.room(NORMAL), 49 - window.margin);
        let call_under_way = window.send();
        assert!(window.room_at(NORMAL, now + 5 * SECOND) < 10, "{call_under_way:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_calls_are_not_taken_for_those_of_others_in_whatever_order_they_are_answered() {
        let (mut window, now) = window(99);
        let calls: Vec<Sent> = (0..64).map(|_| window.send()).collect();
        for (call, remaining) in calls.into_iter().rev().zip(35..) {
            hear(&mut window, call, now, told(remaining, 60), now + SECOND / 10);
        }
        assert_eq!(window.others(), 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_nobody_speaks_of_ends_all_the_same() {
        let (mut window, now) = window(0);
        let reset = now + 60 * SECOND;
        window.pass_time(reset);
        for _ in 0..100 {
            let lost = window.send();
            window.miss(lost, reset);
        }
        assert!(!window.may_probe(0), "a hundred are as many as fit");
        window.pass_time(reset + 60 * SECOND);
        assert!(window.may_probe(0));
    }
}
