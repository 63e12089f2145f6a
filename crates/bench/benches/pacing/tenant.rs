//! A tenant on a socket: it allows so many calls in each window, takes its time, and reports what it is told to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{io, thread};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use super::now;
use crate::connection::Connection;

/// The order that every call gets.
pub(crate) const ORDER: i64 = 20000010;
const BODY: &str = r#"{"id":20000010,"href":"https://acme.fixably.com/api/v3/orders/20000010","reference":"PO-7"}"#;

/// What a tenant says about its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reports {
    /// Limit, remaining and reset, with every response.
    Limit,
    /// The whole seconds to the end of the window, with a 429.
    RetryAfter,
    Nothing,
}

/// How a tenant treats its callers. Windows follow each other without a gap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) limit: u32,
    pub(crate) window: Duration,
    /// How long a call takes. It is counted halfway.
    pub(crate) latency: Duration,
    pub(crate) reports: Reports,
}

/// The calls of one window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) accepted: u32,
    pub(crate) refused: u32,
}

/// A tenant on this machine, in a thread of its own that runs until the program exits.
#[derive(Clone)]
pub(crate) struct Tenant(Arc<Inner>);

struct Inner {
    terms: Terms,
    address: SocketAddr,
    /// The same moment on both clocks. Windows follow the monotonic one.
    started_at: (Instant, Duration),
    counts: Mutex<BTreeMap<u64, Count>>,
}

impl Tenant {
    pub(crate) fn start(terms: Terms) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let started_at = (now(), wall());
        let tenant = Self(Arc::new(Inner { terms, address, started_at, counts: Mutex::default() }));
        let served = tenant.clone();
        thread::spawn(move || runtime.block_on(served.accept(listener)));
        Ok(tenant)
    }

    pub(crate) fn terms(&self) -> Terms {
        self.0.terms
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/api/v3", self.0.address)
    }

    /// How long it takes until the next window begins.
    pub(crate) fn until_next_window(&self) -> Duration {
        let window = self.0.terms.window;
        window - Duration::from_nanos((self.time().as_nanos() % window.as_nanos()) as u64)
    }

    /// The current window, counted from 1970.
    pub(crate) fn window(&self) -> u64 {
        (self.time().as_nanos() / self.0.terms.window.as_nanos()) as u64
    }

    /// What was counted in each window.
    pub(crate) fn counts(&self) -> BTreeMap<u64, Count> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Count>> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since 1970.
    fn time(&self) -> Duration {
        let (instant, wall) = self.0.started_at;
        wall + instant.elapsed()
    }

    async fn accept(self, listener: std::net::TcpListener) {
        let listener = TcpListener::from_std(listener).expect("the runtime has a driver for it");
        while let Ok((connection, _)) = listener.accept().await {
            let tenant = self.clone();
            #[expect(clippy::disallowed_methods, reason = "connections run side by side, and end with their clients")]
            tokio::spawn(async move { tenant.serve(connection).await.ok() });
        }
    }

    async fn serve(self, stream: TcpStream) -> io::Result<()> {
        let mut connection = Connection::new(stream)?;
        while connection.next_request().await? {
            self.travel().await;
            let response = self.respond();
            self.travel().await;
            connection.respond(response.as_bytes()).await?;
        }
        Ok(())
    }

    /// One way, to the tenant or from it.
    async fn travel(&self) {
        if !self.0.terms.latency.is_zero() {
            tokio::time::sleep(self.0.terms.latency / 2).await;
        }
    }

    fn respond(&self) -> String {
        let Terms { limit, window, reports, .. } = self.0.terms;
        let index = self.window();
        let (is_accepted, remaining) = {
            let mut counts = self.lock();
            let count = counts.entry(index).or_default();
            let is_accepted = count.accepted < limit;
            *if is_accepted { &mut count.accepted } else { &mut count.refused } += 1;
            (is_accepted, limit - count.accepted)
        };
        let (status, body) = if is_accepted { ("200 OK", BODY) } else { ("429 Too Many Requests", "{}") };
        let reset = Duration::from_nanos(window.as_nanos() as u64 * (index + 1));
        let headers = match reports {
            Reports::Limit => format!(
                "X-RateLimit-Limit: {limit}\r\nX-RateLimit-Remaining: {remaining}\r\nX-RateLimit-Reset: {}\r\n",
                reset.as_millis()
            ),
            Reports::RetryAfter if !is_accepted => {
                format!("Retry-After: {}\r\n", reset.saturating_sub(self.time()).as_secs_f64().ceil())
            }
            Reports::RetryAfter | Reports::Nothing => String::new(),
        };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
    }
}

/// The time since 1970 by the system's clock, which clients compare resets with.
#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970")
}
