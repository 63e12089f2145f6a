//! What all processes of a simulation share: the tenant, the machine's clock, the store, the weather and the ledger.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use servicebay::testing::{Fault, WallClock};
use servicebay::{MemoryStore, TokenKey, TokenSet, TokenStore as _};
use tokio::time::Instant;

use super::ledger::Ledger;
use super::vendor::{MockServer, Rules, Vendor};

/// A process by its number; each start counts.
pub(super) type Who = usize;

/// The longest that a request or an answer of the API is on its way.
pub(super) const API_TRAVEL: Duration = Duration::from_millis(300);
/// The longest that a token request or its answer is on its way.
const TOKEN_TRAVEL: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub(super) struct Site {
    pub(super) rules: Rules,
    pub(super) tenant: MockServer,
    pub(super) clock: WallClock,
    pub(super) store: MemoryStore,
    key: OnceLock<TokenKey>,
    ledger: Mutex<Ledger>,
    luck: Mutex<Rng>,
    outages: Mutex<Vec<Outage>>,
}

/// A time in which the identity server fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) trouble: Trouble,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Every request otherwise.
    Mixed,
    Dropped,
    Html,
    /// The request is carried out, and the answer is lost.
    Lost,
    /// No answer, ever.
    Silence,
    Status,
    /// A status, and how long to stay away.
    StayAway,
}

impl Site {
    pub(super) fn new(vendor: Vendor, start: Timestamp, luck: Rng) -> Arc<Self> {
        Arc::new(Self {
            rules: vendor.rules(),
            tenant: vendor.tenant(start),
            clock: WallClock::starting_at(start),
            store: MemoryStore::new(),
            key: OnceLock::new(),
            ledger: Mutex::new(Ledger::new(vendor.rules())),
            luck: Mutex::new(luck),
            outages: Mutex::default(),
        })
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub(super) fn learn_key(&self, key: &TokenKey) {
        self.key.get_or_init(|| key.clone());
    }

    /// The pair in the store.
    pub(super) fn stored(&self) -> Option<TokenSet> {
        let load = self.store.load(self.key.get()?).now_or_never();
        load.expect("a store in memory answers at once").expect("and without an error")
    }

    /// How long the store takes: now and then as long as a disk that sleeps.
    pub(super) fn store_pause(&self) -> Duration {
        let is_slow = self.luck.lock().unwrap().u32(..10) == 0;
        self.up_to(if is_slow { Duration::from_secs(1) } else { Duration::from_millis(20) })
    }

    pub(super) fn api_travel(&self) -> Duration {
        self.up_to(API_TRAVEL)
    }

    pub(super) fn token_travel(&self) -> Duration {
        self.up_to(TOKEN_TRAVEL)
    }

    fn up_to(&self, longest: Duration) -> Duration {
        longest.mul_f64(self.luck.lock().unwrap().f64())
    }

    pub(super) fn set_out(&self, outage: Outage) {
        self.ledger().note(format!("an outage until {:?} from now: {:?}", outage.until - outage.from, outage.trouble));
        self.outages.lock().unwrap().push(outage);
    }

    /// Whether the identity server failed at some moment of a span, or so shortly before that it is still felt: the
    /// client gives one request 30 s, and holds a failure for another 30 s or for as long as the vendor asks.
    pub(super) fn was_out(&self, from: Instant, until: Instant) -> bool {
        const FELT: Duration = Duration::from_secs(100);
        let outages = self.outages.lock().unwrap();
        outages.iter().any(|outage| outage.from <= until && from <= outage.until + FELT)
    }

    /// How the identity server fails a request now, if it does.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let now = Instant::now();
        let outage = self.outages.lock().unwrap().iter().rfind(|out| out.from <= now && now < out.until).copied()?;
        let mut luck = self.luck.lock().unwrap();
        match outage.trouble {
            Trouble::Mixed => {
                luck.choice([Trouble::Dropped, Trouble::Html, Trouble::Silence, Trouble::Status, Trouble::StayAway])
            }
            trouble => Some(trouble),
        }
    }

    /// The fault that a trouble is.
    pub(super) fn fault(&self, trouble: Trouble) -> Fault {
        let mut luck = self.luck.lock().unwrap();
        match trouble {
            Trouble::Dropped => Fault::dropped(),
            Trouble::Html => Fault::html(),
            Trouble::Lost => Fault::lost_response(),
            Trouble::Mixed | Trouble::Silence | Trouble::Status => {
                Fault::status(luck.choice([500, 502, 503, 504, 429]).unwrap_or(500))
            }
            Trouble::StayAway => Fault::status(503).with_header("retry-after", luck.u64(1..60).to_string()),
        }
    }
}
