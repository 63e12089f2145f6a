//! Vendors in a box: for this crate's tests, and for yours.
//!
//! A **tenant** is a vendor's server as far as its documentation and its working clients tell how that behaves: it
//! checks tokens and scopes, counts requests against a limit, keeps what you write and finds it again, pages, filters,
//! and refuses what the vendor would refuse. Your integration talks to it over real sockets and does not know the
//! difference; and you can order it to misbehave in every way that a network knows.
//!
//! | vendor | tenant |
//! | --- | --- |
//! | Fentu FSM | [`fentu::MockServer`] |
//! | Fisikal | [`fisikal::MockServer`] |
//! | Fixably | [`fixably::MockServer`] |
//! | Repairy | [`repairy::MockServer`] |
//!
//! | you want to | take |
//! | --- | --- |
//! | run your code against a server | [`fixably::MockServer::start`] |
//! | see it survive an outage | [`Fault`] |
//! | see what it sent | [`Counters`], [`RecordedRequest`], [`TokenRequest`] |
//! | replace one endpoint by your own answer | a [`wiremock::Mock`] on [`fixably::MockServer::server`] |
//! | let months pass in milliseconds | [`fixably::MockServerBuilder::in_memory`] under tokio's paused clock |
//! | set the clock of the machine | [`WallClock`], from a [`Transport`] of your own around the tenant |
//! | give a client a list of answers and nothing else | [`Script`] |
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), servicebay::Error> {
//! use serde_json::json;
//! use servicebay::testing::Fault;
//! use servicebay::testing::fixably::MockServer;
//!
//! let tenant = MockServer::start().await;
//!
//! // Does an order still come through on the day the vendor adds a place where devices can be?
//! tenant.fault(Fault::field("internalLocation", json!("LOCKER")));
//! let order = tenant.client()?.get_order().id(20000010).send().await?;
//!
//! assert_eq!(order.internal_location.as_ref().map(|place| place.as_str()), Some("LOCKER"));
//! assert_eq!(tenant.counters().operation("get_order"), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Endpoints that you mount yourself are asked before the tenant:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), servicebay::Error> {
//! use http::Method;
//! use servicebay::testing::fixably::MockServer;
//! use wiremock::matchers::path;
//! use wiremock::{Mock, ResponseTemplate};
//!
//! let tenant = MockServer::start().await;
//! let server = tenant.server().expect("a started tenant has a server");
//! let report = ResponseTemplate::new(200).set_body_string(r#"{"repairs": 12}"#);
//! Mock::given(path("/api/v3/reports/today")).respond_with(report).mount(server).await;
//!
//! let report = tenant.client()?.request(Method::GET, "reports/today").send::<serde_json::Value>().await?;
//! assert_eq!(report["repairs"], 12);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here is random, and nothing leaves the machine. The module exists with the feature `testing`, which adds
//! wiremock to the build; keep it among your `dev-dependencies`.

mod authorization;
mod body;
mod clock;
mod counters;
mod desk;
mod fault;
#[cfg(feature = "fentu")]
pub mod fentu;
#[cfg(feature = "fisikal")]
pub mod fisikal;
#[cfg(feature = "fixably")]
pub mod fixably;
mod grants;
mod limit;
mod mock_server;
#[cfg(feature = "repairy")]
#[doc(hidden)]
pub mod probe;
mod query;
#[cfg(feature = "repairy")]
pub mod repairy;
mod reply;
mod script;
mod serve;
mod template;
mod token_log;

pub use self::counters::{Counters, RecordedRequest, TokenSeen};
pub use self::fault::Fault;
pub use self::limit::ResetFormat;
pub use self::script::{Script, ScriptRequest, Step};
pub use self::token_log::{TokenRequest, TokenRequestKind};

pub use crate::clock::WallClock;
pub use crate::transport::{Transport, TransportError};
