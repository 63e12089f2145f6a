//! What all processes of a simulation share: the server, the machine's clock, the store, the outages and the invariants.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use servicebay::TokenSet;
use servicebay::testing::{Fault, WallClock};
use tokio::time::Instant;

use super::invariants::InvariantChecker;
use super::test_store::SharedStore;
use super::vendor::{AnyServer, TokenRules, Vendor};

/// The number of a process. Every start gets a new one.
pub(super) type ProcessId = usize;

/// The longest travel time of a request or a response of the API.
pub(super) const API_TRAVEL: Duration = Duration::from_millis(200);
/// The longest travel time of a token request or its response.
pub(super) const TOKEN_TRAVEL: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub(super) struct Host {
    pub(super) rules: TokenRules,
    pub(super) server: AnyServer,
    pub(super) clock: WallClock,
    pub(super) store: SharedStore,
    /// How long the machine has slept, in milliseconds: the time that the vendor's clock is ahead of the monotonic one.
    slept: Arc<AtomicU64>,
    sleeps: Mutex<Vec<Instant>>,
    invariants: Mutex<InvariantChecker>,
    rng: Mutex<Rng>,
    outages: Mutex<Vec<Outage>>,
    /// How many token requests met an outage.
    failed_requests: AtomicU64,
    /// Until when the token endpoint has asked to be left alone.
    throttled_until: Mutex<Option<Instant>>,
}

/// A time in which the token endpoint fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) kind: OutageKind,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutageKind {
    /// Every request in another way.
    Mixed,
    Dropped,
    Html,
    /// The request is carried out, and the response is lost.
    LostResponse,
    /// There is never a response.
    NoResponse,
    Status,
    /// An error status with `Retry-After`.
    RetryAfter,
    /// No connection can be opened.
    NotSent,
    /// The request is carried out, and the response is this error.
    StatusAfter(u16),
    /// The request is carried out, and its response never arrives, though the connection stays open.
    SilentAfter,
    /// The request is carried out, and its JSON is labeled as a web page.
    HtmlLabel,
    /// The request is carried out, and its JSON begins with a byte order mark.
    ByteOrderMark,
    /// The request is refused, for a reason that passes and says nothing about the credentials.
    Passing(PassingRefusal),
    /// 429 with `Retry-After`, in seconds or as a date.
    Throttled {
        as_date: bool,
    },
}

/// A refusal that says nothing about the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassingRefusal {
    /// 400 with plain text.
    PlainText,
    /// 401 without a body.
    Empty,
    /// 400 with the OAuth code `temporarily_unavailable`.
    TemporarilyUnavailable,
    /// 403 with `{"message": "Forbidden"}`, as a firewall sends it.
    Firewall,
}

impl OutageKind {
    /// Whether the vendor carries the request out all the same.
    pub(super) fn is_carried_out(self) -> bool {
        matches!(
            self,
            Self::LostResponse | Self::StatusAfter(_) | Self::SilentAfter | Self::HtmlLabel | Self::ByteOrderMark
        )
    }
}

impl Host {
    pub(super) fn new(vendor: Vendor, start: Timestamp, rng: Rng, is_mild: bool) -> Arc<Self> {
        let slept: Arc<AtomicU64> = Arc::default();
        Arc::new(Self {
            rules: vendor.rules(),
            server: vendor.server(start, Arc::clone(&slept)),
            clock: WallClock::starting_at(start),
            store: SharedStore::default(),
            slept,
            sleeps: Mutex::default(),
            invariants: Mutex::new(InvariantChecker::new(vendor.rules(), is_mild)),
            rng: Mutex::new(rng),
            outages: Mutex::default(),
            failed_requests: AtomicU64::default(),
            throttled_until: Mutex::default(),
        })
    }

