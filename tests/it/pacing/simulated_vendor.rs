//! A vendor that counts, refuses what is too much, tells what is left, and may lie about that.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use servicebay::testing::{ResetFormat, Transport, TransportError};
use tokio::time::Instant;

use super::setup::{Grid, Lie, Setup};

#[derive(Clone)]
pub(crate) struct Vendor {
    setup: Arc<Setup>,
    begun: Instant,
    state: Arc<Mutex<State>>,
}

struct State {
    random: Rng,
    /// The window that the vendor is in, or was last.
    window: Option<Window>,
    /// Those before it.
    past: Vec<Window>,
    sent: Vec<Sent>,
    /// Whether the last answer said nothing of the limit.
    silent: bool,
    refused: u64,
    /// The first thing that must not be.
    wrong: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) number: usize,
    pub(crate) begins: Instant,
    pub(crate) ends: Instant,
    /// Calls of the client under test that arrived.
    ours: u64,
    counted: u64,
}

/// A call as it left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) id: i64,
    pub(crate) at: Instant,
    /// The window in which it arrived, if it did.
    pub(crate) window: Option<usize>,
}

impl Vendor {
    pub(crate) fn open(setup: Arc<Setup>, seed: u64) -> Self {
        let state = State {
            random: Rng::with_seed(!seed),
            window: None,
            past: Vec::new(),
            sent: Vec::new(),
            silent: true,
            refused: 0,
            wrong: None,
        };
        Self { setup, begun: Instant::now(), state: Arc::new(Mutex::new(state)) }
    }

    /// Spends what another integration spends: a little in every part of every window.
    pub(crate) async fn spend_as_others(self) {
        let calls = self.setup.others;
        if calls == 0 {
            return;
        }
        let pause = self.setup.window / u32::try_from(calls).unwrap();
        loop {
            let luck = self.state().random.f64() * 2.0;
            tokio::time::sleep(pause.mul_f64(luck)).await;
            self.state().count(&self, 0);
        }
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    pub(crate) fn windows(&self) -> Vec<Window> {
        let state = self.state();
        state.past.iter().chain(&state.window).copied().collect()
    }

    /// What was held against every request: that no more were sent in a window than it takes, and that none was refused
    /// where nobody else spends, or few where somebody does.
    pub(crate) fn check(&self, seed: u64) {
        let state = self.state();
        let setup = &self.setup;
        assert_eq!(state.wrong, None, "seed {seed}: {setup:?}");
        if setup.most_refusals() == 0 {
            assert_eq!(state.refused, 0, "seed {seed}: {setup:?}");
        }
        if setup.lie == Lie::None {
            let few = 3 + state.sent.len() as u64 / 50;
            assert!(state.refused <= few, "seed {seed}: {} of {} refused: {setup:?}", state.refused, state.sent.len());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The time that the vendor shows.
    fn wall(&self, at: Instant) -> Timestamp {
        let since = SignedDuration::try_from(at - self.begun).unwrap();
        Transport::wall(self).checked_add(since + self.setup.skew).unwrap()
    }

    /// One request arrives.
    fn arrive(&self, index: usize) -> Response<Bytes> {
        let now = Instant::now();
        let mut state = self.state();
        let taken = state.count(self, 1);
        let window = state.window.unwrap();
        state.sent[index].window = Some(window.number);
        if window.ours > self.setup.limit
            && state.wrong.is_none()
            && !matches!(self.setup.lie, Lie::TooHigh(_) | Lie::Constant(_))
        {
            state.wrong = Some(format!("{} calls were sent in a window: {window:?} at {now:?}", window.ours));
        }
        state.refused += u64::from(!taken);

        let id = state.sent[index].id;
        let response = Response::builder().status(if taken { 200 } else { 429 });
        let mut response = response.header("date", http_date(self.wall(now)));
        if let Some(remaining) = state.remaining(&self.setup) {
            response = response
                .header("x-ratelimit-remaining", remaining)
                .header("x-ratelimit-reset", self.reset(window.ends, now));
            if self.setup.tells_limit {
                response = response.header("x-ratelimit-limit", self.setup.limit);
            }
        }
        let body = if taken { format!(r#"{{"id":{id}}}"#) } else { "{}".to_owned() };
        response.header("content-type", "application/json").body(body.into()).unwrap()
    }

    /// The end of the window, rounded up where the form is too coarse for it.
    fn reset(&self, ends: Instant, now: Instant) -> String {
        let reset = self.wall(ends);
        let up = |time: Timestamp| match time.subsec_nanosecond() {
            0 => time,
            _ => Timestamp::from_second(time.as_second() + 1).unwrap(),
        };
        match self.setup.reset {
            ResetFormat::DeltaSeconds => (ends - now).as_secs_f64().ceil().to_string(),
            ResetFormat::EpochMillis => (reset.as_millisecond() + 1).to_string(),
            ResetFormat::EpochSeconds => up(reset).as_second().to_string(),
            ResetFormat::HttpDate => http_date(up(reset)),
            _ => reset.to_string(),
        }
    }
}

impl State {
    /// Counts one call, of ours or of others, and says whether the window takes it.
    fn count(&mut self, vendor: &Vendor, ours: u64) -> bool {
        let now = Instant::now();
        let length = vendor.setup.window;
        let window = match self.window {
            Some(window) if now < window.ends => window,
            last => {
                self.past.extend(last);
                let begins = match vendor.setup.grid {
                    Grid::FirstCall => now,
                    Grid::Calendar => {
                        let passed = (now - vendor.begun).as_nanos() % length.as_nanos();
                        now - Duration::from_nanos(u64::try_from(passed).unwrap())
                    }
                };
                Window { number: self.past.len(), begins, ends: begins + length, ours: 0, counted: 0 }
            }
        };
        let taken = window.counted < vendor.setup.limit;
        self.window = Some(Window { ours: window.ours + ours, counted: window.counted + u64::from(taken), ..window });
        taken
    }

    /// What the vendor says is left.
    fn remaining(&mut self, setup: &Setup) -> Option<u64> {
        let counted = self.window.map_or(0, |window| window.counted);
        let remaining = setup.limit.saturating_sub(counted);
        match setup.lie {
            Lie::None => Some(remaining),
            Lie::TooHigh(by) => Some(remaining + by),
            Lie::TooLow(by) => Some(remaining.saturating_sub(by)),
            Lie::Constant(value) => Some(value),
            Lie::Absent(times) => {
                self.silent = !self.silent && self.random.u32(0..times) == 0;
                (!self.silent).then_some(remaining)
            }
        }
    }
}

impl Transport for Vendor {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, TransportError>> + Send>> {
        let vendor = self.clone();
        Box::pin(async move {
            let id = request.uri().path().rsplit('/').next().and_then(|id| id.parse().ok()).expect("an order's path");
            let (index, there, back) = {
                let mut state = vendor.state();
                state.sent.push(Sent { id, at: Instant::now(), window: None });
                let mut way = || vendor.setup.longest_way.mul_f64(state.random.f64());
                let ways = (way(), way());
                (state.sent.len() - 1, ways.0, ways.1)
            };
            tokio::time::sleep(there).await;
            let response = vendor.arrive(index);
            tokio::time::sleep(back).await;
            Ok(response)
        })
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.state).addr()
    }

    fn wall(&self) -> Timestamp {
        "2026-03-01T12:00:00.25Z".parse().unwrap()
    }
}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vendor").finish_non_exhaustive()
    }
}

fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
