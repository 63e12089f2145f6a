//! Client authentication.
//!
//! Every attempt gets its header here, so that a retry never sends a token that expired while the call waited. A token that a
//! person created is sent until it expires; the token cache refreshes one that a vendor granted.

mod background;
mod background_tasks;
mod cached_token;
mod close_signal;
mod credential_checks;
mod environment;
mod expiry;
mod file_io;
mod file_lock;
mod file_store;
#[cfg(test)]
mod folder;
mod grant;
mod history;
mod keep_alive;
#[cfg(feature = "keychain")]
mod keychain_store;
mod lease;
mod lifecycle;
mod lineage;
mod persistence;
mod record;
mod redaction;
mod refresh;
mod refresh_state;
mod refusal;
mod revocation;
mod spend;
mod static_token;
mod status;
mod store;
mod throttle;
mod token_cache;
mod token_endpoint;
mod token_error;
mod token_set;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;

pub(crate) use self::background::TokenTransport;
pub(crate) use self::credential_checks::{check_present, check_text, check_token, header_value};
pub(crate) use self::environment::read_environment;
pub use self::file_store::FileStore;
pub(crate) use self::grant::{Grant, Granted, Lives, Place, TokenBody, TokenRequest, life};
#[cfg(feature = "keychain")]
pub use self::keychain_store::KeychainStore;
pub use self::lease::Lease;
#[cfg(feature = "fentu")]
pub(crate) use self::lifecycle::BackgroundTask;
pub(crate) use self::redaction::RedactedError;
use self::redaction::Redaction;
#[cfg(any(feature = "fisikal", feature = "repairy", feature = "testing"))]
pub(crate) use self::refusal::is_gateway_phrase;
pub(crate) use self::refusal::{ErrorWords, VendorRefusals};
pub(crate) use self::static_token::StaticToken;
pub use self::status::AuthStatus;
pub(crate) use self::store::DynTokenStore;
pub use self::store::{CompareAndSwap, MAX_LEASE, MemoryStore, TokenKey, TokenStore};
pub(crate) use self::token_cache::{Setting, TokenCache};
pub(crate) use self::token_endpoint::{Endpoint, Repeat};
pub(crate) use self::token_error::{TokenError, TokenErrorKind};
pub use self::token_set::TokenSet;
use crate::clock::Clock;
use crate::observer::Wait;
use crate::telemetry::CallScope;

/// A vendor's `Credentials`, as the runtime uses them.
#[derive(Debug)]
pub(crate) struct AuthConfig {
    pub(crate) method: AuthMethod,
    /// The account that the credentials belong to, without a secret: part of the store's key, and of the rate limiter's if
    /// all tenants of a vendor share one host.
    pub(crate) account: Cow<'static, str>,
    /// The headers of every request besides the token.
    pub(crate) headers: HeaderMap,
    /// The name under which the vendor lists the credentials, for support reports.
    pub(crate) client_name: Option<Arc<str>>,
}

/// What is escaped in a part of a name, so that different parts make different names.
pub(crate) const PART: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'/');

/// The name of an account, from its parts. Accounts with different parts have different names.
pub(crate) fn account(parts: &[&str]) -> Cow<'static, str> {
    let parts: Vec<_> = parts.iter().map(|part| utf8_percent_encode(part, PART).to_string()).collect();
    parts.join("/").into()
}

/// How a client authenticates.
#[derive(Debug)]
pub(crate) enum AuthMethod {
    StaticToken(StaticToken),
    Granted {
        grant: Box<dyn Grant>,
        /// Tokens that were passed to the credentials.
        tokens: Option<TokenSet>,
    },
}

impl From<StaticToken> for AuthConfig {
    fn from(token: StaticToken) -> Self {
        let account = token.fingerprint().into();
        Self { method: AuthMethod::StaticToken(token), account, headers: HeaderMap::new(), client_name: None }
    }
}

/// Client authentication.
#[derive(Debug)]
pub(crate) enum Auth {
    StaticToken(StaticToken),
    Granted(Arc<TokenCache>),
}

