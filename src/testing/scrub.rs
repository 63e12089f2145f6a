//! Makes a recording of what was sent and received: keeps what is listed, and replaces the rest.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::header::{
    AGE, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Method, StatusCode};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};
use url::Url;

use super::keep::{Keep, is_identifier, is_secret_name};
use super::pseudonyms::Pseudonyms;
use super::recording::{BodyEnd, Content, Exchange, FailureKind, RecordedFailure, RecordedResponse, Recording};
use crate::auth::is_gateway_phrase;
use crate::json_repair;

/// What is escaped in the paths and queries of a recording. Braces mark what is replaced.
const ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'%').add(b'&').add(b'=').add(b'+').add(b'#').add(b'/').add(b'?').add(b'{').add(b'}');
/// The host of all URLs.
const HOST: &str = "host.invalid";
/// Shorter values are not searched for: they are part of ordinary words.
const MIN_SECRET: usize = 4;
/// Values that a client reads in the response to a token request (RFC 6749, and the codes of the vendors).
const TOKEN_WORDS: [&str; 14] = [
    "access_denied",
    "bad_refresh_token",
    "bad_verification_code",
    "bearer",
    "Bearer",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_token",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
];
/// Media types that are kept. Others may name a vendor or a customer.
const MEDIA_TYPES: [&str; 12] = [
    "application/json",
    "application/octet-stream",
    "application/pdf",
    "application/problem+json",
    "application/x-www-form-urlencoded",
    "application/xml",
    "image/jpeg",
    "image/png",
    "multipart/form-data",
    "text/csv",
    "text/html",
    "text/plain",
];
/// The words of headers that report limits.
const LIMIT_WORDS: [&str; 10] = ["burst", "limit", "pk", "policy", "q", "qu", "r", "remaining", "reset", "t"];

/// One exchange as it was. It never leaves the recorder.
pub(crate) struct RawExchange {
    /// When the request was sent, from the start.
    pub(crate) at: Duration,
    pub(crate) operation: String,
    pub(crate) is_token_request: bool,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) body: Option<RawBody>,
    /// What the request proves its sender with.
    pub(crate) secrets: Vec<String>,
    pub(crate) outcome: RawOutcome,
}

pub(crate) struct RawBody {
    pub(crate) media_type: Option<HeaderValue>,
    /// What arrived of it, unless it is too large or a stream.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) length: Option<u64>,
}

pub(crate) enum RawOutcome {
    /// Nothing came back so far.
    Pending,
    Failed(RecordedFailure),
    Responded(RawResponse),
}

pub(crate) struct RawResponse {
    pub(crate) after: Duration,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RawBody,
    /// How long after the head the body ended.
    pub(crate) body_after: Duration,
    pub(crate) end: BodyEnd,
}

impl RecordedFailure {
    pub(crate) fn new(after: Duration, kind: FailureKind) -> Self {
        Self { after_ms: milliseconds(after), kind }
    }
}

/// The recording of a session that started at this time.
pub(crate) fn scrub(keep: &Keep, started_at: Timestamp, exchanges: &[RawExchange]) -> Recording {
    let secrets = exchanges.iter().flat_map(secrets).filter(|secret| secret.len() >= MIN_SECRET).collect();
    let mut scrubber = Scrubber { keep, secrets, pseudonyms: Pseudonyms::new(started_at) };
    for exchange in exchanges {
        scrubber.exchange(exchange);
    }
    scrubber.pseudonyms = scrubber.pseudonyms.again();
    Recording {
        keep: keep.clone(),
        started_at: scrubber.pseudonyms.start(),
        exchanges: exchanges.iter().map(|exchange| scrubber.exchange(exchange)).collect(),
    }
}

/// The credentials of an exchange: what the request proves its sender with, and the tokens that were granted.
fn secrets(exchange: &RawExchange) -> Vec<String> {
    let mut secrets = exchange.secrets.clone();
    if let (true, RawOutcome::Responded(response)) = (exchange.is_token_request, &exchange.outcome)
        && let Some(body) = response.body.bytes.as_deref().and_then(json_repair::parse)
    {
        tokens(&body, "", &mut secrets);
    }
    secrets
}

/// Adds the tokens of a token response.
fn tokens(value: &Value, name: &str, found: &mut Vec<String>) {
    match value {
        Value::String(text) if is_secret_name(name) && !TOKEN_WORDS.contains(&text.as_str()) => {
            found.push(text.clone())
        }
        Value::Array(items) => items.iter().for_each(|item| tokens(item, name, found)),
        Value::Object(members) => members.iter().for_each(|(name, member)| tokens(member, name, found)),
        _ => {}
    }
}

struct Scrubber<'a> {
    keep: &'a Keep,
    secrets: BTreeSet<String>,
    pseudonyms: Pseudonyms,
}

