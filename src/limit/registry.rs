//! Finds the one rate limiter of a tenant, for any client.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::time::Instant;

use super::RateLimiter;
use crate::clock::Clock;
use crate::transport::Spawner;
use crate::vendor::Vendor;

/// The rate limiters of this process. Those of a tenant without clients are dropped once what they know does not count any
/// more; until then a new client has to know it too.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<HashMap<TenantAddress, Held>>);

/// The vendor's name, and the address of the tenant.
type TenantAddress = (&'static str, String);

#[derive(Debug)]
struct Held {
    limiter: Arc<RateLimiter>,
    /// Whether no other tenant can get the address.
    is_stable: bool,
}

impl Held {
    fn is_idle(&self, now: Instant) -> bool {
        Arc::strong_count(&self.limiter) == 1 && !(self.is_stable && self.limiter.matters(now))
    }
}

impl Registry {
    /// The registry of the process.
    pub(crate) fn global() -> &'static Self {
        static GLOBAL: LazyLock<Registry> = LazyLock::new(Registry::default);
        &GLOBAL
    }

    /// The rate limiter of the tenant at this address. A transport of a test is part of the address, and lives as long as the
    /// limiter, whose tasks it runs.
    pub(crate) fn limiter(
        &self,
        vendor: &'static Vendor,
        address: String,
        spawner: Spawner,
        clock: Clock,
    ) -> Arc<RateLimiter> {
        let mut limiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.now();
        // Swept before it would grow, so that sweeping costs nothing per client.
        if limiters.len() == limiters.capacity() {
            limiters.retain(|_, held| !held.is_idle(now));
        }
        // A port of this machine is one server's now and another's the next moment.
        let is_stable = !address.starts_with("http:");
        let new = || Held { limiter: Arc::new(RateLimiter::new(vendor.limit_headers, spawner)), is_stable };
        let held = match limiters.entry((vendor.name, address)) {
            Entry::Occupied(held) if held.get().is_idle(now) => {
                let held = held.into_mut();
                *held = new();
                held
            }
            held => held.or_insert_with(new),
        };
        Arc::clone(&held.limiter)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limit::acquire_request::AcquireRequest;
    use crate::limit::state::Completion;
    use crate::limit::{RateLimitHeaders, ResponseKind};
    use crate::priority::Priority;
    use crate::vendor::{LimitHeaders, VendorError};

    static FIXABLY: Vendor = vendor("fixably");
    static FENTU: Vendor = vendor("fentu");

    const fn vendor(name: &'static str) -> Vendor {
        Vendor {
            name,
            base_url: "",
            base_paths: &[],
            request_id_headers: &[],
            limit_headers: LimitHeaders::Unsure,
            read_error: |_| VendorError { message: None, code: None, fields: Vec::new() },
            content: None,
            reference_data: &[],
        }
    }

    fn open(registry: &Registry, vendor: &'static Vendor, address: &str) -> Arc<RateLimiter> {
        registry.limiter(vendor, address.to_owned(), Spawner::Limits, Clock::System)
    }

    /// Makes a call, whose response says that a window of a minute is exhausted.
    fn exhaust(limiter: &RateLimiter) {
        let (mut state, now) = (limiter.state(), Instant::now());
        let reservation = state.try_acquire(AcquireRequest::test(Priority::Normal)).unwrap();
        let reset = Some(Duration::from_secs(60));
        let headers = RateLimitHeaders { remaining: Some(0), reset, ..RateLimitHeaders::default() };
        let completion = Completion::Responded { sent_at: now, headers, kind: ResponseKind::Accepted };
        state.complete(reservation, completion, now);
    }

    fn has_room(limiter: &RateLimiter) -> bool {
        limiter
            .state()
            .enqueue(AcquireRequest::test(Priority::Normal), Instant::now())
            .is_ok_and(|queued| queued.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_has_one_limiter_and_two_tenants_have_two() {
        let registry = Registry::default();
        let one = open(&registry, &FIXABLY, "https://acme.fixably.com");
        let same = open(&registry, &FIXABLY, "https://acme.fixably.com");
        let other = open(&registry, &FIXABLY, "https://beta.fixably.com");
        let vendor = open(&registry, &FENTU, "https://acme.fixably.com");
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &other));
        assert!(!Arc::ptr_eq(&one, &vendor));
    }

    #[tokio::test(start_paused = true)]
    async fn limiters_without_clients_do_not_pile_up() {
        let registry = Registry::default();
        for tenant in 0..10_000 {
            drop(open(&registry, &FIXABLY, &tenant.to_string()));
        }
        let held = registry.0.lock().unwrap().len();
        assert!(held < 100, "{held}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_of_a_window_outlives_the_clients_until_the_window_is_over() {
        let registry = Registry::default();
        exhaust(&open(&registry, &FIXABLY, "https://acme.fixably.com"));
        assert!(!has_room(&open(&registry, &FIXABLY, "https://acme.fixably.com")));
        tokio::time::advance(Duration::from_secs(60)).await;
        for tenant in 0..100 {
            drop(open(&registry, &FIXABLY, &tenant.to_string()));
        }
        assert!(!registry.0.lock().unwrap().keys().any(|(_, address)| address.contains("acme")), "then it is dropped");
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_takes_over_a_port_of_this_machine_starts_anew() {
        let registry = Registry::default();
        exhaust(&open(&registry, &FIXABLY, "http://127.0.0.1:4000"));
        assert!(has_room(&open(&registry, &FIXABLY, "http://127.0.0.1:4000")));
    }
}
