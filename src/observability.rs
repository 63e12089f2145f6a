//! What a client tells of what it does: spans and events of [`tracing`](https://docs.rs/tracing), and an
//! [`Observer`](crate::Observer).
//!
//! There is nothing to turn on. Without a subscriber and without an observer a call pays a few comparisons for it.
//!
//! # Spans
//!
//! A call is a span, each of its attempts is one inside it, and so is each request for tokens. Attempts are client spans as
//! OpenTelemetry's [conventions for HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/) name them, so that
//! `tracing-opentelemetry` makes of them what every backend knows. What the conventions have no word for is named as it is
//! in [`Error`](crate::Error): `vendor`, `tenant` (where the client was built with one), `operation`, `request_id`.
//!
//! | span | level | fields | when |
//! | --- | --- | --- | --- |
//! | `servicebay.call` | INFO | `vendor` `tenant` `operation` `attempts` `error.type` `otel.kind` `otel.status_code` | A call, from its first wait to its decoded answer. `error.type` is [`Error::kind`](crate::Error::kind), or `cancelled` |
//! | `servicebay.attempt` | INFO | `vendor` `tenant` `operation` `request_id` `error.type` `http.request.method` `http.request.method_original` `http.request.resend_count` `http.response.status_code` `server.address` `server.port` `url.full` `url.template` `otel.kind` `otel.name` `otel.status_code` | A request, of a call or for tokens. `error.type` is the status where that is 4xx or 5xx, else `not_sent`, `broken`, `timeout`, `too_large` or `cancelled` |
//! | `servicebay.renewal` | INFO | `vendor` `tenant` `error.type` `otel.kind` `otel.status_code` | A renewal of the tokens. It belongs to no call, and follows from the one that set it off |
//!
//! A field that has nothing to say is left out: `http.request.resend_count` on a first attempt, `error.type` and
//! `otel.status_code` on success, `url.template` for an endpoint that is not modelled.
//!
//! An attempt that failed is a client span with the status `ERROR`, as the conventions have it for every 4xx and 5xx; a
//! span's level cannot change. Where the call goes on all the same nobody else hears of that attempt: its event is a
//! warning. Where the call ends with it, the caller holds the error, and there is no event beside it.
//!
//! # Events
//!
//! | event | level | fields | when |
//! | --- | --- | --- | --- |
//! | `servicebay.wait` | DEBUG | `vendor` `tenant` `operation` `why` `waited_ms` | A wait ended, or its caller went away. `why`: `token`, `limit` or `backoff` |
//! | `servicebay.retry` | WARN | `vendor` `tenant` `operation` `attempt` `status` `delay_ms` | An attempt failed, and is repeated after a pause |
//! | `servicebay.refusal` | WARN | `vendor` `tenant` `operation` `attempt` `retry_after_ms` | The vendor refused an attempt for the tenant's limit (429) |
//! | `servicebay.rejected_token` | WARN | `vendor` `tenant` `operation` `attempt` | The vendor did not know a token (401), and the attempt is repeated with a newer one |
//! | `servicebay.other_base` | INFO | `vendor` `tenant` `operation` `attempt` | The vendor did not know an address (404), and is asked at the other one that it documents |
//! | `servicebay.odd_header` | WARN | `vendor` `tenant` `operation` `header` `value` `why` | A header about the limit makes no sense and is ignored. `why`: `unreadable`, `past` or `too_far` |
//! | `servicebay.refresh` | INFO | `vendor` `tenant` `generation` `elapsed_ms` | There is a new token, from the vendor or from the store |
//! | `servicebay.refresh_failure` | WARN | `vendor` `tenant` `why` `reason` `failures` `elapsed_ms` | A renewal brought no token. `failures` in a row so far |
//! | `servicebay.store_failure` | WARN | `vendor` `tenant` `reason` | The token store failed; memory holds the tokens |
//! | `servicebay.odd_life` | WARN | `seconds` | A token endpoint names an implausible life, and what the vendor documents holds. Inside `servicebay.renewal` |
//! | `servicebay.mended_body` | WARN | `bytes` | A body was not quite JSON and was mended. Inside `servicebay.call` |
//! | `servicebay.skipped_value` | DEBUG | `expected` `found` | A field has another shape than expected and is left out. Inside `servicebay.call` |
//! | `servicebay.list_changed` | INFO | `vendor` `operation` `total_before` `total_now` `repeated` | A list changed during its walk, and the walk made it good |
//! | `servicebay.list_loss` | WARN | `vendor` `operation` `total_before` `total_now` `repeated` `maybe_missed` `maybe_repeated` | A list changed by more than its walk can make good |
//! | `servicebay.observer_panic` | ERROR | `vendor` `tenant` `operation` | The observer panicked; the client goes on |
//!
//! Names ending in `_ms` are whole milliseconds. All targets begin with `servicebay`.
//!
//! # No secrets
//!
//! No span, event or observer is given a token, a password or a body, at any level; where a vendor repeats a secret in what
//! is told (a request id, an odd header, its reasons), it is struck out. `url.full` holds the query, which may name
//! customers.
//!
//! # Example
//!
//! ```
//! # use servicebay::testing::fixably::MockServer;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
//! // Warnings of everybody, and this crate's waits, each in the span of its call.
//! let filter = tracing_subscriber::filter::Targets::new()
//!     .with_default(tracing::Level::WARN)
//!     .with_target("servicebay", tracing::Level::DEBUG);
//! use tracing_subscriber::layer::SubscriberExt as _;
//! let subscriber = tracing_subscriber::registry().with(filter).with(tracing_subscriber::fmt::layer());
//! tracing::subscriber::set_global_default(subscriber).expect("nobody else has set one");
//!
//! # let tenant = MockServer::start().await;
//! # let client = tenant.client()?;
//! client.get_order().id(20000010).send().await?;
//! # Ok(()) }
//! ```