impl Scrubber<'_> {
    fn exchange(&mut self, raw: &RawExchange) -> Exchange {
        let (mut response, mut failure) = (None, None);
        let request = format!("{} {}", raw.method, self.target(&raw.path, raw.query.as_deref()));
        let body = raw.body.as_ref().filter(|_| !raw.is_token_request).and_then(|body| self.content(body, false));
        match &raw.outcome {
            RawOutcome::Pending => {}
            RawOutcome::Failed(failed) => failure = Some(failed.clone()),
            RawOutcome::Responded(raw_response) => response = Some(self.response(raw_response, raw.is_token_request)),
        }
        let operation = if is_identifier(&raw.operation) { raw.operation.clone() } else { self.text(&raw.operation) };
        Exchange {
            at_ms: milliseconds(raw.at),
            operation,
            token_request: raw.is_token_request,
            request,
            body,
            response,
            failure,
        }
    }

    fn response(&mut self, raw: &RawResponse, is_token_response: bool) -> RecordedResponse {
        let mut headers: Vec<String> = Vec::new();
        for (name, value) in &raw.headers {
            if let Some(value) = value.to_str().ok().and_then(|value| self.header(name, value)) {
                headers.push(format!("{name}: {value}"));
            }
        }
        // Stable, so that values of one name stay in their order.
        headers.sort_by(|one, other| one.split(':').next().cmp(&other.split(':').next()));
        RecordedResponse {
            after_ms: milliseconds(raw.after),
            status: raw.status.as_u16(),
            headers,
            body: self.content(&raw.body, is_token_response),
            body_after_ms: milliseconds(raw.body_after),
            end: raw.end,
        }
    }

    /// The value of a header of a response, or `None` if the header is left out.
    fn header(&mut self, name: &HeaderName, value: &str) -> Option<String> {
        if self.keep.keeps_header(name) && !self.is_secret(value) {
            return Some(value.to_owned());
        }
        let is_request_id = || name == "x-request-id";
        let is_limit = || {
            let name = name.as_str();
            let rest = ["x-ratelimit", "x-rate-limit", "ratelimit"].iter().find_map(|family| name.strip_prefix(family));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        match *name {
            CONTENT_TYPE => Some(media_type(value).to_owned()),
            AGE | DATE | RETRY_AFTER => Some(self.limit_value(value)),
            ETAG => Some(format!("\"{}\"", self.text(value))),
            LOCATION => Some(self.url(value).unwrap_or_else(|| self.text(value))),
            WWW_AUTHENTICATE => {
                let code = TOKEN_WORDS.iter().find(|word| value.contains(&format!("error=\"{word}\"")));
                Some(code.map_or_else(|| "Bearer".to_owned(), |code| format!("Bearer error=\"{code}\"")))
            }
            _ if is_limit() => Some(self.limit_value(value)),
            _ if is_request_id() => Some(self.text(value)),
            _ => None,
        }
    }

    /// A header that reports a limit or a time: its numbers and its own words stay, names of policies and users do not.
    fn limit_value(&mut self, value: &str) -> String {
        if let Some(date) = self.pseudonyms.date(value) {
            return date;
        }
        let mut scrubbed = String::with_capacity(value.len());
        let mut rest = value;
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric();
            let end = if first == '"' {
                rest[1..].find('"').map_or(rest.len(), |end| end + 2)
            } else if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (part, after) = rest.split_at(end);
            if first == '"' {
                let name = self.text(part.trim_matches('"'));
                scrubbed.push_str(&format!("\"{name}\""));
            } else if !is_word(first) || LIMIT_WORDS.contains(&part) || part == "w" {
                scrubbed.push_str(part);
            } else {
                let moment = self.pseudonyms.moment(part);
                scrubbed.push_str(&moment.unwrap_or_else(|| self.text(part)));
            }
            rest = after;
        }
        scrubbed
    }

    fn content(&mut self, body: &RawBody, is_token_response: bool) -> Option<Content> {
        let media_type = body.media_type.as_ref().and_then(|value| value.to_str().ok()).map(media_type);
        if let Some(value) = body.bytes.as_deref().and_then(json_repair::parse) {
            return Some(Content::Json(self.json(&value, "", is_token_response)));
        }
        if body.length == Some(0) {
            return None;
        }
        Some(Content::Opaque { media_type: media_type.map(str::to_owned), bytes: body.length })
    }

    /// A JSON value that is the value of a member of this name, or in a list that is.
    fn json(&mut self, value: &Value, name: &str, is_token_response: bool) -> Value {
        match value {
            Value::Null | Value::Bool(_) => value.clone(),
            Value::Array(items) => items.iter().map(|item| self.json(item, name, is_token_response)).collect(),
            Value::Object(members) => {
                let scrubbed = members.iter().map(|(name, member)| {
                    let member = self.json(member, name, is_token_response);
                    (self.member_name(name), member)
                });
                Value::Object(scrubbed.collect::<Map<_, _>>())
            }
            Value::Number(number) => {
                let text = number.to_string();
                if self.keep.keeps_member(name, value) && !self.is_secret(&text) {
                    return value.clone();
                }
                let lifetime = || self.pseudonyms.moment(&text);
                let is_lifetime = is_token_response && is_lifetime(name);
                let scrubbed = if is_lifetime { lifetime() } else { None };
                let scrubbed = scrubbed.or_else(|| self.pseudonyms.number(&text)).unwrap_or_default();
                serde_json::from_str(&scrubbed).unwrap_or_else(|_| 0.into())
            }
            Value::String(text) => {
                let is_word = TOKEN_WORDS.contains(&text.as_str()) || is_gateway_phrase(text);
                if (self.keep.keeps_member(name, value) && !self.is_secret(text)) || (is_token_response && is_word) {
                    return value.clone();
                }
                if is_token_response
                    && is_lifetime(name)
                    && let Some(lifetime) = self.pseudonyms.moment(text)
                {
                    return lifetime.into();
                }
                self.url(text).unwrap_or_else(|| self.text(text)).into()
            }
        }
    }

    fn member_name(&mut self, name: &str) -> String {
        if is_identifier(name) && !self.secrets.contains(name) { name.to_owned() } else { self.text(name) }
    }

    /// A path and a query, in which what is replaced stands in braces.
    fn target(&mut self, path: &str, query: Option<&str>) -> String {
        let mut target = self.path(path, true);
        let pairs: Vec<_> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
        for (index, (name, value)) in pairs.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            // Such as `filter[status]`.
            let is_name = is_identifier(&name.replace(['[', ']'], "_"));
            let name_text = if is_name && !self.secrets.contains(&**name) {
                escaped(name)
            } else {
                format!("{{{}}}", escaped(&self.text(name)))
            };
            target.push_str(&name_text);
            target.push('=');
            let json = serde_json::from_str::<Value>(value).ok().filter(|json| json.is_object() || json.is_array());
            let value = match json {
                _ if self.keep.keeps_parameter(name, value) && !self.is_secret(value) => escaped(value),
                Some(json) => escaped(&self.json(&json, name, false).to_string()),
                None => format!("{{{}}}", escaped(&self.text(value))),
            };
            target.push_str(&value);
        }
        target
    }

    /// A path in which the words of the API are kept.
    fn path(&mut self, path: &str, with_braces: bool) -> String {
        let segments = path.split('/').map(|segment| {
            let decoded = percent_decode_str(segment).decode_utf8_lossy();
            if decoded.is_empty() || self.keep.keeps_path_segment(&decoded) {
                return escaped(&decoded);
            }
            let replaced = escaped(&self.text(&decoded));
            if with_braces { format!("{{{replaced}}}") } else { replaced }
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// A URL or an absolute path with its ids replaced as they are elsewhere; `None` if the text is neither.
    fn url(&mut self, text: &str) -> Option<String> {
        let is_path = text.starts_with('/') && !text.contains(char::is_whitespace);
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        if !is_path && !is_url {
            return None;
        }
        let base = Url::parse("https://host.invalid").ok()?;
        let url = base.join(text).ok()?;
        let mut scrubbed = self.path(url.path(), false);
        for (index, (name, value)) in url.query_pairs().enumerate() {
            scrubbed.push(if index == 0 { '?' } else { '&' });
            let name = self.member_name(&name);
            let is_kept = self.keep.keeps_parameter(&name, &value) && !self.is_secret(&value);
            let value = if is_kept { value.into_owned() } else { self.text(&value) };
            scrubbed.push_str(&format!("{}={}", escaped(&name), escaped(&value)));
        }
        Some(if is_url { format!("{}://{HOST}{scrubbed}", url.scheme()) } else { scrubbed })
    }

    fn text(&mut self, text: &str) -> String {
        self.pseudonyms.text(text)
    }

    /// Whether a text contains a credential: as it is, percent-encoded, or in base64.
    fn is_secret(&self, text: &str) -> bool {
        let contains = |text: &str| self.secrets.iter().any(|secret| text.contains(secret.as_str()));
        let unpadded = text.trim_end_matches('=');
        let decoded = STANDARD_NO_PAD.decode(unpadded).or_else(|_| URL_SAFE_NO_PAD.decode(unpadded));
        contains(text)
            || contains(&percent_decode_str(text).decode_utf8_lossy())
            || decoded.is_ok_and(|decoded| contains(&String::from_utf8_lossy(&decoded)))
    }
}

/// Whether a member of a token response says how long a token lives, or until when.
fn is_lifetime(name: &str) -> bool {
    name.to_ascii_lowercase().contains("expire")
}

/// The media type, without parameters and without names of vendors.
fn media_type(value: &str) -> &'static str {
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match MEDIA_TYPES.iter().find(|known| **known == essence) {
        Some(known) => known,
        None if essence.ends_with("+json") => "application/json",
        None => "application/octet-stream",
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
