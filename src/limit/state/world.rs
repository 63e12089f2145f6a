//! Property tests of the state against a vendor with honest headers and calls that complete in any order: it never sends more
//! than a window allows, and every call ends.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::super::headers::RateLimitHeaders;
use super::{AcquireRequest, Completion, LimiterState, QueuePosition, Reservation, WaitDecision};
use crate::priority::Priority;
use crate::vendor::LimitHeaders;

struct World {
    random: fastrand::Rng,
    gate: LimiterState,
    now: Instant,
    limit: u64,
    length: Duration,
    /// The end of the vendor's window, and what was counted in it.
    window: Option<(Instant, u64)>,
    waiting: Vec<QueuePosition>,
    /// When it arrives, when it was sent, its pass.
    going: Vec<(Instant, Instant, Reservation)>,
    coming: Vec<(Instant, Instant, Reservation, RateLimitHeaders)>,
    silence: f64,
    silent: bool,
    refused: u64,
}

impl World {
    fn step(&mut self) {
        let moment = Duration::from_millis(self.random.u64(0..20));
        let part = self.length / self.random.u32(1..20);
        match self.random.u32(0..100) {
            0..30 => self.call(),
            30..60 => self.poll(),
            60..64 => self.cancel_waiter(),
            // A silent vendor's rare words must not go with their callers, or else it would say nothing at all.
            64..67 if self.silence == 0.0 => self.cancel_call(),
            67..70 => self.advance(part),
            _ => self.advance(moment),
        }
    }

    fn call(&mut self) {
        let priority = *self.random.choice(&Priority::ALL).unwrap();
        let ask = AcquireRequest { priority, reserve: if priority == Priority::Bulk { 200 } else { 0 } };
        let pass = self.gate.enter(ask).or_else(|| self.gate.enter_at(ask, self.now));
        if let Some(pass) = pass {
            return self.send(pass);
        }
        let latest = self.now + self.length * self.random.u32(0..4) + Duration::from_millis(self.random.u64(0..50));
        self.waiting.extend(self.gate.queue(ask, self.now, latest));
    }

    fn poll(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let index = self.random.usize(..self.waiting.len());
        match self.gate.turn(self.waiting[index].ticket, self.now) {
            WaitDecision::Go(pass) => {
                self.waiting.swap_remove(index);
                self.send(pass);
            }
            WaitDecision::GiveUp(moment) => {
                assert!(moment > self.now, "told to come back in the past");
                self.waiting.swap_remove(index);
            }
            WaitDecision::WaitUntil(moment) => assert!(moment > self.now, "told to look again at once"),
        }
    }

    fn send(&mut self, pass: Reservation) {
        let way = Duration::from_millis(self.random.u64(0..40));
        self.going.push((self.now + way, self.now, pass));
    }

    fn cancel_waiter(&mut self) {
        if !self.waiting.is_empty() {
            let place = self.waiting.swap_remove(self.random.usize(..self.waiting.len()));
            self.gate.leave(place.ticket, self.now);
        }
    }

    /// A call whose caller goes away has arrived, or never does.
    fn cancel_call(&mut self) {
        if !self.going.is_empty() && self.random.bool() {
            let (_, _, pass) = self.going.swap_remove(self.random.usize(..self.going.len()));
            if self.random.bool() {
                self.count();
            }
            self.gate.report(pass, Completion::Cancelled, self.now);
        } else if !self.coming.is_empty() {
            let (_, _, pass, _) = self.coming.swap_remove(self.random.usize(..self.coming.len()));
            self.gate.report(pass, Completion::Cancelled, self.now);
        }
    }

    fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        loop {
            let arrival = self.going.iter().map(|(at, ..)| *at).min();
            let answer = self.coming.iter().map(|(at, ..)| *at).min();
            let Some(next) = arrival.into_iter().chain(answer).min().filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let index = self.going.iter().position(|(at, ..)| *at == next).unwrap();
                let (_, sent_at, pass) = self.going.swap_remove(index);
                let signals = self.count();
                let way = Duration::from_millis(self.random.u64(0..40));
                self.coming.push((self.now + way, sent_at, pass, signals));
            } else {
                let index = self.coming.iter().position(|(at, ..)| *at == next).unwrap();
                let (_, sent_at, pass, signals) = self.coming.swap_remove(index);
                self.gate.report(pass, Completion::Accepted { sent_at, signals }, self.now);
            }
        }
        self.now = until;
    }

    /// A call arrives at the vendor, which says what is left.
    fn count(&mut self) -> RateLimitHeaders {
        let (ends, counted) = match self.window {
            Some((ends, counted)) if self.now < ends => (ends, counted),
            _ => (self.now + self.length, 0),
        };
        self.window = Some((ends, counted + 1));
        self.refused += u64::from(counted + 1 > self.limit);
        // The first word opens the gate if it says nothing, and so do several in a row.
        self.silent = !self.silent && self.random.f64() < self.silence;
        if self.silent {
            return RateLimitHeaders::default();
        }
        let remaining = self.limit.saturating_sub(counted + 1);
        let limit = self.limit.is_multiple_of(2).then_some(self.limit);
        RateLimitHeaders { limit, remaining: Some(remaining), reset: Some(ends - self.now), retry_after: None }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn never_more_than_the_limit_is_sent_in_a_window(
        seed: u64,
        limit in 2_u64..60,
        length in 2000_u64..8000,
        silence in prop_oneof![Just(0.0), 0.0..0.3],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().start_paused(true).enable_time().build().unwrap();
        let _guard = runtime.enter();
        let mut world = World {
            random: fastrand::Rng::with_seed(seed),
            gate: LimiterState::new(LimitHeaders::Sent),
            now: Instant::now(),
            limit,
            length: Duration::from_millis(length),
            window: None,
            waiting: Vec::new(),
            going: Vec::new(),
            coming: Vec::new(),
            silence,
            silent: true,
            refused: 0,
        };
        // Who cannot wait for the first answer goes without.
        world.call();
        world.poll();
        world.advance(Duration::from_millis(100));
        for step in 0..3000 {
            world.step();
            prop_assert_eq!(world.refused, 0, "at step {}", step);
        }
        // Whatever happened, everything ends.
        for _ in 0..10_000 {
            world.poll();
            world.advance(Duration::from_millis(50));
        }
        prop_assert_eq!((world.waiting.len(), world.gate.window().in_flight()), (0, 0));
    }
}
