//! Records the requests for tokens that a mock server receives.

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;

use super::token_issuer::TokenOrigin;

/// How many token requests are kept one by one.
const CAPACITY: usize = 10_000;

/// One request for tokens as a mock server received it. It holds no token and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRequest {
    /// When it arrived, in the server's own time.
    pub at: Timestamp,
    /// What it asked for.
    pub kind: TokenRequestKind,
    /// The login that its tokens come from, counted from 1; `None` if the tokens are unknown.
    pub family: Option<u32>,
    /// The generation of the tokens that the client sent: 1 after the login, and one more after each refresh. For a
    /// login it is the generation that the login issued.
    pub generation: Option<u32>,
    /// Whether the server accepted the request, even if a fault kept the response from the client.
    pub accepted: bool,
}

impl TokenRequest {
    /// A request about tokens of this origin, if they are known.
    pub(crate) fn new(at: Timestamp, kind: TokenRequestKind, origin: Option<TokenOrigin>, accepted: bool) -> Self {
        let (family, generation) = origin.map(|origin| (origin.family, origin.generation)).unzip();
        Self { at, kind, family, generation, accepted }
    }
}

/// What a token request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TokenRequestKind {
    /// The first tokens of a login.
    Login,
    /// The next generation of tokens.
    Refresh,
    /// The end of a token.
    Revocation,
}

/// The latest token requests, and which tokens were sent for a refresh.
#[derive(Debug, Default)]
pub(crate) struct TokenLog {
    latest: VecDeque<TokenRequest>,
    refreshed: BTreeSet<TokenOrigin>,
}

impl TokenLog {
    /// Adds a request, and returns whether it is a refresh of tokens that another refresh had already sent.
    pub(crate) fn add(&mut self, request: TokenRequest) -> bool {
        let origin = request.family.zip(request.generation);
        let origin = origin.map(|(family, generation)| TokenOrigin { family, generation });
        let is_refresh = request.kind == TokenRequestKind::Refresh;
        if self.latest.len() == CAPACITY {
            self.latest.pop_front();
        }
        self.latest.push_back(request);
        origin.is_some_and(|origin| is_refresh && !self.refreshed.insert(origin))
    }

    pub(crate) fn latest(&self) -> impl Iterator<Item = &TokenRequest> {
        self.latest.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: TokenRequestKind, generation: u32) -> TokenRequest {
        TokenRequest::new(Timestamp::UNIX_EPOCH, kind, Some(TokenOrigin { family: 1, generation }), true)
    }

    #[test]
    fn a_second_refresh_of_one_generation_is_repeated() {
        let mut log = TokenLog::default();
        assert!(!log.add(request(TokenRequestKind::Login, 1)));
        assert!(!log.add(request(TokenRequestKind::Refresh, 1)));
        assert!(!log.add(request(TokenRequestKind::Refresh, 2)));
        assert!(log.add(request(TokenRequestKind::Refresh, 1)));
        assert_eq!(log.latest().count(), 4);
    }
}
