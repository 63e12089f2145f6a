//! Pauses token requests after a 429, for all clients of a token endpoint in the process.
//!
//! A vendor counts the requests to its token endpoint, not those of one client. Without a shared pause each of many tenants
//! would learn of the limit by a 429 of its own.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::background::TokenTransport;
use crate::base_url::BaseUrl;
#[cfg(feature = "testing")]
use crate::transport::Environment;

/// The pause if the endpoint does not say how long.
const DEFAULT_PAUSE: Duration = Duration::from_secs(30);
/// The shortest pause: an endpoint that asks for none has refused all the same.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, whatever the endpoint asks for.
const MAX_PAUSE: Duration = Duration::from_secs(3600);
/// The longest time over which clients are spread when a pause ends; at most a tenth of the pause.
const MAX_SPREAD: Duration = Duration::from_secs(30);

/// The pauses of this process.
static PAUSES: LazyLock<Mutex<HashMap<PauseKey, Pause>>> = LazyLock::new(Mutex::default);

/// The URL of an endpoint, and what tells two owners of the same URL apart.
type PauseKey = (String, usize);

#[derive(Debug)]
struct Pause {
    until: Instant,
    length: Duration,
    owner: Owner,
}

/// The pause of one token endpoint, if there is one.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    url: String,
    owner: Owner,
}

/// Who shares a pause. Held for as long as the pause, because its address must not become another's.
#[derive(Clone, Debug)]
enum Owner {
    Process,
    /// The clones of one client, over plain HTTP: a port of this machine is one server's now and another's the next moment.
    Client(Arc<BaseUrl>),
    /// The clients of one simulated server.
    #[cfg(feature = "testing")]
    Simulated(Arc<dyn crate::transport::Transport>),
}

impl Throttle {
    /// The pause of the endpoint at `url`, as a client with this transport sees it.
    pub(super) fn of(url: &Url, transport: &TokenTransport, base_url: &Arc<BaseUrl>) -> Self {
        let owner = match transport {
            #[cfg(feature = "testing")]
            TokenTransport::Custom(transport) if transport.environment().is_some() => {
                Owner::Simulated(Arc::clone(transport))
            }
            TokenTransport::Custom(_) | TokenTransport::Http(_) if url.scheme() == "http" => {
                Owner::Client(Arc::clone(base_url))
            }
            TokenTransport::Custom(_) | TokenTransport::Http(_) => Owner::Process,
        };
        Self { url: url.to_string(), owner }
    }

    /// When to try again, if the endpoint is paused. Clients with different `jitter`, from 0 to 1, do not all return at once.
    pub(super) fn resume_at(&self, now: Instant, jitter: f64) -> Option<Instant> {
        let pauses = pauses();
        let pause = pauses.get(&self.key()).filter(|pause| now < pause.until)?;
        Some(pause.until + spread(pause.length, jitter))
    }

    /// Pauses the endpoint after a 429 that asks to wait this long. Returns when to try again.
    pub(super) fn pause(&self, now: Instant, retry_after: Option<Duration>, jitter: f64) -> Instant {
        let length = retry_after.unwrap_or(DEFAULT_PAUSE).clamp(MIN_PAUSE, MAX_PAUSE);
        let mut pauses = pauses();
        pauses.retain(|_, pause| now < pause.until || !pause.owner.is_gone());
        let pause = pauses.entry(self.key()).or_insert_with(|| Pause {
            until: now,
            length: Duration::ZERO,
            owner: self.owner.clone(),
        });
        // Two responses may arrive in either order: the later end counts.
        if pause.until < now + length {
            (pause.until, pause.length) = (now + length, length);
        }
        pause.until + spread(pause.length, jitter)
    }

    fn key(&self) -> PauseKey {
        let owner = match &self.owner {
            Owner::Process => 0,
            Owner::Client(base_url) => Arc::as_ptr(base_url).addr(),
            #[cfg(feature = "testing")]
            Owner::Simulated(transport) => transport.environment().map_or(0, Environment::identity),
        };
        (self.url.clone(), owner)
    }
}

