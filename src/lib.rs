// The front page is the README, which links to files beside it. Rustdoc does not publish them, so these definitions come first
// and replace the README's: the picture itself, and the files as docs.rs shows them.
#![doc = concat!("[pacing]: ", include_str!("../docs/pacing.uri"))]
//! [architecture]: https://docs.rs/crate/servicebay/latest/source/ARCHITECTURE.md
//! [changelog]: https://docs.rs/crate/servicebay/latest/source/CHANGELOG.md
//! [contracts]: https://docs.rs/crate/servicebay/latest/source/docs/contracts.md
//! [contributing]: https://docs.rs/crate/servicebay/latest/source/CONTRIBUTING.md
//! [peers]: https://docs.rs/crate/servicebay/latest/source/docs/peers.md
//! [performance]: https://docs.rs/crate/servicebay/latest/source/docs/performance.md
//!
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Shared code is unused if the only vendor that needs it is turned off.
#![cfg_attr(
    not(all(feature = "fentu", feature = "fisikal", feature = "fixably", feature = "repairy")),
    allow(dead_code, unused_imports, unused_macros, unreachable_pub)
)]

// In reading order. First the loop that every call goes through, and the policies that it calls:
mod pipeline;

mod auth;
mod limit;
mod list_changes;
mod response_cache;
mod retry;
mod transport;

// What leads to the loop: clients, requests, responses, and what is built on them.
mod builder;
mod call_headers;
mod client;
mod client_inner;
mod decode;
mod download;
mod id;
mod multipart;
mod options;
mod page;
mod prepared_request;
mod priority;
mod raw;
mod raw_list;
mod reconcile;
mod request;
mod response;
mod tenants;

// What all of them use.
mod amount;
mod base_url;
mod clock;
mod envelope;
mod error;
mod idempotency_key;
mod json_repair;
mod lenient;
mod observer;
mod open;
mod operation;
mod operation_builder;
mod telemetry;
mod vendor;

pub mod observability;

#[cfg(feature = "blocking")]
#[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
pub mod blocking;

#[cfg(feature = "webhooks")]
#[cfg_attr(docsrs, doc(cfg(feature = "webhooks")))]
pub mod webhook;

// The vendors: generated operations and types, and what is special about each.
#[cfg(feature = "fentu")]
#[cfg_attr(docsrs, doc(cfg(feature = "fentu")))]
pub mod fentu;

#[cfg(feature = "fisikal")]
#[cfg_attr(docsrs, doc(cfg(feature = "fisikal")))]
pub mod fisikal;

#[cfg(feature = "fixably")]
#[cfg_attr(docsrs, doc(cfg(feature = "fixably")))]
pub mod fixably;

#[cfg(feature = "repairy")]
#[cfg_attr(docsrs, doc(cfg(feature = "repairy")))]
pub mod repairy;

#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;

pub use self::amount::{Amount, ParseAmountError};
#[cfg(feature = "keychain")]
#[cfg_attr(docsrs, doc(cfg(feature = "keychain")))]
pub use self::auth::KeychainStore;
pub use self::auth::{
    AuthStatus, CompareAndSwap, FileStore, Lease, MAX_LEASE, MemoryStore, TokenKey, TokenSet, TokenStore,
};
pub use self::builder::ClientBuilder;
pub use self::download::Download;
pub use self::error::{
    CallError, ConfigError, DecodeError, Error, Postponed, RateLimitedError, RequestError, StoreError, TenantError,
    ValidationError,
};
pub use self::idempotency_key::IdempotencyKey;
pub use self::lenient::SkippedValue;
pub use self::limit::{HoldBack, RateLimit, RateLimitPolicy};
pub use self::list_changes::ListChanges;
pub use self::multipart::Multipart;
pub use self::observer::{CacheUse, CallOutcome, CountingObserver, Event, EventKind, Observer, Wait};
pub use self::open::{Open, UnknownValue};
pub use self::operation::{Confidence, Operation};
pub use self::options::CallOptions;
#[cfg(feature = "blocking")]
pub use self::page::{BlockingItems, BlockingPages};
pub use self::page::{Cursor, Items, List, ListPage, Pages, Position, UnexpectedPage};
pub use self::prepared_request::PreparedRequest;
pub use self::priority::Priority;
pub use self::raw::{Conditional, ConditionalRequest, RawRequest};
pub use self::raw_list::{RawList, RawPage};
pub use self::reconcile::{Reconcile, ReconcileOutcome, UnknownOutcome, Write, WriteStatus};
pub use self::response::Response;
pub use self::response_cache::ResponseCache;
pub use self::retry::RetryPolicy;
pub use self::tenants::{Tenants, TenantsBuilder};
pub use self::transport::{Body, HttpConfig, HttpTransport, RequestInfo, TlsBackend, Transport, TransportError};
