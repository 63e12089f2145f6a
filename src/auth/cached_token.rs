//! A token as it is sent.

use http::header::{HeaderName, HeaderValue};

use super::AuthHeader;
use super::expiry::Expiry;
use super::token_set::TokenSet;

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
    /// The header of one attempt.
    pub(super) fn auth_header(&self, was_awaited: bool) -> AuthHeader {
        AuthHeader { header: Some(self.header.clone()), epoch: self.epoch, was_awaited }
    }
}
