//! A vendor with a rate limit, whose remaining calls may be wrong.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use servicebay::testing::{Environment, ResetFormat};
use servicebay::{Body, Transport, TransportError};
use tokio::time::Instant;

use super::scenario::{RemainingFault, Scenario, WindowStart};

#[derive(Clone)]
pub(crate) struct SimulatedVendor {
    scenario: Arc<Scenario>,
    started: Instant,
    state: Arc<Mutex<VendorState>>,
}

struct VendorState {
    random: Rng,
    /// The current window, or the last one.
    window: Option<Window>,
    /// The windows before it.
    past: Vec<Window>,
    sent: Vec<SentRequest>,
    /// Whether the last response had no limit headers.
    was_silent: bool,
    rejected: u64,
    /// The first violation of an invariant.
    violation: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) number: usize,
    pub(crate) begins: Instant,
    pub(crate) ends: Instant,
    /// The calls of the client under test that arrived.
    ours: u64,
    counted: u64,
}

/// A request that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentRequest {
    pub(crate) id: i64,
    pub(crate) at: Instant,
    /// The window in which it arrived, if it has arrived.
    pub(crate) window: Option<usize>,
}

impl SimulatedVendor {
    pub(crate) fn new(scenario: Arc<Scenario>, seed: u64) -> Self {
        let state = VendorState {
            random: Rng::with_seed(!seed),
            window: None,
            past: Vec::new(),
            sent: Vec::new(),
            was_silent: true,
            rejected: 0,
            violation: None,
        };
        Self { scenario, started: Instant::now(), state: Arc::new(Mutex::new(state)) }
    }

    /// Makes the calls of another integration, spread over every window.
    pub(crate) async fn make_external_calls(self) {
        let calls = self.scenario.external;
        if calls == 0 {
            return;
        }
        let pause = self.scenario.window / u32::try_from(calls).unwrap();
        loop {
            let jitter = self.state().random.f64() * 2.0;
            tokio::time::sleep(pause.mul_f64(jitter)).await;
            self.state().count(&self, 0);
        }
    }

    pub(crate) fn sent(&self) -> Vec<SentRequest> {
        self.state().sent.clone()
    }

    pub(crate) fn windows(&self) -> Vec<Window> {
        let state = self.state();
        state.past.iter().chain(&state.window).copied().collect()
    }

