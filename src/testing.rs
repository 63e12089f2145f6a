//! Mock servers of the vendors, for this crate's tests and for yours.
//!
//! A **mock server** is a stateful stand-in for a vendor's API. It checks tokens and scopes, enforces a rate limit,
//! stores what you write, pages and filters lists, and refuses what the vendor would refuse. Your integration calls it
//! over real sockets and cannot tell the difference. Unlike the vendor, it fails on demand: it can drop a response,
//! send an unknown enum value, or reach its rate limit whenever your test asks for it.
//!
//! | vendor | mock server | credentials that it accepts |
//! | --- | --- | --- |
//! | Fentu FSM | [`fentu::MockServer`] | API keys, OAuth with PKCE |
//! | Fisikal | [`fisikal::MockServer`] | OAuth password grant, sessions |
//! | Fixably | [`fixably::MockServer`] | bearer tokens, legacy user tokens |
//! | Repairy | [`repairy::MockServer`] | app key and secret of a partner |
//!
//! Each module describes how its server behaves, which data it starts with, and what it assumes where the vendor's
//! documentation says nothing. The feature `testing` adds wiremock to the build, so enable it in your
//! `dev-dependencies` only. Nothing is random, and no request leaves the machine.
//!
//! # A first test
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), servicebay::Error> {
//! use servicebay::fixably::types::OrderUpdate;
//! use servicebay::testing::fixably::MockServer;
//!
//! let server = MockServer::start().await;
//! let client = server.client()?; // or your own code, with server.base_url() and a token of the server
//!
//! client.update_order().id(20000010).body(OrderUpdate::new().status(457)).send().await?;
//!
//! assert!(server.order(20000010)["status"]["href"].as_str().unwrap().ends_with("/statuses/457"));
//! assert_eq!(server.counters().operation("update_order"), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Faults
//!
//! A [`Fault`] makes the next request fail, or changes its response:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), servicebay::Error> {
//! use serde_json::json;
//! use servicebay::testing::Fault;
//! use servicebay::testing::fixably::MockServer;
//!
//! let server = MockServer::start().await;
//!
//! // The vendor adds a location that this version does not know. Can the order still be read?
//! server.fault(Fault::field("internalLocation", json!("LOCKER")));
//! let order = server.client()?.get_order().id(20000010).send().await?;
//!
//! assert_eq!(order.internal_location.as_ref().map(|location| location.as_str()), Some("LOCKER"));
//! # Ok(())
//! # }
//! ```
//!
//! # Rate limits and clocks
//!
//! A server [in memory](fixably::MockServerBuilder::in_memory) uses no socket, and its delays, rate-limit windows and
//! token lifetimes follow tokio's paused clock. A test can wait for an hour, or run for months, in milliseconds:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), servicebay::Error> {
//! use servicebay::testing::fixably::{MockServer, TokenKind};
//!
//! let server = MockServer::builder().in_memory();
//! server.exhaust_rate_limit();
//!
//! let before = server.now();
//! server.client()?.get_order().id(20000010).send().await?; // waits for the next window
//! assert!(server.now().duration_since(before).as_secs() >= 59);
//! # Ok(())
//! # }
//! ```
//!
//! [`skew`](fixably::MockServer::skew) shifts the clock that the server shows. To set the wall clock that a client
//! reads, wrap the server in your own [`Transport`](crate::Transport) with an [`Environment`] that has a
//! [`WallClock`]. An environment also [spawns](Environment::spawn) the background tasks of its clients, and can abort them as the end of a
//! process does.
//!
//! # Your own mocks
//!
//! Mocks that you mount on the server's wiremock server come before it:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), servicebay::Error> {
//! use http::Method;
//! use servicebay::testing::fixably::MockServer;
//! use wiremock::matchers::path;
//! use wiremock::{Mock, ResponseTemplate};
//!
//! let server = MockServer::start().await;
//! let wiremock = server.server().expect("a started server has a wiremock server");
//! let report = ResponseTemplate::new(200).set_body_string(r#"{"repairs": 12}"#);
//! Mock::given(path("/api/v3/reports/today")).respond_with(report).mount(wiremock).await;
//!
//! let report = server.client()?.request(Method::GET, "reports/today").send::<serde_json::Value>().await?;
//! assert_eq!(report["repairs"], 12);
//! # Ok(())
//! # }
//! ```
//!
//! # Assertions
//!
//! | to check | use |
//! | --- | --- |
//! | what the server holds | its lists, such as [`orders`](fixably::MockServer::orders), [`work_orders`](fentu::MockServer::work_orders), [`clients`](fisikal::MockServer::clients) and [`bookings`](repairy::MockServer::bookings), and [`snapshot`](fixably::MockServer::snapshot) for the response to any GET |
//! | that every request was one of the vendor's operations | [`Counters::unknown`], and [`RecordedRequest::problem`], which names the path and similar operations |
//! | how many requests arrived, by operation, status and token | [`Counters`] |
//! | which requests arrived, and when | [`RecordedRequest`] |
//! | logins, refreshes and revocations | [`TokenRequest`] |
//! | that every fault has happened | [`pending_faults`](fixably::MockServer::pending_faults) |
//!
//! For a test of the client alone, such as "two failures, then a success", a [`Script`] returns a list of responses
//! without any server.
//!
//! # Recordings
//!
//! A [`Recorder`] records a session with a real tenant, scrubs it of secrets and personal data, and writes it to a file; a
//! [`Replay`] plays the file in a test, on the paused clock. [`Recording`] says what scrubbing promises and what it does not.
//!
//! # Token stores
//!
//! [`token_store::check`] checks a [`TokenStore`](crate::TokenStore) of your own.
//!
//! # Inside
//!
//! How a mock server is built, if you want to change one. A request takes this path:
//!
//! ```text
//! socket → sockets.rs ─┐
//!                      ├→ test_server.rs → <vendor>/server.rs → auth.rs → routes.rs → handler.rs → store.rs
//! client in memory ────┘  faults, log,     rate limit,          who is    which       what it     the data
//!                         Date             order of checks      it?       operation?  does
//! ```
//!
//! `test_server.rs` is the file to read first. It runs every vendor's server through the trait `VendorServer`. Each
//! vendor has the same files:
//!
//! | file | holds |
//! | --- | --- |
//! | `<vendor>.rs` | the docs, and the exports |
//! | `mock_server.rs` | `MockServer`, the public handle; the macros in `testing/mock_server.rs` define what all vendors share |
//! | `builder.rs`, `options.rs` | `MockServerBuilder`, and the options that it sets |
//! | `client.rs` | clients of the server |
//! | `server.rs` | the state, and the order of the checks: the vendor's `VendorServer` |
//! | `auth.rs` | credentials and tokens |
//! | `routes.rs` | one row per operation: name, method, path, permission, action; `testing/router.rs` finds the row |
//! | `handler.rs` | what the operations do |
//! | `error_response.rs` | errors in the vendor's form, as a shared `ErrorResponse` |
//! | `store.rs`, `seed.rs` | the stored data, and the data at the start |
//!
//! Anything else has a file named by one noun, such as `schema.rs`, `filter.rs` or `view.rs`. Files import what is
//! below them in this table or beside it, never each other in a circle; `<vendor>.rs` is imported by none.
//! `docs/design/testing.md` has the decisions and their reasons.

mod authorization;
mod body;
mod clock;
mod counters;
mod error_response;
mod fault;
#[cfg(feature = "fentu")]
pub mod fentu;
#[cfg(feature = "fisikal")]
pub mod fisikal;
#[cfg(feature = "fixably")]
pub mod fixably;
mod keep;
#[cfg(all(test, feature = "fixably"))]
mod keyed_write;
mod mock_server;
mod mock_server_builder;
mod path_template;
#[doc(hidden)]
pub mod probe;
mod pseudonyms;
mod query;
mod rate_limit;
mod recorder;
mod recording;
#[cfg(feature = "repairy")]
pub mod repairy;
mod replay;
mod request_log;
mod response;
mod router;
mod script;
mod scrub;
mod similar_names;
mod sockets;
mod test_server;
mod token_issuer;
mod token_log;
pub mod token_store;

pub use self::authorization::TokenSeen;
pub use self::counters::Counters;
pub use self::fault::Fault;
pub use self::keep::Keep;
pub use self::rate_limit::ResetFormat;
pub use self::recorder::Recorder;
pub use self::recording::{Recording, RecordingError};
pub use self::replay::Replay;
pub use self::request_log::RecordedRequest;
pub use self::script::{Script, ScriptRequest, Step};
pub use self::token_log::{TokenRequest, TokenRequestKind};

pub use crate::clock::WallClock;
pub use crate::transport::Environment;
