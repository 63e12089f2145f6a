//! A tour of servicebay at Fixably, a vendor for repair shops: stream a list, read and change an order, and meet a missing
//! permission and a rate limit.
//!
//! ```sh
//! cargo run --example quickstart
//! ```
//!
//! runs against a mock server inside this program, so it needs no account. To read from your own tenant instead, set two
//! environment variables; nothing is written then:
//!
//! ```sh
//! export FIXABLY_TENANT=acme    # the part before .fixably.com
//! export FIXABLY_TOKEN=...      # an API token from the settings page
//! cargo run --example quickstart
//! ```

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints, and measures how long a wait took"
)]

use std::env;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use servicebay::fixably::types::{NoteInput, NoteType, NotesCreate, Order, OrderUpdate};
use servicebay::fixably::{self, Client, Credentials, Expand, Query};
use servicebay::testing::fixably::{MockServer, TokenKind};
use servicebay::{Amount, Error};

/// The order that the mock server's part of the tour is about.
const ORDER: i64 = 20000010;

#[tokio::main]
async fn main() -> Result<(), Error> {
    match (env::var("FIXABLY_TENANT"), env::var("FIXABLY_TOKEN")) {
        (Ok(tenant), Ok(token)) => tour_of_tenant(&tenant, token).await,
        _ => tour_of_mock_server().await,
    }
}

/// The reading part, at a real tenant.
async fn tour_of_tenant(tenant: &str, token: String) -> Result<(), Error> {
    println!("Reading from https://{tenant}.fixably.com. Nothing is written.");
    let client = Client::builder(Credentials::bearer(token)).with_tenant(tenant).build()?;
    let first = stream_open_orders(&client).await?;
    if let Some(id) = first.and_then(|order| order.id()) {
        read_order(&client, id).await?;
    }
    println!("\nRate limit: {}.", rate_limit(&client));
    Ok(())
}

/// The whole tour, at a mock server inside this program.
async fn tour_of_mock_server() -> Result<(), Error> {
    let server = MockServer::builder().with_rate_limit(25, Duration::from_secs(2)).start().await;
    println!("Using a Fixably mock server at {}.", server.base_url());
    println!("Set FIXABLY_TENANT and FIXABLY_TOKEN to read from your own tenant.");
    let client = Client::builder(Credentials::bearer(server.token(TokenKind::AdminAll)))
        .with_base_url(server.base_url())
        .build()?;

    stream_open_orders(&client).await?;
    read_order(&client, ORDER.into()).await?;
    change_order(&client, ORDER.into()).await?;
    change_order_without_permission(&server, ORDER.into()).await?;
    exceed_the_rate_limit(&server, &client).await
}

/// Streams all open orders. Pages are fetched as they are needed.
async fn stream_open_orders(client: &Client) -> Result<Option<Order>, Error> {
    heading("Stream open orders");
    let mut orders = client
        .list_orders()
        .q(Query::field("isClosed").is(false))
        .expand(Expand::new().with("customer").with("device").with("status"))
        .limit(50)
        .items();

    println!("{:>9}  {:<24} {:<16} {:<24} {:>9}", "order", "customer", "device", "status", "to pay");
    let (mut count, mut first) = (0, None);
    while let Some(order) = orders.try_next().await? {
        count += 1;
        if count <= 8 {
            println!("{}", table_row(&order));
        }
        first.get_or_insert(order);
    }
    if count > 8 {
        println!("{:>9}  and {} more", "...", count - 8);
    }
    Ok(first)
}

/// Reads one order together with its customer, lines and notes, in one call.
async fn read_order(client: &Client, id: fixably::Id<Order>) -> Result<(), Error> {
    heading("Read one order with its lines and notes");
    let expand = Expand::new()
        .with("customer")
        .with_many("lines", Expand::new().with("product"))
        .with_many("notes", Expand::new());
    let order = client.get_order().id(id).expand(expand).send().await?;

    println!("Order {id} for {}", customer_name(&order).unwrap_or("an unnamed customer"));
    for line in order.lines.iter().flat_map(|lines| lines.items()) {
        let product = line.product.as_ref().and_then(|product| product.expanded());
        let name = product.and_then(|product| product.name.as_deref()).unwrap_or("(no product)");
        println!("  {:>2} x {name:<32} {:>10}", line.quantity.unwrap_or(1.0), money(line.price.as_ref()));
    }
    for note in order.notes.iter().flat_map(|notes| notes.items()) {
        let kind = note.kind.as_ref().map_or("NOTE", |kind| kind.as_str());
        println!("  {kind}: {}", note.text.as_deref().unwrap_or_default());
    }
    Ok(())
}

