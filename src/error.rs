//! The crate's error type, with a variant for each thing that a caller can do about it.

mod call_error;
mod config;
mod decode;
mod postponed;
mod rate_limited;
mod request;
mod store;
mod store_failure;
mod tenant;
mod validation;

use std::error::Error as StdError;
use std::time::Duration;

use serde::de::DeserializeOwned;

pub use self::call_error::CallError;
pub(crate) use self::call_error::one_line;
pub use self::config::ConfigError;
pub use self::decode::DecodeError;
pub use self::postponed::Postponed;
pub use self::rate_limited::RateLimitedError;
pub use self::request::RequestError;
pub use self::store::StoreError;
pub(crate) use self::store_failure::store_failure;
pub use self::tenant::TenantError;
pub use self::validation::ValidationError;

/// The error of a call, or of building a client.
///
/// There is a variant for each thing that a caller can do about it. Errors of calls carry a [`CallError`]: vendor, tenant,
/// operation, URL, status, request id, attempts, elapsed time, the vendor's message and the body. The display is one line,
/// contains no secret, and does not repeat the [source](std::error::Error::source).
///
/// "Not applied" below means the attempt that failed. If an earlier attempt of the same call may have been applied,
/// [`Error::maybe_applied`] returns true for every variant.
///
/// # Example
///
/// ```
/// use servicebay::{Error, fixably};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # use servicebay::testing::fixably::{MockServer, TokenKind};
/// # let server = MockServer::start().await;
/// # let client = server.client_with(TokenKind::AdminViewOnly)?;
/// let order = fixably::types::OrderUpdate::new().status(451);
/// match client.update_order().id(20000010).body(order).send().await {
///     Ok(order) => println!("updated order {:?}", order.id()),
///     Err(Error::Forbidden(call)) => {
///         assert_eq!(call.operation().required_scopes(), ["orders:update"]);
///     }
///     Err(Error::RateLimited(limited)) => println!("try again at {}", limited.resume_at()),
///     Err(error) if error.maybe_applied() => println!("check the order before repeating the call: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The vendor rejected the call with a status that has no variant of its own: another 4xx, a redirect, which is never
    /// followed, or 304 to a request whose condition is a header of yours and not
    /// [`if_none_match`](crate::RawRequest::if_none_match). Or the token endpoint, or a proxy or firewall before it, rejected a
    /// token request for a reason other than the credentials.
    ///
    /// Not applied, except for a redirected write, whose outcome is unknown: see [`CallError::maybe_applied`].
    /// Troubleshooting: read [`CallError::message`] and [`CallError::body`]. After a redirect, compare the base URL with the
    /// target in the message.
    #[error(transparent)]
    Api(Box<CallError>),
    /// An option of the client's builder is invalid. Nothing was sent.
    ///
    /// Troubleshooting: [`ConfigError::field`] names the option, [`ConfigError::reason`] says what to set instead.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// The call conflicts with the state of the object (409, 412).
    ///
    /// Not applied. Troubleshooting: read the object again, and decide anew. If [`CallError::may_be_own_effect`] returns true,
    /// an earlier attempt of the same call may have made the change: compare.
    #[error(transparent)]
    Conflict(Box<CallError>),
    /// The connection could not be opened, or broke before the whole response arrived.
    ///
    /// May have been applied if [`CallError::maybe_applied`] returns true, but then the call is idempotent: other writes fail
    /// with [`OutcomeUnknown`](Self::OutcomeUnknown). Troubleshooting: check DNS, proxy, TLS and the vendor's status page; the
    /// source holds the cause.
    #[error(transparent)]
    Connect(Box<CallError>),
    /// The vendor accepted the call, but the response could not be decoded: it is not JSON, is truncated, exceeds the size
    /// limit, or does not fit the type. Or it holds another page of a list than the one that was requested.
    ///
    /// A write was most likely applied. Troubleshooting: [`DecodeError::path`] and [`CallError::body`] show the value. After a
    /// page that was not requested, list again from the start.
    #[error(transparent)]
    Decode(Box<DecodeError>),
    /// A download could not be written to a file of this machine.
    ///
    /// Troubleshooting: the message names the file, the source holds the cause.
    #[error(transparent)]
    File(Box<CallError>),
    /// The credentials are valid, but lack a permission (403).
    ///
    /// Not applied. Troubleshooting: grant the scopes that the operation requires; see
    /// [`Operation::required_scopes`](crate::Operation::required_scopes) of [`CallError::operation`].
    #[error(transparent)]
    Forbidden(Box<CallError>),
    /// A parameter is missing or out of bounds. Nothing was sent.
    ///
    /// Troubleshooting: [`RequestError::parameter`] names it, [`RequestError::reason`] says what to set instead.
    #[error(transparent)]
    InvalidRequest(Box<RequestError>),
    /// The object does not exist, or the credentials may not see it (404, 410).
    ///
    /// Not applied. Troubleshooting: check the id and the tenant. If [`CallError::may_be_own_effect`] returns true, a DELETE
    /// found its object gone after an attempt whose response was lost: it has what it wanted.
    #[error(transparent)]
    NotFound(Box<CallError>),
    /// A write was sent, and no response reports its outcome. It was **not** repeated, unless the vendor recognizes a repeated
    /// one by its [idempotency key](CallError::idempotency_key).
    ///
    /// May have been applied. Troubleshooting: look the object up before you send the write again; `reconcile` of the operation
    /// does both.
    #[error(transparent)]
    OutcomeUnknown(Box<CallError>),
    /// The tenant's rate limit is exhausted for longer than the call may wait, or the vendor's token endpoint responded with 429.
    ///
    /// Not applied. Troubleshooting: try again at [`RateLimitedError::resume_at`], store the call with
    /// [`RateLimitedError::postpone`], or allow longer waits with `with_max_wait`.
    #[error(transparent)]
    RateLimited(Box<RateLimitedError>),
    /// The credentials no longer yield a token: the vendor rejected them or the refresh token expired, and the client cannot
    /// log in by itself.
    ///
    /// Not applied. Troubleshooting: have the user log in again, or correct the credentials, and build a new client. Until then
    /// every call fails at once, without another request to the vendor.
    #[error(transparent)]
    ReauthRequired(Box<CallError>),
    /// The vendor failed (5xx), in the last retry too if the call was retried.
    ///
    /// May have been applied if [`CallError::maybe_applied`] returns true. Troubleshooting: wait some minutes. If it persists,
    /// send [`Error::support_report`] to the vendor.
    #[error(transparent)]
    Server(Box<CallError>),
    /// The token store failed, and there is no other way to a token.
    ///
    /// Not applied. Troubleshooting: the message names the file or the service. Nothing in it was overwritten.
    #[error(transparent)]
    Store(Box<CallError>),
    /// The client of one of the [`Tenants`](crate::Tenants) could not be built. Nothing was sent.
    ///
    /// Troubleshooting: [`TenantError::tenant`] names the tenant, the source holds the cause. The failure is not cached: the
    /// next request for this client builds it anew.
    #[error(transparent)]
    Tenant(Box<TenantError>),
    /// The call timed out: no response came in time, or no token.
    ///
    /// May have been applied if [`CallError::maybe_applied`] returns true, but then the call is idempotent: other writes fail
    /// with [`OutcomeUnknown`](Self::OutcomeUnknown). Troubleshooting: raise `with_attempt_timeout` for slow responses,
    /// `with_operation_timeout` for the call as a whole, or `with_max_wait` for waits.
    #[error(transparent)]
    Timeout(Box<CallError>),
    /// A token store failed that your program used itself. A call whose store failed is [`Store`](Self::Store).
    ///
    /// Not applied: no call was involved. Troubleshooting: the message says what failed and what to do.
    #[error(transparent)]
    TokenStore(Box<StoreError>),
    /// The vendor rejected the token (401), or the token is known to have expired, in which case nothing was sent.
    ///
    /// Not applied. Troubleshooting: create a new token; `client.auth_status()` returns when the old one expired.
    #[error(transparent)]
    Unauthorized(Box<CallError>),
    /// The vendor found the request invalid: 400, 422, or errors in the body of a 2xx response.
    ///
    /// Not applied. Troubleshooting: read [`ValidationError::fields`] if the vendor names fields, else [`CallError::message`].
    #[error(transparent)]
    Validation(Box<ValidationError>),
}

