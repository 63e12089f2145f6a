//! A registered application, and the login through which a user authorizes it.

use secrecy::SecretString;

use super::Client;
use super::authorization::Authorization;
use super::code_flow::CodeFlow;
use super::credentials::Credentials;
use super::grant::CodeGrant;
use super::loopback::LoopbackLogin;
use super::vendor::VENDOR;
use crate::auth::{AuthConfig, StaticToken, TokenSet};
use crate::builder::ClientBuilder;
use crate::error::Error;

/// An application registered with Fentu, which users authorize in their browser: the OAuth 2.0 authorization-code flow
/// with PKCE (S256) and a `state`.
///
/// A desktop program uses [`loopback_login`](Self::loopback_login), which waits for the browser to return to this machine.
/// A web application uses [`authorize`](Self::authorize) and [`exchange_into`](Self::exchange_into) with a redirect URL of its
/// own.
///
/// The flow, the token endpoint, and the refresh are documented
/// ([source](https://docs.fentufsm.com/api-reference/authentication)). The URL of the login page and the parameters of the
/// exchange are assumed to follow the standard. Whether the vendor checks PKCE is unknown.
///
/// # Example
///
/// ```
/// use servicebay::fentu::{Application, Client, Credentials, Scope};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = servicebay::testing::fentu::MockServer::start().await;
/// # let base_url = server.base_url();
/// let application = Application::builder("test-application", "test-application-secret")
/// #   .with_base_url(base_url)
///     .build()?;
/// let login = application.authorize("http://127.0.0.1:4000/callback", [Scope::ReadWorkOrders])?;
/// # let redirected = server.visit(login.url().as_str()).unwrap();
/// // The user's browser opens login.url() and is redirected back.
/// let client = Client::builder(application.stored_credentials())
/// #   .with_base_url(server.base_url())
///     .build()?;
/// application.exchange_into(&login, redirected.as_str(), &client).await?;
/// client.list_work_orders().send().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Application {
    flow: CodeFlow,
    client_secret: SecretString,
}

impl Application {
    /// A builder for the application with this id and secret, as registered with the vendor. Of the client builder's
    /// options, the base URL, the user agent, and the HTTP configuration apply to the application's token requests.
    pub fn builder(client_id: impl Into<String>, client_secret: impl Into<SecretString>) -> ClientBuilder<Self> {
        let client_secret = client_secret.into();
        let grant = CodeGrant::new(client_id.into(), client_secret.clone());
        let (grant, config) = match grant {
            Ok(grant) => (Some(grant), Ok(AuthConfig::from(StaticToken::none()))),
            Err(error) => (None, Err(error)),
        };
        ClientBuilder::new(&VENDOR, config, move |inner| Self {
            flow: CodeFlow::new(inner, grant.clone().expect("without a grant the builder returns its error")),
            client_secret: client_secret.clone(),
        })
    }

    /// Starts a login that returns to `redirect_uri`, which has to be registered with the vendor. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if `redirect_uri` is not an absolute URL, if it has a fragment, or if there are no scopes.
    pub fn authorize(
        &self,
        redirect_uri: impl Into<String>,
        scopes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Authorization, Error> {
        self.flow.authorize(redirect_uri.into(), scopes)
    }

    /// Completes a login: exchanges its code for tokens and hands them to `client`, which stores them at once and uses them
    /// from then on. `redirected` is the complete URL that the browser was redirected to.
    ///
    /// The client needs the credentials and the base URL of this application; whether it has had a login before makes no
    /// difference. Every other client of the account on the same [store](crate::ClientBuilder::with_token_store), in this
    /// process or another, goes on with the new login too: within a second if its own was refused or revoked.
    ///
    /// A code works once, so this runs to its end even if the returned future is dropped, for example because the browser
    /// closed the connection.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the client belongs to another application or address; nothing was sent. [`Error::Store`] if
    /// the tokens could not be stored: the client uses them from memory and goes on trying to store them. Otherwise the errors
    /// of [`exchange`](Self::exchange).
    pub async fn exchange_into(&self, login: &Authorization, redirected: &str, client: &Client) -> Result<(), Error> {
        self.flow.exchange(login, redirected, Some(client.inner())).await.map(drop)
    }

    /// Does what [`exchange_into`](Self::exchange_into) does, and blocks this thread until it is done. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`exchange_into`](Self::exchange_into); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn exchange_into_blocking(
        &self,
        login: &Authorization,
        redirected: &str,
        client: &Client,
    ) -> Result<(), Error> {
        crate::blocking::block_on("exchange", "exchange_into", self.exchange_into(login, redirected, client))
    }

    /// Completes a login and returns its tokens, for programs that keep tokens themselves.
    /// [`exchange_into`](Self::exchange_into) does what most programs need.
    ///
    /// No client knows these tokens yet, and nothing has stored them. Store them before you tell the user that the login
    /// succeeded, or hand them to a client with [`Client::adopt_login`]; a client that is built with
    /// [`credentials`](Self::credentials) stores them with its first refresh only. The tokens record when they were obtained, so
    /// a client whose store holds older ones uses these. If the returned future is dropped after the code was sent, the tokens
    /// are lost, and the user has to log in again.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the URL does not belong to this login (its `state` differs).
    /// [`Error::ReauthRequired`] if the user or the vendor refused the login; the vendor also refuses a code that was used
    /// before. [`Error::RateLimited`] if the token endpoint is asked too often. Otherwise the errors of a token request:
    /// [`Error::Api`], [`Error::Connect`], [`Error::Decode`], [`Error::Server`]. A code works once: after these, start the login
    /// again.
    pub async fn exchange(&self, login: &Authorization, redirected: &str) -> Result<TokenSet, Error> {
        self.flow.exchange(login, redirected, None).await
    }

    /// Does what [`exchange`](Self::exchange) does, and blocks this thread until it is done. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`exchange`](Self::exchange); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn exchange_blocking(&self, login: &Authorization, redirected: &str) -> Result<TokenSet, Error> {
        crate::blocking::block_on("exchange", "exchange", self.exchange(login, redirected))
    }

    /// Starts a login that returns to this machine (RFC 8252, section 7.3), for a program whose user sits at the same
    /// machine. It listens on a free port of `127.0.0.1`; the vendor has to accept any port for the registered
    /// `http://127.0.0.1/callback`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if no port can be opened; otherwise the errors of [`authorize`](Self::authorize).
    pub async fn loopback_login(
        &self,
        scopes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<LoopbackLogin, Error> {
        LoopbackLogin::listen(self.flow.clone(), scopes).await
    }

    /// Does what [`loopback_login`](Self::loopback_login) does, and blocks this thread until it is done. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`loopback_login`](Self::loopback_login); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn loopback_login_blocking(
        &self,
        scopes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<LoopbackLogin, Error> {
        crate::blocking::block_on("loopback_login", "loopback_login", self.loopback_login(scopes))
    }

    /// Client credentials of this application whose tokens are in the client's store, or come from a login that the client
    /// [adopts](Self::exchange_into): [`Credentials::oauth_stored`].
    pub fn stored_credentials(&self) -> Credentials {
        Credentials::oauth_stored(self.flow.client_id(), self.client_secret.clone())
    }

    /// Client credentials for the user who granted these tokens: [`Credentials::oauth`].
    pub fn credentials(&self, tokens: TokenSet) -> Credentials {
        Credentials::oauth(self.flow.client_id(), self.client_secret.clone(), tokens)
    }
}
