//! The HTTP clients that this crate makes itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use crate::error::Error;

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What one HTTP client does for all of its requests alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    /// To this machine itself, without TLS.
    is_plain: bool,
    connect_timeout: Duration,
}

impl Kind {
    /// What calls below this address need, each of which may take `timeout`.
    pub(super) fn of(base_url: &Url, timeout: Duration) -> Result<Self, Error> {
        let is_plain = base_url.scheme() == "http";
        if cfg!(not(any(feature = "rustls", feature = "native-tls"))) && !is_plain {
            return Err(Error::config("base_url", "needs TLS: turn on the feature rustls or native-tls"));
        }
        // A little less than an attempt may take, so that a connection that does not open is told from an answer that
        // does not come.
        Ok(Self { is_plain, connect_timeout: CONNECT_TIMEOUT.min(timeout / 10 * 9) })
    }

    pub(super) fn client(self) -> Result<reqwest::Client, Error> {
        let mut client = reqwest::Client::builder();
        if self.is_plain {
            // A proxy from the environment would get the token in the clear.
            client = client.no_proxy();
        }
        client
            .connect_timeout(self.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| Error::config("http_client", format!("cannot be set up: {error}")))
    }
}

/// The HTTP clients of many tenants, each made when it is first needed: one, unless addresses or timeouts differ in
/// kind.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<HashMap<Kind, reqwest::Client>>);

impl Pool {
    pub(super) fn client(&self, kind: Kind) -> Result<reqwest::Client, Error> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let client = kind.client()?;
        clients.insert(kind, client.clone());
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(base_url: &str, seconds: u64) -> Kind {
        Kind::of(&base_url.parse().unwrap(), Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn tenants_share_one_client_and_what_needs_another_gets_one_more() {
        let pool = Pool::default();
        let made = || pool.0.lock().unwrap().len();
        for tenant in ["https://acme.fixably.com/api/v3", "https://beta.fixably.com/api/v3"] {
            pool.client(kind(tenant, 30)).unwrap();
            pool.client(kind(tenant, 60)).unwrap();
        }
        assert_eq!(made(), 1);
        pool.client(kind("http://127.0.0.1:1234", 30)).unwrap();
        pool.client(kind("https://acme.fixably.com/api/v3", 1)).unwrap();
        assert_eq!(made(), 3);
    }
}
