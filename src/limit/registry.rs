//! Finds the one budget of a tenant, whichever client asks.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::Budget;

/// The budgets that live in this process. Idle ones go when the last client of their tenant goes.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<HashMap<Key, Weak<Budget>>>);

/// Vendor, and the address of the tenant.
type Key = (&'static str, String);

impl Registry {
    /// The registry of the process.
    pub(crate) fn global() -> &'static Self {
        static GLOBAL: LazyLock<Registry> = LazyLock::new(Registry::default);
        &GLOBAL
    }

    /// The budget of the tenant at this address.
    pub(crate) fn budget(&self, vendor: &'static str, address: String) -> Arc<Budget> {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Swept before it would grow, so that sweeping costs nothing per client.
        if budgets.len() == budgets.capacity() {
            budgets.retain(|_, budget| budget.strong_count() > 0);
        }
        let slot = budgets.entry((vendor, address)).or_default();
        if let Some(budget) = slot.upgrade() {
            return budget;
        }
        let budget = Arc::new(Budget::new());
        *slot = Arc::downgrade(&budget);
        budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_one_budget_and_two_tenants_have_two() {
        let registry = Registry::default();
        let one = registry.budget("fixably", "https://acme.fixably.com".to_owned());
        let same = registry.budget("fixably", "https://acme.fixably.com".to_owned());
        let other = registry.budget("fixably", "https://beta.fixably.com".to_owned());
        let vendor = registry.budget("fentu", "https://acme.fixably.com".to_owned());
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &other));
        assert!(!Arc::ptr_eq(&one, &vendor));
    }

    #[test]
    fn budgets_without_clients_do_not_pile_up() {
        let registry = Registry::default();
        for tenant in 0..10_000 {
            drop(registry.budget("fixably", tenant.to_string()));
        }
        let held = registry.0.lock().unwrap().len();
        assert!(held < 100, "{held}");
    }
}
