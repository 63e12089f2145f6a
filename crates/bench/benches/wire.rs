//! Counts the bytes on the wire for a page of 100 orders: what the client sends and what it receives, without the
//! headers of TCP and TLS.
//!
//! The server compresses what a client accepts, as a web server or a proxy before the vendor does: with gzip, level 6.
//! The page is the one that the other benches decode, in both forms: with links and with expanded relations.
//!
//! * `cargo bench -p servicebay-bench --bench wire`: both pages, beside a client that accepts no compression;
//! * the same with `-- --test`: the same.

#![expect(clippy::print_stdout, reason = "the numbers are what this program is for")]

#[path = "peers/orders.rs"]
mod orders;

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use servicebay::fixably;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use self::orders::{Relations, page};

/// The most that a page of 100 orders may take, in bytes.
const TARGET: usize = 6000;

fn main() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    println!("bytes for a page of 100 orders; the target is {TARGET} received");
    println!("{:<22} {:<18} {:>8} {:>10}", "page", "client", "sent", "received");
    for (name, relations) in [("links", Relations::Linked), ("expanded relations", Relations::Expanded)] {
        let page = page(relations);
        let plain = runtime.block_on(measured(&page, plain)).expect("a call over loopback succeeds");
        let servicebay = runtime.block_on(measured(&page, servicebay)).expect("a call over loopback succeeds");
        for (client, (sent, received)) in [("no compression", plain), ("servicebay", servicebay)] {
            println!("{name:<22} {client:<18} {sent:>8} {received:>10}");
        }
    }
}

/// The bytes that a client sends and receives for one page.
async fn measured(page: &str, call: impl AsyncFn(String)) -> io::Result<(usize, usize)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/api/v3", listener.local_addr()?);
    let serving = async {
        let (mut connection, _) = listener.accept().await?;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            connection.read_buf(&mut request).await?;
        }
        let accepts_gzip = String::from_utf8_lossy(&request).contains("accept-encoding: gzip");
        let response = response(page, accepts_gzip)?;
        connection.write_all(&response).await?;
        Ok((request.len(), response.len()))
    };
    let (counts, ()) = futures_util::future::join(serving, call(url)).await;
    counts
}

fn response(page: &str, is_compressed: bool) -> io::Result<Vec<u8>> {
    let (encoding, body) = if is_compressed {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(page.as_bytes())?;
        ("Content-Encoding: gzip\r\n", encoder.finish()?)
    } else {
        ("", page.as_bytes().to_vec())
    };
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{encoding}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend(body);
    Ok(response)
}

async fn servicebay(url: String) {
    let client = fixably::Client::builder(fixably::Credentials::bearer("token")).with_base_url(url).build();
    let orders = client.expect("a client of this machine").list_orders().limit(100).send().await;
    assert_eq!(orders.expect("a page").items.len(), 100);
}

async fn plain(url: String) {
    let client = reqwest::Client::builder().build().expect("a client of this machine");
    let response = client.get(format!("{url}/orders?limit=100")).send().await.expect("a response");
    response.bytes().await.expect("a body");
}
