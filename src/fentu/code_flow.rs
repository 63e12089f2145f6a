//! The authorization-code flow of one application: starts logins, and exchanges their codes for tokens.

use super::authorization::{Authorization, AuthorizationError};
use super::grant::{CodeGrant, EXCHANGE};
use crate::auth::{NoToken, Repeat, TokenError, TokenErrorKind, TokenSet};
use crate::client_inner::ClientInner;
use crate::clock::Clock;
use crate::error::Error;

/// An application's side of the flow. [`Application`](super::Application) wraps it for callers.
#[derive(Clone, Debug)]
pub(super) struct CodeFlow {
    inner: ClientInner,
    grant: CodeGrant,
}

impl CodeFlow {
    pub(super) fn new(inner: ClientInner, grant: CodeGrant) -> Self {
        Self { inner, grant }
    }

    pub(super) fn client_id(&self) -> &str {
        self.grant.client_id()
    }

    pub(super) fn clock(&self) -> Clock {
        self.inner.endpoint().clock
    }

    /// Starts a login that returns to `redirect_uri`. Sends nothing.
    pub(super) fn authorize(
        &self,
        redirect_uri: String,
        scopes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Authorization, Error> {
        let invalid =
            |parameter: &'static str, reason: &'static str| Error::invalid_request("authorize", parameter, reason);
        let is_absolute = url::Url::parse(&redirect_uri).is_ok_and(|url| url.has_host() && url.fragment().is_none());
        if !is_absolute {
            return Err(invalid("redirect_uri", "has to be an absolute URL without a fragment"));
        }
        let scopes: Vec<String> = scopes.into_iter().map(|scope| scope.as_ref().trim().to_owned()).collect();
        if scopes.is_empty() {
            return Err(invalid("scopes", "is empty; request at least one scope"));
        }
        if scopes.iter().any(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
            return Err(invalid("scopes", "contains an empty scope, or one with a space; pass each scope separately"));
        }
        let mut page = self.inner.endpoint().base.root();
        page.set_path(&format!("{}/oauth/authorize", page.path().trim_end_matches('/')));
        Ok(Authorization::new(page, self.client_id(), redirect_uri, &scopes.join(" ")))
    }

    /// Exchanges the code in the URL that the browser was redirected to.
    pub(super) async fn exchange(&self, login: &Authorization, redirected: &str) -> Result<TokenSet, Error> {
        let code = login.read_callback(redirected)?.map_err(|error| self.denied(error))?;
        let request = self.grant.exchange(code, login.redirect_uri().to_owned(), login.verifier());
        let endpoint = self.inner.endpoint();
        // A code works once: if the outcome of the request is unknown, only a new login helps.
        let granted = endpoint.grant(&self.grant, request, Repeat::Spends).await;
        let granted = granted.map_err(|error| self.failed(error))?;
        Ok(granted.into_tokens(&self.grant, endpoint.clock.wall(), None))
    }

    /// The error of a login that was not completed in time.
    pub(super) fn timed_out(&self) -> Error {
        self.inner.token_error(NoToken::TooLate, &EXCHANGE)
    }

    fn denied(&self, error: AuthorizationError) -> Error {
        let reason = "the user or the vendor refused the login";
        let mut failure = TokenError::new(TokenErrorKind::Refused, reason, self.clock());
        (failure.code, failure.message) = (Some(error.code), error.description);
        self.failed(failure)
    }

    fn failed(&self, error: TokenError) -> Error {
        self.inner.token_error(NoToken::TokenError(error.into()), &EXCHANGE)
    }
}
