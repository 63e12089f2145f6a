//! How a car gets into a workshop: free times, a booking, and its status.
//!
//! `cargo run --example book_workshop` runs it against a mock server inside this program. With `REPAIRY_BASE_URL`,
//! `REPAIRY_APP_KEY`, `REPAIRY_APP_SECRET`, `REPAIRY_PARTNER_ID` and `REPAIRY_WORKSHOP_ID` set, it reads that workshop's
//! free times and services instead, and books nothing.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::env;

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use servicebay::Error;
use servicebay::repairy::types::{BookingCreate, BookingStatus, CarInput, CatalogItem, CustomerInput, ServiceInput};
use servicebay::repairy::{Client, Credentials, Id, Workshop};
use servicebay::testing::Fault;
use servicebay::testing::repairy::MockServer;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let names = ["BASE_URL", "APP_KEY", "APP_SECRET", "PARTNER_ID", "WORKSHOP_ID"];
    let values: Option<Vec<String>> = names.iter().map(|name| env::var(format!("REPAIRY_{name}")).ok()).collect();
    match values.as_deref() {
        Some([base_url, key, secret, partner, workshop]) => real(base_url, key, secret, partner, workshop).await,
        _ => embedded().await,
    }
}

/// The reading part, against the vendor.
async fn real(base_url: &str, key: &str, secret: &str, partner: &str, workshop: &str) -> Result<(), Error> {
    println!("Reading from {base_url}; nothing is booked.");
    let client = Client::builder(Credentials::app(key, secret, partner)).with_base_url(base_url).build()?;
    let workshop = Id::from(workshop);
    let today = jiff::Zoned::now().date();
    free_times(&client, &workshop, today).await?;
    services(&client, &workshop).await?;
    Ok(())
}

/// Everything, against a mock server.
async fn embedded() -> Result<(), Error> {
    let tenant = MockServer::start().await;
    println!("A mock server of Repairy listens at {}.", tenant.base_url());
    println!(
        "Set REPAIRY_BASE_URL, _APP_KEY, _APP_SECRET, _PARTNER_ID and _WORKSHOP_ID to read from a real one instead."
    );
    let client = Client::builder(tenant.credentials()).with_base_url(tenant.base_url()).build()?;
    let workshop = Id::from("640000000000000000000001");

    let monday = jiff::civil::date(2026, 6, 1);
    let Some(slot) = free_times(&client, &workshop, monday).await? else {
        println!("Nothing is free that week.");
        return Ok(());
    };
    let services = services(&client, &workshop).await?;
    let id = book(&client, &workshop, slot, &services).await?;
    follow(&client, &id).await?;
    lose_an_answer(&tenant, &client, &workshop, slot + 1.day(), &services).await
}

/// The free times of a week, and the first of them.
async fn free_times(client: &Client, workshop: &Id<Workshop>, first: Date) -> Result<Option<DateTime>, Error> {
    heading("Free times in a week");
    let days = client.list_availabilities().workshop_id(workshop).week(first).send().await?;
    let mut soonest = None;
    for day in days.iter() {
        let times: Vec<DateTime> = day.drop_off_times().collect();
        soonest = soonest.or_else(|| times.first().copied());
        let shown: Vec<String> = times.iter().map(|time| time.strftime("%H:%M").to_string()).collect();
        let date = day.date.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        println!("{date}  {}", if shown.is_empty() { "closed, or full".to_owned() } else { shown.join("  ") });
    }
    Ok(soonest)
}

/// What the workshop offers.
async fn services(client: &Client, workshop: &Id<Workshop>) -> Result<Vec<CatalogItem>, Error> {
    heading("Services");
    let services = client.list_workshop_services().workshop_id(workshop).send().await?.into_inner();
    for service in &services {
        let category = service.category.as_ref().map_or("?", |category| category.as_str());
        println!("{category:<8} {}", service.title.as_deref().unwrap_or("?"));
    }
    Ok(services)
}

/// Books the first service.
async fn book(
    client: &Client,
    workshop: &Id<Workshop>,
    slot: DateTime,
    services: &[CatalogItem],
) -> Result<Id<servicebay::repairy::types::Booking>, Error> {
    heading("A booking");
    let created = client.create_booking().body(request(workshop, slot, services)).send().await?;
    println!("booked as {} for {}", created.booking_id, slot.strftime("%A, %d %B, %H:%M"));
    Ok(created.booking_id.clone())
}

fn request(workshop: &Id<Workshop>, slot: DateTime, services: &[CatalogItem]) -> BookingCreate {
    BookingCreate::new()
        .workshop_id(workshop)
        .customer(CustomerInput::new().first_name("Ada").email("ada@example.com").phone("0400000009"))
        .car(CarInput::new().rego("ABC123").make("Toyota").model("Corolla"))
        .services(services.iter().take(1).map(ServiceInput::of))
        .drop_off_time(slot)
}

/// Moves the booking on, as the workshop's day goes by.
async fn follow(client: &Client, id: &Id<servicebay::repairy::types::Booking>) -> Result<(), Error> {
    heading("Its status");
    for status in [BookingStatus::Confirmed, BookingStatus::Completed, BookingStatus::Pending] {
        match client.update_booking_status().id(id).status(status.clone()).send().await {
            Ok(_) => println!("now {status}"),
            Err(Error::Conflict(why) | Error::Api(why)) => {
                println!("not {status}: {}", why.message().unwrap_or("refused"))
            }
            Err(Error::Validation(why)) => println!("not {status}: {}", why.message().unwrap_or("refused")),
            Err(other) => return Err(other),
        }
    }
    let booking = client.get_booking().id(id).send().await?;
    println!("the vendor says: {}", booking.status.as_ref().map_or("?", |status| status.as_str()));
    Ok(())
}

/// Books again, and loses the answer: nobody books twice, and the error says what is not known.
async fn lose_an_answer(
    tenant: &MockServer,
    client: &Client,
    workshop: &Id<Workshop>,
    slot: DateTime,
    services: &[CatalogItem],
) -> Result<(), Error> {
    heading("A booking whose answer is lost");
    tenant.fault(Fault::lost_response().on("POST", "/bookings"));
    match client.create_booking().body(request(workshop, slot, services)).send().await {
        Err(Error::OutcomeUnknown(failure)) => println!("{failure}"),
        Err(other) => return Err(other),
        Ok(_) => println!("the answer came through"),
    }
    println!(
        "maybe applied: look before you try again; the tenant saw {} bookings for two calls",
        tenant.counters().operation("create_booking")
    );
    Ok(())
}

fn heading(text: &str) {
    println!("\n--- {text}");
}
