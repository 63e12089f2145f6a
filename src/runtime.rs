//! What generated code calls: it fills in a request, and gets a typed answer or a typed error.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_ENCODING;
use jiff::civil::Date;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::{Map, Value};
use serde_path_to_error::Track;
use tracing::{Instrument as _, Span};
use url::Url;

use crate::auth::{AuthStatus, Endpoint, NoToken};
use crate::envelope::Envelope;
use crate::error::Error;
pub(crate) use crate::lenient;
use crate::limit::RateLimit;
use crate::open::Open;
use crate::operation::Operation;
use crate::options::{CallOptions, Settings};
use crate::page::Fingerprint;
use crate::pipeline::{Call, Pipeline, RetryContext};
use crate::response::{Head, Response};
use crate::salvage;
use crate::transport::HttpResponse;

/// What is escaped in a path segment: everything that would end it or change its meaning.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// What is escaped in a query value, beyond that.
const QUERY: &AsciiSet = &SEGMENT.add(b'&').add(b'+').add(b'=').add(b'\'');

/// What errors name where no call was under way.
static KEEP_ALIVE: Operation = Operation::new("keep_alive", Method::POST, "/");
static REVOKE: Operation = Operation::new("revoke", Method::POST, "/");

/// A client's inside: what all clients of the tenant share, and this one's settings.
#[derive(Clone)]
pub(crate) struct Core {
    pipeline: Arc<Pipeline>,
    settings: Arc<Settings>,
}

impl Core {
    pub(crate) fn new(pipeline: Pipeline, settings: Settings) -> Self {
        Self { pipeline: Arc::new(pipeline), settings: Arc::new(settings) }
    }

    /// The same client with `options` laid over its settings.
    pub(crate) fn with_options(&self, options: CallOptions) -> Self {
        Self { pipeline: Arc::clone(&self.pipeline), settings: Arc::new(self.settings.overlaid(options)) }
    }

    /// Whether the client cannot be dropped with this handle, for others hold it, or would lose tokens that are on their
    /// way.
    pub(crate) fn is_needed(&self) -> bool {
        Arc::strong_count(&self.pipeline) > 1 || !self.pipeline.auth.is_settled()
    }

    pub(crate) fn auth_status(&self) -> AuthStatus {
        self.pipeline.auth.status(self.pipeline.clock.wall())
    }

    #[cfg(all(feature = "testing", feature = "repairy"))]
    pub(crate) fn has_token(&self) -> bool {
        self.pipeline.auth.is_ready()
    }

    /// Renews tokens in time even while nobody calls. Ends with the error that calls then get.
    pub(crate) async fn keep_alive(self) -> Error {
        let why = self.pipeline.auth.keep_alive(self.pipeline.clock).await;
        self.without_token(why, &KEEP_ALIVE)
    }

    /// Makes the tokens worthless.
    pub(crate) async fn revoke(&self) -> Result<(), Error> {
        match self.pipeline.auth.revoke().await {
            Some(outcome) => outcome.map_err(|trouble| self.without_token(NoToken::TokenError(trouble), &REVOKE)),
            None => {
                Err(Error::request(REVOKE.id(), "credentials", "were made by hand: revoke them where they were made"))
            }
        }
    }