impl Error {
    /// The details of the call; `None` for errors of configuration and for requests that were never sent.
    pub fn call_error(&self) -> Option<&CallError> {
        match self {
            Self::Api(call)
            | Self::Conflict(call)
            | Self::Connect(call)
            | Self::File(call)
            | Self::Forbidden(call)
            | Self::NotFound(call)
            | Self::OutcomeUnknown(call)
            | Self::ReauthRequired(call)
            | Self::Server(call)
            | Self::Store(call)
            | Self::Timeout(call)
            | Self::Unauthorized(call) => Some(call),
            Self::Decode(decode) => Some(decode),
            Self::Validation(invalid) => Some(invalid),
            Self::RateLimited(limited) => Some(limited),
            Self::Config(_) | Self::InvalidRequest(_) | Self::Tenant(_) | Self::TokenStore(_) => None,
        }
    }

    /// The name of the variant in snake case, such as `rate_limited`, to group errors by in metrics and traces.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Api(_) => "api",
            Self::Config(_) => "config",
            Self::Conflict(_) => "conflict",
            Self::Connect(_) => "connect",
            Self::Decode(_) => "decode",
            Self::File(_) => "file",
            Self::Forbidden(_) => "forbidden",
            Self::InvalidRequest(_) => "invalid_request",
            Self::NotFound(_) => "not_found",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::RateLimited(_) => "rate_limited",
            Self::ReauthRequired(_) => "reauth_required",
            Self::Server(_) => "server",
            Self::Store(_) => "store",
            Self::Tenant(_) => "tenant",
            Self::Timeout(_) => "timeout",
            Self::TokenStore(_) => "token_store",
            Self::Unauthorized(_) => "unauthorized",
            Self::Validation(_) => "validation",
        }
    }

    /// Whether sending the same call again later may succeed and does no harm.
    ///
    /// # Troubleshooting
    ///
    /// The client has already retried as often as its policy allows. For [`Error::RateLimited`] wait until
    /// [`RateLimitedError::resume_at`], for the others some minutes.
    pub fn is_retryable(&self) -> bool {
        match self {
            // Nothing was sent.
            Self::RateLimited(_) | Self::Store(_) | Self::TokenStore(_) => true,
            Self::Connect(call) | Self::Server(call) | Self::Timeout(call) => call.is_repeatable(),
            Self::Api(call) => call.is_transient && call.is_repeatable(),
            Self::Decode(decode) => decode.is_transient && decode.is_repeatable(),
            _ => false,
        }
    }

    /// Whether the vendor may have applied the write although the call failed. Always false for reads.
    ///
    /// # Troubleshooting
    ///
    /// If true, look the object up before you send the write again.
    pub fn maybe_applied(&self) -> bool {
        self.call_error().is_some_and(CallError::maybe_applied)
    }

    /// Whether the credentials or their permissions are the cause.
    ///
    /// # Troubleshooting
    ///
    /// Repeating the call does not help: a person has to grant a scope or create a new token.
    pub fn is_auth(&self) -> bool {
        matches!(self, Self::Forbidden(_) | Self::ReauthRequired(_) | Self::Unauthorized(_))
    }

    /// How long the vendor asked to wait, counted from the failure.
    pub fn retry_after(&self) -> Option<Duration> {
        self.call_error().and_then(CallError::retry_after)
    }

    /// Decodes the body of the vendor's response, for fields of an error that this crate does not model.
    ///
    /// # Errors
    ///
    /// Returns the error of `serde_json` if the body is not a `T`. An error without a body is decoded from JSON `null`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match self.call_error().map(CallError::body) {
            Some(body) if !body.is_empty() => serde_json::from_slice(body),
            _ => serde_json::from_slice(b"null"),
        }
    }

    /// Returns a report for the vendor's support: time, tenant, client, endpoint with its query, status, request id and body.
    ///
    /// It contains no credentials. The query and the body may name customers.
    pub fn support_report(&self) -> String {
        match self.call_error() {
            Some(call) => call.support_report(),
            None => format!("nothing was sent: {self}\n"),
        }
    }

    /// The error of a write whose outcome was looked up in vain, with the error of the lookup as its source.
    pub(crate) fn with_lookup_error(self, lookup: Self) -> Self {
        let call = match self {
            Self::OutcomeUnknown(call) => *call,
            Self::Decode(decode) => decode.call,
            other => return other,
        };
        Self::OutcomeUnknown(Box::new(call.with_lookup_error(lookup)))
    }
}

/// An error of any type, as the source of one of ours.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_takes_two_machine_words() {
        assert!(size_of::<Error>() <= 16, "{}", size_of::<Error>());
    }

    #[test]
    fn an_error_is_send_and_sync() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
    }
}
