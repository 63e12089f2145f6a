//! The applications that are registered with a tenant.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// An application that may ask users for access, for [`MockServer::add_application`](super::MockServer::add_application).
///
/// Where the vendor registers them is not documented. A redirect address has to be registered; one on this machine may
/// come with any port, because a program on a desk gets another one every time.
///
/// ```
/// use servicebay::testing::fentu::{Application, MockServer};
///
/// let tenant = MockServer::builder().in_memory();
/// tenant.add_application(
///     Application::new("test-portal", "test-portal-secret").with_redirect_uri("https://portal.example/fentu"),
/// );
/// ```
#[derive(Clone)]
#[must_use = "an application is known to a tenant after `tenant.add_application(...)`"]
pub struct Application {
    client_id: String,
    client_secret: String,
    redirect_uris: Vec<Url>,
}

impl Application {
    /// An application without a redirect address.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), client_secret: client_secret.into(), redirect_uris: Vec::new() }
    }

    /// Registers one more redirect address.
    ///
    /// # Panics
    ///
    /// If it is no absolute address, or has a fragment.
    #[track_caller]
    pub fn with_redirect_uri(mut self, uri: &str) -> Self {
        match Url::parse(uri) {
            Ok(uri) if uri.fragment().is_none() => self.redirect_uris.push(uri),
            _ => panic!("{uri:?} is no redirect address: it has to be absolute and without a fragment"),
        }
        self
    }

    /// Its public name.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What it proves itself with at the token endpoint.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.client_secret
    }

    /// The one that every tenant knows. Its redirect addresses are `http://127.0.0.1` and `http://[::1]`, with any port and
    /// with the path `/` or `/callback`.
    pub(super) fn seeded() -> Self {
        let addresses = ["http://127.0.0.1/", "http://127.0.0.1/callback", "http://[::1]/", "http://[::1]/callback"];
        addresses.into_iter().fold(Self::new("test-application", "test-application-secret"), Self::with_redirect_uri)
    }

    pub(super) fn may_redirect_to(&self, uri: &str) -> bool {
        let Ok(uri) = Url::parse(uri) else { return false };
        self.redirect_uris.iter().any(|known| *known == uri || (on_this_machine(known) && same_but_port(known, &uri)))
    }
}

fn on_this_machine(uri: &Url) -> bool {
    let address = match uri.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address),
        _ => return false,
    };
    uri.scheme() == "http" && address.is_loopback()
}

fn same_but_port(known: &Url, uri: &Url) -> bool {
    let mut uri = uri.clone();
    uri.set_port(known.port()).is_ok() && uri == *known
}

/// Shows everything but the secret: somebody may put a real one in.
impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uris: Vec<_> = self.redirect_uris.iter().map(Url::as_str).collect();
        f.debug_struct("Application")
            .field("client_id", &self.client_id)
            .field("redirect_uris", &uris)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_to_this_machine_may_have_any_port_and_no_other_path() {
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
    fn the_debug_form_does_not_show_the_secret() {
        let shown = format!("{:?}", Application::new("test-id", "test-hidden-value"));
        assert!(shown.contains("test-id") && !shown.contains("hidden"), "{shown}");
    }
}
