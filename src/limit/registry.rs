//! Finds the one rate limiter of a tenant, for any client.

use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::time::Instant;

use super::RateLimiter;
use crate::clock::Clock;
use crate::vendor::Vendor;

/// The budgets of this process. Idle ones are dropped: those of a tenant that has no client any more, once the window is
/// over of which something is known. Until then a new client has to know it too.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<HashMap<Key, Held>>);

/// Vendor, and the address of the tenant.
type Key = (&'static str, String);

#[derive(Debug)]
struct Held {
    budget: Arc<RateLimiter>,
    /// Whether nobody else can come to have the address.
    lasts: bool,
    /// What the address is that of, where it could be another's once this is dropped.
    _owner: Option<Box<dyn Any + Send + Sync>>,
}

impl Held {
    fn is_idle(&self, now: Instant) -> bool {
        Arc::strong_count(&self.budget) == 1 && !(self.lasts && self.budget.matters(now))
    }
}

impl Registry {
    /// The registry of the process.
    pub(crate) fn global() -> &'static Self {
        static GLOBAL: LazyLock<Registry> = LazyLock::new(Registry::default);
        &GLOBAL
    }

    /// The budget of the tenant at this address, which is that of `owner` for as long as that lives.
    pub(crate) fn budget(
        &self,
        vendor: &'static Vendor,
        address: String,
        owner: Option<Box<dyn Any + Send + Sync>>,
        clock: Clock,
    ) -> Arc<RateLimiter> {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.now();
        // Swept before it would grow, so that sweeping costs nothing per client.
        if budgets.len() == budgets.capacity() {
            budgets.retain(|_, held| !held.is_idle(now));
        }
        // A port of this machine is one server's now and another's the next moment.
        let lasts = !address.starts_with("http:");
        let new = || Held { budget: Arc::new(RateLimiter::new(vendor.limit_headers)), lasts, _owner: owner };
        let held = match budgets.entry((vendor.name, address)) {
            Entry::Occupied(held) if held.get().is_idle(now) => {
                let held = held.into_mut();
                *held = new();
                held
            }
            held => held.or_insert_with(new),
        };
        Arc::clone(&held.budget)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limit::state::Completion;
    use crate::limit::{RateLimitHeaders, RateLimitPolicy};
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
        }
    }

    fn open(registry: &Registry, vendor: &'static Vendor, address: &str) -> Arc<RateLimiter> {
        registry.budget(vendor, address.to_owned(), None, Clock::System)
    }

    /// Calls, and hears that the window of a minute is spent.
    fn spend(budget: &RateLimiter) {
        let (mut gate, now) = (budget.gate(), Instant::now());
        let pass = gate.enter(RateLimitPolicy::new().ask(Priority::Normal)).unwrap();
        let signals = RateLimitHeaders {
            remaining: Some(0),
            reset: Some(Duration::from_secs(60)),
            ..RateLimitHeaders::default()
        };
        gate.report(pass, Completion::Accepted { sent_at: now, signals }, now);
    }

    fn has_room(budget: &RateLimiter) -> bool {
        budget.gate().enter_at(RateLimitPolicy::new().ask(Priority::Normal), Instant::now()).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_has_one_budget_and_two_tenants_have_two() {
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
    async fn budgets_without_clients_do_not_pile_up() {
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
        spend(&open(&registry, &FIXABLY, "https://acme.fixably.com"));
        assert!(!has_room(&open(&registry, &FIXABLY, "https://acme.fixably.com")));
        tokio::time::advance(Duration::from_secs(61)).await;
        for tenant in 0..100 {
            drop(open(&registry, &FIXABLY, &tenant.to_string()));
        }
        assert!(!registry.0.lock().unwrap().keys().any(|(_, address)| address.contains("acme")), "then it is dropped");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_over_a_port_of_this_machine_begins_anew() {
        let registry = Registry::default();
        spend(&open(&registry, &FIXABLY, "http://127.0.0.1:4000"));
        assert!(has_room(&open(&registry, &FIXABLY, "http://127.0.0.1:4000")));
    }
}
