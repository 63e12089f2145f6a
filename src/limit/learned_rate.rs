//! The rate that a vendor accepts, learned from its refusals, for vendors that do not report their limit.
//!
//! After a refusal the rate falls below what the vendor accepted since the one before. From there it approaches that rate,
//! stays close to it, and then rises faster and faster, as TCP CUBIC does (RFC 9438): so most of the time it is near the limit,
//! and finds out in time that there is more room.

use std::time::Duration;

use tokio::time::Instant;

/// What a refusal leaves of the rate if nothing else is known.
const DECREASE: f64 = 0.7;
/// How far below the rate that was refused the next ones begin.
const BELOW: f64 = 0.95;
/// The least time over which the accepted calls say anything, and how many they have to be.
const EVIDENCE: (Duration, u64) = (Duration::from_secs(1), 5);
/// How much of what is known counts after each refusal.
const FADING: f64 = 0.9;
/// Two refusals at rates that differ by less than this are of the same limit. Pauses make rates seem lower than they are: a
/// vendor that says to come back in a whole second may take half of its next window from us.
const SAME: f64 = 0.35;
/// After so many refusals in a row without evidence, the vendor may have refused calls at any rate.
const UNPROVEN: u32 = 3;
/// The rate returns to where it was refused within the time of so many calls at first; twice as long after each refusal at the
/// same rate.
const CALLS: f64 = 20.0;
const SHORTEST_CYCLE: Duration = Duration::from_secs(2);
const LONGEST_CYCLE: Duration = Duration::from_secs(120);
/// After so long without a refusal, the rate is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(1800);
/// No rate falls below a call in so long.
const SLOWEST: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(super) struct LearnedRate {
    /// The rate that the vendor refused.
    ceiling: f64,
    /// The time in which the rate returns to the ceiling.
    cycle: Duration,
    /// How many refusals in a row were at the same rate.
    confirmed: u32,
    /// How many refusals in a row came before there was evidence of the rate.
    unproven: u32,
    refused_at: Instant,
    /// The calls that the vendor accepted since the last refusal that said something, and how long calls waited since then: at
    /// all, and for this rate. Only while calls wait for it does it rise.
    accepted: u64,
    waited: Duration,
    paced: Duration,
    /// The calls and the time of the cycles before, which count less with each that follows.
    past: (f64, f64),
}

impl LearnedRate {
    /// The rate after the first refusal, of calls that were sent at `rate` calls a second.
    pub(super) fn new(rate: f64, now: Instant) -> Self {
        let ceiling = (rate * DECREASE).max(slowest());
        Self {
            ceiling,
            cycle: first_cycle(ceiling),
            confirmed: 0,
            unproven: 0,
            refused_at: now,
            accepted: 0,
            waited: Duration::ZERO,
            paced: Duration::ZERO,
            past: (0.0, 0.0),
        }
    }

    /// The vendor accepted a call.
    pub(super) fn on_accepted(&mut self) {
        self.accepted += 1;
        if self.accepted == EVIDENCE.1 && self.unproven >= UNPROVEN {
            // As many calls in a row were not accepted for long. Perhaps there is no limit, and the vendor has recovered.
            self.paced = self.paced.mul_f64(SHORTEST_CYCLE.as_secs_f64() / self.cycle.as_secs_f64());
            self.cycle = SHORTEST_CYCLE;
        }
    }

    /// Calls have waited for so long: for this rate, or for the end of a pause.
    pub(super) fn on_waited(&mut self, time: Duration, is_paced: bool) {
        self.waited += time;
        if is_paced {
            self.paced += time;
        }
    }

    /// The vendor refused a call.
    pub(super) fn on_refused(&mut self, now: Instant) {
        self.refused_at = now;
        if self.accepted == 0 {
            // The call asked after a pause. Its refusal says that the pause was too short, and nothing of the rate.
            return;
        }
        self.unproven = if self.has_evidence() { 0 } else { self.unproven + 1 };
        let past = |past: f64, last: f64| past * FADING + last;
        self.past = (past(self.past.0, self.accepted as f64), past(self.past.1, self.waited.as_secs_f64()));
        let ceiling = self.refused_rate();
        let is_same = (ceiling / self.ceiling - 1.0).abs() < SAME;
        self.confirmed = if is_same { self.confirmed + 1 } else { 0 };
        let cycle = if is_same { (self.cycle * 2).min(LONGEST_CYCLE) } else { Duration::ZERO };
        self.cycle = cycle.max(first_cycle(ceiling));
        (self.ceiling, self.accepted, self.waited, self.paced) = (ceiling, 0, Duration::ZERO, Duration::ZERO);
    }

