//! The operations that the vendor or a working client of it names, with their paths and who may call them.

use http::Method;

use super::handler::{Handler, HandlerResult};
use crate::testing::router::{IdFormat, Route, RouteMatch, Router};

/// What an operation does and who may call it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) access: Access,
    pub(super) action: Action,
}

pub(super) type Action = fn(&mut Handler<'_>) -> HandlerResult;

/// Who may call an operation. The vendor's reference is split by role, and most of that split is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Every client, with or without a token.
    Guest,
    /// Every client with a token.
    User,
    /// Managers only.
    Manager,
}

/// Finds the operation of a method and a path. A path may end in `.json`.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Option<RouteMatch<'a, Endpoint>> {
    let path = path.strip_prefix("/api")?;
    ROUTER
        .find(method, path)
        .or_else(|error| match path.strip_suffix(".json") {
            Some(path) => ROUTER.find(method, path),
            None => Err(error),
        })
        .ok()
}

const fn guest(action: Action) -> Endpoint {
    Endpoint { access: Access::Guest, action }
}

const fn user(action: Action) -> Endpoint {
    Endpoint { access: Access::User, action }
}

const fn manager(action: Action) -> Endpoint {
    Endpoint { access: Access::Manager, action }
}

static ROUTER: Router<Endpoint> = Router::new(IdFormat::Number, &ROUTES);

