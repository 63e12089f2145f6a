//! The operations of the API: those whose paths are documented, the one whose path is assumed, and the two that issue
//! tokens.

use bytes::Bytes;
use http::Request;
use jiff::Timestamp;
use serde_json::Value;

use super::auth::Auth;
use super::handler::{Handler, HandlerResult};
use super::partner::Partner;
use crate::testing::error_response::ErrorResponse;
use crate::testing::request_log::RequestLog;
use crate::testing::router::{IdFormat, Route, Router};

/// What an operation does.
#[derive(Debug)]
pub(super) enum Endpoint {
    /// Needs an access token. `params` are its query parameters.
    WithToken { action: Action, params: &'static [&'static str] },
    /// Issues tokens.
    Token(TokenAction),
}

pub(super) type Action = fn(&mut Handler<'_>) -> HandlerResult;

pub(super) type TokenAction =
    fn(&mut Auth, Partner, &Request<Bytes>, Timestamp, &mut RequestLog) -> Result<Value, ErrorResponse>;

pub(super) static ROUTER: Router<Endpoint> = Router::new(IdFormat::Text, &ROUTES);

const fn with_token(action: Action) -> Endpoint {
    Endpoint::WithToken { action, params: &[] }
}

static ROUTES: [Route<Endpoint>; 11] = [
    Route::new("log_in", "POST", "/auth/token", Endpoint::Token(Auth::log_in)),
    Route::new("refresh", "POST", "/auth/refresh", Endpoint::Token(Auth::refresh)),
    // This path is assumed.
    Route::new(
        "list_availabilities",
        "GET",
        "/workshops/{id}/availabilities",
        Endpoint::WithToken {
            action: |handler| handler.list_availabilities(),
            params: &["startDate", "endDate", "serviceCategory", "catalogId"],
        },
    ),
    Route::new(
        "list_workshop_services",
        "GET",
        "/workshops/{id}/services",
        with_token(|handler| handler.list_workshop_services()),
    ),
    Route::new("create_booking", "POST", "/bookings", with_token(|handler| handler.create_booking())),
    Route::new("get_booking", "GET", "/bookings/{id}", with_token(|handler| handler.get_booking())),
    Route::new("update_booking", "PUT", "/bookings/{id}", with_token(|handler| handler.update_booking())),
    Route::new(
        "update_booking_status",
        "POST",
        "/bookings/{id}/{status}",
        with_token(|handler| handler.update_booking_status()),
    ),
    Route::new("create_quote", "POST", "/quotes", with_token(|handler| handler.create_quote())),
    Route::new(
        "create_service_reminder",
        "POST",
        "/reminders/services",
        with_token(|handler| handler.create_service_reminder()),
    ),
    Route::new(
        "get_service_reminder",
        "GET",
        "/reminders/services/{id}",
        with_token(|handler| handler.get_service_reminder()),
    ),
];

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::repairy::operations;

    /// The name of the operation, or the methods of the path.
    fn find(method: &Method, path: &str) -> Result<&'static str, Vec<&'static str>> {
        ROUTER.find(method, path).map(|found| found.route.operation).map_err(|reason| reason.allowed)
    }

    #[test]
    fn every_operation_of_the_client_has_a_route() {
        for operation in operations::ALL {
            let path = operation.path().replace(['{', '}'], "");
            assert_eq!(find(operation.method(), &path), Ok(operation.id()), "{path}");
        }
        assert_eq!(operations::ALL.len(), 9);
    }

    #[test]
    fn unknown_paths_have_no_route() {
        for path in ["", "/", "/workshops", "/workshops/1", "/bookings/1/completed/2", "/reminders", "/leads", "/auth"]
        {
            assert_eq!(find(&Method::GET, path), Err(Vec::new()), "{path}");
        }
    }

    #[test]
    fn an_unknown_method_gets_the_methods_of_the_path() {
        for (method, path, allowed) in [
            (Method::GET, "/bookings", vec!["POST"]),
            (Method::DELETE, "/bookings/1", vec!["GET", "PUT"]),
            (Method::GET, "/bookings/1/completed", vec!["POST"]),
            (Method::PUT, "/quotes", vec!["POST"]),
            (Method::POST, "/workshops/1/services", vec!["GET"]),
            (Method::GET, "/auth/token", vec!["POST"]),
        ] {
            assert_eq!(find(&method, path), Err(allowed), "{method} {path}");
        }
    }
}
