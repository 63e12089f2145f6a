//! A transport that plays a recording.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::body;
use super::clock::shifted;
use super::keep::{Keep, is_identifier};
use super::recording::{BodyEnd, Content, Exchange, FailureKind, RecordedResponse, Recording};
use crate::error::BoxError;
use crate::transport::{Body, Environment, RequestInfo, Transport, TransportError};

/// A transport that plays a [`Recording`], for tests without the vendor. See [`Recorder`](super::Recorder) for an example.
///
/// A request gets the response of the first recorded request that matches it and was not played. They match if they have the
/// same method, the same words in their paths and the same names of parameters, and if kept parameters are equal. A replaced
/// parameter matches any value; one that came out of a replayed response finds its own. An id in a path that is not in the
/// recording, because the program names it, stands for the first recorded one that fits, and for that one from then on.
/// Bodies of requests are not compared. Token requests match by their operation, whatever the credentials.
///
/// It plays the recorded delays and failures too, on tokio's clock, which a test can pause. The wall clock of its clients starts
/// at the [time of the recording](Recording::started_at): derive from it the expiry of tokens that a test passes in. A request
/// that got no response gets none, and ends as the client's own time is over. Clones share what was played.
///
/// # Panics
///
/// A request without a recorded response panics. The message names it, and the recorded requests that are most like it.
#[derive(Clone)]
pub struct Replay(Arc<Mutex<State>>);

struct State {
    keep: Keep,
    started_at: Timestamp,
    /// When the first client started.
    start: Option<Instant>,
    exchanges: Vec<Track>,
    /// The replaced parts of all paths.
    ids: HashSet<String>,
    /// The ids that the program names, with the recorded ones that they stand for.
    aliases: HashMap<String, String>,
}

/// A recorded exchange, and whether it was played.
struct Track {
    exchange: Exchange,
    target: Target,
    is_played: bool,
}

/// A method, a path and a query.
#[derive(Debug)]
struct Target {
    method: String,
    path: Vec<Part>,
    /// In the order of the names.
    query: Vec<(Part, Part)>,
}

/// A part of a path or of a query, and whether it is replaced.
#[derive(Debug)]
struct Part {
    text: String,
    is_replaced: bool,
}

/// How well a recorded request matches, and the ids of the program that this would bind.
struct Match {
    exact: usize,
    aliases: Vec<(String, String)>,
}

impl Replay {
    /// Plays a recording from its start.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        let Recording { keep, started_at, exchanges } = recording;
        let track = |exchange: Exchange| Track { target: Target::parse(&exchange.request), exchange, is_played: false };
        let exchanges: Vec<Track> = exchanges.into_iter().map(track).collect();
        let parts = exchanges.iter().flat_map(|track| &track.target.path);
        let ids = parts.filter(|part| part.is_replaced).map(|part| part.text.clone()).collect();
        Self(Arc::new(Mutex::new(State { keep, started_at, start: None, exchanges, ids, aliases: HashMap::new() })))
    }

    /// The wall time at which the recording starts.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.state().started_at
    }

    /// The recorded requests that were not played, in their order, such as `get_order: GET /api/v3/orders/{61803398}`.
    #[must_use]
    pub fn remaining(&self) -> Vec<String> {
        self.state().exchanges.iter().filter(|track| !track.is_played).map(Track::name).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Replay {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            let request = body::received(request).await?;
            let chosen = self.state().choose(&request);
            let exchange = chosen.unwrap_or_else(|message| panic!("{message}"));
            match (exchange.response, exchange.failure) {
                (Some(response), _) => {
                    delay(response.after_ms).await;
                    Ok(play(response))
                }
                (None, Some(failure)) => {
                    delay(failure.after_ms).await;
                    Err(match failure.kind {
                        FailureKind::NotSent => TransportError::not_sent("recorded: the request was not sent"),
                        FailureKind::MayHaveArrived => TransportError::broken("recorded: the connection broke"),
                        FailureKind::TimedOut => TransportError::timed_out(),
                    })
                }
                (None, None) => std::future::pending().await,
            }
        })
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl Environment for Replay {
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    fn wall(&self) -> Timestamp {
        let mut state = self.state();
        let start = *state.start.get_or_insert_with(Instant::now);
        shifted(state.started_at, SignedDuration::try_from(start.elapsed()).unwrap_or(SignedDuration::MAX))
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let played = state.exchanges.iter().filter(|track| track.is_played).count();
        f.debug_struct("Replay").field("exchanges", &state.exchanges.len()).field("played", &played).finish()
    }
}

