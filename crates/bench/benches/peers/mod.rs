//! The four clients that the benches compare, and what they call.
//!
//! All of them call the same server over loopback connections that stay open, with the same headers and timeouts. Their
//! HTTP clients follow no redirects and retry nothing, and all decode the response into the same types. So only the
//! clients differ:
//!
//! * `reqwest`: the least code that gets the order. The token and the headers are default headers of the client, the
//!   cheapest way in reqwest.
//! * `servicebay`: a client with the defaults of its builder.
//! * `progenitor`: the client that progenitor 0.15.1 generates from `fixably.json`, over the same HTTP client.
//! * `reqwest-retry`: the same HTTP client in reqwest-middleware with the retry middleware: three retries with exponential
//!   backoff, as in its own example.

mod canned;
// Progenitor's own code, unchanged.
#[allow(clippy::all, clippy::unwrap_used, dead_code, unnameable_types, unreachable_pub)]
mod generated;
mod orders;
mod server;

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest_middleware::ClientWithMiddleware;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use serde::de::DeserializeOwned;
use servicebay::fixably::types::Order;
use servicebay::fixably::{self, Credentials, Page};

use self::orders::ORDER;
pub(crate) use self::orders::PAGE;
pub(crate) use self::server::Server;

const TOKEN: &str = "8sVxWgUxY1mBqXn5u8xk4Cq1p0JtZrQe7dLhNfAoKiMb2yTs";
const AGENT: &str = concat!("servicebay/", env!("CARGO_PKG_VERSION"));
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The operation that is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Workload {
    /// One order of about 1.5 kB.
    GetOrder,
    /// A page of 100 orders, about 120 kB.
    ListOrders,
}

impl Workload {
    pub(crate) const ALL: [Self; 2] = [Self::GetOrder, Self::ListOrders];
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::GetOrder => "get_order",
            Self::ListOrders => "list_orders",
        })
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|workload| workload.to_string() == name);
        named.ok_or_else(|| format!("{name:?} is not a workload: give get_order or list_orders"))
    }
}

/// The client that calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Reqwest,
    Servicebay,
    Progenitor,
    Retrying,
}

impl Peer {
    /// The first one is the one that the others are compared with.
    pub(crate) const ALL: [Self; 4] = [Self::Reqwest, Self::Servicebay, Self::Progenitor, Self::Retrying];
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reqwest => "reqwest",
            Self::Servicebay => "servicebay",
            Self::Progenitor => "progenitor",
            Self::Retrying => "reqwest-retry",
        })
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|peer| peer.to_string() == name);
        named.ok_or_else(|| format!("{name:?} is not a client: give reqwest, servicebay, progenitor or reqwest-retry"))
    }
}

/// A client of one of the four kinds, ready to call one server.
#[derive(Debug)]
pub(crate) enum Client {
    Reqwest { client: reqwest::Client, base_url: String },
    Servicebay(fixably::Client),
    Progenitor(generated::Client),
    Retrying { client: ClientWithMiddleware, base_url: String },
}

impl Client {
    pub(crate) fn new(peer: Peer, base_url: &str) -> Self {
        match peer {
            Peer::Reqwest => Self::Reqwest { client: http_client(), base_url: base_url.to_owned() },
            Peer::Servicebay => Self::Servicebay(
                fixably::Client::builder(Credentials::bearer(TOKEN))
                    .with_base_url(base_url)
                    .with_attempt_timeout(TIMEOUT)
                    .build()
                    .expect("a loopback address is a base URL"),
            ),
            Peer::Progenitor => Self::Progenitor(generated::Client::new_with_client(base_url, http_client())),
            Peer::Retrying => {
                let policy = ExponentialBackoff::builder().build_with_max_retries(3);
                let retries = RetryTransientMiddleware::new_with_policy(policy);
                let client = reqwest_middleware::ClientBuilder::new(http_client()).with(retries).build();
                Self::Retrying { client, base_url: base_url.to_owned() }
            }
        }
    }

    /// Makes one call and reads its response.
    pub(crate) async fn call(&self, workload: Workload) {
        match workload {
            Workload::GetOrder => self.get_order().await,
            Workload::ListOrders => self.list_orders().await,
        }
    }

    async fn get_order(&self) {
        match self {
            Self::Reqwest { client, base_url } => {
                let response = client.get(order_url(base_url)).send().await.expect("the server responds");
                black_box(&read::<Order>(response).await);
            }
            Self::Servicebay(client) => {
                let order = client.get_order().id(black_box(ORDER)).expand("customer,status").send().await;
                black_box(&order.expect("the order is there"));
            }
            Self::Progenitor(client) => {
                let order = client.get_order(black_box(ORDER), Some("customer,status")).await;
                black_box(&order.expect("the order is there"));
            }
            Self::Retrying { client, base_url } => {
                let response = client.get(order_url(base_url)).send().await.expect("the server responds");
                black_box(&read::<Order>(response).await);
            }
        }
    }

    async fn list_orders(&self) {
        match self {
            Self::Reqwest { client, base_url } => {
                let response = client.get(orders_url(base_url)).send().await.expect("the server responds");
                black_box(&read::<Page<Order>>(response).await);
            }
            Self::Servicebay(client) => {
                let page = client.list_orders().limit(black_box(PAGE)).expand("items").send().await;
                black_box(&page.expect("the page is there"));
            }
            Self::Progenitor(client) => {
                let page = client.list_orders(Some("items"), Some(black_box(PAGE)), None, None, None).await;
                black_box(&page.expect("the page is there"));
            }
            Self::Retrying { client, base_url } => {
                let response = client.get(orders_url(base_url)).send().await.expect("the server responds");
                black_box(&read::<Page<Order>>(response).await);
            }
        }
    }
}

fn order_url(base_url: &str) -> String {
    format!("{base_url}/orders/{}?expand=customer,status", black_box(ORDER))
}

fn orders_url(base_url: &str) -> String {
    format!("{base_url}/orders?limit={}&expand=items", black_box(PAGE))
}

/// Does what `reqwest::Response::json` does, without the feature that it needs.
async fn read<T: DeserializeOwned>(response: reqwest::Response) -> T {
    let response = response.error_for_status().expect("with 200");
    let body = response.bytes().await.expect("and a whole body");
    serde_json::from_slice(&body).expect("of the right shape")
}

fn http_client() -> reqwest::Client {
    let mut token = HeaderValue::try_from(format!("Bearer {TOKEN}")).expect("the token is ASCII");
    token.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(AUTHORIZATION, token);
    reqwest::Client::builder()
        .user_agent(AGENT)
        .default_headers(headers)
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .expect("the client builds")
}
