//! Starts the mock servers of all vendors, to try requests by hand or with another program.
//!
//! ```sh
//! cargo run --example mock_servers
//! ```
//!
//! prints one line for each vendor: its name, the base URL, and the headers that a request needs, separated by tabs. For
//! example, with the URL of the line that begins with `fixably`:
//!
//! ```sh
//! curl --header 'Authorization: Bearer test-admin-all' http://127.0.0.1:<port>/api/v3/orders/20000010
//! ```
//!
//! With the argument `lenient`, they ignore unknown fields in request bodies, which they refuse otherwise.
//!
//! The servers run until the standard input of this program ends: press Ctrl+D, or close the pipe to it.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;
use std::{env, io};

use servicebay::testing::repairy::Partner;
use servicebay::testing::{fentu, fisikal, fixably, repairy};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut fentu = fentu::MockServer::builder().with_rate_limit(u32::MAX, Duration::from_secs(3600));
    let mut fixably = fixably::MockServer::builder().without_rate_limit();
    let mut repairy = repairy::MockServer::builder();
    if env::args().any(|argument| argument == "lenient") {
        fentu = fentu.with_unknown_fields_ignored();
        fixably = fixably.with_unknown_fields_ignored();
        repairy = repairy.with_unknown_fields_ignored();
    }
    let (fentu, fixably, repairy) = (fentu.start().await, fixably.start().await, repairy.start().await);
    // It ignores unknown fields in any case.
    let fisikal = fisikal::MockServer::start().await;

    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let repairy_token = repairy.issue_tokens(Partner::Main).access_token;
    for (vendor, base_url, headers) in [
        ("fentu", fentu.base_url(), vec![bearer(&fentu.key(fentu::KeyKind::Admin))]),
        ("fisikal", fisikal.base_url(), vec![bearer(&fisikal.access_token())]),
        ("fixably", fixably.base_url(), vec![bearer(&fixably.token(fixably::TokenKind::AdminAll))]),
        ("repairy", repairy.base_url(), vec![bearer(&repairy_token), format!("X-Partner-ID: {}", Partner::Main.id())]),
    ] {
        println!("{vendor}\t{base_url}\t{}", headers.join("\t"));
    }

    // The servers run on threads of their own, so this thread may block.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
