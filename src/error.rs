//! What can go wrong, by what the caller can do about it.

mod call_error;
mod config;
mod kinds;
mod postponed;
mod tenant;

use std::time::Duration;

use serde::de::DeserializeOwned;

pub use self::call_error::CallError;
pub(crate) use self::call_error::CallErrorParts;
pub(crate) use self::call_error::one_line;
pub use self::config::{ConfigError, RequestError};
pub use self::kinds::{DecodeError, RateLimitedError, ValidationError};
pub use self::postponed::Postponed;
pub use self::tenant::TenantError;

/// TokenErrorKind a call failed.
///
/// "Not applied" below speaks of the attempt that failed; where an earlier attempt of the same call may have been
/// carried out, [`Error::maybe_applied`] says so for every kind.
///
/// The kinds are cut by what the caller can do. Each that belongs to a call carries a [`CallError`]: vendor, tenant,
/// operation, URL, status, request id, attempts, elapsed time, the vendor's own words and the body. The display is one
/// line, holds no secret, and does not repeat the [source](std::error::Error::source).
///
/// # Example
///
/// ```
/// use servicebay::{Error, fixably};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # use servicebay::testing::fixably::{MockServer, TokenKind};
/// # let tenant = MockServer::start().await;
/// # let client = tenant.client_with(TokenKind::AdminViewOnly)?;
/// let moved = client.update_order().id(20000010).body(fixably::types::OrderUpdate::new().status(451)).send().await;
/// match moved {
///     Ok(order) => println!("order {:?} moved", order.id()),
///     Err(Error::Forbidden(failure)) => {
///         assert_eq!(failure.operation().required_scopes(), ["orders:update"]);
///     }
///     Err(Error::RateLimited(limited)) => println!("come back at {}", limited.resume_at()),
///     Err(error) if error.maybe_applied() => println!("look before you repeat: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The vendor refused the call with a status that has no kind of its own: another 4xx, or a redirect, which is
    /// never followed.
    ///
    /// Applied at most when [`CallError::maybe_applied`] says so: after a redirected write, of which nobody knows what it
    /// stands for. Troubleshooting: read [`CallError::message`] and [`CallError::body`]; after a redirect compare the base
    /// URL with the address in the message.
    #[error(transparent)]
    Api(Box<CallError>),
    /// The builder was given something that cannot work. Nothing was sent.
    ///
    /// Troubleshooting: [`ConfigError::field`] names the option.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// The vendor says that the call collides with the state of the object (409, 412).
    ///
    /// Not applied. Troubleshooting: read the object again and decide anew.
    #[error(transparent)]
    Conflict(Box<CallError>),
    /// No connection, or a connection that broke before the answer was whole.
    ///
    /// Applied at most when [`CallError::maybe_applied`] says so, and then repeating is harmless: writes for which it is
    /// not become [`OutcomeUnknown`](Self::OutcomeUnknown). Troubleshooting: DNS, proxy, TLS, the vendor's status
    /// page; the source says which.
    #[error(transparent)]
    Connect(Box<CallError>),
    /// The vendor accepted the call, but its answer could not be read: not JSON, cut off, larger than the limit, or of
    /// a shape that the type cannot hold.
    ///
    /// A write was most probably applied. Troubleshooting: [`DecodeError::path`] and [`CallError::body`] show what came.
    #[error(transparent)]
    Decode(Box<DecodeError>),
    /// The credentials are good, but not for this (403).
    ///
    /// Not applied. Troubleshooting: [`Operation::required_scopes`](crate::Operation::required_scopes) of the
    /// failure's operation tells which scope to grant.
    #[error(transparent)]
    Forbidden(Box<CallError>),
    /// The vendor found the request wrong: 400, 422, or complaints inside an answer that is a success by its status.
    ///
    /// Not applied. Troubleshooting: [`ValidationError::fields`] where the vendor names them, else [`CallError::message`].
    #[error(transparent)]
    Validation(Box<ValidationError>),
    /// There is no such object, or these credentials may not see it (404, 410).
    ///
    /// Not applied. Troubleshooting: check the id and the tenant.
    #[error(transparent)]
    NotFound(Box<CallError>),
    /// A write was sent and no answer says what became of it. It was **not** repeated.
    ///
    /// It may have been applied. Troubleshooting: look the object up before sending the write again.
    #[error(transparent)]
    OutcomeUnknown(Box<CallError>),
    /// The tenant's rate limit is spent, and waiting for it would take longer than the call may.
    ///
    /// Not applied. Troubleshooting: try again at [`RateLimitedError::resume_at`], or allow longer waits with
    /// `with_max_wait`.
    #[error(transparent)]
    RateLimited(Box<RateLimitedError>),
    /// The credentials no longer give a token: the vendor refused them, or the refresh token is over, and there is no
    /// way to log in without a person.
    ///
    /// Not applied. Troubleshooting: let a person log in again, or correct the credentials, and build a new client;
    /// until then every call fails like this at once, and the vendor is not asked again.
    #[error(transparent)]
    ReauthRequired(Box<CallError>),
    /// The call cannot be sent as it is: a parameter is missing or out of its bounds. Nothing was sent.
    ///
    /// Troubleshooting: [`RequestError::parameter`] names it.
    #[error(transparent)]
    InvalidRequest(Box<RequestError>),
    /// The vendor failed (5xx), and went on failing through the retries where there were any.
    ///
    /// Applied at most when [`CallError::maybe_applied`] says so. Troubleshooting: wait; then send
    /// [`Error::support_report`] to the vendor.
    #[error(transparent)]
    Server(Box<CallError>),
    /// The store could not be read, and no other way to a token was left.
    ///
    /// Not applied. Troubleshooting: the message names the file or the service; nothing in it was overwritten.
    #[error(transparent)]
    Store(Box<CallError>),
    /// No client could be made for one of the [`Tenants`](crate::Tenants). Nothing was sent.
    ///
    /// Troubleshooting: [`TenantError::tenant`] tells whose, and the source why. The failure is not remembered: who asks
    /// for the client again has it made anew.
    #[error(transparent)]
    Tenant(Box<TenantError>),
    /// No answer in time.
    ///
    /// Applied at most when [`CallError::maybe_applied`] says so, and then repeating is harmless. Troubleshooting: raise
    /// `with_attempt_timeout` for one slow call, `with_operation_timeout` for the whole of it.
    #[error(transparent)]
    Timeout(Box<CallError>),
    /// The credentials are not valid (401), or are known to have expired, in which case nothing was sent.
    ///
    /// Not applied. Troubleshooting: get a new token; `client.auth_status()` tells when it expired.
    #[error(transparent)]
    Unauthorized(Box<CallError>),
}

