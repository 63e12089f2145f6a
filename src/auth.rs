//! Client authentication.
//!
//! Every attempt gets its header here, so that a retry never sends a token that expired while the call waited. A token that a
//! person created is sent until it expires; the token cache refreshes one that a vendor granted.

mod expiry;
mod file_store;
#[cfg(test)]
mod folder;
mod grant;
mod keep_alive;
mod persistence;
mod redaction;
mod refresh;
mod revocation;
mod static_token;
mod status;
mod store;
mod token_cache;
mod token_endpoint;
mod token_error;
mod token_set;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use tokio::time::Instant;

pub use self::file_store::FileStore;
pub(crate) use self::grant::{Body, Grant, Granted, Lives, Place, TokenRequest, life};
use self::redaction::Redaction;
pub(crate) use self::static_token::StaticToken;
pub use self::status::AuthStatus;
pub use self::store::{CompareAndSwap, Lease, MemoryStore, StoreError, TokenKey, TokenStore};
pub(crate) use self::token_cache::{Setting, TokenCache};
pub(crate) use self::token_endpoint::{Endpoint, Repeat};
pub(crate) use self::token_error::{TokenError, TokenErrorKind};
pub use self::token_set::TokenSet;
use crate::clock::Clock;
use crate::observer::Wait;
use crate::telemetry::CallScope;

/// What a vendor's `Credentials` come to.
#[derive(Debug)]
pub(crate) struct AuthConfig {
    pub(crate) method: AuthMethod,
    /// Whose credentials they are, without any secret: part of the store's key, and of the budget's where all tenants
    /// of a vendor share one host.
    pub(crate) account: Cow<'static, str>,
    /// What every request of the client carries besides the token.
    pub(crate) headers: HeaderMap,
}

/// What is escaped in a part of a name, so that names of other parts are other names.
pub(crate) const PART: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'/');

/// The name of an account, which no account of other parts has, whatever they hold.
pub(crate) fn account(parts: &[&str]) -> Cow<'static, str> {
    let parts: Vec<_> = parts.iter().map(|part| utf8_percent_encode(part, PART).to_string()).collect();
    parts.join("/").into()
}

/// A way in.
#[derive(Debug)]
pub(crate) enum AuthMethod {
    StaticToken(StaticToken),
    Granted {
        grant: Box<dyn Grant>,
        /// Tokens that were obtained before.
        tokens: Option<TokenSet>,
    },
}

impl From<StaticToken> for AuthConfig {
    fn from(fixed: StaticToken) -> Self {
        let account = fixed.fingerprint().into();
        Self { method: AuthMethod::StaticToken(fixed), account, headers: HeaderMap::new() }
    }
}

/// What the client proves itself with.
#[derive(Debug)]
pub(crate) enum Auth {
    StaticToken(StaticToken),
    Granted(Arc<TokenCache>),
}

/// The header for one attempt, and the generation of the token in it.
#[derive(Debug)]
pub(crate) struct AuthHeader {
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    pub(crate) generation: u64,
}

/// Why there is no token to send.
#[derive(Debug)]
pub(crate) enum NoToken {
    /// It expired at this moment, and only a person can make another.
    Expired(Timestamp),
    /// The new one takes longer than the caller can wait.
    TooLate,
    /// No new one is to be had.
    TokenError(Arc<TokenError>),
}

impl Auth {
    /// A token that is good now, waited for at most until `latest`.
    pub(crate) async fn token(
        &self,
        clock: Clock,
        latest: Instant,
        scope: CallScope<'_>,
    ) -> Result<AuthHeader, NoToken> {
        match self {
            Self::StaticToken(fixed) => {
                let header = fixed.header(|| clock.wall()).map_err(NoToken::Expired)?;
                Ok(AuthHeader { header, generation: 0 })
            }
            Self::Granted(cache) => match cache.ready() {
                Some(pass) => Ok(pass),
                // Apart, so that the wait, which is rare, takes no room in every call.
                None => Box::pin(scope.wait(Wait::Token, cache.next(latest))).await,
            },
        }
    }

    /// Whether a token is there at once. What the bench of reading one measures.
    #[cfg(all(feature = "testing", feature = "repairy"))]
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::StaticToken(_) => true,
            Self::Granted(cache) => cache.ready().is_some(),
        }
    }

    /// Whether a token is still good to send, after a wait.
    pub(crate) fn is_good(&self, pass: &AuthHeader, clock: Clock) -> bool {
        match self {
            Self::StaticToken(fixed) => fixed.is_alive(|| clock.wall()),
            Self::Granted(cache) => cache.is_good(pass.generation),
        }
    }

    /// Whether a call that the vendor refused with 401 is worth repeating with a newer token.
    pub(crate) fn invalidate(&self, pass: &AuthHeader) -> bool {
        match self {
            Self::StaticToken(_) => false,
            Self::Granted(cache) => cache.rejected(pass.generation),
        }
    }

    /// Whether no tokens are on their way, to the client or to the store.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::StaticToken(_) => true,
            Self::Granted(cache) => cache.is_settled(),
        }
    }

    /// Renews tokens in time even while nobody calls; ends when the credentials give none any more.
    pub(crate) async fn keep_alive(&self, clock: Clock) -> NoToken {
        match self {
            Self::StaticToken(fixed) => NoToken::Expired(fixed.end(clock).await),
            Self::Granted(cache) => NoToken::TokenError(Arc::clone(cache).keep_alive().await),
        }
    }

    /// Makes the tokens worthless; `None` where a person made them.
    pub(crate) async fn revoke(&self) -> Option<Result<(), Arc<TokenError>>> {
        match self {
            Self::StaticToken(_) => None,
            Self::Granted(cache) => Some(cache.revoke().await),
        }
    }

    pub(crate) fn status(&self, wall: Timestamp) -> AuthStatus {
        match self {
            Self::StaticToken(fixed) => AuthStatus::of_static(fixed.expires_at(), wall),
            Self::Granted(cache) => cache.status(wall),
        }
    }

    /// A text of the vendor's without our secrets in it.
    pub(crate) fn cleaned(&self, text: &str) -> String {
        self.redaction().text(text).unwrap_or_else(|| text.to_owned())
    }

    /// A body without our secrets in it, and what it says where it is JSON.
    pub(crate) fn cleaned_body(&self, body: &Bytes) -> (Bytes, Option<Value>) {
        self.redaction().body(body)
    }

    fn redaction(&self) -> Redaction {
        match self {
            Self::StaticToken(fixed) => Redaction::of([fixed.token()]),
            Self::Granted(cache) => Redaction::of(&cache.secrets()),
        }
    }
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
