//! Four vendors behind one wire, who know each of their tenants apart and write down whoever uses what is another's.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use servicebay::testing::{Transport, TransportError};
use servicebay::{ClientBuilder, Error, TokenSet, fentu, fisikal, fixably, repairy};
use tokio::time::{Instant, sleep};

/// How long every answer takes.
const ANSWER: Duration = Duration::from_millis(20);
/// How long an access token lives, and a partner's of Repairy, whose renewal takes one that lives.
const LIFE: Duration = Duration::from_secs(3600);
const PARTNERS_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The vendors, as one of their tenants meets them.
pub(super) trait Vendor: 'static {
    type Client: Clone + Debug + Send + Sync + 'static;

    /// Whether the vendor grants tokens, so that one that ended is followed by another.
    const GRANTS: bool = true;

    fn builder(town: &Town, key: &str) -> ClientBuilder<Self::Client>;

    /// Calls for something that belongs to the tenant, and answers with the body.
    fn call(client: &Self::Client, key: &str) -> BoxFuture<'static, Result<String, Error>>;

    /// How many logins a tenant needs at most that loses no tokens: one, and none that hands in its own.
    fn logins(_: &House) -> u32 {
        1
    }
}

pub(super) struct Fentu;
pub(super) struct Fisikal;
pub(super) struct Fixably;
pub(super) struct Repairy;

/// The calls of a vendor's client that name the tenant in their path.
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

    /// All tenants have one host and one application. The tokens are those of the first day, and do not say when that
    /// was.
    fn builder(town: &Town, key: &str) -> ClientBuilder<fentu::Client> {
        let tokens = TokenSet::new(access(key, 1)).with_refresh_token(refresh(key, 1));
        fentu::Client::builder(fentu::Credentials::oauth("application", "secret", tokens)).with_transport(town.clone())
    }

    fn call(client: &fentu::Client, key: &str) -> BoxFuture<'static, Result<String, Error>> {
        call!(key, client.get_work_order().id(key).send())
    }

    fn logins(_: &House) -> u32 {
        0
    }
}

impl Vendor for Fisikal {
    type Client = fisikal::Client;

    fn builder(town: &Town, key: &str) -> ClientBuilder<fisikal::Client> {
        let credentials = fisikal::Credentials::password("application", "secret", key, "password");
        fisikal::Client::builder(credentials).with_transport(town.clone())
    }

    fn call(client: &fisikal::Client, key: &str) -> BoxFuture<'static, Result<String, Error>> {
        call!(key, client.get_location().id(1).send())
    }
}

impl Vendor for Fixably {
    type Client = fixably::Client;
    const GRANTS: bool = false;

    fn builder(town: &Town, key: &str) -> ClientBuilder<fixably::Client> {
        fixably::Client::builder(fixably::Credentials::bearer(access(key, 1))).with_transport(town.clone())
    }

    fn call(client: &fixably::Client, key: &str) -> BoxFuture<'static, Result<String, Error>> {
        call!(key, client.get_order().id(1).send())
    }
}

impl Vendor for Repairy {
    type Client = repairy::Client;

    /// All tenants have one host.
    fn builder(town: &Town, key: &str) -> ClientBuilder<repairy::Client> {
        let credentials = repairy::Credentials::app("app key", "secret", key);
        repairy::Client::builder(credentials).with_base_url("https://partner-api.example").with_transport(town.clone())
    }

    fn call(client: &repairy::Client, key: &str) -> BoxFuture<'static, Result<String, Error>> {
        call!(key, client.get_booking().id(key).send())
    }

    /// A renewal takes an access token that lives.
    fn logins(house: &House) -> u32 {
        1 + house.ended
    }
}

fn access(key: &str, generation: u32) -> String {
    format!("{key}.access.{generation}")
}

fn refresh(key: &str, generation: u32) -> String {
    format!("{key}.refresh.{generation}")
}

/// The wire.
#[derive(Clone, Debug, Default)]
pub(super) struct Town(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    houses: HashMap<String, House>,
    /// Whatever no client of this crate may do.
    wrongs: Vec<String>,
}

/// What a vendor knows of one tenant.
#[derive(Clone, Debug)]
pub(super) struct House {
    pub(super) requests: u32,
    pub(super) logins: u32,
    pub(super) refreshes: u32,
    /// How many access tokens were ended before their time.
    ended: u32,
    /// Of the newest pair. The first is made beforehand.
    generation: u32,
    access_ends: Option<Instant>,
    is_refused: bool,
    closed_until: Option<Instant>,
}

impl Default for House {
    fn default() -> Self {
        Self {
            requests: 0,
            logins: 0,
            refreshes: 0,
            ended: 0,
            generation: 1,
            access_ends: None,
            is_refused: false,
            closed_until: None,
        }
    }
}

impl Town {
    /// What is known of a tenant.
    pub(super) fn house(&self, key: &str) -> House {
        self.state().houses.get(key).cloned().unwrap_or_default()
    }