impl Error {
    /// What is known of the call that failed; `None` for errors of configuration and of requests never sent.
    pub fn call_error(&self) -> Option<&CallError> {
        match self {
            Self::Api(failure)
            | Self::Conflict(failure)
            | Self::Connect(failure)
            | Self::Forbidden(failure)
            | Self::NotFound(failure)
            | Self::OutcomeUnknown(failure)
            | Self::ReauthRequired(failure)
            | Self::Server(failure)
            | Self::Store(failure)
            | Self::Timeout(failure)
            | Self::Unauthorized(failure) => Some(failure),
            Self::Decode(decode) => Some(decode),
            Self::Validation(invalid) => Some(invalid),
            Self::RateLimited(limited) => Some(limited),
            Self::Config(_) | Self::InvalidRequest(_) | Self::Tenant(_) => None,
        }
    }

    /// The same error of a write, after looking what became of it has failed.
    pub(crate) fn after_looking(self, look: Self) -> Self {
        let failure = match self {
            Self::OutcomeUnknown(failure) => *failure,
            Self::Decode(decode) => decode.failure,
            other => return other,
        };
        Self::OutcomeUnknown(Box::new(failure.after_looking(look)))
    }

    /// The name of the kind, such as `rate_limited`: what metrics and traces group errors by.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Api(_) => "api",
            Self::Config(_) => "config",
            Self::Conflict(_) => "conflict",
            Self::Connect(_) => "connect",
            Self::Decode(_) => "decode",
            Self::Forbidden(_) => "forbidden",
            Self::Validation(_) => "validation",
            Self::NotFound(_) => "not_found",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::RateLimited(_) => "rate_limited",
            Self::ReauthRequired(_) => "reauth_required",
            Self::InvalidRequest(_) => "invalid_request",
            Self::Server(_) => "server",
            Self::Store(_) => "store",
            Self::Tenant(_) => "tenant",
            Self::Timeout(_) => "timeout",
            Self::Unauthorized(_) => "unauthorized",
        }
    }

    /// Whether the same call, sent again later, can succeed and does no harm.
    ///
    /// # Troubleshooting
    ///
    /// The client has already retried what its policy allows. For [`Error::RateLimited`] wait until
    /// [`RateLimitedError::resume_at`]; for the others some minutes.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited(_) => true,
            Self::Connect(failure) | Self::Server(failure) | Self::Timeout(failure) => failure.is_repeatable(),
            _ => false,
        }
    }

    /// Whether the vendor may have carried out a write although the call failed.
    ///
    /// # Troubleshooting
    ///
    /// When true, look the object up before sending the write again. Always false for reads.
    pub fn maybe_applied(&self) -> bool {
        self.call_error().is_some_and(CallError::maybe_applied)
    }

    /// Whether the credentials or their rights are the cause.
    ///
    /// # Troubleshooting
    ///
    /// Repeating does not help: a person has to grant a scope or make a new token.
    pub fn is_auth(&self) -> bool {
        matches!(self, Self::Forbidden(_) | Self::ReauthRequired(_) | Self::Unauthorized(_))
    }

    /// How long the vendor asked to wait, as counted from the moment of the failure.
    pub fn retry_after(&self) -> Option<Duration> {
        self.call_error().and_then(CallError::retry_after)
    }

    /// The vendor's body, read as `T`: for fields of a refusal that this crate does not model.
    ///
    /// # Errors
    ///
    /// Fails as `serde_json` does; an error that has no body reads as JSON `null`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match self.call_error().map(CallError::body) {
            Some(body) if !body.is_empty() => serde_json::from_slice(body),
            _ => serde_json::from_slice(b"null"),
        }
    }

    /// A text to send to the vendor's support: tenant, client, endpoint and query, status, body and time.
    ///
    /// Holds no credentials. It does hold the query and the body, which may name customers.
    pub fn support_report(&self) -> String {
        match self.call_error() {
            Some(failure) => failure.support_report(),
            None => format!("nothing was sent: {self}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_two_words() {
        assert!(size_of::<Error>() <= 16, "{}", size_of::<Error>());
    }

    #[test]
    fn an_error_can_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
    }
}