static ROUTES: [Route<Endpoint>; 38] = [
    Route::new("sign_up_client", "POST", "/unified/sessions/sign_up", guest(|handler| handler.sign_up_client())),
    Route::new("list_locations", "GET", "/unified/clubs/locations", guest(|handler| handler.list_locations())),
    Route::new("get_location", "GET", "/unified/clubs/locations/{id}", guest(|handler| handler.get_location())),
    Route::new("list_regions", "GET", "/unified/clubs/regions", user(|handler| handler.list_regions())),
    Route::new("get_club_settings", "GET", "/unified/clubs/settings", user(|handler| handler.get_club_settings())),
    Route::new(
        "list_app_sections",
        "GET",
        "/unified/clubs/mobile_applications/settings",
        user(|handler| handler.list_app_sections()),
    ),
    Route::new("list_countries", "GET", "/unified/lookups/countries", user(|handler| handler.list_countries())),
    Route::new(
        "list_announcements",
        "GET",
        "/unified/media/announcements",
        user(|handler| handler.list_announcements()),
    ),
    Route::new("list_occurrences", "GET", "/unified/schedule/occurrences", user(|handler| handler.list_occurrences())),
    Route::new(
        "precheck_occurrence",
        "POST",
        "/unified/schedule/occurrences/{id}/precheck",
        user(|handler| handler.precheck_occurrence()),
    ),
    Route::new(
        "join_occurrence",
        "PUT",
        "/unified/schedule/occurrences/{id}/join",
        user(|handler| handler.join_occurrence()),
    ),
    Route::new(
        "cancel_occurrence",
        "DELETE",
        "/unified/schedule/occurrences/{id}/cancel",
        user(|handler| handler.cancel_occurrence()),
    ),
    Route::new(
        "create_appointment",
        "POST",
        "/unified/schedule/appointments",
        user(|handler| handler.create_appointment()),
    ),
    Route::new(
        "list_time_slots",
        "GET",
        "/unified/schedule/appointments/{id}/time_slots",
        user(|handler| handler.list_time_slots()),
    ),
    Route::new("list_services", "GET", "/unified/services/services", user(|handler| handler.list_services())),
    Route::new(
        "list_activity_categories",
        "GET",
        "/unified/services/activity_categories",
        user(|handler| handler.list_activity_categories()),
    ),
    Route::new(
        "list_trainer_activities",
        "GET",
        "/unified/services/trainer_activities",
        user(|handler| handler.list_trainer_activities()),
    ),
    Route::new(
        "list_service_packages",
        "GET",
        "/unified/services/service_packages",
        guest(|handler| handler.list_service_packages()),
    ),
    Route::new(
        "get_service_package",
        "GET",
        "/unified/services/service_packages/{id}",
        guest(|handler| handler.get_service_package()),
    ),
    Route::new(
        "list_client_service_packages",
        "GET",
        "/unified/services/client_service_packages",
        user(|handler| handler.list_client_service_packages()),
    ),
    Route::new("get_profile", "GET", "/unified/users/profile", user(|handler| handler.get_profile())),
    Route::new("update_profile", "PUT", "/unified/users/profile", user(|handler| handler.update_profile())),
    Route::new(
        "update_family_permissions",
        "PUT",
        "/unified/users/profile/permissions",
        user(|handler| handler.update_family_permissions()),
    ),
    Route::new("list_trainers", "GET", "/unified/users/trainers", user(|handler| handler.list_trainers())),
    Route::new("get_trainer", "GET", "/unified/users/trainers/{id}", user(|handler| handler.get_trainer())),
    Route::new("create_client", "POST", "/unified/users/clients", manager(|handler| handler.create_client())),
    Route::new(
        "list_linked_clients",
        "GET",
        "/unified/users/clients/linked",
        user(|handler| handler.list_linked_clients()),
    ),
    Route::new("get_client", "GET", "/unified/users/clients/{id}", user(|handler| handler.get_client())),
    Route::new("apply_promocode", "PUT", "/unified/users/promocodes/apply", user(|handler| handler.apply_promocode())),
    Route::new("create_purchase", "POST", "/unified/shop/shop/purchase", user(|handler| handler.create_purchase())),
    Route::new(
        "checkout_stripe",
        "POST",
        "/unified/shop/payments/stripe/checkout",
        user(|handler| handler.checkout_stripe()),
    ),
    Route::new(
        "confirm_stripe",
        "POST",
        "/unified/shop/payments/stripe/confirm",
        user(|handler| handler.confirm_stripe()),
    ),
    Route::new(
        "checkout_cash",
        "POST",
        "/unified/shop/payments/cash/checkout",
        user(|handler| handler.checkout_cash()),
    ),
    Route::new(
        "list_money_transactions",
        "GET",
        "/unified/transactions/money",
        manager(|handler| handler.list_money_transactions()),
    ),
    Route::new(
        "list_credit_transactions",
        "GET",
        "/unified/transactions/credits",
        manager(|handler| handler.list_credit_transactions()),
    ),
    Route::new(
        "get_notification_settings",
        "GET",
        "/unified/settings/notification_settings_sets/personal",
        user(|handler| handler.get_notification_settings()),
    ),
    Route::new(
        "update_notification_settings",
        "PUT",
        "/unified/settings/notification_settings_sets/{id}",
        user(|handler| handler.update_notification_settings()),
    ),
    Route::new(
        "get_spreedly_page",
        "GET",
        "/mobile/spreedly_express/init_flow/{id}.json",
        user(|handler| handler.get_spreedly_page()),
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_has_a_name_and_an_address_of_its_own() {
        let names: BTreeSet<_> = ROUTES.iter().map(|route| route.operation).collect();
        let addresses: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        assert_eq!((names.len(), addresses.len()), (ROUTES.len(), ROUTES.len()));
    }

    #[test]
    fn the_routes_are_the_operations_of_the_client() {
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
    fn a_path_yields_its_number_and_may_end_in_json() {
        for path in ["/api/unified/clubs/locations/12", "/api/unified/clubs/locations/12.json"] {
            let found = find(&Method::GET, path).expect(path);
            assert_eq!((found.route.operation, found.numbers()), ("get_location", vec![12]));
        }
        assert!(find(&Method::GET, "/api/unified/clubs/locations.json").is_some());
    }

    #[test]
    fn unknown_paths_and_methods_have_no_route() {
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
            "/api/mobile/spreedly_express/init_flow/7",
        ] {
            assert!(find(&Method::GET, path).is_none(), "{path}");
        }
        assert!(find(&Method::POST, "/api/unified/schedule/occurrences/5/join").is_none(), "join is a PUT");
    }
}
