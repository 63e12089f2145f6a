//! A mock server of Fisikal, for tests.
//!
//! [`MockServer`] implements the 38 operations that the vendor's pages or working clients of the vendor name, below
//! `/api/unified`, and all three ways to get a token, with the data of a small fitness club. It is as strict as the
//! vendor is known or likely to be, so that a test that passes here means something:
//!
//! * **tokens**: `/oauth/token` takes the password grant as a form or as JSON, with the client credentials in the body
//!   or in the `Basic` header. With [`MockServerBuilder::with_refresh_tokens`] it issues refresh tokens, which rotate:
//!   a reused one revokes all tokens of its login. `/oauth/revoke` revokes tokens, and `/api/unified/sessions/auth`
//!   issues session tokens. A request with an unknown, revoked or expired token gets 401 with an empty body and the
//!   reason in `WWW-Authenticate`.
//! * **roles**: a manager acts for every client; a client acts for itself and for the clients that it may book for; a
//!   guest reads locations and packages and signs up.
//! * **parameters**: as JSON in the parameter `json`, with brackets, or flat. Filters and sort fields that a list does
//!   not have are errors, and so is a `limit` without `start` or `count`.
//! * **bookings**: a class has a size and a booking window, and takes a credit. A rejected booking has its reasons in
//!   `errors`, in a response with status 200 unless configured otherwise.
//!
//! An unknown path gets 404 and an unknown method 405, with a `message` that names similar operations. Waiting lists,
//! strikes, appointment limits and `/api/web` are not implemented, because it is not public how the Unified API handles them.
//!
//! # Data
//!
//! | | |
//! | --- | --- |
//! | application | [`MockServer::CLIENT_ID`], [`MockServer::CLIENT_SECRET`] |
//! | manager | 1001, `manager@club.example`, password `manager-password` |
//! | clients | 2001 (`client@club.example`, `client-password`) may book for 2002 and has credits; 2002 (`ben@`) has one credit left; 2003 (`cal@`) has none; the EGYM token of each is `test-egym-` and its id |
//! | trainers | 3001 (`trainer@`, `trainer-password`) and 3002 |
//! | locations | the sites 1, 2 and the hidden 3; the rooms 11, 12, 21, 22 |
//! | services | 1 takes 45 minutes, 2 and 3 take an hour, which they write in different ways |
//! | classes | 1 is over; 2 cannot be booked yet; 3 is full; 4 starts too soon to be canceled; 5 is free; 6 starts at the same time as 5; 7 is read-only; 8 is not visible on the schedule; ids from 100 are two classes a day, from two weeks ago to two weeks ahead of the server's clock |
//! | trainer activities | 1 is service 3 by trainer 3001 at location 1, with free slots from 9:00 to 17:00 UTC |
//! | packages | 1 to 3, as products 101 to 103 |
//! | promo codes | `TENOFF`, `FIVEOFF` |
//! | money | 60 transactions, one a day from March 1, 2026, every tenth of them a refund |
//! | Stripe | the payment method `pm_confirm` needs a confirmation; every other one pays at once |
//!
//! # Assumptions
//!
//! [`MockServerBuilder`] sets most of what the vendor's pages leave open. These assumptions are fixed: a booking is
//! checked for its window, a double booking, free places, credits and overlaps, in this order; a full class gives no
//! reason, as in the vendor's portal; a list without `limit` is sent whole; an unknown location is null; an unknown
//! promo code gives no discount.

mod auth;
mod builder;
mod catalog;
mod class;
mod client;
mod error_response;
mod handler;
mod list;
mod mock_server;
mod options;
mod packages;
mod params;
mod people;
mod purchases;
mod routes;
mod schedule;
mod server;
mod store;
mod token_form;

pub use self::builder::MockServerBuilder;
pub use self::mock_server::MockServer;
pub use self::people::Role;
