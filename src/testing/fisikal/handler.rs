//! The operations, which read and change the store: what they share. The modules below have them by resource.

mod clubs;
mod people;
mod schedule;
mod services;
mod shop;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::auth::{Auth, Caller};
use super::error_response::{forbidden, invalid, not_found, unauthorized};
use super::options::Options;
use super::params::number;
use super::people::Role;
use super::store::Store;
use crate::testing::error_response::ErrorResponse;

/// Carries out one request whose caller may call the operation.
#[derive(Debug)]
pub(super) struct Handler<'a> {
    pub(super) base_url: &'a str,
    pub(super) options: &'a Options,
    pub(super) store: &'a mut Store,
    pub(super) auth: &'a mut Auth,
    /// `None` for a guest.
    pub(super) caller: Option<Caller>,
    /// The true time.
    pub(super) now: Timestamp,
    /// The number in the path; 0 if it has none.
    pub(super) id: i64,
    pub(super) params: Map<String, Value>,
    pub(super) body: Map<String, Value>,
}

/// The body of a successful response, or an error.
pub(super) type HandlerResult = Result<Value, ErrorResponse>;

impl Handler<'_> {
    fn caller(&self) -> Result<Caller, ErrorResponse> {
        self.caller.ok_or_else(unauthorized)
    }

    fn user(&self) -> Option<i64> {
        self.caller.map(|caller| caller.user)
    }

    /// Checks that the caller may act for a client: staff may for every client, a client for itself and for the clients
    /// that it may book for.
    fn may_act_for(&self, client: i64) -> Result<(), ErrorResponse> {
        let caller = self.caller()?;
        let people = &self.store.people;
        let exists = people.client(client).is_some() || client == caller.user;
        let permitted = people.get(caller.user).is_some_and(|person| person.may_book_for(client));
        match (caller.role, exists, permitted) {
            (Role::Client, _, false) => Err(forbidden()),
            (_, false, _) => Err(not_found()),
            _ => Ok(()),
        }
    }

    /// The client in the body; by default the caller, if that is a client.
    fn client_in_body(&self) -> Result<i64, ErrorResponse> {
        let caller = self.caller()?;
        let own = (caller.role == Role::Client).then_some(caller.user);
        let client = self.body.get("client_id").and_then(number).or(own);
        let client = client.ok_or_else(|| invalid("client_id"))?;
        self.may_act_for(client)?;
        Ok(client)
    }

    /// The object in the body under this name.
    fn body_object(&self, name: &str) -> Result<Map<String, Value>, ErrorResponse> {
        self.body.get(name).and_then(Value::as_object).cloned().ok_or_else(|| invalid(name))
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::MockServer;
    use super::*;

    #[test]
    fn a_client_acts_for_itself_and_for_the_clients_that_it_may_book_for() {
        let server = MockServer::builder().in_memory();
        for (client, status) in [(2001, 200), (2002, 200), (2003, 403), (9999, 403)] {
            let path = "/schedule/occurrences/5/precheck";
            let body = json!({"client_id": client});
            assert_eq!(server.request_as(Role::Client, "POST", path, Some(body)).0, status, "{client}");
        }
        assert_eq!(server.request_as(Role::Manager, "GET", "/users/clients/9999", None).0, 404);
        assert_eq!(server.request_as(Role::Client, "GET", "/transactions/money", None).0, 403);
    }
}
