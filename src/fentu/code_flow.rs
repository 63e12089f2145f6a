//! The authorization-code flow of one application: starts logins, and exchanges their codes for tokens.

use super::authorization::{Authorization, AuthorizationError};
use super::grant::{CodeGrant, EXCHANGE};
use crate::auth::{NoToken, Repeat, TokenError, TokenRequest, TokenSet, no_outcome};
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

    /// Exchanges the code in the URL that the browser was redirected to. The `client` takes over the tokens and stores them.
    ///
    /// The code works once and may be spent when the caller goes away, so all of this runs to its end without the caller.
    pub(super) async fn exchange(
        &self,
        login: &Authorization,
        redirected: &str,
        client: Option<&ClientInner>,
    ) -> Result<TokenSet, Error> {
        if let Some(client) = client {
            client.check_login(self.client_id(), self.inner.base_url())?;
        }
        let code = login.read_callback(redirected)?.map_err(|error| self.denied(login, &error))?;
        let request = self.request(login, code);
        let endpoint = self.inner.endpoint();
        let (transport, clock) = (endpoint.transport.clone(), endpoint.clock);
        let (flow, client) = (self.clone(), client.cloned());
        let task = client.as_ref().and_then(ClientInner::begin_task);
        let exchange = async move {
            let _task = task;
            // If the outcome of the request is unknown, only a new login helps.
            let granted = endpoint.grant(&flow.grant, request, Repeat::Spends).await;
            let granted = granted.map_err(|error| flow.failed(error))?;
            let tokens = granted.into_tokens(&flow.grant, clock.wall(), None);
            if let Some(client) = client {
                client.adopt_login(tokens.clone()).await?;
            }
            Ok(tokens)
        };
        transport.run(exchange).await.unwrap_or_else(|| Err(self.failed(no_outcome("exchange of the code", clock))))
    }

    /// The error of a login that was not completed in time.
    pub(super) fn timed_out(&self) -> Error {
        let mut error = self.inner.token_error(NoToken::TooLate, &EXCHANGE);
        if let Error::Timeout(call) = &mut error {
            call.reason = "the browser did not return from the login page in time: start the login again".into();
        }
        error
    }

    /// The request that exchanges a code. What it sends, and the state of the login, are redacted from its errors.
    fn request(&self, login: &Authorization, code: String) -> TokenRequest {
        let request = self.grant.exchange(code, login.redirect_uri().to_owned(), login.verifier());
        request.with_secrets(vec![login.state().into()])
    }

    fn denied(&self, login: &Authorization, error: &AuthorizationError) -> Error {
        let request = self.request(login, String::new());
        let description = error.description.as_deref();
        self.failed(self.inner.endpoint().denied_login(&self.grant, &request, &error.code, description))
    }

    fn failed(&self, error: TokenError) -> Error {
        self.inner.token_error(NoToken::TokenError(error.into()), &EXCHANGE)
    }
}
