//! A Fisikal tenant for tests.
//!
//! [`MockServer`] answers the 38 operations that Fisikal's pages or its working clients name, below `/api/unified`, and the
//! three ways to a token, from a small fitness club's worth of data. It is as strict as the vendor is known or likely to be,
//! so that what passes here is worth trying there:
//!
//! * **tokens**: `/oauth/token` with the password grant, as a form or JSON, with the application in the body or the `Basic`
//!   header; refresh tokens where [`MockServerBuilder::with_refresh_tokens`] asks for them, which rotate, and whose second use
//!   revokes all that came of them; `/oauth/revoke`; and the log-in at `/api/unified/sessions/auth`. A token that is unknown,
//!   revoked or expired gets 401 with an empty body and a `WWW-Authenticate` that says why.
//! * **roles**: a manager acts for every client, a client for itself and for whom it may book, and a guest sees locations
//!   and packages and may sign up.
//! * **parameters**: in the query parameter `json`, with brackets, or flat. A filter or a sorting that a list does not have is
//!   refused, and so is half a `limit`.
//! * **bookings**: a class has places, a booking window, and takes a credit; what stands in the way comes in `errors`, inside a
//!   200 unless chosen otherwise.
//!
//! An unknown path gets 404. There are no waiting lists, strikes, limits of appointments or `/api/web`, because nothing
//! public says how the Unified API has them.
//!
//! # What is there
//!
//! | | |
//! | --- | --- |
//! | application | [`MockServer::CLIENT_ID`], [`MockServer::CLIENT_SECRET`] |
//! | manager | 1001, `manager@club.example`, password `manager-password` |
//! | clients | 2001 (`client@club.example`, `client-password`) may book for 2002 and has credits; 2002 (`ben@`) has one credit left; 2003 (`cal@`) has none; the EGYM token of each is `test-egym-` and its number |
//! | trainers | 3001 (`trainer@`, `trainer-password`) and 3002 |
//! | locations | the sites 1, 2 and the hidden 3; the rooms 11, 12, 21, 22 |
//! | services | 1 takes 45 minutes, 2 and 3 an hour, which they write in different ways |
//! | classes | 1 is over; 2 cannot be booked yet; 3 is full; 4 begins too soon to be cancelled; 5 is free; 6 is at the same time; 7 can only be looked at; 8 is not in the schedule; and from 100 on two a day, from two weeks ago to two weeks ahead, wherever the clock goes |
//! | offers | 1 is service 3 by trainer 3001 at location 1, with free slots from 9:00 to 17:00 UTC |
//! | packages | 1 to 3, as products 101 to 103 |
//! | promo codes | `TENOFF`, `FIVEOFF` |
//! | money | 60 transactions, one a day from 1 March 2026, every tenth an outgoing one |
//! | Stripe | the method `pm_confirm` has to be confirmed by its owner, every other pays |
//!
//! # Choices
//!
//! Where the vendor's pages say nothing, the tenant chooses, and [`MockServerBuilder`] lets you choose otherwise. Some choices are
//! fixed: what a booking is checked for comes in the order window, double booking, places, credits, clash; a full class is
//! refused without a reason, as the vendor's portal does; a list without `limit` is sent whole; a location that does not
//! exist is null; a promo code that nobody gave out takes nothing off.

mod builder;
mod call;
mod catalogue;
mod client;
mod club;
mod door;
mod lists;
mod params;
mod people;
mod refusal;
mod routes;
mod schedule;
mod wares;

use std::collections::BTreeSet;

pub use self::builder::MockServerBuilder;
use self::club::Club;
pub use self::people::Role;

super::mock_server::mock_server! {
    Club,
    /// A stateful stand-in for one instance of Fisikal, on real sockets or in memory.
    ///
    /// Clones are handles to the same tenant. The [module](self) tells how it behaves and what data it has.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::fisikal::types::ForClient;
    /// use servicebay::testing::fisikal::{Role, MockServer};
    ///
    /// let tenant = MockServer::start().await;
    ///
    /// // Whatever your code does with a client:
    /// let client = tenant.client_as(Role::Client)?;
    /// let class = client.join_occurrence().id(5).body(ForClient::new(2001)).send().await?;
    /// assert_eq!(class.is_joined, Some(true));
    ///
    /// // What the tenant saw of it:
    /// assert_eq!(tenant.counters().operation("join_occurrence"), 1);
    /// # Ok(())
    /// # }
    /// ```
}

super::mock_server::token_methods!(door.grants);

impl MockServer {
    /// The id of the OAuth2 application that every tenant has.
    pub const CLIENT_ID: &str = door::CLIENT_ID;
    /// The secret of that application. It is none, and not made like one.
    pub const CLIENT_SECRET: &str = door::CLIENT_SECRET;

    /// The e-mail address and password of the person of this role.
    #[must_use]
    pub fn login(&self, role: Role) -> (String, String) {
        let state = self.server.state();
        let (email, password) = state.vendor.people.login(role).expect("every role has a person");
        (email.to_owned(), password.to_owned())
    }

    /// A new access token of the manager, as `/oauth/token` would answer it. Counted as no request and no login.
    #[must_use]
    pub fn access_token(&self) -> String {
        let now = self.now();
        let club = &mut self.server.state().vendor;
        club.door.log_in(club.caller(Role::Manager), BTreeSet::new(), now).access
    }

    /// A new session token of the person of this role, as a log-in would answer it. Counted as no request and no login.
    #[must_use]
    pub fn session_token(&self, role: Role) -> String {
        let now = self.now();
        let club = &mut self.server.state().vendor;
        club.door.begin_session(club.caller(role), now).access
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_reaches_a_tenant_over_sockets_and_in_memory() {
        for tenant in [MockServer::start().await, MockServer::builder().in_memory()] {
            let page = tenant.client().unwrap().list_locations().send().await.unwrap();
            assert_eq!(page.count, Some(7));
        }
    }

    #[test]
    fn the_debug_form_of_a_tenant_has_no_token() {
        let tenant = MockServer::builder().in_memory();
        let token = tenant.access_token();
        assert!(!format!("{tenant:?}").contains(&token));
    }
}
