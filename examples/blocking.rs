//! A program without a line of async code, which prints the open orders of a repair shop at Fixably and what they are worth.
//!
//! ```sh
//! cargo run --example blocking
//! ```
//!
//! runs against a mock server inside this program. To read from your own tenant instead, set two environment variables; nothing
//! is written in either case:
//!
//! ```sh
//! export FIXABLY_TENANT=acme    # the part before .fixably.com
//! export FIXABLY_TOKEN=...      # an API token from the settings page
//! cargo run --example blocking
//! ```

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{env, thread};

use servicebay::Error;
use servicebay::fixably::{Client, Credentials, Query};
use servicebay::testing::fixably::MockServer;

fn main() -> Result<(), Error> {
    let server;
    let client = match (env::var("FIXABLY_TENANT"), Credentials::from_env()) {
        (Ok(tenant), Ok(credentials)) => Client::builder(credentials).with_tenant(tenant).build()?,
        _ => {
            server = MockServer::builder().in_memory();
            println!(
                "Using a Fixably mock server. Set FIXABLY_TENANT and FIXABLY_TOKEN to read from your own tenant.\n"
            );
            server.client()?
        }
    };

    // Up to four pages are in flight while the program waits for the next order.
    let open = client.list_orders().q(Query::field("isClosed").is(false)).items_blocking().prefetch(4);
    let (mut count, mut ids) = (0, Vec::new());
    for order in open {
        count += 1;
        ids.extend(order?.id());
    }
    println!("{count} open orders");

    // Clients are cheap to clone, and every thread may call.
    let start = |id| {
        let client = client.clone();
        thread::spawn(move || client.get_order().id(id).send_blocking())
    };
    let readers: Vec<_> = ids.into_iter().take(3).map(start).collect();
    for reader in readers {
        let order = reader.join().expect("the thread does not panic")?;
        let total = order.total.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        println!("order {}: {total}", order.id().map(|id| id.to_string()).unwrap_or_default());
    }
    client.close_blocking()
}