impl Owner {
    /// Whether no client is left that the pause could concern.
    fn is_gone(&self) -> bool {
        match self {
            // The endpoints of the process are as many as its tenants at most, and an old pause says nothing.
            Self::Process => true,
            Self::Client(base_url) => Arc::strong_count(base_url) == 1,
            #[cfg(feature = "testing")]
            Self::Simulated(transport) => Arc::strong_count(transport) == 1,
        }
    }
}

fn spread(length: Duration, jitter: f64) -> Duration {
    (length / 10).min(MAX_SPREAD).mul_f64(jitter.clamp(0.0, 1.0))
}

fn pauses() -> MutexGuard<'static, HashMap<PauseKey, Pause>> {
    PAUSES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::HttpClientFactory;

    const SECOND: Duration = Duration::from_secs(1);

    fn client() -> Arc<BaseUrl> {
        Arc::new(BaseUrl::new("https://vendor.example".parse().unwrap(), &[]))
    }

    /// An endpoint as each of its clients sees it.
    fn throttle(url: &str, base_url: &Arc<BaseUrl>) -> Throttle {
        Throttle::of(&url.parse().unwrap(), &TokenTransport::Http(HttpClientFactory::shared_default()), base_url)
    }

    #[test]
    fn a_pause_is_shared_by_the_clients_of_one_endpoint_and_by_no_other() {
        let now = Instant::now();
        let (one, other) = (client(), client());
        let url = "https://shared.example/oauth/token";
        assert_eq!(throttle(url, &one).resume_at(now, 0.0), None);
        throttle(url, &one).pause(now, Some(60 * SECOND), 0.0);
        assert_eq!(throttle(url, &other).resume_at(now + 59 * SECOND, 0.0), Some(now + 60 * SECOND));
        assert_eq!(throttle(url, &other).resume_at(now + 60 * SECOND, 0.0), None);
        assert_eq!(throttle("https://shared.example/other/token", &one).resume_at(now, 0.0), None);
        assert_eq!(throttle("https://elsewhere.example/oauth/token", &one).resume_at(now, 0.0), None);
    }

    #[test]
    fn a_server_on_this_machine_is_paused_for_one_client() {
        let now = Instant::now();
        let (one, other) = (client(), client());
        let url = "http://127.0.0.1:4000/oauth/token";
        throttle(url, &one).pause(now, None, 0.0);
        assert!(throttle(url, &one).resume_at(now, 0.0).is_some());
        assert_eq!(throttle(url, &other).resume_at(now, 0.0), None);
    }

    #[test]
    fn a_pause_that_has_ended_is_forgotten_when_no_client_is_left() {
        let now = Instant::now();
        let (gone, other) = (client(), client());
        let url = "http://127.0.0.1:4001/oauth/token";
        let key = throttle(url, &gone).key();
        throttle(url, &gone).pause(now, Some(5 * SECOND), 0.0);
        drop(gone);
        throttle(url, &other).pause(now + 5 * SECOND, None, 0.0);
        assert!(!pauses().contains_key(&key));
    }

    #[test]
    fn a_pause_has_bounds_and_its_end_is_spread() {
        let now = Instant::now();
        let client = client();
        for (host, retry_after, jitter, expected) in [
            ("a", None, 0.0, 30.0),
            ("b", None, 1.0, 33.0),
            ("c", Some(Duration::ZERO), 0.0, 1.0),
            ("d", Some(10 * 3600 * SECOND), 0.0, 3600.0),
            ("e", Some(10 * 3600 * SECOND), 1.0, 3630.0),
        ] {
            let throttle = throttle(&format!("https://{host}.bounds.example/"), &client);
            assert_eq!((throttle.pause(now, retry_after, jitter) - now).as_secs_f64(), expected, "{host}");
        }
    }

    #[test]
    fn of_two_pauses_the_later_end_counts() {
        let now = Instant::now();
        let throttle = throttle("https://twice.example/", &client());
        throttle.pause(now, Some(60 * SECOND), 0.0);
        throttle.pause(now + SECOND, Some(5 * SECOND), 0.0);
        assert_eq!(throttle.resume_at(now + 30 * SECOND, 0.0), Some(now + 60 * SECOND));
        throttle.pause(now + 30 * SECOND, Some(60 * SECOND), 0.0);
        assert_eq!(throttle.resume_at(now + 89 * SECOND, 0.0), Some(now + 90 * SECOND));
    }
}
