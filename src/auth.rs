//! What the client proves itself with.
//!
//! Every attempt asks here for its header, so that a retry never goes out with a token that died while it waited. A token
//! that a person made is sent until it expires; one that a vendor grants is renewed by the cache.

mod cache;
mod endpoint;
mod file_store;
mod fixed;
#[cfg(test)]
mod folder;
mod grant;
mod keeping;
mod life;
mod redaction;
mod renewal;
mod revocation;
mod status;
mod store;
mod tokens;
mod trouble;
mod upkeep;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use tokio::time::Instant;

pub(crate) use self::cache::{Cache, Setting};
pub(crate) use self::endpoint::{Endpoint, Repeat};
pub use self::file_store::FileStore;
pub(crate) use self::fixed::Fixed;
pub(crate) use self::grant::{Body, Grant, Granted, Lives, Place, TokenRequest, life};
use self::redaction::Redaction;
pub use self::status::AuthStatus;
pub use self::store::{CompareAndSwap, Lease, MemoryStore, StoreError, TokenKey, TokenStore};
pub use self::tokens::TokenSet;
pub(crate) use self::trouble::{Trouble, Why};
use crate::clock::Clock;
use crate::observer::Wait;
use crate::trace::Caller;

/// What a vendor's `Credentials` come to.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) way: Way,
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
pub(crate) enum Way {
    Fixed(Fixed),
    Granted {
        grant: Box<dyn Grant>,
        /// Tokens that were obtained before.
        tokens: Option<TokenSet>,
    },
}

impl From<Fixed> for Plan {
    fn from(fixed: Fixed) -> Self {
        let account = fixed.fingerprint().into();
        Self { way: Way::Fixed(fixed), account, headers: HeaderMap::new() }
    }
}

/// What the client proves itself with.
#[derive(Debug)]
pub(crate) enum Auth {
    Fixed(Fixed),
    Granted(Arc<Cache>),
}

/// The header for one attempt, and the generation of the token in it.
#[derive(Debug)]
pub(crate) struct Pass {
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
    Trouble(Arc<Trouble>),
}

impl Auth {
    /// A token that is good now, waited for at most until `latest`.
    pub(crate) async fn pass(&self, clock: Clock, latest: Instant, caller: Caller<'_>) -> Result<Pass, NoToken> {
        match self {
            Self::Fixed(fixed) => {
                let header = fixed.header(|| clock.wall()).map_err(NoToken::Expired)?;
                Ok(Pass { header, generation: 0 })
            }
            Self::Granted(cache) => match cache.ready() {
                Some(pass) => Ok(pass),
                // Apart, so that the wait, which is rare, takes no room in every call.
                None => Box::pin(caller.waits(Wait::Token, cache.next(latest))).await,
            },
        }
    }

    /// Whether a token is there at once. What the bench of reading one measures.
    #[cfg(all(feature = "testing", feature = "repairy"))]
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Granted(cache) => cache.ready().is_some(),
        }
    }

    /// Whether a token is still good to send, after a wait.
    pub(crate) fn is_good(&self, pass: &Pass, clock: Clock) -> bool {
        match self {
            Self::Fixed(fixed) => fixed.is_alive(|| clock.wall()),
            Self::Granted(cache) => cache.is_good(pass.generation),
        }
    }

    /// Whether a call that the vendor refused with 401 is worth repeating with a newer token.
    pub(crate) fn renews_after(&self, pass: &Pass) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Granted(cache) => cache.rejected(pass.generation),
        }
    }

    /// Whether no tokens are on their way, to the client or to the store.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Granted(cache) => cache.is_settled(),
        }
    }

    /// Renews tokens in time even while nobody calls; ends when the credentials give none any more.
    pub(crate) async fn keep_alive(&self, clock: Clock) -> NoToken {
        match self {
            Self::Fixed(fixed) => NoToken::Expired(fixed.end(clock).await),
            Self::Granted(cache) => NoToken::Trouble(Arc::clone(cache).keep_alive().await),
        }
    }

    /// Makes the tokens worthless; `None` where a person made them.
    pub(crate) async fn revoke(&self) -> Option<Result<(), Arc<Trouble>>> {
        match self {
            Self::Fixed(_) => None,
            Self::Granted(cache) => Some(cache.revoke().await),
        }
    }

    pub(crate) fn status(&self, wall: Timestamp) -> AuthStatus {
        match self {
            Self::Fixed(fixed) => AuthStatus::of_fixed(fixed.expires_at(), wall),
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
            Self::Fixed(fixed) => Redaction::of([fixed.token()]),
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
