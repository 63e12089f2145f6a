//! The operations of the API: those that the vendor or a working client of it names, and no others.

use http::Method;

use super::handler::{Handler, HandlerResult};
use crate::testing::router::{IdFormat, Route, RouteError, RouteMatch, Router};

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
    /// Every caller, with or without a token.
    Guest,
    /// Every caller with a token.
    User,
    /// Managers only.
    Manager,
}

/// Finds the operation of a method and a path. A path may end in `.json`.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<RouteMatch<'a, Endpoint>, RouteError> {
    ROUTER.find(method, path).or_else(|reason| match path.strip_suffix(".json") {
        Some(path) => ROUTER.find(method, path),
        None => Err(reason),
    })
}

/// The names of the operations.
pub(super) fn operations() -> impl Iterator<Item = &'static str> {
    ROUTER.operations()
}

const fn route(
    operation: &'static str,
    method: &'static str,
    path: &'static str,
    access: Access,
    action: Action,
) -> Route<Endpoint> {
    Route::new(operation, method, path, Endpoint { access, action })
}

static ROUTER: Router<Endpoint> = Router::new(IdFormat::Number, &ROUTES);

use Access::{Guest, Manager, User};

static ROUTES: [Route<Endpoint>; 38] = [
    route("sign_up_client", "POST", "/api/unified/sessions/sign_up", Guest, |handler| handler.sign_up_client()),
    route("list_locations", "GET", "/api/unified/clubs/locations", Guest, |handler| handler.list_locations()),
    route("get_location", "GET", "/api/unified/clubs/locations/{id}", Guest, |handler| handler.get_location()),
    route("list_regions", "GET", "/api/unified/clubs/regions", User, |handler| handler.list_regions()),
    route("get_club_settings", "GET", "/api/unified/clubs/settings", User, |handler| handler.get_club_settings()),
    route("list_app_sections", "GET", "/api/unified/clubs/mobile_applications/settings", User, |handler| {
        handler.list_app_sections()
    }),
    route("list_countries", "GET", "/api/unified/lookups/countries", User, |handler| handler.list_countries()),
    route("list_announcements", "GET", "/api/unified/media/announcements", User, |handler| {
        handler.list_announcements()
    }),
    route("list_occurrences", "GET", "/api/unified/schedule/occurrences", User, |handler| handler.list_occurrences()),
    route("precheck_occurrence", "POST", "/api/unified/schedule/occurrences/{id}/precheck", User, |handler| {
        handler.precheck_occurrence()
    }),
    route("join_occurrence", "PUT", "/api/unified/schedule/occurrences/{id}/join", User, |handler| {
        handler.join_occurrence()
    }),
    route("cancel_occurrence", "DELETE", "/api/unified/schedule/occurrences/{id}/cancel", User, |handler| {
        handler.cancel_occurrence()
    }),
    route("create_appointment", "POST", "/api/unified/schedule/appointments", User, |handler| {
        handler.create_appointment()
    }),
    route("list_time_slots", "GET", "/api/unified/schedule/appointments/{id}/time_slots", User, |handler| {
        handler.list_time_slots()
    }),
    route("list_services", "GET", "/api/unified/services/services", User, |handler| handler.list_services()),
    route("list_activity_categories", "GET", "/api/unified/services/activity_categories", User, |handler| {
        handler.list_activity_categories()
    }),
    route("list_trainer_activities", "GET", "/api/unified/services/trainer_activities", User, |handler| {
        handler.list_trainer_activities()
    }),
    route("list_service_packages", "GET", "/api/unified/services/service_packages", Guest, |handler| {
        handler.list_service_packages()
    }),
    route("get_service_package", "GET", "/api/unified/services/service_packages/{id}", Guest, |handler| {
        handler.get_service_package()
    }),
    route("list_client_service_packages", "GET", "/api/unified/services/client_service_packages", User, |handler| {
        handler.list_client_service_packages()
    }),
    route("get_profile", "GET", "/api/unified/users/profile", User, |handler| handler.get_profile()),
    route("update_profile", "PUT", "/api/unified/users/profile", User, |handler| handler.update_profile()),
    route("update_family_permissions", "PUT", "/api/unified/users/profile/permissions", User, |handler| {
        handler.update_family_permissions()
    }),
    route("list_trainers", "GET", "/api/unified/users/trainers", User, |handler| handler.list_trainers()),
    route("get_trainer", "GET", "/api/unified/users/trainers/{id}", User, |handler| handler.get_trainer()),
    route("create_client", "POST", "/api/unified/users/clients", Manager, |handler| handler.create_client()),
    route("list_linked_clients", "GET", "/api/unified/users/clients/linked", User, |handler| {
        handler.list_linked_clients()
    }),
    route("get_client", "GET", "/api/unified/users/clients/{id}", User, |handler| handler.get_client()),
    route("apply_promocode", "PUT", "/api/unified/users/promocodes/apply", User, |handler| handler.apply_promocode()),
    route("create_purchase", "POST", "/api/unified/shop/shop/purchase", User, |handler| handler.create_purchase()),
    route("checkout_stripe", "POST", "/api/unified/shop/payments/stripe/checkout", User, |handler| {
        handler.checkout_stripe()
    }),
    route("confirm_stripe", "POST", "/api/unified/shop/payments/stripe/confirm", User, |handler| {
        handler.confirm_stripe()
    }),
    route("checkout_cash", "POST", "/api/unified/shop/payments/cash/checkout", User, |handler| handler.checkout_cash()),
    route("list_money_transactions", "GET", "/api/unified/transactions/money", Manager, |handler| {
        handler.list_money_transactions()
    }),
    route("list_credit_transactions", "GET", "/api/unified/transactions/credits", Manager, |handler| {
        handler.list_credit_transactions()
    }),
    route(
        "get_notification_settings",
        "GET",
        "/api/unified/settings/notification_settings_sets/personal",
        User,
        |handler| handler.get_notification_settings(),
    ),
    route(
        "update_notification_settings",
        "PUT",
        "/api/unified/settings/notification_settings_sets/{id}",
        User,
        |handler| handler.update_notification_settings(),
    ),
    route("get_spreedly_page", "GET", "/api/mobile/spreedly_express/init_flow/{id}.json", User, |handler| {
        handler.get_spreedly_page()
    }),
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
            assert_eq!(found, Ok(operation.id()), "{path}");
        }
    }

    #[test]
    fn a_path_yields_its_number_and_may_end_in_json() {
        for path in ["/api/unified/clubs/locations/12", "/api/unified/clubs/locations/12.json"] {
            let found = find(&Method::GET, path).expect(path);
            assert_eq!((found.route.operation, found.numbers()), ("get_location", vec![12]));
        }
        assert!(find(&Method::GET, "/api/unified/clubs/locations.json").is_ok());
    }

    #[test]
    fn unknown_paths_have_no_route_and_other_methods_get_those_of_the_path() {
        for path in [
            "",
            "/",
            "/api/unified/clubs",
            "/api/unified/clubs/locations/",
            "/api/unified/clubs/locations/x",
            "/api/unified/clubs/locations/99999999999999999999",
            "/clubs/locations",
            "/api/web/schedule/occurrences",
            "/api/mobile/spreedly_express/init_flow/7",
        ] {
            assert_eq!(find(&Method::GET, path).expect_err(path).allowed, [""; 0], "{path}");
        }
        let (join, clients) = ("/api/unified/schedule/occurrences/5/join", "/api/unified/users/clients");
        assert_eq!(find(&Method::POST, join).expect_err(join).allowed, ["PUT"]);
        assert_eq!(find(&Method::GET, clients).expect_err(clients).allowed, ["POST"]);
    }
}
