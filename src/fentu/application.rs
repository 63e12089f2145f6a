//! A registered application, and the login through which a user authorizes it.

use secrecy::SecretString;

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
/// A web application uses [`authorize`](Self::authorize) and [`exchange`](Self::exchange) with a redirect URL of its own.
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
/// let tokens = application.exchange(&login, redirected.as_str()).await?;
///
/// let client = Client::builder(application.credentials(tokens))
/// #   .with_base_url(server.base_url())
///     .build()?;
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
    /// options, the base URL, the user agent, and the HTTP client apply to the application's token requests.
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

    /// Completes a login. `redirected` is the complete URL that the browser was redirected to. The tokens record when they
    /// were obtained, so a client whose store holds older ones uses these.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the URL does not belong to this login (its `state` differs).
    /// [`Error::ReauthRequired`] if the user or the vendor refused the login; the vendor also refuses a code that was used
    /// before. Otherwise the errors of a token request: [`Error::Connect`], [`Error::Server`], [`Error::Decode`].
    pub async fn exchange(&self, login: &Authorization, redirected: &str) -> Result<TokenSet, Error> {
        self.flow.exchange(login, redirected).await
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

    /// Client credentials for the user who granted these tokens.
    pub fn credentials(&self, tokens: TokenSet) -> Credentials {
        Credentials::oauth(self.flow.client_id(), self.client_secret.clone(), tokens)
    }
}
