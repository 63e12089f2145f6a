//! What a seed makes of a tenant, and of those who want it.

use std::time::Duration;

use fastrand::Rng;
use jiff::SignedDuration;
use servicebay::Priority;
use servicebay::testing::ResetFormat;

/// A tenant, and those who want it.
#[derive(Debug)]
pub(crate) struct Setup {
    /// How many calls a window takes.
    pub(crate) limit: u64,
    pub(crate) window: Duration,
    pub(crate) grid: Grid,
    pub(crate) reset: ResetFormat,
    /// Whether the limit itself is told.
    pub(crate) tells_limit: bool,
    /// How far the vendor's clock is off.
    pub(crate) skew: SignedDuration,
    /// How long a request, or an answer, is under way at most.
    pub(crate) longest_way: Duration,
    /// What another integration spends of every window.
    pub(crate) others: u64,
    pub(crate) lie: Lie,
    pub(crate) workers: Vec<Worker>,
}

/// Where windows begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grid {
    /// One after the other, whether or not anybody calls.
    Calendar,
    /// With the first call.
    FirstCall,
}

/// What is wrong with the `Remaining` that the vendor tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    TooHigh(u64),
    TooLow(u64),
    Constant(u64),
    /// Nothing is told, one time in so many; never twice in a row.
    Absent(u32),
}

/// Somebody who calls, one call after the other.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) priority: Priority,
    pub(crate) max_wait: Duration,
    pub(crate) comes_after: Duration,
    pub(crate) rests: Duration,
    /// For every call, when its caller goes away, if it does.
    pub(crate) calls: Vec<Option<Duration>>,
}

impl Setup {
    pub(crate) fn of(seed: u64) -> Self {
        let random = &mut Rng::with_seed(seed);
        let window = Duration::from_secs(random.u64(2..=60));
        let longest_way = Duration::from_millis(random.u64(1..=100)).min(window / 20);
        let limit = random.u64(5..=200);
        let lie = match random.u32(0..10) {
            0 => Lie::TooHigh(random.u64(1..20)),
            1 => Lie::TooLow(random.u64(1..20)),
            2 => Lie::Constant(random.u64(0..limit)),
            3 => Lie::Absent(random.u32(3..20)),
            _ => Lie::None,
        };
        // An answer that nobody hears says nothing, and then one that says nothing is not the only one.
        let cancels = !matches!(lie, Lie::Absent(_)) && random.bool();
        let calls = random.usize(50..=400);
        let workers = match random.u32(0..4) {
            0 => 1,
            1 => random.usize(2..=20),
            2 => random.usize(20..=200),
            _ => random.usize(200..=1000),
        };
        let lanes = random.bool();
        let patient = random.bool();
        let eager = random.bool();
        Self {
            limit,
            window,
            grid: if random.bool() { Grid::Calendar } else { Grid::FirstCall },
            reset: match random.u32(0..5) {
                0 => ResetFormat::DeltaSeconds,
                1 => ResetFormat::EpochMillis,
                2 => ResetFormat::EpochSeconds,
                3 => ResetFormat::HttpDate,
                _ => ResetFormat::Iso8601,
            },
            tells_limit: random.u32(0..4) > 0,
            skew: match random.u32(0..3) {
                0 => SignedDuration::from_secs(random.i64(-100_000..=100_000)),
                _ => SignedDuration::ZERO,
            },
            longest_way,
            others: if random.u32(0..3) == 0 { limit / 2 } else { 0 },
            lie,
            workers: (0..workers)
                .map(|_| Worker::of(random, calls.div_ceil(workers), window, [lanes, patient, eager, cancels]))
                .collect(),
        }
    }

    pub(crate) fn has_others(&self) -> bool {
        self.others > 0
    }

    /// Whether nobody is in a hurry: who is goes before its turn when its time is up.
    pub(crate) fn is_patient(&self) -> bool {
        self.workers.windows(2).all(|pair| pair[0].max_wait == pair[1].max_wait)
    }

    /// How often a call may be refused before it succeeds: an honest vendor whose limit nobody else uses refuses none.
    pub(crate) fn most_refusals(&self) -> u32 {
        match self.lie {
            Lie::None | Lie::TooLow(_) | Lie::Absent(_) if !self.has_others() => 0,
            _ => 50,
        }
    }
}

impl Worker {
    fn of(random: &mut Rng, calls: usize, window: Duration, traits: [bool; 4]) -> Self {
        let [lanes, patient, eager, cancels] = traits;
        Self {
            priority: match random.u32(0..3) {
                0 if lanes => Priority::Interactive,
                1 if lanes => Priority::Bulk,
                _ => Priority::Normal,
            },
            max_wait: match random.u32(0..4) {
                _ if patient => Duration::from_secs(30 * 24 * 3600),
                0 => Duration::ZERO,
                1 => window / 2,
                _ => window * random.u32(1..5),
            },
            comes_after: if eager { Duration::ZERO } else { window.mul_f64(random.f64() * 2.0) },
            rests: if eager { Duration::ZERO } else { window.mul_f64(random.f64() / 20.0) },
            calls: (0..calls)
                .map(|_| (cancels && random.u32(0..5) == 0).then(|| window.mul_f64(random.f64().powi(4))))
                .collect(),
        }
    }
}
