//! A token as it is sent.

use http::header::{HeaderName, HeaderValue};

use super::AuthHeader;
use super::expiry::Expiry;
use super::token_set::TokenSet;
use crate::clock::Clock;

/// A token as it is sent.
#[derive(Debug)]
pub(super) struct CachedToken {
    pub(super) tokens: TokenSet,
    pub(super) header: (HeaderName, HeaderValue),
    /// `None` if it is not known when the token expires.
    pub(super) expiry: Option<Expiry>,
    /// The number of this token in the process.
    pub(super) epoch: u64,
}

impl CachedToken {
    /// Whether the token is valid, and nothing is to be done: what nearly every call finds.
    pub(super) fn is_fresh(&self, clock: Clock) -> bool {
        self.expiry.as_ref().is_none_or(|expiry| expiry.is_fresh(clock))
    }

    /// The header of one attempt.
    pub(super) fn auth_header(&self, was_awaited: bool) -> AuthHeader {
        AuthHeader { header: Some(self.header.clone()), epoch: self.epoch, was_awaited }
    }
}
