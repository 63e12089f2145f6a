//! What a tenant saw of the requests for its tokens.

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;

use super::grants::Origin;

/// How many of the latest token requests are kept one by one.
const KEPT: usize = 10_000;

/// One request for tokens as a tenant saw it. It holds no token and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRequest {
    /// When it arrived, in the tenant's own time.
    pub at: Timestamp,
    /// What it asked for.
    pub kind: TokenRequestKind,
    /// Which login its tokens come of, counted from 1; `None` where nobody knows.
    pub family: Option<u32>,
    /// Which generation of that family's tokens the caller had: 1 after the login, and one more with each refresh. For a
    /// login it is the one that it began.
    pub generation: Option<u32>,
    /// Whether the tenant did what was asked, even if a fault kept the answer from reaching the caller.
    pub accepted: bool,
}

impl TokenRequest {
    /// A request that was about tokens of this origin, where anybody knows it.
    pub(crate) fn new(at: Timestamp, kind: TokenRequestKind, origin: Option<Origin>, accepted: bool) -> Self {
        let (family, generation) = origin.map(|origin| (origin.family, origin.generation)).unzip();
        Self { at, kind, family, generation, accepted }
    }
}

/// What a token request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TokenRequestKind {
    /// The first tokens of a family.
    Login,
    /// The next generation.
    Refresh,
    /// An end.
    Revocation,
}

/// The sums, and the latest requests.
#[derive(Debug, Default)]
pub(crate) struct TokenLog {
    latest: VecDeque<TokenRequest>,
    presented: BTreeSet<Origin>,
}

impl TokenLog {
    /// Notes a request. Tells whether it is a refresh for a generation that another refresh was sent for before.
    pub(crate) fn add(&mut self, request: TokenRequest) -> bool {
        let origin = request.family.zip(request.generation);
        let origin = origin.map(|(family, generation)| Origin { family, generation });
        let refresh = request.kind == TokenRequestKind::Refresh;
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(request);
        origin.is_some_and(|origin| refresh && !self.presented.insert(origin))
    }

    pub(crate) fn latest(&self) -> impl Iterator<Item = &TokenRequest> {
        self.latest.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: TokenRequestKind, generation: u32) -> TokenRequest {
        TokenRequest::new(Timestamp::UNIX_EPOCH, kind, Some(Origin { family: 1, generation }), true)
    }

    #[test]
    fn a_second_refresh_of_one_generation_is_noticed() {
        let mut log = TokenLog::default();
        assert!(!log.add(request(TokenRequestKind::Login, 1)));
        assert!(!log.add(request(TokenRequestKind::Refresh, 1)));
        assert!(!log.add(request(TokenRequestKind::Refresh, 2)));
        assert!(log.add(request(TokenRequestKind::Refresh, 1)));
        assert_eq!(log.latest().count(), 4);
    }
}
