//! Every operation that the vendor or a working client of it names, and no other.

use http::Method;
use serde_json::Value;

use super::call::Call;
use super::refusal::Refusal;

/// What carries an operation out.
pub(super) type Action = fn(&mut Call<'_>) -> Result<Value, Refusal>;

/// One operation.
#[derive(Debug)]
pub(super) struct Route {
    /// Its name in the crate's clients, in counters and in logs.
    pub(super) operation: &'static str,
    method: &'static str,
    path: &'static str,
    pub(super) access: Access,
    pub(super) action: Action,
}

/// Who may call an operation. The vendor's reference is split by role, and most of the split could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody, with a token or without.
    Guest,
    /// Everybody with a token.
    Known,
    /// Managers alone.
    Manager,
}

/// A route with the number that its path held; 0 where there is none.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) route: &'static Route,
    pub(super) id: i64,
}

/// Finds the operation of a method and a path. `.json` at the end of a path changes nothing.
pub(super) fn find(method: &Method, path: &str) -> Option<Found> {
    ROUTES.iter().filter(|route| route.method == method.as_str()).find_map(|route| {
        let id = route.id(path).or_else(|| route.id(path.strip_suffix(".json")?))?;
        Some(Found { route, id })
    })
}

impl Route {
    const fn new(
        operation: &'static str,
        method: &'static str,
        path: &'static str,
        access: Access,
        action: Action,
    ) -> Self {
        Self { operation, method, path, access, action }
    }

    /// The number in a path, or `None` if the path is not this route's.
    fn id(&self, path: &str) -> Option<i64> {
        let path = match self.path.strip_prefix("/api/mobile") {
            Some(_) => path,
            None => path.strip_prefix("/api/unified")?,
        };
        match self.path.split_once("{id}") {
            None => (path == self.path).then_some(0),
            Some((before, after)) => {
                let digits = path.strip_prefix(before)?.strip_suffix(after)?;
                digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
            }
        }
    }
}

use Access::{Guest, Known, Manager};

