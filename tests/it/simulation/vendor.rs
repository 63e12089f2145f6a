//! The vendors, and what is known about each: its tenants, its clients, and the rules of its tokens.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use servicebay::testing::fentu::Tier;
use servicebay::testing::repairy::Partner;
use servicebay::testing::{
    Counters, Fault, TokenRequest, Transport, fentu as at_fentu, fisikal as at_fisikal, repairy as at_repairy,
};
use servicebay::{AuthStatus, CallOptions, ClientBuilder, Error, TokenSet, fentu, fisikal, repairy};
use tokio::time::Instant;

use super::line::Line;
use super::shelf::Shelf;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A vendor, and what its pages leave open about its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    FentuLeftOut,
    FentuRepeated,
    FentuRotated,
    FisikalLogins,
    FisikalRotated,
    /// A refresh ends the access token before.
    FisikalStrict,
    RepairyKept,
    RepairyRotated,
}

/// How a vendor's tokens live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) access: Duration,
    pub(super) refresh: Option<Duration>,
    pub(super) rotates: bool,
    /// Whether credentials alone give tokens.
    pub(super) logs_in: bool,
    /// Whether a refresh takes a living access token.
    pub(super) needs_living_access: bool,
    pub(super) old_access_dies: bool,
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

    /// Whose a seed is.
    pub(super) fn of(seed: u64) -> Self {
        Self::ALL[(seed % Self::ALL.len() as u64) as usize]
    }

    pub(super) fn rules(self) -> Rules {
        let fisikal = Rules {
            access: HOUR,
            refresh: None,
            rotates: true,
            logs_in: true,
            needs_living_access: false,
            old_access_dies: false,
        };
        let fentu = Rules { refresh: Some(30 * DAY), rotates: false, logs_in: false, ..fisikal };
        let repairy = Rules { access: 48 * HOUR, refresh: Some(14 * DAY), needs_living_access: true, ..fisikal };
        match self {
            Self::FentuLeftOut | Self::FentuRepeated => fentu,
            Self::FentuRotated => Rules { rotates: true, ..fentu },
            Self::FisikalLogins | Self::FisikalRotated => fisikal,
            Self::FisikalStrict => Rules { old_access_dies: true, ..fisikal },
            Self::RepairyKept => Rules { rotates: false, ..repairy },
            Self::RepairyRotated => repairy,
        }
    }

    /// A tenant on a clock that nobody sets.
    pub(super) fn tenant(self, start: Timestamp) -> MockServer {
        let begun = Instant::now();
        let now = move || start.checked_add(SignedDuration::try_from(begun.elapsed()).unwrap()).unwrap();
        let fentu = |tokens| {
            let builder = at_fentu::MockServer::builder().with_clock(now).with_tier(Tier::Enterprise);
            MockServer::Fentu(builder.with_refresh_tokens(tokens).in_memory())
        };
        let fisikal = || at_fisikal::MockServer::builder().with_clock(now);
        let repairy = |tokens| {
            MockServer::Repairy(
                at_repairy::MockServer::builder().with_clock(now).with_refresh_tokens(tokens).in_memory(),
            )
        };
        match self {
            Self::FentuLeftOut => fentu(at_fentu::RefreshTokens::LeftOut),
            Self::FentuRepeated => fentu(at_fentu::RefreshTokens::Repeated),
            Self::FentuRotated => fentu(at_fentu::RefreshTokens::Rotated),
            Self::FisikalLogins => MockServer::Fisikal(fisikal().in_memory()),
            Self::FisikalRotated => MockServer::Fisikal(fisikal().with_refresh_tokens().in_memory()),
            Self::FisikalStrict => {
                MockServer::Fisikal(fisikal().with_refresh_tokens().with_old_tokens_revoked().in_memory())
            }
            Self::RepairyKept => repairy(at_repairy::RefreshTokens::Kept),
            Self::RepairyRotated => repairy(at_repairy::RefreshTokens::Rotated),
        }
    }
}