impl State {
    /// Plays the exchange that matches a request best, and of those the first.
    fn choose(&mut self, request: &Request<Bytes>) -> Result<Exchange, String> {
        let info = request.extensions().get::<RequestInfo>();
        let token_operation = info.filter(|info| info.is_token_request()).map(|info| info.operation().id());
        let target = Target::of(request);
        let mut best: Option<(usize, Match)> = None;
        for (index, track) in self.exchanges.iter().enumerate().filter(|(_, track)| !track.is_played) {
            let exchange = &track.exchange;
            let is_same_kind = match token_operation {
                Some(operation) => exchange.token_request && exchange.operation == operation,
                None => !exchange.token_request,
            };
            if is_same_kind
                && let Some(found) = self.compare(&track.target, &target)
                && best.as_ref().is_none_or(|(_, best)| found.exact > best.exact)
            {
                best = Some((index, found));
            }
        }
        let Some((index, found)) = best else { return Err(self.unknown(&target)) };
        self.aliases.extend(found.aliases);
        self.exchanges[index].is_played = true;
        Ok(self.exchanges[index].exchange.clone())
    }

    /// Whether a request is the recorded one, as far as the recording can tell.
    fn compare(&self, recorded: &Target, request: &Target) -> Option<Match> {
        let is_comparable = recorded.method == request.method
            && recorded.path.len() == request.path.len()
            && recorded.query.len() == request.query.len();
        if !is_comparable {
            return None;
        }
        let mut found = Match { exact: 0, aliases: Vec::new() };
        for (recorded, part) in recorded.path.iter().zip(&request.path) {
            let id = self.aliases.get(&part.text).unwrap_or(&part.text);
            if *id == recorded.text {
                // An id of the recording weighs more than all parameters.
                found.exact += if recorded.is_replaced { 1000 } else { 0 };
            } else if recorded.is_replaced && self.may_stand_for(&part.text, &recorded.text) {
                found.aliases.push((part.text.clone(), recorded.text.clone()));
            } else {
                return None;
            }
        }
        for ((recorded_name, recorded), (name, value)) in recorded.query.iter().zip(&request.query) {
            let is_same_name = recorded_name.is_replaced || recorded_name.text == name.text;
            if !is_same_name || !self.fits(&name.text, recorded, &value.text) {
                return None;
            }
            found.exact += usize::from(recorded.text == value.text);
        }
        Some(found)
    }

    /// Whether an id that the program names can be one of the recording that no other stands for.
    fn may_stand_for(&self, id: &str, recorded: &str) -> bool {
        /// Of numbers with fewer digits, a recorded one may be the program's own by chance.
        const SURELY_RECORDED: usize = 4;
        let is_recorded = self.ids.contains(id) && id.len() >= SURELY_RECORDED;
        !is_recorded && !self.aliases.contains_key(id) && self.aliases.values().all(|alias| alias != recorded)
    }

    /// Whether a parameter has the recorded value, or any value in place of a replaced one.
    fn fits(&self, name: &str, recorded: &Part, value: &str) -> bool {
        if recorded.is_replaced || recorded.text == value {
            return true;
        }
        if self.keep.keeps_parameter(name, value) {
            return false;
        }
        let json =
            |text: &str| serde_json::from_str::<Value>(text).ok().filter(|json| json.is_object() || json.is_array());
        match (json(&recorded.text), json(value)) {
            (Some(recorded), Some(value)) => self.fits_json(name, &recorded, &value),
            _ => false,
        }
    }

    /// As [`fits`](Self::fits), for a parameter that is JSON.
    fn fits_json(&self, name: &str, recorded: &Value, value: &Value) -> bool {
        match (recorded, value) {
            (Value::Array(recorded), Value::Array(values)) => {
                recorded.len() == values.len()
                    && recorded.iter().zip(values).all(|(recorded, value)| self.fits_json(name, recorded, value))
            }
            (Value::Object(recorded), Value::Object(values)) => {
                recorded.len() == values.len()
                    && recorded.iter().zip(values).all(|((name, recorded), (other, value))| {
                        (name == other || !is_identifier(other)) && self.fits_json(other, recorded, value)
                    })
            }
            (Value::Number(_), Value::Number(_)) | (Value::String(_), Value::String(_)) => {
                recorded == value || !self.keep.keeps_member(name, value)
            }
            _ => recorded == value,
        }
    }

    /// The message for a request without a recorded response.
    fn unknown(&self, target: &Target) -> String {
        const SHOWN: usize = 3;
        let mut nearest: Vec<&Track> = self.exchanges.iter().collect();
        nearest.sort_by_key(|track| std::cmp::Reverse(track.target.likeness(target)));
        let mut message = format!("the recording has no response left for {target}; the nearest recorded requests:");
        for track in nearest.iter().take(SHOWN) {
            message.push_str(&format!("\n  {}{}", track.name(), if track.is_played { " (played)" } else { "" }));
        }
        if nearest.is_empty() {
            message.push_str(" none, it is empty");
        }
        message
    }
}

