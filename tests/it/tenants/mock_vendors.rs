//! A transport that mocks all four vendors, distinguishes their tenants, and records every request that uses another tenant's
//! tokens.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use servicebay::testing::Environment;
use servicebay::{Body, Transport, TransportError};
use servicebay::{ClientBuilder, Error, TokenSet, fentu, fisikal, fixably, repairy};
use tokio::time::{Instant, sleep};

/// The latency of every response.
const LATENCY: Duration = Duration::from_millis(20);
/// The lifetime of an access token. Repairy's is longer, because a refresh there needs an access token that is still valid.
const ACCESS_LIFETIME: Duration = Duration::from_secs(3600);
const REPAIRY_ACCESS_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// A vendor, as one of its tenants uses it.
pub(super) trait Vendor: 'static {
    type Client: Clone + Debug + Send + Sync + 'static;

    /// Whether the vendor grants tokens, so that an expired one can be replaced.
    const GRANTS: bool = true;

    fn builder(vendors: &MockVendors, key: &str) -> ClientBuilder<Self::Client>;

    /// Reads something that belongs to the tenant, and returns the body.
    fn call(client: &Self::Client, key: &str) -> BoxFuture<'static, Result<String, Error>>;

    /// The most logins of a tenant that loses no tokens: one, or none if the credentials contain tokens.
    fn max_logins(_: &Account) -> u32 {
        1
    }
}

pub(super) struct Fentu;
pub(super) struct Fisikal;
pub(super) struct Fixably;
pub(super) struct Repairy;

/// Makes a call and checks that the response belongs to the tenant.
macro_rules! call {
    ($key:ident, $call:expr) => {{
        let (call, key) = ($call, $key.to_owned());
        Box::pin(async move {
            let response = call.await?;
            let body = String::from_utf8(response.body().to_vec()).unwrap();
            assert!(body.contains(&format!("{key:?}")), "{key} got {body}");
            Ok(body)
        })
    }};
}

impl Vendor for Fentu {
    type Client = fentu::Client;

    /// All tenants share one host and one application. The tokens are the first ones, without the time at which they were
    /// obtained.
    fn builder(vendors: &MockVendors, key: &str) -> ClientBuilder<fentu::Client> {
        let tokens = TokenSet::new(access(key, 1)).with_refresh_token(refresh(key, 1));
        fentu::Client::builder(fentu::Credentials::oauth("application", "secret", tokens))
            .with_transport(vendors.clone())
    }

    fn call(client: &fentu::Client, key: &str) -> BoxFuture<'static, Result<String, Error>> {
        call!(key, client.get_work_order().id(key).send())
    }

    fn max_logins(_: &Account) -> u32 {
        0
    }
}

impl Vendor for Fisikal {
    type Client = fisikal::Client;

    fn builder(vendors: &MockVendors, key: &str) -> ClientBuilder<fisikal::Client> {
        let credentials = fisikal::Credentials::password("application", "secret", key, "password");
        fisikal::Client::builder(credentials).with_transport(vendors.clone())
    }

    fn call(client: &fisikal::Client, key: &str) -> BoxFuture<'static, Result<String, Error>> {
        call!(key, client.get_location().id(1).send())
    }
}

impl Vendor for Fixably {
    type Client = fixably::Client;
    const GRANTS: bool = false;

    fn builder(vendors: &MockVendors, key: &str) -> ClientBuilder<fixably::Client> {
        fixably::Client::builder(fixably::Credentials::bearer(access(key, 1))).with_transport(vendors.clone())
    }

    fn call(client: &fixably::Client, key: &str) -> BoxFuture<'static, Result<String, Error>> {
        call!(key, client.get_order().id(1).send())
    }
}

impl Vendor for Repairy {
    type Client = repairy::Client;

    /// All tenants share one host.
    fn builder(vendors: &MockVendors, key: &str) -> ClientBuilder<repairy::Client> {
        let credentials = repairy::Credentials::app("app key", "secret", key);
        repairy::Client::builder(credentials)
            .with_base_url("https://partner-api.example")
            .with_transport(vendors.clone())
    }

    fn call(client: &repairy::Client, key: &str) -> BoxFuture<'static, Result<String, Error>> {
        call!(key, client.get_booking().id(key).send())
    }

    /// A refresh needs an access token that is still valid.
    fn max_logins(account: &Account) -> u32 {
        1 + account.expired_early
    }
}

fn access(key: &str, generation: u32) -> String {
    format!("{key}.access.{generation}")
}

fn refresh(key: &str, generation: u32) -> String {
    format!("{key}.refresh.{generation}")
}

/// The vendors. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct MockVendors(Arc<Mutex<MockVendorsState>>);

#[derive(Debug, Default)]
struct MockVendorsState {
    accounts: HashMap<String, Account>,
    /// What no client of this crate may do.
    violations: Vec<String>,
}

/// A tenant at its vendor.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) requests: u32,
    pub(super) logins: u32,
    pub(super) refreshes: u32,
    /// How many access tokens were made to expire early.
    expired_early: u32,
    /// The generation of the newest tokens. The first exist from the start.
    generation: u32,
    access_expires_at: Option<Instant>,
    is_revoked: bool,
    rate_limited_until: Option<Instant>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            requests: 0,
            logins: 0,
            refreshes: 0,
            expired_early: 0,
            generation: 1,
            access_expires_at: None,
            is_revoked: false,
            rate_limited_until: None,
        }
    }
}

impl MockVendors {
    /// The state of a tenant.
    pub(super) fn account(&self, key: &str) -> Account {
        self.state().accounts.get(key).cloned().unwrap_or_default()
    }

