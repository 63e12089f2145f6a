//! A registered application, and how a user lets it in.

use secrecy::SecretString;
use tokio::net::TcpListener;

use super::authorization::{Authorization, Refusal};
use super::grant::{CodeGrant, EXCHANGE};
use super::loopback::LoopbackLogin;
use super::{Credentials, FENTU};
use crate::auth::{AuthConfig, NoToken, Repeat, StaticToken, TokenError, TokenErrorKind, TokenSet};
use crate::builder::ClientBuilder;
use crate::client_inner::ClientInner;
use crate::error::Error;

/// An application that is registered with Fentu, and that users let in with their browser: the authorization-code flow of
/// OAuth 2.0, with PKCE (S256) and a `state`.
///
/// A program on a desk uses [`log_in_here`](Self::log_in_here), which waits for the browser to come back to this machine. A
/// web application uses [`authorize`](Self::authorize) and [`exchange`](Self::exchange), with an address of its own. The
/// vendor documents the flow, the token endpoint and the refresh
/// ([source](https://docs.fentufsm.com/api-reference/authentication)); the address of the login page and the fields of the
/// exchange are the standard's, and whether the vendor checks PKCE is not known.
///
/// # Example
///
/// ```
/// use servicebay::fentu::{Application, Client, Credentials, Scope};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let tenant = servicebay::testing::fentu::MockServer::start().await;
/// # let base_url = tenant.base_url();
/// let application = Application::builder("test-application", "test-application-secret")
/// #   .with_base_url(base_url)
///     .build()?;
/// let login = application.authorize("http://127.0.0.1:4000/callback", [Scope::ReadWorkOrders])?;
/// # let redirected = tenant.visit(login.url().as_str()).unwrap();
/// // The user's browser opens login.url(), and comes back to the redirect address.
/// let tokens = application.exchange(&login, redirected.as_str()).await?;
///
/// let client = Client::builder(application.credentials(tokens))
/// #   .with_base_url(tenant.base_url())
///     .build()?;
/// client.list_work_orders().send().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Application {
    inner: ClientInner,
    grant: CodeGrant,
    client_secret: SecretString,
}

impl Application {
    /// A builder for an application with the id and the secret that it was registered with. Of the options of
    /// a client's builder, the base URL, the user agent and the HTTP client hold for its token requests.
    pub fn builder(client_id: impl Into<String>, client_secret: impl Into<SecretString>) -> ClientBuilder<Self> {
        let client_secret = client_secret.into();
        let grant = CodeGrant::new(client_id.into(), client_secret.clone());
        let (grant, config) = match grant {
            Ok(grant) => (Some(grant), Ok(AuthConfig::from(StaticToken::none()))),
            Err(error) => (None, Err(error)),
        };
        ClientBuilder::new(&FENTU, config, move |inner| Self {
            inner,
            grant: grant.clone().expect("the builder fails before with what was wrong with it"),
            client_secret: client_secret.clone(),
        })
    }

    /// Begins a login that comes back to `redirect_uri`, which has to be registered with the vendor. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for a redirect address that is none, and for a login that asks for nothing.
    pub fn authorize(
        &self,
        redirect_uri: impl Into<String>,
        scopes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Authorization, Error> {
        let redirect_uri = redirect_uri.into();
        let refused = |parameter: &'static str, reason: &'static str| Error::request("authorize", parameter, reason);
        let is_address = url::Url::parse(&redirect_uri).is_ok_and(|url| url.has_host() && url.fragment().is_none());
        if !is_address {
            return Err(refused("redirect_uri", "is no absolute address, or has a fragment"));
        }
        let scopes: Vec<String> = scopes.into_iter().map(|scope| scope.as_ref().trim().to_owned()).collect();
        if scopes.is_empty() || scopes.iter().any(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
            return Err(refused("scopes", "are none, or one is empty or holds a space; give each of them by itself"));
        }
        let mut page = self.inner.endpoint().base.root();
        page.set_path(&format!("{}/oauth/authorize", page.path().trim_end_matches('/')));
        Ok(Authorization::new(page, self.grant.client_id(), redirect_uri, &scopes.join(" ")))
    }

    /// Finishes a login: `redirected` is the whole address that the browser came back to. The tokens say when they were
    /// obtained, so that a client whose store holds older ones uses these.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] when the address is not an answer to this login: its `state` is another. [`Error::ReauthRequired`]
    /// when the user or the vendor refused, which it does too for a code that was used before. Otherwise as a token
    /// request can fail: [`Error::Connect`], [`Error::Server`], [`Error::Decode`].
    pub async fn exchange(&self, login: &Authorization, redirected: &str) -> Result<TokenSet, Error> {
        let code = login.answer(redirected)?.map_err(|refusal| self.refused(refusal))?;
        let request = self.grant.exchange(code, login.redirect_uri().to_owned(), login.verifier());
        let endpoint = self.inner.endpoint();
        // A code works once: where nobody knows what became of it, a new login is the only way.
        let granted = endpoint.grant(&self.grant, request, Repeat::Spends).await;
        let granted = granted.map_err(|trouble| self.failed(trouble))?;
        Ok(granted.into_tokens(&self.grant, endpoint.clock.wall(), None))
    }

    /// Begins a login that comes back to this machine (RFC 8252, section 7.3): to a port of the moment on `127.0.0.1`, which
    /// the vendor has to take for the registered `http://127.0.0.1/callback`. For programs whose user sits before them.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when no port is to be had; otherwise those of [`authorize`](Self::authorize).
    pub async fn log_in_here(&self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Result<LoopbackLogin, Error> {
        let no_port = |error| Error::config("loopback", format!("cannot be listened on: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(no_port)?;
        let port = listener.local_addr().map_err(no_port)?.port();
        let login = self.authorize(format!("http://127.0.0.1:{port}/callback"), scopes)?;
        Ok(LoopbackLogin::new(self.clone(), listener, login))
    }

    /// The credentials of a client for the user who granted these tokens.
    pub fn credentials(&self, tokens: TokenSet) -> Credentials {
        Credentials::oauth(self.grant.client_id(), self.client_secret.clone(), tokens)
    }

    /// The error of a login that took too long.
    pub(super) fn too_late(&self) -> Error {
        self.inner.without_token(NoToken::TooLate, &EXCHANGE)
    }

    pub(super) fn inner(&self) -> &ClientInner {
        &self.inner
    }

    fn refused(&self, refusal: Refusal) -> Error {
        let mut trouble = TokenError::new(
            TokenErrorKind::Refused,
            "the user or the vendor refused the login",
            self.inner.endpoint().clock,
        );
        (trouble.code, trouble.message) = (Some(refusal.code), refusal.description);
        self.failed(trouble)
    }

    fn failed(&self, trouble: TokenError) -> Error {
        self.inner.without_token(NoToken::TokenError(trouble.into()), &EXCHANGE)
    }
}
