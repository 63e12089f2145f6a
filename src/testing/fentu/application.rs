//! The applications that are registered with the mock server.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// An application that may ask users for access, for
/// [`MockServer::add_application`](super::MockServer::add_application).
///
/// How the vendor registers applications is not documented. Here a redirect URI must be registered. One on the loopback
/// interface may have any port, because a desktop application gets another port every time (RFC 8252, section 7.3).
///
/// ```
/// use servicebay::testing::fentu::{Application, MockServer};
///
/// let server = MockServer::builder().in_memory();
/// server.add_application(
///     Application::new("test-portal", "test-portal-secret").with_redirect_uri("https://portal.example/fentu"),
/// );
/// ```
#[derive(Clone)]
#[must_use = "the mock server accepts an application only after `server.add_application(...)`"]
pub struct Application {
    client_id: String,
    client_secret: String,
    redirect_uris: Vec<Url>,
}

impl Application {
    /// An application without a redirect URI.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), client_secret: client_secret.into(), redirect_uris: Vec::new() }
    }

    /// Registers a redirect URI.
    ///
    /// # Panics
    ///
    /// If it is not an absolute URI, or has a fragment.
    #[track_caller]
    pub fn with_redirect_uri(mut self, uri: &str) -> Self {
        match Url::parse(uri) {
            Ok(uri) if uri.fragment().is_none() => self.redirect_uris.push(uri),
            _ => panic!("{uri:?} is not a redirect URI: it must be absolute and must not have a fragment"),
        }
        self
    }

    /// The client id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The secret that authenticates the application at the token endpoint.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.client_secret
    }

    /// The application that every server accepts. Its redirect URIs are `http://127.0.0.1` and `http://[::1]`, with any
    /// port and with the path `/` or `/callback`.
    pub(super) fn seeded() -> Self {
        let uris = ["http://127.0.0.1/", "http://127.0.0.1/callback", "http://[::1]/", "http://[::1]/callback"];
        uris.into_iter().fold(Self::new("test-application", "test-application-secret"), Self::with_redirect_uri)
    }

    pub(super) fn may_redirect_to(&self, uri: &str) -> bool {
        let Ok(uri) = Url::parse(uri) else { return false };
        self.redirect_uris.iter().any(|known| *known == uri || (is_loopback(known) && equals_except_port(known, &uri)))
    }
}

fn is_loopback(uri: &Url) -> bool {
    let address = match uri.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address),
        _ => return false,
    };
    uri.scheme() == "http" && address.is_loopback()
}

fn equals_except_port(known: &Url, uri: &Url) -> bool {
    let mut uri = uri.clone();
    uri.set_port(known.port()).is_ok() && uri == *known
}

/// Shows everything except the secret, because a test may use a real one.
impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uris: Vec<_> = self.redirect_uris.iter().map(Url::as_str).collect();
        f.debug_struct("Application")
            .field("client_id", &self.client_id)
            .field("redirect_uris", &uris)
            .finish_non_exhaustive()
    }
}

/// The applications that the server accepts.
#[derive(Debug)]
pub(super) struct Applications(Vec<Application>);

impl Applications {
    pub(super) fn seeded() -> Self {
        Self(vec![Application::seeded()])
    }

    /// Adds an application, in place of one with the same client id.
    pub(super) fn add(&mut self, application: Application) {
        self.0.retain(|known| known.client_id != application.client_id);
        self.0.push(application);
    }

    pub(super) fn get(&self, client_id: &str) -> Option<&Application> {
        self.0.iter().find(|known| known.client_id == client_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_redirect_may_have_any_port_but_no_other_path() {
        let application = Application::seeded().with_redirect_uri("https://portal.example/fentu");
        for (uri, allowed) in [
            ("http://127.0.0.1:49152/callback", true),
            ("http://127.0.0.1:49152", true),
            ("http://[::1]:49152/callback", true),
            ("http://127.0.0.1:49152/other", false),
            ("https://127.0.0.1:49152/callback", false),
            ("http://127.0.0.2:49152/callback", false),
            ("http://localhost:49152/callback", false),
            ("https://portal.example/fentu", true),
            ("https://portal.example:8443/fentu", false),
            ("https://portal.example/fentu?next=evil", false),
            ("https://evil.example/fentu", false),
            ("", false),
        ] {
            assert_eq!(application.may_redirect_to(uri), allowed, "{uri}");
        }
    }

    #[test]
    fn the_debug_output_does_not_show_the_secret() {
        let shown = format!("{:?}", Application::new("test-id", "test-hidden-value"));
        assert!(shown.contains("test-id") && !shown.contains("hidden"), "{shown}");
    }
}
