//! What all processes of a simulation share: the server, the machine's clock, the store, the outages and the invariants.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use servicebay::testing::{Fault, WallClock};
use servicebay::{MemoryStore, TokenKey, TokenSet, TokenStore as _};
use tokio::time::Instant;

use super::invariants::InvariantChecker;
use super::vendor::{AnyServer, TokenRules, Vendor};

/// The number of a process. Every start gets a new one.
pub(super) type ProcessId = usize;

/// The longest travel time of a request or a response of the API.
pub(super) const API_TRAVEL: Duration = Duration::from_millis(300);
/// The longest travel time of a token request or its response.
const TOKEN_TRAVEL: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub(super) struct Host {
    pub(super) rules: TokenRules,
    pub(super) server: AnyServer,
    pub(super) clock: WallClock,
    pub(super) store: MemoryStore,
    key: OnceLock<TokenKey>,
    invariants: Mutex<InvariantChecker>,
    rng: Mutex<Rng>,
    outages: Mutex<Vec<Outage>>,
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
}

impl Host {
    pub(super) fn new(vendor: Vendor, start: Timestamp, rng: Rng) -> Arc<Self> {
        Arc::new(Self {
            rules: vendor.rules(),
            server: vendor.server(start),
            clock: WallClock::starting_at(start),
            store: MemoryStore::new(),
            key: OnceLock::new(),
            invariants: Mutex::new(InvariantChecker::new(vendor.rules())),
            rng: Mutex::new(rng),
            outages: Mutex::default(),
        })
    }

    pub(super) fn invariants(&self) -> MutexGuard<'_, InvariantChecker> {
        self.invariants.lock().unwrap()
    }

    pub(super) fn set_key(&self, key: &TokenKey) {
        self.key.get_or_init(|| key.clone());
    }

    /// The stored tokens.
    pub(super) fn stored(&self) -> Option<TokenSet> {
        let load = self.store.load(self.key.get()?).now_or_never();
        load.expect("a store in memory responds immediately").expect("a store in memory never fails")
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
            OutageKind::RetryAfter => Fault::status(503).with_header("retry-after", rng.u64(1..60).to_string()),
        }
    }
}