    /// Makes a tenant's access token expire now; the refresh token stays valid.
    pub(super) fn expire_access_token(&self, key: &str) {
        self.change(key, |account| {
            account.access_expires_at = Some(Instant::now());
            account.expired_early += 1;
        });
    }

    /// Revokes a tenant's tokens, and grants it no new ones.
    pub(super) fn revoke_account(&self, key: &str) {
        self.change(key, |account| account.is_revoked = true);
    }

    /// Responds to a tenant's calls with 429 for this time.
    pub(super) fn rate_limit(&self, key: &str, time: Duration) {
        self.change(key, |account| account.rate_limited_until = Some(Instant::now() + time));
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Account)) {
        change(self.state().accounts.entry(key.to_owned()).or_default());
    }

    fn state(&self) -> MutexGuard<'_, MockVendorsState> {
        self.0.lock().unwrap()
    }
}

impl MockVendorsState {
    fn respond(&mut self, request: &Request<Bytes>) -> (u16, Value, Option<u64>) {
        match tenant_of(request) {
            Ok(key) if request.method() == "POST" => self.token(&key, request),
            Ok(key) => self.record(&key, request),
            Err(violation) => {
                self.violations.push(violation);
                (400, json!({}), None)
            }
        }
    }

    /// Grants tokens: for credentials, or once for the newest refresh token.
    fn token(&mut self, key: &str, request: &Request<Bytes>) -> (u16, Value, Option<u64>) {
        let account = self.accounts.entry(key.to_owned()).or_default();
        if account.is_revoked {
            return (400, json!({"error": "invalid_grant", "message": "no more"}), None);
        }
        match refresh_token_of(request) {
            None => account.logins += 1,
            Some(token) if token == refresh(key, account.generation) => account.refreshes += 1,
            Some(token) => {
                self.violations.push(format!("{key} refreshes with {token}, of generation {}", account.generation));
                return (400, json!({"error": "invalid_grant"}), None);
            }
        }
        let lifetime =
            if request.headers().contains_key("x-partner-id") { REPAIRY_ACCESS_LIFETIME } else { ACCESS_LIFETIME };
        account.generation += 1;
        account.access_expires_at = Some(Instant::now() + lifetime);
        let (access, refresh, seconds) =
            (access(key, account.generation), refresh(key, account.generation), lifetime.as_secs());
        let body = json!({
            "access_token": access, "refresh_token": refresh, "expires_in": seconds,
            "accessToken": access, "refreshToken": refresh, "expiresIn": seconds,
        });
        (200, body, None)
    }

    /// Returns something that belongs to the tenant.
    fn record(&mut self, key: &str, request: &Request<Bytes>) -> (u16, Value, Option<u64>) {
        let account = self.accounts.entry(key.to_owned()).or_default();
        let token = bearer(request).unwrap_or_default();
        if !token.starts_with(&format!("{key}.access.")) {
            self.violations.push(format!("{key} is requested with {token}"));
        }
        account.requests += 1;
        let is_expired = account.access_expires_at.is_some_and(|end| end <= Instant::now());
        if account.is_revoked || is_expired || token != access(key, account.generation) {
            return (401, json!({}), None);
        }
        match account.rate_limited_until.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(left) if !left.is_zero() => (429, json!({}), Some(left.as_secs() + 1)),
            _ => (200, json!({"data": {"tenant": key}, "location": {}}), None),
        }
    }
}

/// The tenant of a request, from everything in it except its access token.
fn tenant_of(request: &Request<Bytes>) -> Result<String, String> {
    let (host, path) = (request.uri().host().unwrap_or_default(), request.uri().path());
    let last = percent_decode_str(path.rsplit('/').next().unwrap_or_default()).decode_utf8_lossy().into_owned();
    let is_token = request.method() == "POST";
    match host {
        "api.fentu.io" if is_token => {
            let token = refresh_token_of(request).ok_or("a refresh without a refresh token")?;
            let (key, _) =
                token.split_once(".refresh.").ok_or_else(|| format!("not a refresh token of this mock: {token}"))?;
            Ok(key.to_owned())
        }
        "api.fentu.io" => Ok(last),
        "partner-api.example" => {
            let partner = request.headers()["x-partner-id"].to_str().unwrap().to_owned();
            let is_own = is_token || last == partner;
            is_own.then_some(partner).ok_or_else(|| format!("{path} is not the partner's"))
        }
        _ => {
            let key = host.strip_suffix(".fisikal.com").or_else(|| host.strip_suffix(".fixably.com"));
            let key = key.ok_or_else(|| format!("no such host: {host}"))?;
            match form_field(request, "username") {
                Some(name) if name != key => Err(format!("{name} logs in at {key}")),
                _ => Ok(key.to_owned()),
            }
        }
    }
}

/// The refresh token in a token request.
fn refresh_token_of(request: &Request<Bytes>) -> Option<String> {
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let token = body["refreshToken"].as_str().map(str::to_owned);
    token.or_else(|| form_field(request, "refresh_token"))
}

/// A field of a form.
fn form_field(request: &Request<Bytes>, name: &str) -> Option<String> {
    url::form_urlencoded::parse(request.body()).find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
}

fn bearer(request: &Request<Bytes>) -> Option<&str> {
    request.headers().get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")
}

impl Transport for MockVendors {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            sleep(LATENCY).await;
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, body.collect(usize::MAX).await?);
            let (status, body, retry_after) = self.state().respond(&request);
            let mut response = Response::builder().status(status).header("content-type", "application/json");
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", seconds);
            }
            Ok(response.body(Body::from(body.to_string())).unwrap())
        })
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl Environment for MockVendors {
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}
