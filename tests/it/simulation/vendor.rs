//! The vendors of the simulation: their servers, their clients, and the rules of their tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use servicebay::testing::fentu::Tier;
use servicebay::testing::repairy::Partner;
use servicebay::testing::{
    Counters, Fault, TokenRequest, fentu as at_fentu, fisikal as at_fisikal, repairy as at_repairy,
};
use servicebay::{AuthStatus, CallOptions, ClientBuilder, Error, TokenSet, Transport, fentu, fisikal, repairy};
use tokio::time::Instant;

use super::flaky_transport::FlakyTransport;
use super::test_store::TestStore;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A vendor, with a variant for each behavior of tokens that its documentation leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    FentuLeftOut,
    FentuRepeated,
    FentuRotated,
    FisikalLogins,
    FisikalRotated,
    /// A refresh revokes the previous access token.
    FisikalStrict,
    RepairyKept,
    RepairyRotated,
}

/// The rules of a vendor's tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenRules {
    pub(super) access: Duration,
    pub(super) refresh: Option<Duration>,
    pub(super) rotates: bool,
    /// Whether the client can log in with its credentials.
    pub(super) logs_in: bool,
    /// Whether a refresh needs a valid access token.
    pub(super) needs_valid_access: bool,
    pub(super) revokes_old_access: bool,
}

impl Vendor {
    const ALL: [Self; 8] = [
        Self::RepairyRotated,
        Self::FentuRotated,
        Self::FisikalRotated,
        Self::FentuRepeated,
        Self::RepairyKept,
        Self::FentuLeftOut,
        Self::FisikalLogins,
        Self::FisikalStrict,
    ];

    /// The vendor of a seed.
    pub(super) fn of(seed: u64) -> Self {
        Self::ALL[(seed % Self::ALL.len() as u64) as usize]
    }

    pub(super) fn rules(self) -> TokenRules {
        let fisikal = TokenRules {
            access: HOUR,
            refresh: None,
            rotates: true,
            logs_in: true,
            needs_valid_access: false,
            revokes_old_access: false,
        };
        let fentu = TokenRules { refresh: Some(30 * DAY), rotates: false, logs_in: false, ..fisikal };
        let repairy = TokenRules { access: 48 * HOUR, refresh: Some(14 * DAY), needs_valid_access: true, ..fisikal };
        match self {
            Self::FentuLeftOut | Self::FentuRepeated => fentu,
            Self::FentuRotated => TokenRules { rotates: true, ..fentu },
            Self::FisikalLogins | Self::FisikalRotated => fisikal,
            Self::FisikalStrict => TokenRules { revokes_old_access: true, ..fisikal },
            Self::RepairyKept => TokenRules { rotates: false, ..repairy },
            Self::RepairyRotated => repairy,
        }
    }

    /// A server with its own clock, which is never set, and goes on while the machine of the clients sleeps.
    pub(super) fn server(self, start: Timestamp, slept: Arc<AtomicU64>) -> AnyServer {
        let started = Instant::now();
        let now = move || {
            let passed = started.elapsed() + Duration::from_millis(slept.load(Ordering::Relaxed));
            start.checked_add(SignedDuration::try_from(passed).unwrap()).unwrap()
        };
        let fentu = |tokens| {
            let builder = at_fentu::MockServer::builder().with_clock(now.clone()).with_tier(Tier::Enterprise);
            AnyServer::Fentu(builder.with_refresh_tokens(tokens).in_memory())
        };
        let fisikal = || at_fisikal::MockServer::builder().with_clock(now.clone());
        let repairy = |tokens| {
            AnyServer::Repairy(
                at_repairy::MockServer::builder().with_clock(now.clone()).with_refresh_tokens(tokens).in_memory(),
            )
        };
        match self {
            Self::FentuLeftOut => fentu(at_fentu::RefreshTokens::LeftOut),
            Self::FentuRepeated => fentu(at_fentu::RefreshTokens::Repeated),
            Self::FentuRotated => fentu(at_fentu::RefreshTokens::Rotated),
            Self::FisikalLogins => AnyServer::Fisikal(fisikal().in_memory()),
            Self::FisikalRotated => AnyServer::Fisikal(fisikal().with_refresh_tokens().in_memory()),
            Self::FisikalStrict => {
                AnyServer::Fisikal(fisikal().with_refresh_tokens().with_old_tokens_revoked().in_memory())
            }
            Self::RepairyKept => repairy(at_repairy::RefreshTokens::Kept),
            Self::RepairyRotated => repairy(at_repairy::RefreshTokens::Rotated),
        }
    }
}

/// A server of any vendor.
#[derive(Clone, Debug)]
pub(super) enum AnyServer {
    Fentu(at_fentu::MockServer),
    Fisikal(at_fisikal::MockServer),
    Repairy(at_repairy::MockServer),
}