    /// Ends a tenant's access token; the refresh token stays.
    pub(super) fn end_access(&self, key: &str) {
        self.change(key, |house| {
            house.access_ends = Some(Instant::now());
            house.ended += 1;
        });
    }

    /// Takes a tenant's rights: its tokens are worth nothing, and it gets no new ones.
    pub(super) fn shut_out(&self, key: &str) {
        self.change(key, |house| house.is_refused = true);
    }

    /// Refuses a tenant's calls with 429 for a while.
    pub(super) fn close(&self, key: &str, time: Duration) {
        self.change(key, |house| house.closed_until = Some(Instant::now() + time));
    }

    pub(super) fn wrongs(&self) -> Vec<String> {
        self.state().wrongs.clone()
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut House)) {
        change(self.state().houses.entry(key.to_owned()).or_default());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> (u16, Value, Option<u64>) {
        match whose(request) {
            Ok(key) if request.method() == "POST" => self.token(&key, request),
            Ok(key) => self.record(&key, request),
            Err(wrong) => {
                self.wrongs.push(wrong);
                (400, json!({}), None)
            }
        }
    }

    /// Gives out tokens: for credentials, or for the newest refresh token once.
    fn token(&mut self, key: &str, request: &Request<Bytes>) -> (u16, Value, Option<u64>) {
        let house = self.houses.entry(key.to_owned()).or_default();
        if house.is_refused {
            return (400, json!({"error": "invalid_grant", "message": "no more"}), None);
        }
        match presented(request) {
            None => house.logins += 1,
            Some(token) if token == refresh(key, house.generation) => house.refreshes += 1,
            Some(token) => {
                self.wrongs.push(format!("{key} renews with {token}, of generation {}", house.generation));
                return (400, json!({"error": "invalid_grant"}), None);
            }
        }
        let life = if request.headers().contains_key("x-partner-id") { PARTNERS_LIFE } else { LIFE };
        house.generation += 1;
        house.access_ends = Some(Instant::now() + life);
        let (access, refresh, seconds) =
            (access(key, house.generation), refresh(key, house.generation), life.as_secs());
        let body = json!({
            "access_token": access, "refresh_token": refresh, "expires_in": seconds,
            "accessToken": access, "refreshToken": refresh, "expiresIn": seconds,
        });
        (200, body, None)
    }

    /// Shows a tenant what is its own.
    fn record(&mut self, key: &str, request: &Request<Bytes>) -> (u16, Value, Option<u64>) {
        let house = self.houses.entry(key.to_owned()).or_default();
        let token = bearer(request).unwrap_or_default();
        if !token.starts_with(&format!("{key}.access.")) {
            self.wrongs.push(format!("{key} is asked for with {token}"));
        }
        house.requests += 1;
        let is_over = house.access_ends.is_some_and(|end| end <= Instant::now());
        if house.is_refused || is_over || token != access(key, house.generation) {
            return (401, json!({}), None);
        }
        match house.closed_until.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(left) if !left.is_zero() => (429, json!({}), Some(left.as_secs() + 1)),
            _ => (200, json!({"data": {"whose": key}, "location": {}}), None),
        }
    }
}

/// Whose a request is, by all in it that says so but its access token.
fn whose(request: &Request<Bytes>) -> Result<String, String> {
    let (host, path) = (request.uri().host().unwrap_or_default(), request.uri().path());
    let last = percent_decode_str(path.rsplit('/').next().unwrap_or_default()).decode_utf8_lossy().into_owned();
    let is_token = request.method() == "POST";
    match host {
        "api.fentu.io" if is_token => {
            let token = presented(request).ok_or("a renewal without a refresh token")?;
            let (key, _) = token.split_once(".refresh.").ok_or_else(|| format!("an odd refresh token: {token}"))?;
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
            match field(request, "username") {
                Some(name) if name != key => Err(format!("{name} logs in at {key}")),
                _ => Ok(key.to_owned()),
            }
        }
    }
}

/// The refresh token in a token request.
fn presented(request: &Request<Bytes>) -> Option<String> {
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let token = body["refreshToken"].as_str().map(str::to_owned);
    token.or_else(|| field(request, "refresh_token"))
}

/// A field of a form.
fn field(request: &Request<Bytes>, name: &str) -> Option<String> {
    url::form_urlencoded::parse(request.body()).find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
}

fn bearer(request: &Request<Bytes>) -> Option<&str> {
    request.headers().get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")
}

impl Transport for Town {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'static, Result<Response<Bytes>, TransportError>> {
        let town = self.clone();
        Box::pin(async move {
            sleep(ANSWER).await;
            let (status, body, retry_after) = town.state().answer(&request);
            let mut response = Response::builder().status(status).header("content-type", "application/json");
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", seconds);
            }
            Ok(response.body(Bytes::from(body.to_string())).unwrap())
        })
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}
