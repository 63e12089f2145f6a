//! How long it takes to walk 200 pages that take 50 ms each, beside the ideal and beside what one writes by hand.
//!
//! The ideal is 200 pages in eights, each eight in 50 ms: 1.25 s. It cannot quite be reached, because nobody knows how many
//! pages there are before the first has come.
//!
//! Measured twice. On tokio's paused clock the answer is exact, and about the walk alone: connecting, sending and decoding
//! take no time there. Over real sockets on this machine they do, for a page of 100 orders each, and so does the server's
//! timer, which counts in whole milliseconds and rounds up; so the last column sets a walk against what its pages took when
//! they were fetched one by one. There `reqwest, buffered` is bare reqwest fetching eight pages at once with `buffered(8)`,
//! told beforehand how many there are, and decoding them into the same types.

#![expect(clippy::print_stdout, reason = "the ratios are what this program is for")]

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use std::{env, io, thread};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use servicebay::fixably::types::Order;
use servicebay::fixably::{Client, Collection, Credentials};
use servicebay::testing::{Script, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// Orders on a page, and how long one takes.
const SIZE: u32 = 100;
const LATENCY: Duration = Duration::from_millis(50);
/// Pages at once.
const DEPTH: usize = 8;

fn main() {
    // Cargo's own argument aside, only `--test` means anything here: a short run, to see that it runs.
    let smoke = env::args().any(|argument| argument == "--test");
    let (pages, runs): (u32, u32) = if smoke { (20, 1) } else { (200, 5) };
    let ideal = LATENCY * pages.div_ceil(DEPTH as u32);
    println!("{pages} pages of {SIZE} orders at {} ms each, {DEPTH} at once; ideal {ideal:?}", LATENCY.as_millis());
    println!("{:<38} {:>9} {:>9} {:>12}", "", "time", "/ ideal", "/ own pages");
    // What a page takes in one lane is what the walk without prefetch took for it.
    let show = |name: &str, time: Duration, serial: Duration| {
        let (seconds, eighth) = (time.as_secs_f64(), serial.as_secs_f64() / DEPTH as f64);
        println!("{name:<38} {seconds:>7.3} s {:>9.3} {:>12.3}", seconds / ideal.as_secs_f64(), seconds / eighth);
    };

    let paused = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime can be made");
    let serial = virtually(&paused, pages, 1);
    show("virtual time: servicebay, prefetch 8", virtually(&paused, pages, DEPTH), serial);
    show("virtual time: servicebay, no prefetch", serial, serial);

    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let address = serve(pages).expect("a loopback port is free");
    let base_url = format!("http://{address}/api/v3");
    let client = Client::builder(Credentials::bearer("bench")).with_base_url(&base_url).build().expect("a client");
    let http = reqwest::Client::builder().build().expect("an HTTP client");
    // In turn, so that what comes and goes on the machine meets all of them; medians.
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..runs {
        times[0].push(timed(&runtime, walk(&client, DEPTH), pages));
        times[1].push(timed(&runtime, by_hand(&http, &base_url, pages), pages));
        times[2].push(timed(&runtime, walk(&client, 1), pages));
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

/// A walk over a wire whose answers take their time on the paused clock.
fn virtually(runtime: &Runtime, pages: u32, depth: usize) -> Duration {
    runtime.block_on(async {
        let answer = Step::with(move |request| {
            Step::json(200, page(offset(request.uri().query().unwrap_or_default()), pages)).delay(LATENCY)
        });
        let client = Client::builder(Credentials::bearer("bench")).with_tenant("acme");
        let client = client.with_transport(Script::new([answer.repeat()])).build().expect("a client");
        let begun = tokio::time::Instant::now();
        assert_eq!(walk(&client, depth).await, pages * SIZE);
        begun.elapsed()
    })
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn timed(runtime: &Runtime, walk: impl Future<Output = u32>, pages: u32) -> Duration {
    let begun = std::time::Instant::now();
    assert_eq!(runtime.block_on(walk), pages * SIZE);
    begun.elapsed()
}

/// How many orders a walk hands out.
async fn walk(client: &Client, depth: usize) -> u32 {
    let items = client.list_orders().limit(SIZE).items().prefetch(depth);
    items.try_fold(0, |count, _| async move { Ok(count + 1) }).await.expect("every page comes")
}

/// The same with bare reqwest.
async fn by_hand(http: &reqwest::Client, base_url: &str, pages: u32) -> u32 {
    let urls = (0..pages).map(|page| format!("{base_url}/orders?limit={SIZE}&expand=items&offset={}", page * SIZE));
    let fetch = |url: String| async {
        let response = http.get(url).send().await.expect("an answer");
        let body = response.bytes().await.expect("a body");
        serde_json::from_slice::<Collection<Order>>(&body).expect("a page")
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

/// A server in a thread of its own, which holds each answer back for as long as a page takes.
fn serve(pages: u32) -> io::Result<SocketAddr> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    // Written beforehand: what is measured is who asks.
    let answers: &'static [String] = (0..pages)
        .map(|number| {
            let body = page(number * SIZE, pages).to_string();
            let mut answer = String::from("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n");
            let _ = write!(answer, "Content-Length: {}\r\n\r\n{body}", body.len());
            answer
        })
        .collect::<Vec<_>>()
        .leak();
    thread::spawn(move || {
        runtime.block_on(async move {
            while let Ok((connection, _)) = listener.accept().await {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "connections live side by side, and end with their clients"
                )]
                tokio::spawn(async move { converse(connection, answers).await.ok() });
            }
        });
    });
    Ok(address)
}

async fn converse(mut connection: TcpStream, answers: &[String]) -> io::Result<()> {
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
            let answer = &answers[(offset(query) / SIZE) as usize];
            request.clear();
            tokio::time::sleep(LATENCY).await;
            connection.write_all(answer.as_bytes()).await?;
        }
    }
}