    /// The token endpoints of the client's vendor.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let pipeline = &*self.pipeline;
        Endpoint {
            transport: pipeline.transport.clone(),
            clock: pipeline.clock,
            base: Arc::clone(&pipeline.base),
            headers: Arc::clone(&pipeline.headers),
            telemetry: pipeline.telemetry.clone(),
        }
    }

    /// The error of a token request that no call was waiting for.
    pub(crate) fn without_token(&self, why: NoToken, own: &'static Operation) -> Error {
        let operation = match &why {
            NoToken::TokenError(trouble) => trouble.operation.unwrap_or(own),
            _ => own,
        };
        let url = self.pipeline.base.url().clone();
        let call = Call { operation, idempotent: true, method: operation.method().clone(), url, body: None };
        RetryContext::begin(&self.pipeline, &call, &self.settings).without_token(why)
    }

    pub(crate) fn rate_limit(&self) -> RateLimit {
        self.pipeline.budget.snapshot(self.pipeline.clock)
    }

    /// How many calls the limit lets through at once.
    pub(crate) fn room(&self) -> Option<u64> {
        let ask = self.pipeline.rate_limit.ask(self.settings.priority);
        self.pipeline.budget.room(ask, self.pipeline.clock)
    }

    pub(crate) fn base_url(&self) -> &Url {
        self.pipeline.base.url()
    }

    /// What stands below the client's base in an address; nothing where it is not there.
    pub(crate) fn below_base<'a>(&self, url: &'a Url) -> Option<&'a str> {
        let base = &self.pipeline.base;
        base.rest(url.path()).filter(|_| base.given().origin() == url.origin())
    }

    /// Begins a call of `operation`.
    pub(crate) fn call(&self, operation: &'static Operation) -> Request {
        let base = self.pipeline.base.url().path().trim_end_matches('/');
        let mut path = String::with_capacity(base.len() + operation.path().len() + 32);
        path.push_str(base);
        let mut request = Request {
            core: self.clone(),
            operation,
            method: operation.method().clone(),
            idempotent: operation.is_idempotent(),
            rest: operation.path(),
            path,
            query: String::new(),
            body: None,
            problem: None,
        };
        request.literal();
        request
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("vendor", &self.pipeline.vendor.name)
            .field("tenant", &self.pipeline.tenant)
            .field("base_url", &self.pipeline.base.url().as_str())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A request that is being filled in. The first thing wrong with it is kept and told when it is sent, so that a chain
/// of setters stays a chain.
#[derive(Debug)]
pub(crate) struct Request {
    core: Core,
    operation: &'static Operation,
    method: Method,
    idempotent: bool,
    /// What is left of the operation's path.
    rest: &'static str,
    path: String,
    query: String,
    body: Option<Bytes>,
    problem: Option<Error>,
}

impl Request {
    /// Fills in the next parameter of the path. Parameters come in the order of the path.
    pub(crate) fn path(&mut self, name: &'static str, value: Option<&impl Param>) {
        let Some(end) = self.rest.find('}') else {
            return self.refuse(name, "is not in the path");
        };
        self.rest = &self.rest[end + 1..];
        match value.map(Param::encode) {
            None => self.refuse(name, format!("is required: set it with .{name}(..)")),
            Some(Err(reason)) => self.refuse(name, reason),
            Some(Ok(text)) if text.is_empty() || text == "." || text == ".." => {
                self.refuse(name, "is no part of a path");
            }
            Some(Ok(text)) => self.path.extend(utf8_percent_encode(&text, SEGMENT)),
        }
        self.literal();
    }

    /// Adds a parameter of the query; nothing where there is no value.
    pub(crate) fn query(&mut self, name: &str, value: Option<&impl Param>) {
        let Some(value) = value else { return };
        match value.encode() {
            Ok(text) => {
                self.query.reserve(name.len() + text.len() + 2);
                if !self.query.is_empty() {
                    self.query.push('&');
                }
                self.query.extend(utf8_percent_encode(name, QUERY));
                self.query.push('=');
                self.query.extend(utf8_percent_encode(&text, QUERY));
            }
            Err(reason) => self.refuse(name.to_owned(), reason),
        }
    }

    /// Adds a parameter of the query that has to be there.
    pub(crate) fn required_query(&mut self, name: &'static str, setter: &str, value: Option<&impl Param>) {
        match value {
            None => self.refuse(name, format!("is required: set it with .{setter}(..)")),
            value => self.query(name, value),
        }
    }

    /// Adds a parameter of the query that is a JSON object; nothing where it has no members.
    pub(crate) fn members(&mut self, name: &'static str, members: Members) {
        if let Some((member, reason)) = members.problem {
            self.refuse(member, reason);
        }
        if !members.values.is_empty() {
            self.query(name, Some(&Value::Object(members.values).to_string()));
        }
    }

    /// Refuses a number outside of its bounds.
    pub(crate) fn range(&mut self, name: &'static str, value: Option<impl Into<i64>>, min: i64, max: i64) {
        if let Some(value) = value.map(Into::into)
            && !(min..=max).contains(&value)
        {
            let bounds = if max == i64::MAX { format!("at least {min}") } else { format!("{min} to {max}") };
            self.refuse(name, format!("is {value}; allowed is {bounds}"));
        }
    }

    /// Refuses two days that are the wrong way round, or more than `days` apart.
    pub(crate) fn span(&mut self, from: Day<'_>, to: Day<'_>, days: i32) {
        if let ((_, Some(Open::Known(first))), (name, Some(Open::Known(last)))) = (from, to) {
            let between = last.duration_since(*first).as_hours() / 24;
            if between < 0 {
                self.refuse(name, format!("is {last}, which is before {first}"));
            } else if between > days.into() {
                self.refuse(name, format!("is {last}, {between} days after {first}; allowed are {days}"));
            }
        }
    }

    /// Refuses two parameters that exclude each other.
    pub(crate) fn exclusive(&mut self, parameters: &[(&'static str, bool)]) {
        let mut given = parameters.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            self.refuse(second, format!("cannot be combined with {first}; set one of them"));
        }
    }

    /// Sets the body.
    pub(crate) fn json(&mut self, body: Option<&impl Serialize>) {
        match body.map(serde_json::to_vec) {
            None => self.refuse("body", "is required: set it with .body(..)"),
            Some(Err(error)) => self.refuse("body", format!("cannot be written as JSON: {error}")),
            Some(Ok(bytes)) => self.body = Some(bytes.into()),
        }
    }

    /// Sets the body, which stands in the vendor's under this name.
    pub(crate) fn json_under(&mut self, name: &'static str, body: Option<&impl Serialize>) {
        self.json(body.map(|body| HashMap::from([(name, body)])).as_ref());
    }

    /// A number for what is asked for, and of whom: the same after a restart.
    pub(crate) fn fingerprint(&self) -> u64 {
        let pipeline = &self.core.pipeline;
        // Which of two bases holds is known at one time and not at another.
        let (given, path) = (pipeline.base.given(), pipeline.base.rest(&self.path).unwrap_or(&self.path));
        let whose = pipeline.tenant.as_deref().unwrap_or_else(|| given.as_str());
        let asked = [pipeline.vendor.name, whose, self.operation.id(), given.path(), path, &self.query];
        asked.iter().fold(Fingerprint::new(), |print, part| print.with(part)).finish()
    }

    /// Sends the request and reads what the answer is about as `T`.
    pub(crate) fn send<T: DeserializeOwned>(self) -> impl Future<Output = Result<Response<T>, Error>> {
        let envelope = match (self.operation.root(), self.core.pipeline.vendor.content) {
            (Some(name), _) => Envelope::Named(name),
            (None, Some(content)) => Envelope::Unnamed(content),
            (None, None) => Envelope::None,
        };
        self.finish(move |answer, context| decode(answer, envelope, context))
    }

    /// Sends the request and reads the answer, with all that the vendor wraps around it, as `T`.
    pub(crate) fn send_raw<T: DeserializeOwned>(self) -> impl Future<Output = Result<Response<T>, Error>> {
        self.finish(|answer, context| decode(answer, Envelope::None, context))
    }

    /// Sends the request. Whatever the answer says beyond its status is not read: where nothing is due, nothing can be
    /// wrong with it.
    pub(crate) fn send_only(self) -> impl Future<Output = Result<Response<()>, Error>> {
        self.finish(|_, _| Ok(()))
    }

    async fn finish<T>(
        self,
        read: impl FnOnce(&HttpResponse, &RetryContext<'_>) -> Result<T, Error>,
    ) -> Result<Response<T>, Error> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let Core { pipeline, settings } = self.core;
        // The base stays as it was checked: no path can change the host, nor does every call parse it anew.
        let mut url = pipeline.base.url().clone();
        url.set_path(&self.path);
        if !self.query.is_empty() {
            url.set_query(Some(&self.query));
        }
        let call =
            Call { operation: self.operation, idempotent: self.idempotent, method: self.method, url, body: self.body };
        let mut context = RetryContext::begin(&pipeline, &call, &settings);
        let span = context.opens();
        let arrived = match &span {
            None => pipeline.run(&mut context, &settings).await,
            // Apart and in a box, so that a call of which nobody hears pays nothing for it.
            Some(span) => Box::pin(pipeline.run(&mut context, &settings)).instrument(span.clone()).await,
        };
        let (answer, signals) = match arrived {
            Ok(arrived) => arrived,
            Err(error) => return Err(context.ends_with(error)),
        };
        let _inside = span.as_ref().map(Span::enter);
        if self.operation.refuses_inside()
            && let Some(refusal) = context.refusal_inside(&answer)
        {
            return Err(context.ends_with(refusal));
        }
        let value = match read(&answer, &context) {
            Ok(value) => value,
            Err(error) => return Err(context.ends_with(error)),
        };
        context.ends();
        let HttpResponse { status, headers, body } = answer;
        let rate_limit = RateLimit::told(signals, pipeline.clock);
        Ok(Response::new(value, Head { status, headers, body, rate_limit, vendor: pipeline.vendor }))
    }

    pub(crate) fn set_method(&mut self, method: Method) {
        self.method = method;
    }

    pub(crate) fn set_idempotent(&mut self, idempotent: bool) {
        self.idempotent = idempotent;
    }

    /// Appends a path as it is.
    pub(crate) fn append(&mut self, path: &str) {
        self.path.push_str(path);
    }

    /// Takes over a query that is encoded already.
    pub(crate) fn append_query(&mut self, query: Option<&str>) {
        self.query.push_str(query.unwrap_or_default());
    }

    /// Takes over a body that is JSON already.
    pub(crate) fn set_body(&mut self, body: Option<&str>) {
        self.body = body.map(|body| Bytes::copy_from_slice(body.as_bytes()));
    }

    pub(crate) fn refuse(&mut self, parameter: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) {
        if self.problem.is_none() {
            self.problem = Some(Error::request(self.operation.id(), parameter, reason));
        }
    }

    /// Copies the path up to its next parameter.
    fn literal(&mut self) {
        let end = self.rest.find('{').unwrap_or(self.rest.len());
        let (literal, rest) = self.rest.split_at(end);
        self.path.push_str(literal);
        self.rest = rest;
    }
}

/// The members of a JSON object that stands in the query, each at its place in it.
#[derive(Debug, Default)]
pub(crate) struct Members {
    values: Map<String, Value>,
    /// The first member that cannot be written, and why.
    problem: Option<(&'static str, String)>,
}

impl Members {
    /// Adds a member; nothing where there is no value.
    pub(crate) fn put(&mut self, place: &[&'static str], value: Option<&impl Serialize>) {
        let (Some(value), [outer @ .., name]) = (value, place) else { return };
        match serde_json::to_value(value) {
            Ok(value) => {
                let mut values = &mut self.values;
                for name in outer {
                    let inner = values.entry(*name).or_insert_with(|| Value::Object(Map::new()));
                    let Value::Object(inner) = inner else { return };
                    values = inner;
                }
                values.insert((*name).to_owned(), value);
            }
            Err(error) => {
                self.problem.get_or_insert_with(|| (name, error.to_string()));
            }
        }
    }
}

/// Reads what the body is about as `T`. Only when that fails is it read again, slowly: to save what can be saved, or to
/// tell where.
fn decode<T: DeserializeOwned>(
    answer: &HttpResponse,
    envelope: Envelope,
    context: &RetryContext<'_>,
) -> Result<T, Error> {
    // Some operations answer nothing; for a type that can be absent, that is an answer.
    let whole: &[u8] = if answer.body.is_empty() { b"null" } else { &answer.body };
    let body = envelope.inside(whole);
    // Returned from here: a value may be large, and each step it takes copies it.
    if let Some(body) = body
        && let Ok(value) = read(body, envelope)
    {
        return Ok(value);
    }
    saved(whole, envelope).ok_or_else(|| undecodable::<T>(answer, body.unwrap_or(whole), envelope, context))
}

fn read<T: DeserializeOwned>(body: &[u8], envelope: Envelope) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = envelope.read(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[cold]
fn saved<T: DeserializeOwned>(body: &[u8], envelope: Envelope) -> Option<T> {
    let mended = salvage::mended(body);
    // As a value first: of a field that comes twice, the later counts.
    let value: Value = serde_json::from_slice(envelope.inside(mended.as_bytes())?).ok()?;
    let saved = envelope.read(value).ok()?;
    tracing::warn!(name: "servicebay.mended_body", bytes = body.len(), "a body was not quite JSON and was mended");
    Some(saved)
}

#[cold]
fn undecodable<T: DeserializeOwned>(
    answer: &HttpResponse,
    body: &[u8],
    envelope: Envelope,
    context: &RetryContext<'_>,
) -> Error {
    if answer.body.is_empty() {
        return context.unreadable(answer, "the answer has no body", None, None);
    }
    if answer.is_html() {
        return context.unreadable(answer, "the answer is a web page and not JSON; check the base URL", None, None);
    }
    if let Envelope::Named(name) = envelope
        && serde_json::from_slice::<Value>(body).is_ok_and(|body| body.get(name).is_some_and(Value::is_null))
        && let Some(absent) = context.absent(answer)
    {
        return absent;
    }
    if let Some(encoding) = answer.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) {
        let reason = format!("the answer is encoded as {encoding}, which was not asked for");
        return context.unreadable(answer, reason, None, None);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let mut track = Track::new();
    match envelope.read::<_, T>(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track)) {
        Err(error) => {
            let path = track.path().to_string();
            let reason = match error.classify() {
                Category::Data => "the answer has another shape than expected",
                Category::Eof => "the answer is cut off",
                _ if error.to_string().starts_with("recursion limit") => "the answer is nested too deeply",
                _ => "the answer is not JSON",
            };
            let path = (error.is_data() && path != ".").then_some(path);
            context.unreadable(answer, reason, path, Some(Box::new(error)))
        }
        Ok(_) => context.unreadable(answer, "the answer goes on after its JSON", None, None),
    }
}

/// A parameter that is a day, by its name.
type Day<'a> = (&'static str, Option<&'a Open<Date>>);

/// A value that can stand in a path or a query.
pub(crate) trait Param {
    /// The value as text, not yet escaped; or why there is none.
    fn encode(&self) -> Result<Cow<'_, str>, String>;
}

impl Param for String {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        Ok(Cow::Borrowed(self))
    }
}

/// In a request, a value is known: what the vendor would make of another text, nobody can say.
impl<T: fmt::Display> Param for Open<T> {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        match self {
            Self::Known(value) => Ok(Cow::Owned(value.to_string())),
            Self::Other(text) => Err(format!("{text:?} is no date or time as ISO 8601 writes it")),
        }
    }
}

impl Param for &str {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        Ok(Cow::Borrowed(self))
    }
}

macro_rules! displayed {
    ($($kind:ty),*) => {$(
        impl Param for $kind {
            fn encode(&self) -> Result<Cow<'_, str>, String> {
                Ok(Cow::Owned(self.to_string()))
            }
        }
    )*};
}

displayed!(bool, i32, i64, u32, u64, f64);

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str, set: &'static AsciiSet) -> String {
        utf8_percent_encode(text, set).to_string()
    }

    #[test]
    fn a_path_segment_cannot_leave_its_place() {
        assert_eq!(escaped("../a b/ü?x#y%", SEGMENT), "..%2Fa%20b%2F%C3%BC%3Fx%23y%25");
    }

    #[test]
    fn a_query_value_cannot_become_a_second_parameter() {
        assert_eq!(escaped("a&b=c+d e", QUERY), "a%26b%3Dc%2Bd%20e");
    }

    #[test]
    fn escaped_text_survives_the_url_parser_unchanged() {
        let hostile = "ü &=+%?#/\\[]{}|^`'\"<>:;,()!*@$~";
        let url = format!("https://a.example/x?q={}", escaped(hostile, QUERY));
        let parsed = Url::parse(&url).unwrap();
        assert_eq!(parsed.query_pairs().next().unwrap().1, hostile);
        assert_eq!(parsed.query_pairs().count(), 1);
    }
}