static ROUTES: [Route; 38] = [
    Route::new("sign_up_client", "POST", "/sessions/sign_up", Guest, |call| call.sign_up()),
    Route::new("list_locations", "GET", "/clubs/locations", Guest, |call| call.locations()),
    Route::new("get_location", "GET", "/clubs/locations/{id}", Guest, |call| call.location()),
    Route::new("list_regions", "GET", "/clubs/regions", Known, |call| call.regions()),
    Route::new("get_club_settings", "GET", "/clubs/settings", Known, |call| call.settings()),
    Route::new("list_app_sections", "GET", "/clubs/mobile_applications/settings", Known, |call| call.sections()),
    Route::new("list_countries", "GET", "/lookups/countries", Known, |call| call.countries()),
    Route::new("list_announcements", "GET", "/media/announcements", Known, |call| call.announcements()),
    Route::new("list_occurrences", "GET", "/schedule/occurrences", Known, |call| call.occurrences()),
    Route::new("precheck_occurrence", "POST", "/schedule/occurrences/{id}/precheck", Known, |call| call.precheck()),
    Route::new("join_occurrence", "PUT", "/schedule/occurrences/{id}/join", Known, |call| call.join()),
    Route::new("cancel_occurrence", "DELETE", "/schedule/occurrences/{id}/cancel", Known, |call| call.cancel()),
    Route::new("create_appointment", "POST", "/schedule/appointments", Known, |call| call.book()),
    Route::new("list_time_slots", "GET", "/schedule/appointments/{id}/time_slots", Known, |call| call.slots()),
    Route::new("list_services", "GET", "/services/services", Known, |call| call.services()),
    Route::new("list_activity_categories", "GET", "/services/activity_categories", Known, |call| {
        call.activity_categories()
    }),
    Route::new("list_trainer_activities", "GET", "/services/trainer_activities", Known, |call| call.offers()),
    Route::new("list_service_packages", "GET", "/services/service_packages", Guest, |call| call.packages()),
    Route::new("get_service_package", "GET", "/services/service_packages/{id}", Guest, |call| call.package()),
    Route::new("list_client_service_packages", "GET", "/services/client_service_packages", Known, |call| call.owned()),
    Route::new("get_profile", "GET", "/users/profile", Known, |call| call.profile()),
    Route::new("update_profile", "PUT", "/users/profile", Known, |call| call.update_profile()),
    Route::new("update_family_permissions", "PUT", "/users/profile/permissions", Known, |call| {
        call.update_permissions()
    }),
    Route::new("list_trainers", "GET", "/users/trainers", Known, |call| call.trainers()),
    Route::new("get_trainer", "GET", "/users/trainers/{id}", Known, |call| call.trainer()),
    Route::new("create_client", "POST", "/users/clients", Manager, |call| call.create_client()),
    Route::new("list_linked_clients", "GET", "/users/clients/linked", Known, |call| call.family()),
    Route::new("get_client", "GET", "/users/clients/{id}", Known, |call| call.client()),
    Route::new("apply_promocode", "PUT", "/users/promocodes/apply", Known, |call| call.apply_promocode()),
    Route::new("create_purchase", "POST", "/shop/shop/purchase", Known, |call| call.purchase()),
    Route::new("checkout_stripe", "POST", "/shop/payments/stripe/checkout", Known, |call| call.checkout_stripe()),
    Route::new("confirm_stripe", "POST", "/shop/payments/stripe/confirm", Known, |call| call.confirm_stripe()),
    Route::new("checkout_cash", "POST", "/shop/payments/cash/checkout", Known, |call| call.checkout_cash()),
    Route::new("list_money_transactions", "GET", "/transactions/money", Manager, |call| call.money()),
    Route::new("list_credit_transactions", "GET", "/transactions/credits", Manager, |call| call.credits()),
    Route::new("get_notification_settings", "GET", "/settings/notification_settings_sets/personal", Known, |call| {
        call.notifications()
    }),
    Route::new("update_notification_settings", "PUT", "/settings/notification_settings_sets/{id}", Known, |call| {
        call.update_notifications()
    }),
    Route::new("get_spreedly_page", "GET", "/api/mobile/spreedly_express/init_flow/{id}.json", Known, |call| {
        call.spreedly()
    }),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_operations_share_a_name_or_an_address() {
        let names: BTreeSet<_> = ROUTES.iter().map(|route| route.operation).collect();
        let addresses: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        assert_eq!((names.len(), addresses.len()), (ROUTES.len(), ROUTES.len()));
    }

    #[test]
    fn every_operation_of_the_client_is_here_at_its_address_and_no_other() {
        let operations: BTreeSet<_> = crate::fisikal::operations::ALL.iter().map(|operation| operation.id()).collect();
        let routes: BTreeSet<_> = ROUTES.iter().map(|route| route.operation).collect();
        assert_eq!(operations, routes);
        for operation in crate::fisikal::operations::ALL {
            let path = operation.path().replace("{id}", "7").replace("{order_id}", "7");
            let found = find(operation.method(), &path).map(|found| found.route.operation);
            assert_eq!(found, Some(operation.id()), "{path}");
        }
    }

    #[test]
    fn a_path_may_end_in_json_and_gives_up_its_number() {
        for path in ["/api/unified/clubs/locations/12", "/api/unified/clubs/locations/12.json"] {
            let found = find(&Method::GET, path).expect(path);
            assert_eq!((found.route.operation, found.id), ("get_location", 12));
        }
        assert!(find(&Method::GET, "/api/unified/clubs/locations.json").is_some());
    }

    #[test]
    fn paths_that_nobody_names_are_not_found() {
        for path in [
            "",
            "/",
            "/api/unified/clubs",
            "/api/unified/clubs/locations/",
            "/api/unified/clubs/locations/x",
            "/api/unified/clubs/locations/99999999999999999999",
            "/api/unified/users/clients",
            "/clubs/locations",
            "/api/web/schedule/occurrences",
        ] {
            assert!(find(&Method::GET, path).is_none(), "{path}");
        }
        assert!(find(&Method::POST, "/api/unified/schedule/occurrences/5/join").is_none(), "join is a PUT here");
    }
}