    /// Checks that no window had more calls than it allows, and that there were no 429s, or few if there are external
    /// calls.
    pub(crate) fn check(&self, seed: u64) {
        let state = self.state();
        let scenario = &self.scenario;
        assert_eq!(state.violation, None, "seed {seed}: {scenario:?}");
        if scenario.max_429s() == 0 {
            assert_eq!(state.rejected, 0, "seed {seed}: {scenario:?}");
        }
        if scenario.fault == RemainingFault::None {
            let windows = 1 + state.past.len() as u64;
            let few = 3 + state.sent.len() as u64 / 50 + windows * scenario.tolerance();
            assert!(
                state.rejected <= few,
                "seed {seed}: {} of {} rejected: {scenario:?}",
                state.rejected,
                state.sent.len()
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, VendorState> {
        self.state.lock().unwrap()
    }

    /// The vendor's clock.
    fn wall(&self, at: Instant) -> Timestamp {
        let since = SignedDuration::try_from(at - self.started).unwrap();
        Environment::wall(self).checked_add(since + self.scenario.skew).unwrap()
    }

    /// Responds to a request that arrives now.
    fn arrive(&self, index: usize) -> Response<Bytes> {
        let now = Instant::now();
        let mut state = self.state();
        let accepted = state.count(self, 1);
        let window = state.window.unwrap();
        state.sent[index].window = Some(window.number);
        if window.ours > self.scenario.limit + self.scenario.tolerance()
            && state.violation.is_none()
            && !matches!(self.scenario.fault, RemainingFault::TooHigh(_) | RemainingFault::Constant(_))
        {
            state.violation = Some(format!("{} calls were sent in a window: {window:?} at {now:?}", window.ours));
        }
        state.rejected += u64::from(!accepted);

        let id = state.sent[index].id;
        let response = Response::builder().status(if accepted { 200 } else { 429 });
        let mut response = response.header("date", http_date(self.wall(now)));
        if let Some(remaining) = state.remaining(&self.scenario) {
            response = response
                .header("x-ratelimit-remaining", remaining)
                .header("x-ratelimit-reset", self.reset(window.ends, now));
            if self.scenario.sends_limit {
                response = response.header("x-ratelimit-limit", self.scenario.limit);
            }
        }
        let body = if accepted { format!(r#"{{"id":{id}}}"#) } else { "{}".to_owned() };
        response.header("content-type", "application/json").body(body.into()).unwrap()
    }

    /// The end of the window, rounded up if the format is too coarse for it.
    fn reset(&self, ends: Instant, now: Instant) -> String {
        let reset = self.wall(ends);
        let up = |time: Timestamp| match time.subsec_nanosecond() {
            0 => time,
            _ => Timestamp::from_second(time.as_second() + 1).unwrap(),
        };
        match self.scenario.reset {
            ResetFormat::DeltaSeconds => (ends - now).as_secs_f64().ceil().to_string(),
            ResetFormat::EpochMillis => (reset.as_millisecond() + 1).to_string(),
            ResetFormat::EpochSeconds => up(reset).as_second().to_string(),
            ResetFormat::HttpDate => http_date(up(reset)),
            _ => reset.to_string(),
        }
    }
}

impl VendorState {
    /// Counts one call, of the client under test or an external one; returns whether the window allows it.
    fn count(&mut self, vendor: &SimulatedVendor, ours: u64) -> bool {
        let now = Instant::now();
        let length = vendor.scenario.window;
        let window = match self.window {
            Some(window) if now < window.ends => window,
            last => {
                self.past.extend(last);
                let begins = match vendor.scenario.window_start {
                    WindowStart::FirstCall => now,
                    WindowStart::Calendar => {
                        let passed = (now - vendor.started).as_nanos() % length.as_nanos();
                        now - Duration::from_nanos(u64::try_from(passed).unwrap())
                    }
                };
                Window { number: self.past.len(), begins, ends: begins + length, ours: 0, counted: 0 }
            }
        };
        let accepted = window.counted < vendor.scenario.limit;
        self.window =
            Some(Window { ours: window.ours + ours, counted: window.counted + u64::from(accepted), ..window });
        accepted
    }

    /// The remaining calls that the vendor sends.
    fn remaining(&mut self, scenario: &Scenario) -> Option<u64> {
        let counted = self.window.map_or(0, |window| window.counted);
        let remaining = scenario.limit.saturating_sub(counted);
        match scenario.fault {
            RemainingFault::None => Some(remaining),
            RemainingFault::TooHigh(by) => Some(remaining + by),
            RemainingFault::TooLow(by) => Some(remaining.saturating_sub(by)),
            RemainingFault::Constant(value) => Some(value),
            RemainingFault::Absent(times) => {
                self.was_silent = !self.was_silent && self.random.u32(0..times) == 0;
                (!self.was_silent).then_some(remaining)
            }
        }
    }
}

impl Transport for SimulatedVendor {
    fn send(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send + '_>> {
        let vendor = self.clone();
        Box::pin(async move {
            let id = request.uri().path().rsplit('/').next().and_then(|id| id.parse().ok()).expect("an order's path");
            let (index, outbound, inbound) = {
                let mut state = vendor.state();
                state.sent.push(SentRequest { id, at: Instant::now(), window: None });
                let mut travel = || vendor.scenario.max_travel.mul_f64(state.random.f64());
                let travels = (travel(), travel());
                (state.sent.len() - 1, travels.0, travels.1)
            };
            tokio::time::sleep(outbound).await;
            let response = vendor.arrive(index);
            tokio::time::sleep(inbound).await;
            Ok(response.map(Body::from))
        })
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl Environment for SimulatedVendor {
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.state).addr()
    }

    fn wall(&self) -> Timestamp {
        "2026-03-01T12:00:00.25Z".parse().unwrap()
    }
}

impl fmt::Debug for SimulatedVendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedVendor").finish_non_exhaustive()
    }
}

fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
