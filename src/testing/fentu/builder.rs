//! What can be chosen about a tenant before it starts.

use std::time::Duration;

use super::MockServer;
use super::authority::{LIFETIMES, Rules};
use super::office::Office;
use crate::testing::ResetFormat;
use crate::testing::clock::Clock;
use crate::testing::grants::Lifetimes;
use crate::testing::limit::{Limit, LimitHeaders};

/// The host of a tenant that has no socket.
const IN_MEMORY: &str = "https://demo.fentu.example";
const HOUR: Duration = Duration::from_secs(3600);

/// Chooses what the vendor's pages leave open, then starts a [`MockServer`].
///
/// Each choice has the default that the vendor's samples point to, or the one that hides the fewest mistakes. A client that
/// passes with the other values too does not depend on a guess.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use servicebay::testing::ResetFormat;
/// use servicebay::testing::fentu::{BasePath, KeyKind, RefreshTokens, MockServer, Tier};
///
/// let tenant = MockServer::builder()
///     .with_base_path(BasePath::ApiV1)
///     .with_tier(Tier::Professional)
///     .with_reset_format(ResetFormat::Iso8601)
///     .with_refresh_tokens(RefreshTokens::Rotated)
///     .start()
///     .await;
/// assert_eq!(tenant.remaining(KeyKind::Admin), Some(10_000));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a tenant begins with `start` or `in_memory`"]
pub struct MockServerBuilder {
    clock: Option<Clock>,
    options: Options,
}

/// Where a tenant answers. The vendor's samples say the one and its request lines the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BasePath {
    /// Under `/api/v1` alone.
    ApiV1,
    /// Under both.
    Both,
    /// Under `/v1` alone.
    V1,
}

/// What the user does whom an application sends to the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consent {
    /// Reads a page with a link to allow and one to deny, and follows the one that the test follows.
    Asked,
    /// Agrees at once.
    Given,
    /// Refuses at once.
    Refused,
}

/// What a tenant makes of PKCE, which the vendor does not mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pkce {
    /// A challenge is not needed; one that comes has to be S256, and the verifier has to fit it.
    Checked,
    /// Challenge and verifier are not looked at.
    Ignored,
    /// Nobody gets a code without a challenge.
    Required,
}

/// What a refresh does to the refresh token, which the vendor does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshTokens {
    /// It stays, and the answer to a refresh does not repeat it.
    LeftOut,
    /// It stays, and the answer repeats it.
    Repeated,
    /// A new one takes its place. The old one, used once more, ends all that came of its login.
    Rotated,
}

/// How many requests a key or a user may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tier {
    /// As many as they like.
    Enterprise,
    /// 10,000 an hour.
    Professional,
    /// 1,000 an hour.
    Standard,
}

impl Tier {
    pub(super) fn limit(self) -> Option<(u32, Duration)> {
        match self {
            Self::Enterprise => None,
            Self::Professional => Some((10_000, HOUR)),
            Self::Standard => Some((1_000, HOUR)),
        }
    }
}

/// The choices themselves.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) base_path: BasePath,
    pub(super) ignores_unknown_fields: bool,
    pub(super) limit_headers: LimitHeaders,
    pub(super) only_documented: bool,
    pub(super) rate_limit: Option<(u32, Duration)>,
    pub(super) rules: Rules,
}

crate::testing::mock_server::limit_options!();
crate::testing::mock_server::field_options!();
crate::testing::mock_server::options!(|host, options, _| Office::new(host, options));

impl MockServerBuilder {
    pub(super) fn new() -> Self {
        let rules = Rules {
            consent: Consent::Given,
            lifetimes: LIFETIMES,
            pkce: Pkce::Checked,
            refresh_tokens: RefreshTokens::Repeated,
        };
        let options = Options {
            base_path: BasePath::Both,
            ignores_unknown_fields: false,
            limit_headers: LimitHeaders { limit: Limit::Sent, reset: ResetFormat::EpochSeconds, retry_after: None },
            only_documented: false,
            rate_limit: Tier::Standard.limit(),
            rules,
        };
        Self { clock: None, options }
    }

    /// Where the tenant answers. Default [`BasePath::Both`]. Its [`base_url`](MockServer::base_url) ends with `/v1` all the same,
    /// as a client's does.
    pub fn with_base_path(mut self, path: BasePath) -> Self {
        self.options.base_path = path;
        self
    }

    /// What users do. Default [`Consent::Given`].
    pub fn with_consent(mut self, consent: Consent) -> Self {
        self.options.rules.consent = consent;
        self
    }

    /// Answers 501 to every operation whose method and path the vendor's pages do not show, so that a test sees what rests
    /// on an assumption.
    pub fn with_documented_operations_only(mut self) -> Self {
        self.options.only_documented = true;
        self
    }

    /// What becomes of PKCE. Default [`Pkce::Checked`].
    pub fn with_pkce(mut self, pkce: Pkce) -> Self {
        self.options.rules.pkce = pkce;
        self
    }

    /// How many requests each key and each login may make in a window, and how long a window is, in place of what a
    /// [tier](Self::with_tier) allows. A window begins with the first request that it counts.
    pub fn with_rate_limit(mut self, requests: u32, window: Duration) -> Self {
        self.options.rate_limit = Some((requests, window));
        self
    }

    /// What a refresh does to the refresh token. Default [`RefreshTokens::Repeated`].
    pub fn with_refresh_tokens(mut self, refresh_tokens: RefreshTokens) -> Self {
        self.options.rules.refresh_tokens = refresh_tokens;
        self
    }

    /// How many requests each key and each login may make in an hour. Default [`Tier::Standard`].
    pub fn with_tier(mut self, tier: Tier) -> Self {
        self.options.rate_limit = tier.limit();
        self
    }

    /// How long access tokens and refresh tokens live. Default 1 h and 30 days, which is documented.
    pub fn with_token_lifetimes(mut self, access: Duration, refresh: Duration) -> Self {
        self.options.rules.lifetimes = Lifetimes::new(access, refresh);
        self
    }

    /// Makes the tenant without any socket. Only a [client that was made for it](MockServer::client_builder) can reach it; in
    /// return its delays, windows and lifetimes follow tokio's paused clock, and months pass in milliseconds.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use std::time::Duration;
    ///
    /// use servicebay::testing::fentu::{KeyKind, MockServer};
    ///
    /// let tenant = MockServer::builder().in_memory();
    /// let client = tenant.client_builder(KeyKind::Admin).with_max_wait(Duration::from_secs(7200)).build()?;
    ///
    /// tenant.exhaust_rate_limit();
    /// let before = tenant.now();
    /// client.get_work_order().id("wo-10001").send().await?; // waits most of an hour, on a clock that is paused
    /// assert!(tenant.now().duration_since(before).as_mins() >= 58);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn in_memory(self) -> MockServer {
        let clock = self.clock.unwrap_or_else(Clock::starting_now);
        MockServer::without_a_port(clock, Office::new(IN_MEMORY, self.options))
    }
}
