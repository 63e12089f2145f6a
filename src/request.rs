//! A request that generated code fills in and sends.

mod json_object;
mod param;

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use http::Method;
use jiff::civil::Date;
use percent_encoding::utf8_percent_encode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::{Instrument as _, Span};

pub(crate) use self::json_object::JsonObject;
pub(crate) use self::param::Param;
use self::param::{QUERY, SEGMENT};
use crate::client_inner::ClientInner;
use crate::decode::decode;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::limit::RateLimit;
use crate::open::Open;
use crate::operation::Operation;
use crate::page::Fingerprint;
use crate::pipeline::{Call, RetryContext};
use crate::response::{Head, Response};
use crate::transport::HttpResponse;

/// A request that is being filled in. The first thing wrong with it is kept and told when it is sent, so that a chain
/// of setters stays a chain.
#[derive(Debug)]
pub(crate) struct Request {
    client: ClientInner,
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
    /// A request of `operation` with nothing filled in.
    pub(crate) fn new(client: &ClientInner, operation: &'static Operation) -> Self {
        let base = client.base_url().path().trim_end_matches('/');
        let mut path = String::with_capacity(base.len() + operation.path().len() + 32);
        path.push_str(base);
        let mut request = Self {
            client: client.clone(),
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
    pub(crate) fn members(&mut self, name: &'static str, members: JsonObject) {
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
        let pipeline = &self.client.pipeline;
        // Which of two bases holds is known at one time and not at another.
        let (given, path) = (pipeline.base.given(), pipeline.base.rest(&self.path).unwrap_or(&self.path));
        let whose = pipeline.tenant.as_deref().unwrap_or_else(|| given.as_str());
        let asked = [pipeline.vendor.name, whose, self.operation.id(), given.path(), path, &self.query];
        asked.iter().fold(Fingerprint::new(), |print, part| print.with(part)).finish()
    }

    /// Sends the request and reads what the answer is about as `T`.
    pub(crate) fn send<T: DeserializeOwned>(self) -> impl Future<Output = Result<Response<T>, Error>> {
        let envelope = match (self.operation.root(), self.client.pipeline.vendor.content) {
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
        let ClientInner { pipeline, settings } = self.client;
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

/// A parameter that is a day, by its name.
type Day<'a> = (&'static str, Option<&'a Open<Date>>);