    pub(super) fn invariants(&self) -> MutexGuard<'_, InvariantChecker> {
        self.invariants.lock().unwrap()
    }

    pub(super) fn with_rng<T>(&self, function: impl FnOnce(&mut Rng) -> T) -> T {
        function(&mut self.rng.lock().unwrap())
    }

    /// The stored tokens.
    pub(super) fn stored(&self) -> Option<TokenSet> {
        self.lose_due_write();
        self.store.stored()
    }

    /// Loses the acknowledged write whose time has come.
    pub(super) fn lose_due_write(&self) {
        if self.store.lose_due_write() {
            let stored = self.store.stored();
            self.invariants().record_lost_write(stored.as_ref());
        }
    }

    /// The stored tokens are removed.
    pub(super) fn clear_store(&self) {
        self.store.clear();
        self.invariants().record_cleared_store();
    }

    /// The machine sleeps: its monotonic clock stands still, and all other clocks go on.
    pub(super) fn sleep_machine(&self, time: Duration) {
        self.sleeps.lock().unwrap().push(Instant::now());
        self.slept.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
        self.clock.jump(SignedDuration::try_from(time).unwrap());
        self.invariants().record_sleep(time);
    }

    /// How long the machine has slept so far.
    pub(super) fn slept(&self) -> Duration {
        Duration::from_millis(self.slept.load(Ordering::Relaxed))
    }

    /// Whether the token endpoint and the store worked for a time span, and no client was asked to wait.
    pub(super) fn was_healthy(&self, from: Instant, until: Instant) -> bool {
        let outages = self.outages.lock().unwrap();
        let had_outage = outages.iter().any(|outage| outage.from <= until && from <= outage.until);
        let has_slept = self.sleeps.lock().unwrap().iter().any(|at| from <= *at && *at <= until);
        let was_throttled = self.throttled_until.lock().unwrap().is_some_and(|end| from <= end);
        !had_outage && !has_slept && !was_throttled && !self.store.had_fault(from, until)
    }

    /// How long a store operation takes. Some take as long as a disk that spins up.
    pub(super) fn store_pause(&self) -> Duration {
        let is_slow = self.rng.lock().unwrap().u32(..10) == 0;
        self.up_to(if is_slow { Duration::from_secs(1) } else { Duration::from_millis(20) })
    }

    pub(super) fn api_travel(&self) -> Duration {
        self.up_to(API_TRAVEL)
    }

    pub(super) fn token_travel(&self) -> Duration {
        self.up_to(TOKEN_TRAVEL)
    }

    fn up_to(&self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.lock().unwrap().f64())
    }

    pub(super) fn add_outage(&self, outage: Outage) {
        self.invariants().note(format!("an outage until {:?} from now: {:?}", outage.until - outage.from, outage.kind));
        self.outages.lock().unwrap().push(outage);
    }

    /// Whether the token endpoint failed in a time span, or so shortly before that it still has an effect: one request may take
    /// 30 s, and its failure lasts another 30 s, or for as long as `Retry-After` says.
    pub(super) fn had_outage(&self, from: Instant, until: Instant) -> bool {
        const AFTEREFFECT: Duration = Duration::from_secs(100);
        let outages = self.outages.lock().unwrap();
        outages.iter().any(|outage| outage.from <= until && from <= outage.until + AFTEREFFECT)
    }

    /// How the token endpoint fails a request now, if it does.
    pub(super) fn current_outage(&self) -> Option<OutageKind> {
        let now = Instant::now();
        let outage =
            self.outages.lock().unwrap().iter().rfind(|outage| outage.from <= now && now < outage.until).copied()?;
        self.failed_requests.fetch_add(1, Ordering::Relaxed);
        let mut rng = self.rng.lock().unwrap();
        match outage.kind {
            OutageKind::Mixed => rng.choice([
                OutageKind::Dropped,
                OutageKind::Html,
                OutageKind::NoResponse,
                OutageKind::Status,
                OutageKind::RetryAfter,
            ]),
            kind => Some(kind),
        }
    }

    /// How many token requests met an outage, and how many operations of the store went wrong.
    pub(super) fn faults(&self) -> u64 {
        self.failed_requests.load(Ordering::Relaxed) + self.store.faults()
    }

    fn throttle(&self, seconds: u64) {
        let mut end = self.throttled_until.lock().unwrap();
        *end = (*end).max(Some(Instant::now() + Duration::from_secs(seconds)));
    }

    /// The fault to inject for a kind of outage.
    pub(super) fn fault(&self, kind: OutageKind) -> Fault {
        let mut rng = self.rng.lock().unwrap();
        match kind {
            OutageKind::Dropped => Fault::dropped(),
            OutageKind::Html => Fault::html(),
            OutageKind::LostResponse => Fault::lost_response(),
            OutageKind::Mixed | OutageKind::NoResponse | OutageKind::Status => {
                Fault::status(rng.choice([500, 502, 503, 504, 429]).unwrap_or(500))
            }
            OutageKind::RetryAfter => {
                let wait = rng.u64(1..60);
                self.throttle(wait);
                Fault::status(503).with_header("retry-after", wait.to_string())
            }
            OutageKind::NotSent => unreachable!("there is no connection to the server"),
            OutageKind::StatusAfter(code) => Fault::status_after(code),
            OutageKind::SilentAfter => Fault::delay(Duration::from_secs(3600)),
            OutageKind::HtmlLabel => Fault::header("content-type", "text/html; charset=utf-8"),
            OutageKind::ByteOrderMark => Fault::body_prefix("\u{feff}"),
            OutageKind::Passing(refusal) => match refusal {
                PassingRefusal::PlainText => Fault::body(400, "Bad request").with_header("content-type", "text/plain"),
                PassingRefusal::Empty => Fault::body(401, ""),
                PassingRefusal::TemporarilyUnavailable => Fault::body(400, r#"{"error":"temporarily_unavailable"}"#),
                PassingRefusal::Firewall => Fault::body(403, r#"{"message":"Forbidden"}"#),
            },
            OutageKind::Throttled { as_date } => {
                let wait = rng.u64(1..600);
                self.throttle(wait);
                let end = self.server.now().checked_add(SignedDuration::from_secs(wait as i64)).unwrap();
                let date = || DateTimePrinter::new().timestamp_to_rfc9110_string(&end).unwrap();
                Fault::status(429).with_header("retry-after", if as_date { date() } else { wait.to_string() })
            }
        }
    }
}
