//! What the cache does in one call: a stored response in place of a request, of a 304 or of an error.

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, StatusCode};

use super::retry_context::RetryContext;
use crate::error::Error;
use crate::limit::RateLimitHeaders;
use crate::observer::CacheUse;
use crate::response_cache::{CacheHandle, CachePart, CacheRead, StoredResponse};
use crate::transport::{HttpError, HttpResponse};

impl<'a> RetryContext<'a> {
    /// Begins the part of the cache. Returns the stored response if it is fresh: then nothing is sent.
    pub(super) fn open_cache(&mut self, cache: &'a CacheHandle) -> Option<(HttpResponse, RateLimitHeaders)> {
        let (pipeline, call, options) = (self.pipeline, self.call, self.options);
        let path = call.url.path();
        let path = pipeline.base_url.relative_path(path).unwrap_or(path);
        if call.is_write() {
            self.cache = Some(Box::new(CachePart::Write(cache.write(path))));
            return None;
        }
        if call.method != Method::GET
            || call.body.is_some()
            || call.is_conditional
            || call.is_download
            || options.bypasses_cache
        {
            return None;
        }
        // Before the token is read, so that a response is never taken for one of a later login.
        let mut read = cache.read(pipeline.auth.login(), &call.url, path, options.headers.as_deref())?;
        let Some((headers, stored)) = read.look_up(options.max_body) else {
            self.cache = Some(Box::new(CachePart::Read(read)));
            return None;
        };
        Some((self.use_cached(CacheUse::Fresh, headers, stored.body().clone()), no_limits()))
    }

    /// Adds the headers that ask the vendor whether the stored response still holds.
    pub(super) fn add_validators(&self, headers: &mut HeaderMap) {
        if let Some(unconfirmed) = self.unconfirmed() {
            unconfirmed.add_validators(headers);
        }
    }

    /// Whether this is a 304 that confirms the stored response.
    pub(super) fn is_confirmation(&self, response: &HttpResponse) -> bool {
        let is_confirmed = |stored: &StoredResponse| stored.is_confirmed_by(&response.headers);
        response.status == StatusCode::NOT_MODIFIED && self.unconfirmed().is_some_and(is_confirmed)
    }

    /// Whether this is a 304 that names another version than the stored one, so that only the whole response helps.
    pub(super) fn is_contradiction(&self, outcome: &Result<HttpResponse, HttpError>) -> bool {
        outcome.as_ref().is_ok_and(|response| {
            let is_not_modified = response.status == StatusCode::NOT_MODIFIED && self.unconfirmed().is_some();
            is_not_modified && !self.is_confirmation(response)
        })
    }

    /// Forgets the stored response, so that the next attempt asks for the whole one.
    pub(super) fn forget_cached(&mut self) {
        if let Some(read) = self.cache_read() {
            read.supersede();
        }
    }

    /// A success on its way to the caller: the stored response in place of a confirmation, and what is to be stored is prepared.
    pub(super) fn cached_success(&mut self, response: HttpResponse) -> HttpResponse {
        let Some(read) = self.cache_read() else { return response };
        match response.status {
            StatusCode::NOT_MODIFIED => match read.confirm(&response.headers) {
                Some((headers, body)) => self.use_cached(CacheUse::Confirmed, headers, body),
                None => response,
            },
            StatusCode::OK => {
                read.fetch(&response.headers, &response.body);
                response
            }
            _ => {
                read.supersede();
                response
            }
        }
    }

    /// Ends the call with the error of its last attempt, or with a stored response if the vendor allows that in its place.
    #[cold]
    pub(super) fn fail_attempt(
        &mut self,
        outcome: Result<HttpResponse, HttpError>,
        limits: RateLimitHeaders,
    ) -> Result<(HttpResponse, RateLimitHeaders), Error> {
        match self.replace_error(&outcome) {
            Some(stored) => Ok((stored, no_limits())),
            None => Err(self.attempt_error(outcome, &limits)),
        }
    }

    /// The stored response in place of an error, if the vendor allows that. Forgets what the vendor refuses to return.
    fn replace_error(&mut self, outcome: &Result<HttpResponse, HttpError>) -> Option<HttpResponse> {
        let status = outcome.as_ref().ok().map(|response| response.status.as_u16());
        if let (Some(401), Some(cache)) = (status, &self.pipeline.response_cache) {
            cache.clear();
        }
        let read = self.cache_read()?;
        match (status, outcome) {
            (Some(500 | 502..=504), _)
            | (_, Err(HttpError::NotSent(_) | HttpError::Broken(..) | HttpError::TimedOut)) => {
                let (headers, stale) = read.in_place_of_error()?;
                let body = stale.body().clone();
                Some(self.use_cached(CacheUse::StaleIfError, headers, body))
            }
            (Some(400..=407 | 409..=428 | 430..=499), _) => {
                read.supersede();
                None
            }
            _ => None,
        }
    }

    /// Stores the response, which has been decoded.
    pub(super) fn store_in_cache(&mut self) {
        if let Some(read) = self.cache_read() {
            read.store();
        }
    }

    /// Records that the call ends with a stored response, and returns it.
    fn use_cached(&mut self, cache_use: CacheUse, headers: HeaderMap, body: Bytes) -> HttpResponse {
        self.cache_use = Some(cache_use);
        self.pipeline.telemetry.used_cached(self.call.operation, cache_use);
        HttpResponse::new(StatusCode::OK, headers, body)
    }

    fn unconfirmed(&self) -> Option<&StoredResponse> {
        self.cache.as_ref()?.as_read()?.unconfirmed()
    }

    fn cache_read(&mut self) -> Option<&mut CacheRead<'a>> {
        self.cache.as_mut()?.as_read_mut()
    }
}

/// What a stored response says about the rate limit: nothing, because its headers are about an earlier time.
fn no_limits() -> RateLimitHeaders {
    RateLimitHeaders { is_cached: true, ..RateLimitHeaders::default() }
}
