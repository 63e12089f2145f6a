//! Measures how long it takes to list 200 pages that take 50 ms each, compared with the ideal and with code by hand.
//!
//! The ideal is eight pages at a time, 50 ms for each eight: 1.25 s. It is slightly out of reach, because the number of
//! pages is unknown until the first one arrives.
//!
//! The list is read twice. On tokio's paused clock the result is exact and covers paging alone: connecting, sending and
//! decoding take no time. Over real sockets they do, for 100 orders on each page, and the server's timer rounds up to whole
//! milliseconds; so the last column compares each run with the time that its own pages took one by one. The run
//! `reqwest, buffered(8)` is bare reqwest, which fetches eight pages at once, knows their number in advance, and decodes
//! them into the same types.
//!
//! * `cargo bench -p servicebay-bench --bench paging`: measures;
//! * the same with `-- --test`: 20 pages, once.

#![expect(clippy::print_stdout, reason = "the ratios are what this program is for")]

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use std::{env, io, thread};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use servicebay::fixably::types::Order;
use servicebay::fixably::{Client, Credentials, Page};
use servicebay::testing::{Script, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// The orders on a page, and how long a page takes.
const SIZE: u32 = 100;
const LATENCY: Duration = Duration::from_millis(50);
/// The pages fetched at once.
const DEPTH: usize = 8;

fn main() {
    // `--test` is a short run, to see that the program works. Every other argument is ignored.
    let smoke = env::args().any(|argument| argument == "--test");
    let (pages, runs): (u32, u32) = if smoke { (20, 1) } else { (200, 5) };
    let ideal = LATENCY * pages.div_ceil(DEPTH as u32);
    println!("{pages} pages of {SIZE} orders at {} ms each, {DEPTH} at once; ideal {ideal:?}", LATENCY.as_millis());
    println!("{:<38} {:>9} {:>9} {:>12}", "", "time", "/ ideal", "/ own pages");
    // Without prefetch the pages come one by one, which gives the time of a page.
    let show = |name: &str, time: Duration, serial: Duration| {
        let (seconds, eighth) = (time.as_secs_f64(), serial.as_secs_f64() / DEPTH as f64);
        println!("{name:<38} {seconds:>7.3} s {:>9.3} {:>12.3}", seconds / ideal.as_secs_f64(), seconds / eighth);
    };

    let paused = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime starts");
    let serial = on_paused_clock(&paused, pages, 1);
    show("virtual time: servicebay, prefetch 8", on_paused_clock(&paused, pages, DEPTH), serial);
    show("virtual time: servicebay, no prefetch", serial, serial);

    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let address = serve(pages).expect("a loopback port is free");
    let base_url = format!("http://{address}/api/v3");
    let client = Client::builder(Credentials::bearer("bench")).with_base_url(&base_url).build().expect("a client");
    let http = reqwest::Client::builder().build().expect("an HTTP client");
    // The runs alternate, so that other load on the machine affects all of them; the result is their median.
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..runs {
        times[0].push(timed(&runtime, list_all(&client, DEPTH), pages));
        times[1].push(timed(&runtime, with_reqwest(&http, &base_url, pages), pages));
        times[2].push(timed(&runtime, list_all(&client, 1), pages));
    }
    let names =
        ["sockets: servicebay, prefetch 8", "sockets: reqwest, buffered(8)", "sockets: servicebay, no prefetch"];
    let medians = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    let serial = medians[2];
    for (name, median) in names.into_iter().zip(medians) {
        show(name, median, serial);
    }
}

/// Reads the list over a transport in memory whose responses take their time on the paused clock.
fn on_paused_clock(runtime: &Runtime, pages: u32, depth: usize) -> Duration {
    runtime.block_on(async {
        let response = Step::with(move |request| {
            Step::json(200, page(offset(request.uri().query().unwrap_or_default()), pages)).delay(LATENCY)
        });
        let client = Client::builder(Credentials::bearer("bench")).with_tenant("acme");
        let client = client.with_transport(Script::new([response.repeat()])).build().expect("a client");
        let started = tokio::time::Instant::now();
        assert_eq!(list_all(&client, depth).await, pages * SIZE);
        started.elapsed()
    })
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn timed(runtime: &Runtime, list_all: impl Future<Output = u32>, pages: u32) -> Duration {
    let started = std::time::Instant::now();
    assert_eq!(runtime.block_on(list_all), pages * SIZE);
    started.elapsed()
}

/// Reads the whole list and returns the number of orders.
async fn list_all(client: &Client, depth: usize) -> u32 {
    let items = client.list_orders().limit(SIZE).items().prefetch(depth);
    items.try_fold(0, |count, _| async move { Ok(count + 1) }).await.expect("every page comes")
}

/// Does the same with bare reqwest.
async fn with_reqwest(http: &reqwest::Client, base_url: &str, pages: u32) -> u32 {
    let urls = (0..pages).map(|page| format!("{base_url}/orders?limit={SIZE}&expand=items&offset={}", page * SIZE));
    let fetch = |url: String| async {
        let response = http.get(url).send().await.expect("a response");
        let body = response.bytes().await.expect("a body");
        serde_json::from_slice::<Page<Order>>(&body).expect("a page")
    };
    stream::iter(urls.map(fetch))
        .buffered(DEPTH)
        .fold(0, |count, page| async move { count + page.items.len() as u32 })
        .await
}

fn offset(query: &str) -> u32 {
    let offset = query.split('&').find_map(|pair| pair.strip_prefix("offset="));
    offset.map_or(0, |offset| offset.parse().expect("a number"))
}

fn page(offset: u32, pages: u32) -> Value {
    let order = |id: u32| {
        json!({
            "id": id, "href": format!("https://acme.fixably.com/api/v3/orders/{id}"), "reference": format!("PO-{id}"),
            "createdAt": "2026-02-27T09:41:07Z", "isClosed": false, "internalLocation": "SERVICE", "total": 249.5,
            "contact": {"fullName": "Jill Ääkkönen", "emailAddress": "jill@acme.example"},
            "customer": {"href": "https://acme.fixably.com/api/v3/customers/7"},
            "status": {"href": "https://acme.fixably.com/api/v3/statuses/450"},
        })
    };
    let items: Vec<_> = (offset..offset + SIZE).map(order).collect();
    json!({"limit": SIZE, "offset": offset, "totalItems": pages * SIZE, "items": items})
}

/// Starts a server in a thread of its own, which delays each response by the time that a page takes.
fn serve(pages: u32) -> io::Result<SocketAddr> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    // Rendered in advance, because the client is what is measured.
    let responses: &'static [String] = (0..pages)
        .map(|number| {
            let body = page(number * SIZE, pages).to_string();
            let mut response = String::from("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n");
            let _ = write!(response, "Content-Length: {}\r\n\r\n{body}", body.len());
            response
        })
        .collect::<Vec<_>>()
        .leak();
    thread::spawn(move || {
        runtime.block_on(async move {
            while let Ok((connection, _)) = listener.accept().await {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "connections run side by side, and end with their clients"
                )]
                tokio::spawn(async move { serve_connection(connection, responses).await.ok() });
            }
        });
    });
    Ok(address)
}

async fn serve_connection(mut connection: TcpStream, responses: &[String]) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut request = Vec::new();
    loop {
        if connection.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if request.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request);
            let target = head.split(' ').nth(1).unwrap_or_default();
            let query = target.split_once('?').map_or("", |(_, query)| query);
            let response = &responses[(offset(query) / SIZE) as usize];
            request.clear();
            tokio::time::sleep(LATENCY).await;
            connection.write_all(response.as_bytes()).await?;
        }
    }
}
