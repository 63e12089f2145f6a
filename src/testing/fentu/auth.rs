//! Authentication: which key or access token a request has, and what it allows.

use std::collections::BTreeSet;

use http::header::HeaderMap;
use jiff::Timestamp;

use super::error_response::unauthorized;
use super::keys::{ApiKey, Keys};
use super::oauth::OAuth;
use super::options::{OAuthOptions, Tier};
use crate::testing::authorization::{Authorization, TokenSeen};
use crate::testing::error_response::ErrorResponse;

/// The keys and tokens that the server accepts.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) keys: Keys,
    pub(super) oauth: OAuth,
}

/// The client of a request, once it is authenticated.
#[derive(Debug)]
pub(super) struct Principal {
    pub(super) identity: Identity,
    scopes: BTreeSet<String>,
}

/// Whose requests count against one rate limit. The vendor does not document it; here it is a key, or a login with all
/// of its tokens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identity {
    Key(String),
    Login(u32),
}

impl Principal {
    pub(super) fn allows(&self, scope: &str) -> bool {
        self.scopes.contains("admin") || self.scopes.contains(scope)
    }
}

impl Auth {
    pub(super) fn new(options: OAuthOptions) -> Self {
        Self { keys: Keys::seeded(), oauth: OAuth::new(options) }
    }

    pub(super) fn authenticate(&self, headers: &HeaderMap, now: Timestamp) -> Result<Principal, ErrorResponse> {
        let Authorization { seen, value } = Authorization::of(headers);
        match seen {
            TokenSeen::Bearer => {}
            TokenSeen::None => return Err(unauthorized("The token is missing.")),
            TokenSeen::Legacy | TokenSeen::Session => {
                return Err(unauthorized("The token must be sent as Bearer."));
            }
        }
        if let Some(key) = self.keys.get(value) {
            return Ok(Principal { identity: Identity::Key(value.to_owned()), scopes: key.scopes().clone() });
        }
        match self.oauth.issuer.validate(value, now) {
            Some((origin, scopes)) => {
                Ok(Principal { identity: Identity::Login(origin.family), scopes: scopes.clone() })
            }
            None => Err(unauthorized("The token is not valid.")),
        }
    }

    /// The tier of an identity, if it has one of its own.
    pub(super) fn tier(&self, identity: &Identity) -> Option<Tier> {
        match identity {
            Identity::Key(value) => self.keys.get(value).and_then(ApiKey::tier),
            Identity::Login(_) => None,
        }
    }

    /// Every key and every login that has not ended.
    pub(super) fn identities(&self) -> Vec<Identity> {
        let keys = self.keys.values().map(|value| Identity::Key(value.to_owned()));
        keys.chain(self.oauth.issuer.families().map(Identity::Login)).collect()
    }
}
