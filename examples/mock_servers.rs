//! Starts the mock servers of all vendors, to try requests by hand or with another program.
//!
//! ```sh
//! cargo run --example mock_servers
//! ```
//!
//! prints one line for each vendor: its name, the base URL, and the headers that a request needs, separated by tabs. With
//! the first line in hand:
//!
//! ```sh
//! curl --header 'authorization: Bearer test-admin-all' http://127.0.0.1:<port>/api/v3/orders/20000010
//! ```
//!
//! The servers run until the standard input of this program ends: press Ctrl+D, or close the pipe to it.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::io;
use std::time::Duration;

use servicebay::testing::repairy::Partner;
use servicebay::testing::{fentu, fisikal, fixably, repairy};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let fentu = fentu::MockServer::builder().with_rate_limit(u32::MAX, Duration::from_secs(3600)).start().await;
    let fisikal = fisikal::MockServer::start().await;
    let fixably = fixably::MockServer::builder().without_rate_limit().start().await;
    let repairy = repairy::MockServer::start().await;

    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let repairy_token = repairy.issue_tokens(Partner::Main).access_token;
    for (vendor, base_url, headers) in [
        ("fentu", fentu.base_url(), vec![bearer(&fentu.key(fentu::KeyKind::Admin))]),
        ("fisikal", fisikal.base_url(), vec![bearer(&fisikal.access_token())]),
        ("fixably", fixably.base_url(), vec![bearer(&fixably.token(fixably::TokenKind::AdminAll))]),
        ("repairy", repairy.base_url(), vec![bearer(&repairy_token), format!("x-partner-id: {}", Partner::Main.id())]),
    ] {
        println!("{vendor}\t{base_url}\t{}", headers.join("\t"));
    }

    // The servers run on threads of their own, so this thread may block.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