/// Adds a note to an order and sets its status.
async fn change_order(client: &Client, id: fixably::Id<Order>) -> Result<(), Error> {
    heading("Add a note and change the status");
    let note = NoteInput::new(NoteType::Diagnosis).title("Bench").text("Display cracked, board is fine.");
    let notes = client.create_order_notes().order_id(id).body(NotesCreate::new([note])).send().await?;
    for note in notes.iter().filter_map(|note| note.id()) {
        println!("Note {note} was added.");
    }

    let order = client.update_order().id(id).body(OrderUpdate::new().status(451)).send().await?;
    if let Some(status) = order.status.as_ref().and_then(|status| status.id()) {
        println!("Order {id} has status {status}.");
    }
    Ok(())
}

/// Tries to change an order with a token that may only read. The error names the missing scope.
async fn change_order_without_permission(server: &MockServer, id: fixably::Id<Order>) -> Result<(), Error> {
    heading("Change it with a token that may only read");
    let reader = server.client_with(TokenKind::AdminViewOnly)?;
    match reader.update_order().id(id).body(OrderUpdate::new().status(450)).send().await {
        Err(Error::Forbidden(error)) => {
            println!("Missing scope: {}", error.operation().required_scopes().join(", "));
            println!("Error: {error}");
            Ok(())
        }
        Err(other) => Err(other),
        Ok(_) => unreachable!("the mock server checks scopes"),
    }
}

/// Makes more calls at once than the server allows. The client holds them back until the limit resets.
async fn exceed_the_rate_limit(server: &MockServer, client: &Client) -> Result<(), Error> {
    heading("Make 60 calls at once, with 25 allowed in 2 s");
    let rejected_before = server.counters().refused();
    let started = Instant::now();
    let orders = try_join_all((ORDER..ORDER + 60).map(|id| client.get_order().id(id).send())).await?;
    println!(
        "All {} calls succeeded in {:.1} s. Calls that got a 429: {}.",
        orders.len(),
        started.elapsed().as_secs_f64(),
        server.counters().refused() - rejected_before,
    );
    println!("Rate limit: {}.", rate_limit(client));
    Ok(())
}

fn table_row(order: &Order) -> String {
    let device = order.device.as_ref().and_then(|device| device.expanded()).and_then(|device| device.name.as_deref());
    let status = order.status.as_ref().and_then(|status| status.expanded()).and_then(|status| status.name.as_deref());
    format!(
        "{:>9}  {:<24} {:<16} {:<24} {:>9}",
        order.id().map(|id| id.to_string()).unwrap_or_default(),
        customer_name(order).unwrap_or("-"),
        device.unwrap_or("-"),
        status.unwrap_or("-"),
        money(order.total_remaining.as_ref()),
    )
}

fn customer_name(order: &Order) -> Option<&str> {
    let customer = order.customer.as_ref()?.expanded()?;
    customer.company.as_deref().or(customer.last_name.as_deref())
}

/// Two decimals, or the vendor's text if it is not a number.
fn money(amount: Option<&Amount>) -> String {
    match amount.map(|amount| (amount.to_f64(), amount)) {
        Some((Some(number), _)) => format!("{number:.2}"),
        Some((None, text)) => text.to_string(),
        None => "-".to_owned(),
    }
}

fn rate_limit(client: &Client) -> String {
    let snapshot = client.rate_limit();
    match (snapshot.remaining(), snapshot.limit()) {
        (Some(remaining), Some(limit)) => format!("{remaining} of {limit} calls left in this window"),
        (Some(remaining), None) => format!("{remaining} calls left in this window"),
        _ => "the vendor sends none".to_owned(),
    }
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}
