//! The clients that share a tenant's limit among their callers.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::StatusCode;
use http::header::RETRY_AFTER;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::{ExponentialBackoff, ExponentialBackoffBuilder};
use servicebay::fixably::{self, Credentials};

use super::tenant::{ORDER, Tenant, Terms};

const TOKEN: &str = "8sVxWgUxY1mBqXn5u8xk4Cq1p0JtZrQe";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With the defaults of its builder.
    Servicebay,
    /// Retries with the default waits, from a second up, until the call succeeds.
    Retrying,
    /// The same with waits from a tenth of a second to a window.
    RetryingFitted,
    /// Bare reqwest behind a rate limiter that knows the tenant's rate.
    Governed,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Servicebay, Self::Retrying, Self::RetryingFitted, Self::Governed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Servicebay => "servicebay",
            Self::Retrying => "reqwest-retry, by default",
            Self::RetryingFitted => "reqwest-retry, fitted to the tenant",
            Self::Governed => "reqwest and governor, told the rate",
        }
    }
}

pub(crate) enum Client {
    Servicebay(fixably::Client),
    Retrying { client: ClientWithMiddleware, url: String },
    Governed { client: reqwest::Client, limiter: DefaultDirectRateLimiter, url: String },
}

impl Client {
    pub(crate) fn new(kind: Kind, tenant: &Tenant) -> Self {
        let url = format!("{}/orders/{ORDER}", tenant.base_url());
        match kind {
            Kind::Servicebay => {
                let client = fixably::Client::builder(Credentials::bearer(TOKEN)).with_base_url(tenant.base_url());
                Self::Servicebay(client.build().expect("a loopback address is a base URL"))
            }
            Kind::Retrying => Self::retrying(ExponentialBackoff::builder(), url),
            Kind::RetryingFitted => {
                let waits = (Duration::from_millis(100), tenant.terms().window);
                Self::retrying(ExponentialBackoff::builder().retry_bounds(waits.0, waits.1), url)
            }
            Kind::Governed => {
                Self::Governed { client: http_client(), limiter: RateLimiter::direct(quota(tenant.terms())), url }
            }
        }
    }

    fn retrying(policy: ExponentialBackoffBuilder, url: String) -> Self {
        let retries = RetryTransientMiddleware::new_with_policy(policy.build_with_max_retries(u32::MAX));
        Self::Retrying { client: ClientBuilder::new(http_client()).with(retries).build(), url }
    }

    /// Makes one call and returns whether it succeeded.
    pub(crate) async fn call(&self) -> bool {
        match self {
            Self::Servicebay(client) => client.get_order().id(ORDER).send().await.is_ok(),
            Self::Retrying { client, url } => match client.get(url).bearer_auth(TOKEN).send().await {
                Ok(response) => response.status().is_success() && response.bytes().await.is_ok(),
                Err(_) => false,
            },
            Self::Governed { client, limiter, url } => loop {
                limiter.until_ready().await;
                let Ok(response) = client.get(url).bearer_auth(TOKEN).send().await else { return false };
                if response.status() != StatusCode::TOO_MANY_REQUESTS {
                    return response.status().is_success() && response.bytes().await.is_ok();
                }
                tokio::time::sleep(retry_after(&response)).await;
            },
        }
    }
}

/// The tenant's rate, evenly spaced: a larger burst would be refused in the first window.
fn quota(terms: Terms) -> Quota {
    Quota::with_period(terms.window / terms.limit).expect("a window is not empty").allow_burst(NonZeroU32::MIN)
}

/// How long a 429 asks to stay away; not at all if it does not say.
fn retry_after(response: &reqwest::Response) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

fn http_client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .expect("the client builds")
}