/// The header for one attempt, and the number of the token in it.
#[derive(Debug)]
pub(crate) struct AuthHeader {
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    epoch: u64,
    /// Whether the call waited for this token. Then it serves the call, even if it expires at once.
    was_awaited: bool,
}

/// Why there is no token to send.
#[derive(Debug)]
pub(crate) enum NoToken {
    /// It expired at this time, and only a person can create another.
    Expired(Timestamp),
    /// The new one takes longer than the caller can wait.
    TooLate,
    /// There is no new one.
    TokenError(Arc<TokenError>),
}

impl Auth {
    /// A valid token. Waits for it until `latest` at most.
    pub(crate) async fn token(
        &self,
        clock: Clock,
        latest: Instant,
        scope: CallScope<'_>,
    ) -> Result<AuthHeader, NoToken> {
        match self {
            Self::StaticToken(token) => {
                let header = token.header(|| clock.wall()).map_err(NoToken::Expired)?;
                Ok(AuthHeader { header, epoch: 0, was_awaited: false })
            }
            Self::Granted(cache) => match cache.ready() {
                Some(header) => Ok(header),
                // Boxed, so that the wait, which is rare, does not make the future of every call larger.
                None => Box::pin(scope.wait(Wait::Token, cache.next(latest))).await,
            },
        }
    }

    /// The header that the token is sent in, and the scheme before it; `None` if requests carry no token.
    pub(crate) fn header_name(&self) -> Option<(HeaderName, Option<&'static str>)> {
        match self {
            Self::StaticToken(token) => token.header_name(),
            Self::Granted(cache) => Some(cache.setting.grant.header()),
        }
    }

