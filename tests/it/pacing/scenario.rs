//! A tenant and its callers, generated from a seed.

use std::time::Duration;

use fastrand::Rng;
use jiff::SignedDuration;
use servicebay::Priority;
use servicebay::testing::ResetFormat;

/// A tenant and its callers.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// How many calls a window allows.
    pub(crate) limit: u64,
    pub(crate) window: Duration,
    pub(crate) window_start: WindowStart,
    pub(crate) reset: ResetFormat,
    /// Whether the vendor sends the limit itself.
    pub(crate) sends_limit: bool,
    /// How far the vendor's clock is ahead.
    pub(crate) skew: SignedDuration,
    /// The longest travel time of a request or a response.
    pub(crate) max_travel: Duration,
    /// The calls that another integration makes in every window.
    pub(crate) external: u64,
    pub(crate) fault: RemainingFault,
    /// Whether callers give up.
    pub(crate) cancels: bool,
    pub(crate) workers: Vec<Worker>,
}

/// When a window starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowStart {
    /// When the previous one ends, whether there are calls or not.
    Calendar,
    /// With the first call.
    FirstCall,
}

/// What is wrong with the remaining calls that the vendor sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemainingFault {
    None,
    TooHigh(u64),
    TooLow(u64),
    Constant(u64),
    /// It is missing, one time in this many; never twice in a row.
    Absent(u32),
}

/// A caller, which makes one call after the other.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) priority: Priority,
    pub(crate) max_wait: Duration,
    pub(crate) starts_after: Duration,
    pub(crate) pause: Duration,
    /// For every call, when its caller gives up, if it does.
    pub(crate) calls: Vec<Option<Duration>>,
}

impl Scenario {
    pub(crate) fn of(seed: u64) -> Self {
        let random = &mut Rng::with_seed(seed);
        let window = Duration::from_secs(random.u64(2..=60));
        let max_travel = Duration::from_millis(random.u64(1..=100)).min(window / 20);
        let limit = random.u64(5..=200);
        let fault = match random.u32(0..10) {
            0 => RemainingFault::TooHigh(random.u64(1..20)),
            1 => RemainingFault::TooLow(random.u64(1..20)),
            2 => RemainingFault::Constant(random.u64(0..limit)),
            3 => RemainingFault::Absent(random.u32(3..20)),
            _ => RemainingFault::None,
        };
        // The response of a canceled call is lost, so with missing headers two in a row could be missing.
        let cancels = !matches!(fault, RemainingFault::Absent(_)) && random.bool();
        let calls = random.usize(50..=400);
        let workers = match random.u32(0..4) {
            0 => 1,
            1 => random.usize(2..=20),
            2 => random.usize(20..=200),
            _ => random.usize(200..=1000),
        };
        let mixed_priorities = random.bool();
        let patient = random.bool();
        let eager = random.bool();
        Self {
            limit,
            window,
            window_start: if random.bool() { WindowStart::Calendar } else { WindowStart::FirstCall },
            reset: match random.u32(0..5) {
                0 => ResetFormat::DeltaSeconds,
                1 => ResetFormat::EpochMillis,
                2 => ResetFormat::EpochSeconds,
                3 => ResetFormat::HttpDate,
                _ => ResetFormat::Iso8601,
            },
            sends_limit: random.u32(0..4) > 0,
            skew: match random.u32(0..3) {
                0 => SignedDuration::from_secs(random.i64(-100_000..=100_000)),
                _ => SignedDuration::ZERO,
            },
            max_travel,
            external: if random.u32(0..3) == 0 { limit / 2 } else { 0 },
            fault,
            cancels,
            workers: (0..workers)
                .map(|_| {
                    Worker::of(random, calls.div_ceil(workers), window, [mixed_priorities, patient, eager, cancels])
                })
                .collect(),
        }
    }

    /// How many calls beyond the limit a window may be asked for. While nothing is in flight, one call at a time finds out what
    /// became of calls that ended without a word about the limit.
    pub(crate) fn tolerance(&self) -> u64 {
        if self.cancels || matches!(self.fault, RemainingFault::Absent(_)) { 2 } else { 0 }
    }

    pub(crate) fn has_external(&self) -> bool {
        self.external > 0
    }

    /// Whether all callers wait equally long. A call whose time is up is sent before its turn.
    pub(crate) fn is_patient(&self) -> bool {
        self.workers.windows(2).all(|pair| pair[0].max_wait == pair[1].max_wait)
    }

    /// How many 429s a call may get before it succeeds: none from an honest vendor whose limit has no other user.
    pub(crate) fn max_429s(&self) -> u32 {
        match self.fault {
            RemainingFault::None | RemainingFault::TooLow(_) if !self.has_external() && !self.cancels => 0,
            _ => 50,
        }
    }
}

impl Worker {
    fn of(random: &mut Rng, calls: usize, window: Duration, habits: [bool; 4]) -> Self {
        let [mixed_priorities, patient, eager, cancels] = habits;
        Self {
            priority: match random.u32(0..3) {
                0 if mixed_priorities => Priority::Interactive,
                1 if mixed_priorities => Priority::Bulk,
                _ => Priority::Normal,
            },
            max_wait: match random.u32(0..4) {
                _ if patient => Duration::from_secs(30 * 24 * 3600),
                0 => Duration::ZERO,
                1 => window / 2,
                _ => window * random.u32(1..5),
            },
            starts_after: if eager { Duration::ZERO } else { window.mul_f64(random.f64() * 2.0) },
            pause: if eager { Duration::ZERO } else { window.mul_f64(random.f64() / 20.0) },
            calls: (0..calls)
                .map(|_| (cancels && random.u32(0..5) == 0).then(|| window.mul_f64(random.f64().powi(4))))
                .collect(),
        }
    }
}
