//! The request that generated code fills in and sends.

mod json_object;
mod param;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, HeaderName};
use jiff::civil::Date;
use percent_encoding::utf8_percent_encode;
use serde::Serialize;
use serde_json::Value;
use tracing::{Instrument as _, Span};

pub(crate) use self::json_object::JsonObject;
pub(crate) use self::param::Param;
use self::param::{QUERY, SEGMENT};
use crate::client_inner::ClientInner;
use crate::error::Error;
use crate::lenient::ReadReport;
use crate::limit::RateLimit;
use crate::open::Open;
use crate::operation::Operation;
use crate::page::Fingerprint;
use crate::pipeline::{Call, RetryContext};
use crate::prepared_request::PreparedRequest;
use crate::response::{Response, ResponseMetadata};
use crate::transport::{HttpError, HttpResponse, RequestBody};

/// A request that is being filled in. The first invalid parameter is kept until the request is sent, so that a chain of
/// setters needs no error handling.
pub(crate) struct Request {
    pub(crate) client: ClientInner,
    operation: &'static Operation,
    method: Method,
    idempotent: bool,
    /// Whether the request has an `Idempotency-Key`, or gets one when it is sent.
    is_keyed: bool,
    is_conditional: bool,
    /// The part of the operation's path that has not been filled in yet.
    path_template: &'static str,
    path: String,
    query: String,
    body: Option<RequestBody>,
    /// Whether the body of the response is left to the caller to read.
    is_download: bool,
    error: Option<Error>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("client", &self.client)
            .field("operation", &self.operation.id())
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("body", &self.body)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// An empty request of `operation`.
    pub(crate) fn new(client: &ClientInner, operation: &'static Operation) -> Self {
        let base_path = client.base_url().path().trim_end_matches('/');
        let mut path = String::with_capacity(base_path.len() + operation.path().len() + 32);
        path.push_str(base_path);
        let mut request = Self {
            client: client.clone(),
            operation,
            method: operation.method().clone(),
            idempotent: operation.is_idempotent(),
            is_keyed: operation.takes_idempotency_key(),
            is_conditional: false,
            path_template: operation.path(),
            path,
            query: String::new(),
            body: None,
            is_download: false,
            error: None,
        };
        request.copy_literal();
        request
    }

    /// Sends the request, and decodes the response with one of the functions of [`decode`](crate::decode).
    pub(crate) async fn send<T>(
        mut self,
        decode: impl FnOnce(&HttpResponse, &RetryContext<'_>) -> Result<T, Error>,
    ) -> Result<Response<T>, Error> {
        self.check()?;
        if self.is_keyed {
            self.client.options_mut().add_idempotency_key();
        }
        let errors_in_success = self.operation.errors_in_success();
        let (ClientInner { pipeline, options }, call) = self.into_call();
        let mut context = RetryContext::new(&pipeline, &call, &options);
        let span = context.open_span();
        let outcome = match &span {
            None => pipeline.run(&mut context).await,
            // In a box of its own, so that a call without a subscriber pays nothing for it.
            Some(span) => Box::pin(pipeline.run(&mut context)).instrument(span.clone()).await,
        };
        let (response, limits) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return Err(context.fail(error)),
        };
        let _entered = span.as_ref().map(Span::enter);
        if errors_in_success && let Some(error) = context.error_in_success(&response) {
            return Err(context.fail(error));
        }
        // What this thread has read outside of calls does not count.
        ReadReport::take();
        let value = match decode(&response, &context) {
            Ok(value) => value,
            Err(error) => return Err(context.fail(error)),
        };
        let report = ReadReport::take();
        let report = (!report.is_clean()).then(|| Box::new(report));
        if let Some(report) = &report {
            pipeline.telemetry.read_leniently(call.operation, report, response.body.len());
        }
        let record = context.record();
        context.succeed();
        let HttpResponse { status, headers, body, rest } = response;
        let rate_limit = RateLimit::of_response(limits, pipeline.clock);
        let (vendor, record) = (Some(pipeline.vendor), Some(record));
        let metadata = ResponseMetadata { status, headers, body, rest, rate_limit, vendor, record, report };
        Ok(Response::from_parts(value, metadata))
    }

