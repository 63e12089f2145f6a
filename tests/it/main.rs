//! Tests of the crate through its public API, one topic per file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "a test spawns what it awaits")]

mod auth;
mod bad_input;
#[cfg(feature = "blocking")]
mod blocking;
mod cache;
mod call_options;
mod config;
mod conformance;
mod contracts;
#[cfg(all(unix, feature = "fentu"))]
mod crash;
mod downloads;
mod errors;
#[cfg(feature = "fentu")]
mod fentu;
#[cfg(feature = "fisikal")]
mod fisikal;
mod fixably;
#[cfg_attr(not(feature = "fentu"), allow(dead_code, reason = "only the tests of Fentu read tokens from files"))]
mod folder;
mod forward_to_store;
mod front_page;
mod generated;
mod guides;
mod hooked_store;
mod idempotency_keys;
mod layers;
mod limits;
#[cfg(all(feature = "fentu", feature = "fisikal", feature = "repairy"))]
mod mock_servers;
mod observability;
#[cfg(all(feature = "fentu", feature = "fisikal", feature = "repairy"))]
mod own_values;
mod pacing;
mod paging;
mod postponed;
mod raw_requests;
mod reconcile;
#[cfg(all(feature = "fentu", feature = "fisikal"))]
mod recordings;
mod repairy;
mod requests;
mod retries;
#[cfg(feature = "fentu")]
mod runtimes;
mod secrets;
mod simulation;
mod sockets;
mod source_code;
#[cfg(feature = "fentu")]
mod store_conformance;
#[cfg(feature = "fentu")]
mod stores;
mod support;
#[cfg(all(feature = "fentu", feature = "fisikal", feature = "repairy"))]
mod tenants;
mod token_abuse;
mod tokens;
#[cfg(feature = "fisikal")]
mod transports;
#[cfg(feature = "fisikal")]
mod unknown_host;
mod uploads;
#[cfg(feature = "fentu")]
mod values;
mod vocabulary;
#[cfg(all(feature = "repairy", feature = "webhooks"))]
mod webhooks;
mod writes;