/// A tenant of any vendor.
#[derive(Clone, Debug)]
pub(super) enum MockServer {
    Fentu(at_fentu::MockServer),
    Fisikal(at_fisikal::MockServer),
    Repairy(at_repairy::MockServer),
}

macro_rules! whichever {
    ($any:expr, $one:ident => $what:expr) => {
        match $any {
            Self::Fentu($one) => $what,
            Self::Fisikal($one) => $what,
            Self::Repairy($one) => $what,
        }
    };
}

impl MockServer {
    pub(super) fn wire(&self) -> &dyn Transport {
        whichever!(self, tenant => tenant)
    }

    pub(super) fn fault(&self, fault: Fault) {
        whichever!(self, tenant => tenant.fault(fault));
    }

    pub(super) fn counters(&self) -> Counters {
        whichever!(self, tenant => tenant.counters())
    }

    pub(super) fn token_requests(&self) -> Vec<TokenRequest> {
        whichever!(self, tenant => tenant.token_requests())
    }

    /// Takes back all access tokens and leaves the refresh tokens in force.
    pub(super) fn end_access_tokens(&self) {
        whichever!(self, tenant => tenant.end_access_tokens());
    }

    /// Takes back everything.
    pub(super) fn revoke_all(&self) {
        whichever!(self, tenant => tenant.revoke_all());
    }

    /// Lets a person log in where only a person can.
    pub(super) async fn log_in(&self, line: Line) -> Option<TokenSet> {
        let Self::Fentu(tenant) = self else { return None };
        let known = tenant.application();
        let application = fentu::Application::builder(known.client_id(), known.client_secret());
        let application = application.with_base_url(tenant.base_url()).with_transport(line).build().unwrap();
        let login = application.authorize("http://127.0.0.1:49152/callback", ["admin"]).unwrap();
        let sent_to = tenant.visit(login.url().as_str()).expect("a redirect");
        Some(application.exchange(&login, sent_to.as_str()).await.expect("tokens"))
    }

    /// A client with its credentials, over a line and a store.
    pub(super) fn client(&self, line: Line, shelf: Shelf, handed_in: Option<TokenSet>) -> Client {
        match self {
            Self::Fentu(tenant) => {
                let known = tenant.application();
                let (id, secret) = (known.client_id(), known.client_secret());
                let credentials = match handed_in {
                    Some(tokens) => fentu::Credentials::oauth(id, secret, tokens),
                    None => fentu::Credentials::oauth_stored(id, secret),
                };
                let builder = fentu::Client::builder(credentials).with_tenant("acme");
                Client::Fentu(built(builder, tenant.base_url(), line, shelf))
            }
            Self::Fisikal(tenant) => {
                let (id, secret) = (at_fisikal::MockServer::CLIENT_ID, at_fisikal::MockServer::CLIENT_SECRET);
                let (user, password) = tenant.login(at_fisikal::Role::Manager);
                let credentials = fisikal::Credentials::password(id, secret, user, password);
                Client::Fisikal(built(fisikal::Client::builder(credentials), tenant.base_url(), line, shelf))
            }
            Self::Repairy(tenant) => {
                let credentials = tenant.credentials_of(Partner::Main);
                Client::Repairy(built(repairy::Client::builder(credentials), tenant.base_url(), line, shelf))
            }
        }
    }
}

fn built<C>(builder: ClientBuilder<C>, base_url: &str, line: Line, shelf: Shelf) -> C {
    builder.with_base_url(base_url).with_transport(line).with_token_store(shelf).build().unwrap()
}

/// A client of any vendor.
#[derive(Clone, Debug)]
pub(super) enum Client {
    Fentu(fentu::Client),
    Fisikal(fisikal::Client),
    Repairy(repairy::Client),
}

impl Client {
    /// A call that waits for this long at most.
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
        whichever!(self, client => client.auth_status())
    }

    pub(super) async fn keep_alive(self) -> Error {
        whichever!(self, client => client.keep_alive().await)
    }
}