    /// The rate that the vendor does not accept, as far as the calls since the last refusal show.
    fn refused_rate(&self) -> f64 {
        let rate = self.rate();
        let accepted = self.accepted as f64 / self.waited.as_secs_f64();
        let refused = match accepted / rate {
            // A refusal so soon after the last one may still be of the calls before that.
            _ if !self.has_evidence() => rate * if self.confirmed > 0 { BELOW } else { DECREASE },
            // Most of the time went by in pauses, in which the vendor would have accepted some more.
            part if part < 0.5 => accepted * 1.25,
            part => rate * (part + 0.2).min(1.0),
        };
        // What it has accepted all in all it will go on to accept.
        let (calls, seconds) = self.past;
        let known = if seconds > 0.0 { calls / seconds * DECREASE } else { 0.0 };
        refused.max(known.min(rate * BELOW)).max(slowest())
    }

    /// Whether the calls since the last refusal say anything of the rate.
    fn has_evidence(&self) -> bool {
        self.waited >= EVIDENCE.0 && self.accepted >= EVIDENCE.1
    }

    /// Calls a second.
    pub(super) fn rate(&self) -> f64 {
        let distance = self.paced.as_secs_f64() / self.cycle.as_secs_f64() - 1.0;
        self.ceiling * (1.0 + (1.0 - BELOW) * distance.powi(3))
    }

    /// Whether it says nothing any more.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        now >= self.remembered_until() || self.rate() > self.ceiling * 8.0
    }

    pub(super) fn remembered_until(&self) -> Instant {
        self.refused_at + FORGOTTEN
    }
}

fn first_cycle(rate: f64) -> Duration {
    Duration::from_secs_f64(CALLS / rate).max(SHORTEST_CYCLE)
}

