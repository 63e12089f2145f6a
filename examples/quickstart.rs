//! What a repair shop's integration does, from the first call to a spent rate limit.
//!
//! `cargo run --example quickstart` runs it against a mock server inside this program. With `FIXABLY_TENANT` and
//! `FIXABLY_TOKEN` set, the reading part runs against that tenant instead, and nothing is written.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints, and shows how long a wait took"
)]

use std::env;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use servicebay::fixably::types::{NoteInput, NoteType, NotesCreate, Order, OrderUpdate};
use servicebay::fixably::{self, Credentials, Expand, Query};
use servicebay::testing::fixably::{MockServer, TokenKind};
use servicebay::{Amount, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    match (env::var("FIXABLY_TENANT"), env::var("FIXABLY_TOKEN")) {
        (Ok(name), Ok(token)) => real(&name, token).await,
        _ => embedded().await,
    }
}

/// The reading part, against a real tenant.
async fn real(name: &str, token: String) -> Result<(), Error> {
    println!("Reading from the tenant {name}; nothing is written.");
    let client = fixably::Client::builder(Credentials::bearer(token)).with_tenant(name).build()?;
    let first = list_open(&client).await?;
    if let Some(id) = first.and_then(|order| order.id()) {
        read_one(&client, id).await?;
    }
    println!("\nWhat the vendor says of the limit: {}", limit(&client));
    Ok(())
}

/// Everything, against a mock server inside this program.
async fn embedded() -> Result<(), Error> {
    let tenant = MockServer::builder().with_rate_limit(25, Duration::from_secs(2)).start().await;
    println!("A mock server of Fixably listens at {}.", tenant.base_url());
    println!("Set FIXABLY_TENANT and FIXABLY_TOKEN to read from a real one instead.");
    let client = fixably::Client::builder(Credentials::bearer(tenant.token(TokenKind::AdminAll)))
        .with_base_url(tenant.base_url())
        .build()?;

    list_open(&client).await?;
    let id = 20000010.into();
    read_one(&client, id).await?;
    write(&client, id).await?;
    meet_a_refusal(&tenant, id).await?;
    meet_the_limit(&tenant, &client).await
}

/// Lists open orders as a stream, which fetches pages as they are needed.
async fn list_open(client: &fixably::Client) -> Result<Option<Order>, Error> {
    heading("Open orders, streamed");
    let mut open = client
        .list_orders()
        .q(Query::field("isClosed").is(false))
        .expand(Expand::new().with("customer").with("device").with("status"))
        .limit(50)
        .items();

    println!("{:>9}  {:<24} {:<26} {:<22} {:>9}", "order", "customer", "device", "status", "to pay");
    let (mut count, mut first) = (0, None);
    while let Some(order) = open.try_next().await? {
        count += 1;
        if count <= 8 {
            println!("{}", row(&order));
        }
        first.get_or_insert(order);
    }
    println!("{:>9}  and {} more", "...", count - count.min(8));
    Ok(first)
}

/// Reads one order with what belongs to it.
async fn read_one(client: &fixably::Client, id: fixably::Id<Order>) -> Result<(), Error> {
    heading("One order, expanded");
    let expand = Expand::new()
        .with("customer")
        .with("device")
        .with_many("lines", Expand::new().with("product"))
        .with_many("notes", Expand::new());
    let order = client.get_order().id(id).expand(expand).send().await?;

    println!("order {id}, {}", customer(&order).unwrap_or("without a customer"));
    for line in order.lines.iter().flat_map(|lines| lines.items()) {
        let product = line.product.as_ref().and_then(|product| product.expanded());
        let name = product.and_then(|product| product.name.as_deref()).unwrap_or("(no product)");
        println!("  {:>4} x {name:<32} {:>10}", line.quantity.unwrap_or(1.0), money(line.price.as_ref()));
    }
    for note in order.notes.iter().flat_map(|notes| notes.items()) {
        let kind = note.kind.as_ref().map_or("NOTE", |kind| kind.as_str());
        println!("  {kind}: {}", note.text.as_deref().unwrap_or_default());
    }
    Ok(())
}

/// Adds a note and moves the order on.
async fn write(client: &fixably::Client, id: fixably::Id<Order>) -> Result<(), Error> {
    heading("A note, and the next status");
    let note = NoteInput::new(NoteType::Diagnosis).title("Bench").text("Display cracked, board is fine.");
    let notes = client.create_order_notes().order_id(id).body(NotesCreate::new([note])).send().await?;
    for note in notes.iter().filter_map(|note| note.id()) {
        println!("added note {note}");
    }

    let moved = client.update_order().id(id).body(OrderUpdate::new().status(451)).send().await?;
    println!(
        "order {id} is now in status {}",
        moved.status.as_ref().and_then(|status| status.id()).map_or(0, |id| id.get())
    );
    Ok(())
}

/// Tries the same with a token that may only read.
async fn meet_a_refusal(tenant: &MockServer, id: fixably::Id<Order>) -> Result<(), Error> {
    heading("A token that may only read");
    let reader = tenant.client_with(TokenKind::AdminViewOnly)?;
    match reader.update_order().id(id).body(OrderUpdate::new().status(450)).send().await {
        Err(Error::Forbidden(failure)) => {
            println!("refused; the missing scope: {}", failure.operation().required_scopes().join(", "));
            println!("the error in one line: {failure}");
        }
        Err(other) => return Err(other),
        Ok(_) => println!("the tenant let it through"),
    }
    Ok(())
}

/// Asks for more than the tenant allows, all at once.
async fn meet_the_limit(tenant: &MockServer, client: &fixably::Client) -> Result<(), Error> {
    heading("60 calls at once, where 25 in 2 s are allowed");
    let refused = tenant.counters().refused();
    let begun = Instant::now();
    let calls = (20000010..20000070).map(|id: i32| client.get_order().id(id).send());
    let answers = try_join_all(calls).await?;
    println!(
        "{} answers in {:.1} s, none lost; {} calls met the limit and waited for the reset",
        answers.len(),
        begun.elapsed().as_secs_f64(),
        tenant.counters().refused() - refused,
    );
    println!("what the vendor says of the limit: {}", limit(client));
    Ok(())
}

fn row(order: &Order) -> String {
    let device = order.device.as_ref().and_then(|device| device.expanded()).and_then(|device| device.name.as_deref());
    let status = order.status.as_ref().and_then(|status| status.expanded()).and_then(|status| status.name.as_deref());
    format!(
        "{:>9}  {:<24} {:<26} {:<22} {:>9}",
        order.id().map(|id| id.to_string()).unwrap_or_default(),
        customer(order).unwrap_or("-"),
        device.unwrap_or("-"),
        status.unwrap_or("-"),
        money(order.total_remaining.as_ref()),
    )
}

fn customer(order: &Order) -> Option<&str> {
    let customer = order.customer.as_ref()?.expanded()?;
    customer.company.as_deref().or(customer.last_name.as_deref())
}

fn money(amount: Option<&Amount>) -> String {
    match amount.map(|amount| (amount.to_f64(), amount)) {
        Some((Some(number), _)) => format!("{number:.2}"),
        Some((None, odd)) => odd.to_string(),
        None => "-".to_owned(),
    }
}

fn limit(client: &fixably::Client) -> String {
    let limit = client.rate_limit();
    match (limit.remaining(), limit.limit()) {
        (Some(remaining), Some(limit)) => format!("{remaining} of {limit} left in this window"),
        (Some(remaining), None) => format!("{remaining} left in this window"),
        _ => "nothing".to_owned(),
    }
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}