    /// Whether there is a valid token, for the bench that measures how long reading it takes.
    #[cfg(all(feature = "testing", feature = "repairy"))]
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::StaticToken(_) => true,
            Self::Granted(cache) => cache.ready().is_some(),
        }
    }

    /// The number of the login in use. If it is higher than before, the tokens were revoked, or another person may have logged in,
    /// with credentials that name no user.
    pub(crate) fn login(&self) -> u64 {
        match self {
            Self::StaticToken(_) => 0,
            Self::Granted(cache) => cache.login(),
        }
    }

    /// Whether a token can still be sent after a wait.
    pub(crate) fn is_good(&self, token: &AuthHeader, clock: Clock) -> bool {
        match self {
            Self::StaticToken(token) => token.is_alive(|| clock.wall()),
            Self::Granted(cache) => token.was_awaited || cache.is_good(token.epoch),
        }
    }

    /// Takes note of a 401; returns whether the call is worth repeating with another token.
    pub(crate) async fn invalidate(&self, token: &AuthHeader, latest: Instant) -> bool {
        match self {
            Self::StaticToken(_) => false,
            Self::Granted(cache) => cache.invalidate(token.epoch, latest).await,
        }
    }

    /// The token in a header that this made, without the scheme.
    pub(crate) fn token_in(&self, header: &AuthHeader) -> Option<SecretString> {
        let (_, scheme) = self.header_name()?;
        let value = header.header.as_ref()?.1.to_str().ok()?;
        let token = scheme.and_then(|scheme| value.strip_prefix(scheme)).map_or(value, str::trim_start);
        Some(token.into())
    }

    /// Whether no tokens are under way, to the client or to the store.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::StaticToken(_) => true,
            Self::Granted(cache) => cache.is_settled(),
        }
    }

    /// Refreshes tokens in time even if there are no calls; ends when the credentials yield none any more, or with `None` when
    /// the client is closed.
    pub(crate) async fn keep_alive(&self, clock: Clock) -> Option<NoToken> {
        match self {
            Self::StaticToken(token) => token.closed.unless_closed(token.end(clock)).await.map(NoToken::Expired),
            Self::Granted(cache) => Arc::clone(cache).keep_alive().await.map(NoToken::TokenError),
        }
    }

    /// Revokes the tokens; `None` if a person created them.
    pub(crate) async fn revoke(&self) -> Option<Result<(), Arc<TokenError>>> {
        match self {
            Self::StaticToken(_) => None,
            Self::Granted(cache) => {
                let revoking = Arc::clone(cache);
                let revoked = cache.run_task(async move { revoking.revoke().await }).await;
                let clock = cache.setting.endpoint.clock;
                Some(revoked.unwrap_or_else(|| Err(Arc::new(no_outcome("revocation", clock)))))
            }
        }
    }

    /// Waits until no tokens are under way, to the client or to the store.
    pub(crate) async fn settle(&self) -> Result<(), TokenError> {
        match self {
            Self::StaticToken(_) => Ok(()),
            Self::Granted(cache) => cache.settle().await,
        }
    }

    /// Begins no refresh that no call waits for any more, and settles.
    pub(crate) async fn close(&self) -> Result<(), TokenError> {
        match self {
            Self::StaticToken(token) => {
                token.closed.close();
                Ok(())
            }
            Self::Granted(cache) => cache.close().await,
        }
    }

    /// Begins a task in the background that may bring new tokens to this client. [`settle`](Self::settle) waits until the
    /// returned guard is dropped.
    #[cfg(feature = "fentu")]
    pub(crate) fn begin_task(&self) -> Option<BackgroundTask> {
        match self {
            Self::StaticToken(_) => None,
            Self::Granted(cache) => Some(cache.begin_task()),
        }
    }

    /// The registered application whose logins this client uses, if there is one.
    #[cfg(feature = "fentu")]
    pub(crate) fn client_id(&self) -> Option<&str> {
        match self {
            Self::StaticToken(_) => None,
            Self::Granted(cache) => cache.setting.grant.client_id(),
        }
    }

    /// Takes over the tokens of a new login; `None` if the token was created by a person.
    pub(crate) async fn adopt_login(&self, tokens: TokenSet) -> Option<Result<(), TokenError>> {
        match self {
            Self::StaticToken(_) => None,
            Self::Granted(cache) => {
                let adopting = Arc::clone(cache);
                let adopted = cache.run_task(async move { adopting.adopt_login(tokens).await }).await;
                let clock = cache.setting.endpoint.clock;
                Some(adopted.unwrap_or_else(|| Err(no_outcome("storing of the new login", clock))))
            }
        }
    }

    pub(crate) fn status(&self, wall: Timestamp) -> AuthStatus {
        match self {
            Self::StaticToken(token) => AuthStatus::of_static(token.expires_at(), wall),
            Self::Granted(cache) => cache.status(wall),
        }
    }

    /// A text of the vendor, with our secrets redacted.
    pub(crate) fn cleaned(&self, text: &str) -> String {
        self.redaction().clean(text)
    }

    /// A body with our secrets redacted, and its value if it is JSON.
    pub(crate) fn cleaned_body(&self, body: &Bytes) -> (Bytes, Option<Value>) {
        self.redaction().body(body)
    }

    /// An error of another crate as a source of ours, with our secrets redacted.
    pub(crate) fn cleaned_error(&self, error: &(dyn StdError + 'static)) -> RedactedError {
        self.redaction().error(error)
    }

    fn redaction(&self) -> Redaction {
        match self {
            Self::StaticToken(token) => Redaction::of([token.token()]),
            Self::Granted(cache) => Redaction::of(&cache.secrets()),
        }
    }
}

/// The error of a task in the background that ended without an outcome.
pub(crate) fn no_outcome(task: &str, clock: Clock) -> TokenError {
    let reason = format!("the {task} ended without an outcome: its runtime was shut down");
    TokenError::new(TokenErrorKind::Failed, reason, clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_other_parts_have_other_names() {
        assert_eq!(account(&["oauth", "my-app"]), "oauth/my-app");
        let names = [["a", "b/c"], ["a/b", "c"], ["a%2Fb", "c"], ["a", "b%2Fc"]].map(|parts| account(&parts));
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name}");
        }
    }
}