fn slowest() -> f64 {
    1.0 / SLOWEST.as_secs_f64()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Calls at the learned rate, until the vendor refuses one because its rate is higher than `limit`.
    fn run_into(learned: &mut LearnedRate, limit: f64, now: &mut Instant) {
        let mut credit = 0.0;
        while learned.rate() <= limit {
            let step = SECOND / 10;
            credit += learned.rate() / 10.0;
            (0..credit as u32).for_each(|_| learned.on_accepted());
            credit %= 1.0;
            learned.on_waited(step, true);
            *now += step;
        }
        learned.on_refused(*now);
    }

    pub(in super::super) fn close_to(value: f64, expected: f64) -> bool {
        (value - expected).abs() < expected * 1e-6
    }

    /// A rate that was refused at 100 calls a second, after so many accepted calls, so long waits for it, and so long pauses.
    fn after(accepted: u64, paced: f64, paused: f64) -> (LearnedRate, Instant) {
        let now = Instant::now();
        let mut learned = LearnedRate::new(100.0, now);
        (0..accepted).for_each(|_| learned.on_accepted());
        learned.on_waited(Duration::from_secs_f64(paced), true);
        learned.on_waited(Duration::from_secs_f64(paused), false);
        (learned, now + SECOND)
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_rises_from_below_to_what_was_refused_and_then_beyond_it() {
        for (paced, part) in [(0.0, 0.95), (1.0, 0.99375), (2.0, 1.0), (3.0, 1.00625), (4.0, 1.05), (6.0, 1.4)] {
            let (learned, _) = after(0, paced, 9.0);
            assert!(close_to(learned.rate(), 70.0 * part), "{paced}: {}", learned.rate());
        }
        // A rate below ten calls a second takes the time of twenty calls.
        let mut slow = LearnedRate::new(5.0 / 0.7, Instant::now());
        slow.on_waited(4 * SECOND, true);
        assert!(close_to(slow.rate(), 5.0), "{}", slow.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_lowers_the_rate_by_what_was_accepted_since_the_last_one() {
        for (accepted, paced, paused, ceiling) in [
            // Five calls and a second say something; less may still be of the calls before the last refusal.
            (4, 2.0, 0.0, 70.0 * 0.7),
            (5, 0.9, 0.0, 70.0 * (1.0 - 0.05 * 0.55 * 0.55 * 0.55) * 0.7),
            (3, 0.0, 0.0, 66.5 * 0.7),
            (35, 0.0, 1.0, 66.5 * (35.0 / 66.5 + 0.2)),
            (70, 2.0, 0.0, 70.0 * 0.7),
            (60, 0.0, 1.0, 66.5),
            // If most of the time went by in pauses, the vendor would have accepted a quarter more.
            (5, 0.0, 1.0, 5.0 * 1.25),
            (33, 0.0, 1.0, 33.0 * 1.25),
        ] {
            let (mut learned, now) = after(accepted, paced, paused);
            learned.on_refused(now);
            assert!(close_to(learned.ceiling, ceiling), "{accepted} {paced} {paused}: {} {ceiling}", learned.ceiling);
            assert_eq!((learned.accepted, learned.waited, learned.paced), (0, Duration::ZERO, Duration::ZERO));
            assert_eq!(learned.remembered_until(), now + FORGOTTEN);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_at_the_same_rate_double_the_time_until_the_next_and_another_rate_begins_anew() {
        let (mut learned, now) = after(60, 0.0, 1.0);
        for (confirmed, seconds) in (1..=7).zip([4, 8, 16, 32, 64, 120, 120]) {
            learned.on_refused(now);
            assert_eq!((learned.confirmed, learned.cycle), (confirmed, SECOND * seconds));
            (0..1000).for_each(|_| learned.on_accepted());
            learned.on_waited(SECOND * 15, false);
        }
        // What is refused so soon after a confirmed rate is a little below it.
        let rate = learned.rate();
        learned.waited = SECOND / 2;
        learned.on_refused(now);
        assert!(close_to(learned.ceiling, rate * 0.95), "{} {rate}", learned.ceiling);
        // What the vendor has accepted all in all it will go on to accept, whatever the pauses make of the last rate.
        learned.past = (600.0, 20.0);
        (0..50).for_each(|_| learned.on_accepted());
        learned.on_waited(SECOND * 5, false);
        learned.on_refused(now);
        let known = (600.0 * 0.9 + 50.0) / (20.0 * 0.9 + 5.0);
        assert!(close_to(learned.ceiling, known * 0.7), "{} {known}", learned.ceiling);

        let (mut learned, now) = after(60, 0.0, 1.0);
        (0..3).for_each(|_| {
            learned.on_refused(now);
            (0..60).for_each(|_| learned.on_accepted());
            learned.on_waited(SECOND, false);
        });
        learned.past = (0.0, 0.0);
        (learned.accepted, learned.waited) = (50, 5 * SECOND);
        learned.on_refused(now);
        assert!(close_to(learned.ceiling, 12.5), "{}", learned.ceiling);
        assert_eq!((learned.confirmed, learned.cycle), (0, SHORTEST_CYCLE));
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_stays_just_below_what_the_vendor_refuses_and_is_refused_more_and_more_seldom() {
        let mut now = Instant::now();
        let mut learned = LearnedRate::new(14.5, now);
        let mut last = Duration::ZERO;
        (0..4).for_each(|_| run_into(&mut learned, 10.0, &mut now));
        for _ in 0..6 {
            let since = now;
            run_into(&mut learned, 10.0, &mut now);
            assert!((9.3..=9.7).contains(&learned.rate()), "{}", learned.rate());
            assert!(now - since >= last, "{:?} {last:?}", now - since);
            last = now - since;
        }
        assert!(last > 30 * SECOND, "{last:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_that_allows_more_is_found_out() {
        let mut now = Instant::now();
        let mut learned = LearnedRate::new(14.5, now);
        (0..4).for_each(|_| run_into(&mut learned, 10.0, &mut now));
        let since = now;
        run_into(&mut learned, 20.0, &mut now);
        assert!(now - since < 300 * SECOND, "{:?}", now - since);
        assert!(learned.rate() > 14.0, "{}", learned.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_far_above_the_limit_is_brought_down_at_once() {
        let now = Instant::now();
        let mut learned = LearnedRate::new(1000.0, now);
        (0..10).for_each(|_| learned.on_accepted());
        learned.on_waited(SECOND, false);
        learned.on_refused(now + SECOND);
        assert!((8.0..13.0).contains(&learned.rate()), "{}", learned.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_probe_says_nothing_of_the_rate() {
        let now = Instant::now();
        let mut learned = LearnedRate::new(10.0, now);
        let rate = learned.rate();
        (0..20).for_each(|_| learned.on_refused(now));
        assert_eq!(learned.rate(), rate);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_does_not_rise_while_no_call_waits_for_it_and_is_forgotten_in_the_end() {
        let now = Instant::now();
        let mut learned = LearnedRate::new(10.0, now);
        let rate = learned.rate();
        learned.on_waited(3600 * SECOND, false);
        assert_eq!(learned.rate(), rate);
        assert!(!learned.is_forgotten(now + FORGOTTEN - SECOND) && learned.is_forgotten(now + FORGOTTEN));
        learned.on_waited(3600 * SECOND, true);
        assert!(learned.is_forgotten(now), "a rate far above what was refused means that there is no limit any more");
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_never_falls_to_nothing() {
        let mut now = Instant::now();
        let mut learned = LearnedRate::new(0.0, now);
        for _ in 0..50 {
            learned.on_accepted();
            now += SECOND / 10;
            learned.on_refused(now);
            assert!(learned.rate() >= slowest() * BELOW, "{}", learned.rate());
        }
    }
}