impl Track {
    fn name(&self) -> String {
        format!("{}: {}", self.exchange.operation, self.exchange.request)
    }
}

impl Target {
    /// Reads the line of a recording.
    fn parse(line: &str) -> Self {
        let (method, target) = line.split_once(' ').unwrap_or((line, ""));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut query: Vec<_> = pairs.map(|(name, value)| (Part::parse(name), Part::parse(value))).collect();
        query.sort_by(|(one, _), (other, _)| one.text.cmp(&other.text));
        Self { method: method.to_owned(), path: path.split('/').map(Part::parse).collect(), query }
    }

    fn of(request: &Request<Bytes>) -> Self {
        let part = |text: &str| Part { text: text.to_owned(), is_replaced: false };
        let query = request.uri().query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let mut query: Vec<_> = pairs.map(|(name, value)| (part(&name), part(&value))).collect();
        query.sort_by(|(one, _), (other, _)| one.text.cmp(&other.text));
        let path =
            request.uri().path().split('/').map(|segment| part(&percent_decode_str(segment).decode_utf8_lossy()));
        Self { method: request.method().to_string(), path: path.collect(), query }
    }

    fn likeness(&self, other: &Self) -> usize {
        let path = self.path.iter().zip(&other.path).filter(|(one, other)| one.text == other.text || one.is_replaced);
        let names = self.query.iter().filter(|(name, _)| other.query.iter().any(|(other, _)| name.text == other.text));
        let is_same_length = self.path.len() == other.path.len();
        2 * path.count()
            + names.count()
            + 2 * usize::from(self.method == other.method)
            + 2 * usize::from(is_same_length)
    }
}

impl Part {
    fn parse(text: &str) -> Self {
        let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let decoded = percent_decode_str(inner.unwrap_or(text)).decode_utf8_lossy().into_owned();
        Self { text: decoded, is_replaced: inner.is_some() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<&str> = self.path.iter().map(|part| part.text.as_str()).collect();
        write!(f, "{} {}", self.method, path.join("/"))?;
        for (index, (name, value)) in self.query.iter().enumerate() {
            write!(f, "{}{}={}", if index == 0 { '?' } else { '&' }, name.text, value.text)?;
        }
        Ok(())
    }
}

/// The recorded response, with a body that ends as it did.
fn play(recorded: RecordedResponse) -> Response<Body> {
    let mut headers = HeaderMap::new();
    for line in &recorded.headers {
        if let Some((name, value)) = line.split_once(": ")
            && let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value))
        {
            headers.append(name, value);
        }
    }
    let whole = match recorded.body {
        None => Vec::new(),
        Some(Content::Json(value)) => vec![Bytes::from(value.to_string())],
        Some(Content::Opaque { bytes, .. }) => filler(bytes.unwrap_or_default()),
    };
    let (end, body_after_ms) = (recorded.end, recorded.body_after_ms);
    let body = match end {
        BodyEnd::Complete if body_after_ms == 0 && whole.len() <= 1 => {
            Body::from(whole.into_iter().next().unwrap_or_default())
        }
        _ => {
            let pieces = stream::iter(whole.into_iter().map(Ok::<_, BoxError>));
            let ending = stream::once(async move {
                delay(body_after_ms).await;
                match end {
                    BodyEnd::Complete => Ok(Bytes::new()),
                    BodyEnd::Broken => Err(BoxError::from("recorded: the connection broke")),
                    BodyEnd::Abandoned => std::future::pending().await,
                }
            });
            Body::from_stream(pieces.chain(ending), None)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(recorded.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// Waits on tokio's clock. A timer of no time would take a tick.
async fn delay(milliseconds: u64) {
    if milliseconds > 0 {
        sleep(Duration::from_millis(milliseconds)).await;
    }
}

/// What stands for a body of which the length alone is known, in pieces that share their memory.
fn filler(length: u64) -> Vec<Bytes> {
    const PIECE: usize = 64 * 1024;
    let piece = Bytes::from(vec![b'x'; PIECE]);
    let rest = length % PIECE as u64;
    let mut pieces = vec![piece.clone(); usize::try_from(length / PIECE as u64).unwrap_or(usize::MAX).min(1 << 20)];
    pieces.extend((rest > 0).then(|| piece.slice(..rest as usize)));
    pieces
}
