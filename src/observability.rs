//! What a client reports: the spans and events of [`tracing`](https://docs.rs/tracing), and the same to an
//! [`Observer`](crate::Observer).
//!
//! There is nothing to turn on. Without a subscriber and without an observer a call pays for a few comparisons.
//!
//! # Spans
//!
//! Each call has a span, with a span inside for each attempt; each token refresh has a span, with one inside for each token
//! request. Spans of attempts follow OpenTelemetry's
//! [conventions for HTTP clients](https://opentelemetry.io/docs/specs/semconv/http/http-spans/), so `tracing-opentelemetry`
//! exports them in a form that every backend understands. Fields without a convention have the names of
//! [`CallError`](crate::CallError)'s methods: `vendor`, `tenant` (if the client was built with one), `operation`, `request_id`.
//!
//! | span | level | fields | when |
//! | --- | --- | --- | --- |
//! | `servicebay.call` | INFO | `vendor` `tenant` `operation` `attempts` `error.type` `otel.kind` `otel.status_code` | A call, from its first wait to the decoded response. `error.type` is [`Error::kind`](crate::Error::kind), or `canceled` |
//! | `servicebay.attempt` | INFO | `vendor` `tenant` `operation` `request_id` `error.type` `http.request.method` `http.request.method_original` `http.request.resend_count` `http.response.status_code` `server.address` `server.port` `url.full` `url.template` `otel.kind` `otel.name` `otel.status_code` | A request, of a call or for tokens. `error.type` is the status if that is 4xx or 5xx, else `not_sent`, `broken`, `timeout`, `too_large` or `canceled` |
//! | `servicebay.token_refresh` | INFO | `vendor` `tenant` `error.type` `otel.kind` `otel.status_code` | A token refresh. It has no parent, and follows from the span of the call that started it |
//!
//! A field without a value is left out: `http.request.resend_count` on the first attempt, `error.type` and `otel.status_code`
//! on success, `url.template` for an endpoint that is not modeled.
//!
//! A failed attempt has the status `ERROR`, as the conventions demand for every 4xx and 5xx. If the call goes on, an event of
//! level WARN reports the attempt. If the call ends with it, there is no event: the caller gets the error.
//!
//! # Events
//!
//! | event | level | fields | when |
//! | --- | --- | --- | --- |
//! | `servicebay.wait` | DEBUG | `vendor` `tenant` `operation` `reason` `waited_ms` | A wait ended, or its caller was dropped. `reason`: `token`, `limit` or `backoff` |
//! | `servicebay.cached_response` | DEBUG | `vendor` `tenant` `operation` `cache_use` | A call returned a stored response. `cache_use`: `fresh`, `confirmed` or `stale_if_error` |
//! | `servicebay.retry` | WARN | `vendor` `tenant` `operation` `attempt` `error.type` `status` `delay_ms` | An attempt failed, and will be repeated after a delay. `error.type` is that of its span |
//! | `servicebay.rate_limited` | WARN | `vendor` `tenant` `operation` `attempt` `retry_after_ms` | The vendor's rate limit rejected an attempt (429) |
//! | `servicebay.reauthorize` | WARN | `vendor` `tenant` `operation` `attempt` | The vendor rejected a token (401), and the attempt will be repeated with a newer one |
//! | `servicebay.switched_base_url` | INFO | `vendor` `tenant` `operation` `attempt` | The vendor responded with 404, and the attempt will be repeated at the other base URL that the vendor documents |
//! | `servicebay.invalid_header` | WARN | `vendor` `tenant` `operation` `header` `value` `problem` | A rate limit header makes no sense and is ignored. `problem`: `unreadable`, `past` or `too_far` |
//! | `servicebay.refresh` | INFO | `vendor` `tenant` `generation` `elapsed_ms` | A token refresh produced a new token, from the vendor or from the token store |
//! | `servicebay.refresh_failure` | WARN | `vendor` `tenant` `error.type` `reason` `failures` `elapsed_ms` | A token refresh failed, `failures` times in a row by now. `error.type`: `failed`, `not_sent`, `refused`, `store`, `throttled`, `unknown` or `unreadable` |
//! | `servicebay.store_failure` | WARN | `vendor` `tenant` `reason` | The token store failed; memory holds the tokens |
//! | `servicebay.no_file_locks` | WARN | `folder` `error` | The file system of a `FileStore` has no locks: only one process may use the folder |
//! | `servicebay.invalid_token_lifetime` | WARN | `seconds` | A token endpoint returned an implausible lifetime, and the documented one is used. Inside `servicebay.token_refresh` |
//! | `servicebay.repaired_body` | WARN | `vendor` `tenant` `operation` `bytes` | A response body was not valid JSON and was repaired |
//! | `servicebay.skipped_value` | DEBUG | `field` `expected` `found` | A field, or an element of a list, has an unexpected shape and is left out. Inside `servicebay.call`, or of a webhook. Observers get them once for each response, at any level |
//! | `servicebay.skipped_elements` | WARN | `vendor` `tenant` `operation` `elements` | Elements of lists in a response have an unexpected shape and are left out. Each has a `servicebay.skipped_value` as well |
//! | `servicebay.list_changed` | INFO | `vendor` `tenant` `operation` `total_before` `total_now` `repeated` | A list changed while its pages were fetched; no item was lost |
//! | `servicebay.list_loss` | WARN | `vendor` `tenant` `operation` `total_before` `total_now` `repeated` `maybe_missed` `maybe_repeated` | A list changed by more than the paginator can make up for, or its pages had fewer items than the vendor counts; items may be missing or repeated |
//! | `servicebay.webhook_refused` | WARN | `vendor` `error.type` `http.response.status_code` `reason` | A webhook is not accepted (feature `webhooks`). `error.type` is [`WebhookError::kind`](crate::webhook::WebhookError::kind) |
//! | `servicebay.webhook_duplicate` | DEBUG | `vendor` `error.type` `http.response.status_code` | A webhook was delivered again. `error.type`: `duplicate` or `in_progress` |
//! | `servicebay.webhook_version` | WARN | `vendor` `version` `expected` | A webhook has another version than this crate was written for, and is read as well as possible |
//! | `servicebay.observer_panic` | ERROR | `vendor` `tenant` `operation` | The observer panicked; the client goes on |
//!
//! Fields ending in `_ms` are whole milliseconds. All targets begin with `servicebay`.
//!
//! # No secrets
//!
//! No span, event or observer gets a token, a password or a body, at any level. If a vendor repeats a secret in a reported
//! value (a request id, an invalid header, a message), it is redacted. `url.full` contains the query, which may name
//! customers.
//!
//! # Example
//!
//! ```
//! # use servicebay::testing::fixably::MockServer;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
//! // Warnings of all crates, and the waits of this one, each inside the span of its call.
//! let filter = tracing_subscriber::filter::Targets::new()
//!     .with_default(tracing::Level::WARN)
//!     .with_target("servicebay", tracing::Level::DEBUG);
//! use tracing_subscriber::layer::SubscriberExt as _;
//! let subscriber = tracing_subscriber::registry().with(filter).with(tracing_subscriber::fmt::layer());
//! tracing::subscriber::set_global_default(subscriber).expect("no other subscriber is set");
//!
//! # let server = MockServer::start().await;
//! # let client = server.client()?;
//! client.get_order().id(20000010).send().await?;
//! # Ok(()) }
//! ```
