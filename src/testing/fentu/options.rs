//! The options of the mock server, and their defaults.

use std::time::Duration;

use jiff::SignedDuration;

use crate::testing::rate_limit::RateLimitHeaders;
use crate::testing::token_issuer::TokenLifetimes;

const HOUR: Duration = Duration::from_secs(3600);
/// The documented lifetimes.
const TOKEN_LIFETIMES: TokenLifetimes =
    TokenLifetimes { access: SignedDuration::from_hours(1), refresh: SignedDuration::from_hours(30 * 24) };

/// The prefix of the API's paths. The vendor's samples and its request lines differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BasePath {
    /// Only `/api/v1`.
    ApiV1,
    /// Both.
    Both,
    /// Only `/v1`.
    V1,
}

/// What the user does on the authorization page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consent {
    /// Gets a page with a link to allow and one to deny, and follows the one that the test follows.
    Asked,
    /// Agrees immediately.
    Given,
    /// Refuses immediately.
    Refused,
}

/// How the mock server treats PKCE, which the vendor does not mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pkce {
    /// A challenge is optional. If there is one, it must be S256, and the verifier must match it.
    Checked,
    /// Challenge and verifier are ignored.
    Ignored,
    /// A challenge is required.
    Required,
}

/// What a refresh does to the refresh token, which the vendor does not document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshTokens {
    /// It stays valid, and the response to a refresh leaves it out.
    LeftOut,
    /// It stays valid, and the response repeats it.
    Repeated,
    /// A new one replaces it. If the old one is used again, all tokens of its login are revoked.
    Rotated,
}

/// How many requests a key or a user may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tier {
    /// Any number.
    Enterprise,
    /// 10,000 an hour.
    Professional,
    /// 1,000 an hour.
    Standard,
}

impl Tier {
    /// The size and the length of the rate-limit window.
    pub(super) fn rate_limit(self) -> Option<(u32, Duration)> {
        match self {
            Self::Enterprise => None,
            Self::Professional => Some((10_000, HOUR)),
            Self::Standard => Some((1_000, HOUR)),
        }
    }
}

/// What a test can choose. The builder's methods explain each option.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) base_path: BasePath,
    pub(super) ignores_unknown_fields: bool,
    pub(super) oauth: OAuthOptions,
    pub(super) only_documented: bool,
    pub(super) rate_limit: Option<(u32, Duration)>,
    pub(super) rate_limit_headers: RateLimitHeaders,
}

/// What a test can choose about the OAuth endpoints.
#[derive(Clone, Debug)]
pub(super) struct OAuthOptions {
    pub(super) consent: Consent,
    pub(super) pkce: Pkce,
    pub(super) refresh_tokens: RefreshTokens,
    pub(super) token_lifetimes: TokenLifetimes,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base_path: BasePath::Both,
            ignores_unknown_fields: false,
            oauth: OAuthOptions {
                consent: Consent::Given,
                pkce: Pkce::Checked,
                refresh_tokens: RefreshTokens::Repeated,
                token_lifetimes: TOKEN_LIFETIMES,
            },
            only_documented: false,
            rate_limit: Tier::Standard.rate_limit(),
            rate_limit_headers: RateLimitHeaders::default(),
        }
    }
}
