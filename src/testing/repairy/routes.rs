//! Every operation whose address is known, and the two that give tokens.

use http::Method;

use super::refusal::Refusal;

/// What a request asks for, with the ids in its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action<'a> {
    Book,
    LogIn,
    /// The path of this one is assumed.
    ListAvailabilities(&'a str),
    ListServices(&'a str),
    MoveBooking(&'a str, &'a str),
    Quote,
    ReadBooking(&'a str),
    ReadReminder(&'a str),
    Refresh,
    Remind,
    UpdateBooking(&'a str),
}

impl Action<'_> {
    /// Its name in the crate's clients, in counters and in logs; the two that no client names have one here.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Book => "create_booking",
            Self::LogIn => "log_in",
            Self::ListAvailabilities(_) => "list_availabilities",
            Self::ListServices(_) => "list_workshop_services",
            Self::MoveBooking(..) => "update_booking_status",
            Self::Quote => "create_quote",
            Self::ReadBooking(_) => "get_booking",
            Self::ReadReminder(_) => "get_service_reminder",
            Self::Refresh => "refresh",
            Self::Remind => "create_service_reminder",
            Self::UpdateBooking(_) => "update_booking",
        }
    }
}

/// Finds what a method and a path relative to the base URL ask for.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<Action<'a>, Refusal> {
    let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let allow = match (method.as_str(), segments.as_slice()) {
        ("POST", ["auth", "token"]) => return Ok(Action::LogIn),
        ("POST", ["auth", "refresh"]) => return Ok(Action::Refresh),
        ("GET", ["workshops", id, "availabilities"]) => return Ok(Action::ListAvailabilities(id)),
        ("GET", ["workshops", id, "services"]) => return Ok(Action::ListServices(id)),
        ("POST", ["bookings"]) => return Ok(Action::Book),
        ("GET", ["bookings", id]) => return Ok(Action::ReadBooking(id)),
        ("PUT", ["bookings", id]) => return Ok(Action::UpdateBooking(id)),
        ("POST", ["quotes"]) => return Ok(Action::Quote),
        ("POST", ["reminders", "services"]) => return Ok(Action::Remind),
        ("GET", ["reminders", "services", id]) => return Ok(Action::ReadReminder(id)),
        // The status has any text, so this comes after whatever else may come to live under a booking.
        ("POST", ["bookings", id, status]) => return Ok(Action::MoveBooking(id, status)),
        (_, ["bookings", _]) => "GET, PUT",
        (_, ["workshops", _, "availabilities" | "services"] | ["reminders", "services", _]) => "GET",
        (_, ["auth", "token" | "refresh"] | ["bookings" | "quotes"] | ["reminders", "services"]) => "POST",
        (_, ["bookings", _, _]) => "POST",
        _ => return Err(Refusal::not_found()),
    };
    Err(Refusal::method_not_allowed(allow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repairy::operations;

    #[test]
    fn every_operation_of_the_client_has_its_place() {
        for operation in operations::ALL {
            let path: Vec<_> = operation.path().split('/').map(|part| part.trim_matches(['{', '}'])).collect();
            let path = path.join("/");
            let found = find(operation.method(), &path).map(Action::operation);
            assert_eq!(found, Ok(operation.id()), "{path}");
        }
        assert_eq!(operations::ALL.len(), 9);
    }

    #[test]
    fn paths_that_nobody_names_are_not_found() {
        for path in ["", "/", "/workshops", "/workshops/1", "/bookings/1/completed/2", "/reminders", "/leads", "/auth"]
        {
            assert_eq!(find(&Method::GET, path), Err(Refusal::not_found()), "{path}");
        }
    }

    #[test]
    fn methods_that_nobody_names_are_told_the_ones_that_are() {
        for (method, path, allow) in [
            (Method::GET, "/bookings", "POST"),
            (Method::DELETE, "/bookings/1", "GET, PUT"),
            (Method::GET, "/bookings/1/completed", "POST"),
            (Method::PUT, "/quotes", "POST"),
            (Method::POST, "/workshops/1/services", "GET"),
            (Method::GET, "/auth/token", "POST"),
        ] {
            assert_eq!(find(&method, path), Err(Refusal::method_not_allowed(allow)), "{method} {path}");
        }
    }
}