macro_rules! delegate {
    ($any:expr, $one:ident => $what:expr) => {
        match $any {
            Self::Fentu($one) => $what,
            Self::Fisikal($one) => $what,
            Self::Repairy($one) => $what,
        }
    };
}

impl AnyServer {
    pub(super) fn transport(&self) -> &dyn Transport {
        delegate!(self, server => server)
    }

    pub(super) fn fault(&self, fault: Fault) {
        delegate!(self, server => server.fault(fault));
    }

    pub(super) fn now(&self) -> Timestamp {
        delegate!(self, server => server.now())
    }

    pub(super) fn counters(&self) -> Counters {
        delegate!(self, server => server.counters())
    }

    pub(super) fn token_requests(&self) -> Vec<TokenRequest> {
        delegate!(self, server => server.token_requests())
    }

    /// Revokes all access tokens; the refresh tokens stay valid.
    pub(super) fn end_access_tokens(&self) {
        delegate!(self, server => server.end_access_tokens());
    }

    /// Revokes all logins.
    pub(super) fn revoke_all(&self) {
        delegate!(self, server => server.revoke_all());
    }

    /// Logs in as the user, at a vendor where only a person can.
    pub(super) async fn log_in(&self, transport: FlakyTransport) -> Option<TokenSet> {
        let Self::Fentu(server) = self else { return None };
        let registered = server.application();
        let application = fentu::Application::builder(registered.client_id(), registered.client_secret());
        let application = application.with_base_url(server.base_url()).with_transport(transport).build().unwrap();
        loop {
            let login = application.authorize("http://127.0.0.1:49152/callback", ["admin"]).unwrap();
            let sent_to = server.visit(login.url().as_str()).expect("a redirect");
            match application.exchange(&login, sent_to.as_str()).await {
                // The clients have asked the token endpoint too often. The user comes back in a minute.
                Err(Error::RateLimited(_)) => tokio::time::sleep(Duration::from_secs(60)).await,
                tokens => return Some(tokens.expect("tokens")),
            }
        }
    }

    /// A client of this server.
    pub(super) fn client(&self, transport: FlakyTransport, store: TestStore, passed_in: Option<TokenSet>) -> AnyClient {
        match self {
            Self::Fentu(server) => {
                let registered = server.application();
                let (id, secret) = (registered.client_id(), registered.client_secret());
                let credentials = match passed_in {
                    Some(tokens) => fentu::Credentials::oauth(id, secret, tokens),
                    None => fentu::Credentials::oauth_stored(id, secret),
                };
                let builder = fentu::Client::builder(credentials).with_tenant("acme");
                AnyClient::Fentu(build(builder, server.base_url(), transport, store))
            }
            Self::Fisikal(server) => {
                let (id, secret) = (at_fisikal::MockServer::CLIENT_ID, at_fisikal::MockServer::CLIENT_SECRET);
                let (user, password) = server.login(at_fisikal::Role::Manager);
                let credentials = fisikal::Credentials::password(id, secret, user, password);
                AnyClient::Fisikal(build(fisikal::Client::builder(credentials), server.base_url(), transport, store))
            }
            Self::Repairy(server) => {
                let credentials = server.credentials_of(Partner::Main);
                AnyClient::Repairy(build(repairy::Client::builder(credentials), server.base_url(), transport, store))
            }
        }
    }
}

fn build<C>(builder: ClientBuilder<C>, base_url: &str, transport: FlakyTransport, store: TestStore) -> C {
    builder.with_base_url(base_url).with_transport(transport).with_token_store(store).build().unwrap()
}

/// A client of any vendor.
#[derive(Clone, Debug)]
pub(super) enum AnyClient {
    Fentu(fentu::Client),
    Fisikal(fisikal::Client),
    Repairy(repairy::Client),
}

impl AnyClient {
    /// A call with this `max_wait`.
    pub(super) async fn call(&self, max_wait: Duration) -> Result<(), Error> {
        let options = CallOptions::new().with_max_wait(max_wait);
        match self {
            Self::Fentu(client) => client.with_options(options).get_task().id("task-002").send().await.map(drop),
            Self::Fisikal(client) => client.with_options(options).get_location().id(1).send().await.map(drop),
            Self::Repairy(client) => {
                let call = client.with_options(options).get_booking().id("670000000000000000000001").send();
                call.await.map(drop)
            }
        }
    }

    pub(super) fn auth_status(&self) -> AuthStatus {
        delegate!(self, client => client.auth_status())
    }

    pub(super) async fn keep_alive(self) -> Error {
        delegate!(self, client => client.keep_alive().await)
    }
}