    /// Returns the error of the first invalid parameter or header.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        if self.error.is_none()
            && let Some(headers) = &self.client.options.headers
            && let Some(invalid) = headers.error(&self.client.pipeline.headers)
        {
            self.refuse(format!("header {}", invalid.name), invalid.reason);
        }
        self.error.take().map_or(Ok(()), Err)
    }

    /// The request as it would be sent, without the token.
    pub(crate) fn into_prepared(mut self) -> Result<PreparedRequest, Error> {
        self.check()?;
        let (ClientInner { pipeline, options }, Call { method, url, body, .. }) = self.into_call();
        let headers = pipeline.request_headers(options.headers.as_deref(), body.is_some());
        Ok(PreparedRequest::new(method, url, headers, pipeline.auth.header_name(), body))
    }

    /// The error of a response to this request that does not fit it: what was received, what was expected, and what to do.
    #[cold]
    pub(crate) fn unexpected_response(self, response: &ResponseMetadata, reason: String) -> Error {
        let (ClientInner { pipeline, options }, call) = self.into_call();
        let context = RetryContext::of_ended(&pipeline, &call, &options, response.record);
        let ResponseMetadata { status, headers, body, .. } = response;
        let response = HttpResponse::new(*status, headers.clone(), body.clone());
        context.unexpected_response(&response, reason)
    }

    /// The error of a response to this request whose body broke off while the caller read it.
    #[cold]
    pub(crate) fn broken_body(self, response: &ResponseMetadata, error: HttpError) -> Error {
        let (ClientInner { pipeline, options }, call) = self.into_call();
        RetryContext::of_ended(&pipeline, &call, &options, response.record).broken_body(error)
    }

    /// The error of a file that could not be written with the body of the response.
    #[cold]
    pub(crate) fn failed_file(self, response: &ResponseMetadata, path: &Path, error: io::Error) -> Error {
        let (ClientInner { pipeline, options }, call) = self.into_call();
        RetryContext::of_ended(&pipeline, &call, &options, response.record).failed_file(path, error)
    }

    /// The client and the call. No parameter may be invalid.
    fn into_call(self) -> (ClientInner, Call) {
        // Only the path changes: no parameter can change the host, and no call parses the base URL anew.
        let mut url = self.client.base_url().clone();
        url.set_path(&self.path);
        if !self.query.is_empty() {
            url.set_query(Some(&self.query));
        }
        let Self { client, operation, idempotent, is_keyed, is_conditional, method, body, is_download, .. } = self;
        (client, Call { operation, idempotent, is_keyed, is_conditional, method, url, body, is_download })
    }

    /// Fills in the next parameter of the path. Call it in the order of the parameters in the path.
    pub(crate) fn path(&mut self, name: &'static str, value: Option<&impl Param>) {
        let Some(end) = self.path_template.find('}') else {
            return self.refuse(name, "is not in the path");
        };
        self.path_template = &self.path_template[end + 1..];
        match value.map(Param::encode) {
            None => self.refuse(name, format!("is required: set it with .{name}(..)")),
            Some(Err(reason)) => self.refuse(name, reason),
            Some(Ok(text)) if text.is_empty() || text == "." || text == ".." => {
                self.refuse(name, format!("is {text:?}, which cannot be part of a path"));
            }
            Some(Ok(text)) => self.path.extend(utf8_percent_encode(&text, SEGMENT)),
        }
        self.copy_literal();
    }

    /// Adds a parameter to the query, if it has a value.
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

    /// Adds a parameter to the query that must have a value.
    pub(crate) fn required_query(&mut self, name: &'static str, setter: &str, value: Option<&impl Param>) {
        match value {
            None => self.refuse(name, format!("is required: set it with .{setter}(..)")),
            value => self.query(name, value),
        }
    }

    /// Adds a parameter to the query that is a JSON object, if the object has members.
    pub(crate) fn members(&mut self, name: &'static str, object: JsonObject) {
        if let Some((member, reason)) = object.error {
            self.refuse(member, reason);
        }
        if !object.members.is_empty() {
            self.query(name, Some(&Value::Object(object.members).to_string()));
        }
    }

    /// Sets the JSON body.
    pub(crate) fn json(&mut self, body: Option<&impl Serialize>) {
        match body.map(serde_json::to_vec) {
            None => self.refuse("body", "is required: set it with .body(..)"),
            Some(Err(error)) => self.refuse("body", format!("cannot be written as JSON: {error}")),
            Some(Ok(bytes)) => self.body = Some(Bytes::from(bytes).into()),
        }
    }

    /// Sets the JSON body to an object whose only member, `name`, is `body`.
    pub(crate) fn json_under(&mut self, name: &'static str, body: Option<&impl Serialize>) {
        self.json(body.map(|body| HashMap::from([(name, body)])).as_ref());
    }

    /// Checks that a number is within its bounds.
    pub(crate) fn range(&mut self, name: &'static str, value: Option<impl Into<i64>>, min: i64, max: i64) {
        if let Some(value) = value.map(Into::into)
            && !(min..=max).contains(&value)
        {
            let bounds = if max == i64::MAX { format!("at least {min}") } else { format!("{min} to {max}") };
            self.refuse(name, format!("is {value}; allowed is {bounds}"));
        }
    }

    /// Checks that two dates are in order, and at most `days` apart.
    pub(crate) fn span(&mut self, from: NamedDate<'_>, to: NamedDate<'_>, days: i32) {
        if let ((_, Some(Open::Known(first))), (name, Some(Open::Known(last)))) = (from, to) {
            let between = last.duration_since(*first).as_hours() / 24;
            if between < 0 {
                self.refuse(name, format!("is {last}, which is before {first}"));
            } else if between > days.into() {
                self.refuse(name, format!("is {last}, {between} days after {first}; allowed are {days}"));
            }
        }
    }

    /// Checks that at most one of the parameters is set.
    pub(crate) fn exclusive(&mut self, parameters: &[(&'static str, bool)]) {
        let mut set = parameters.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name);
        if let (Some(first), Some(second)) = (set.next(), set.next()) {
            self.refuse(second, format!("cannot be combined with {first}: set one of them"));
        }
    }

    /// Records that a parameter is invalid. The first one counts.
    pub(crate) fn refuse(&mut self, parameter: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) {
        if self.error.is_none() {
            self.error = Some(Error::invalid_request(self.operation.id(), parameter, reason));
        }
    }

    /// A number that identifies what is requested and of which tenant. It is the same in every process.
    pub(crate) fn fingerprint(&self) -> u64 {
        let pipeline = &self.client.pipeline;
        // Made of the configured base URL: which of two holds may not be known yet.
        let base_url = pipeline.base_url.configured();
        let path = pipeline.base_url.relative_path(&self.path).unwrap_or(&self.path);
        let tenant = pipeline.tenant.as_deref().unwrap_or_else(|| base_url.as_str());
        let parts = [pipeline.vendor.name, tenant, self.operation.id(), base_url.path(), path, &self.query];
        parts.iter().fold(Fingerprint::new(), |fingerprint, part| fingerprint.with(part)).finish()
    }

    pub(crate) fn set_method(&mut self, method: Method) {
        self.method = method;
    }

    pub(crate) fn set_idempotent(&mut self, idempotent: bool) {
        self.idempotent = idempotent;
    }

    /// Declares whether the vendor recognizes a repeated request by its `Idempotency-Key`.
    pub(crate) fn set_keyed(&mut self, is_keyed: bool) {
        self.is_keyed = is_keyed;
    }

    /// Declares that the request names the version that the caller has.
    pub(crate) fn set_conditional(&mut self) {
        self.is_conditional = true;
    }

    /// Sets the name of the operation, for traces and errors.
    pub(crate) fn set_name(&mut self, name: &'static str) {
        self.operation = self.operation.named(name);
    }

    /// Accepts a response of any media type, unless the caller has said which.
    pub(crate) fn accept_any_type(&mut self) {
        if !self.has_header(&ACCEPT) {
            self.client.options_mut().set_header(ACCEPT.as_str(), "*/*");
        }
    }

    /// Appends to the path without escaping.
    pub(crate) fn append_path(&mut self, path: &str) {
        self.path.push_str(path);
    }

    /// Appends to the query without escaping.
    pub(crate) fn append_query(&mut self, query: Option<&str>) {
        self.query.push_str(query.unwrap_or_default());
    }

    /// Sets a body that needs no more encoding. Without a `Content-Type` of the caller's it is JSON.
    pub(crate) fn set_body(&mut self, body: Option<RequestBody>) {
        self.body = body;
    }

    /// Leaves the body of the response to the caller to read.
    pub(crate) fn set_download(&mut self) {
        self.is_download = true;
    }

    /// The same request once more. No parameter may be invalid.
    pub(crate) fn again(&self) -> Self {
        Self {
            client: self.client.clone(),
            operation: self.operation,
            method: self.method.clone(),
            idempotent: self.idempotent,
            is_keyed: self.is_keyed,
            is_conditional: self.is_conditional,
            path_template: self.path_template,
            path: self.path.clone(),
            query: self.query.clone(),
            body: self.body.clone(),
            is_download: self.is_download,
            error: None,
        }
    }

    pub(crate) fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// The parameters of the query, decoded.
    pub(crate) fn query_pairs(&self) -> Vec<(String, String)> {
        let pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    /// Replaces the query.
    pub(crate) fn set_query_pairs(&mut self, pairs: &[(String, String)]) {
        self.query.clear();
        for (name, value) in pairs {
            self.query(name, Some(value));
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Whether the caller has set this header.
    pub(crate) fn has_header(&self, name: &HeaderName) -> bool {
        self.client.options.headers.as_ref().is_some_and(|headers| headers.contains(name))
    }

    /// Copies the path template up to its next parameter.
    fn copy_literal(&mut self) {
        let end = self.path_template.find('{').unwrap_or(self.path_template.len());
        let (literal, rest) = self.path_template.split_at(end);
        self.path.push_str(literal);
        self.path_template = rest;
    }
}

/// The name and the value of a parameter that is a date.
type NamedDate<'a> = (&'static str, Option<&'a Open<Date>>);
