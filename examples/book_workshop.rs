//! Books a car into a workshop at Repairy: find a free time, book a service, follow the booking's status, and handle a lost
//! response without booking twice.
//!
//! ```sh
//! cargo run --example book_workshop
//! ```
//!
//! runs against a mock server inside this program. To read the free times and services of a real workshop, set the
//! credentials that Repairy handed out; nothing is booked then:
//!
//! ```sh
//! export REPAIRY_BASE_URL=https://...
//! export REPAIRY_APP_KEY=... REPAIRY_APP_SECRET=... REPAIRY_PARTNER_ID=...
//! export REPAIRY_WORKSHOP_ID=...
//! cargo run --example book_workshop
//! ```

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::env;

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, date};
use servicebay::Error;
use servicebay::repairy::types::{
    Booking, BookingCreate, BookingStatus, CarInput, CatalogItem, CustomerInput, ServiceInput,
};
use servicebay::repairy::{Client, Credentials, Id, Workshop};
use servicebay::testing::Fault;
use servicebay::testing::repairy::MockServer;

#[tokio::main]
async fn main() -> Result<(), Error> {
    match (env::var("REPAIRY_BASE_URL"), env::var("REPAIRY_WORKSHOP_ID")) {
        (Ok(base_url), Ok(workshop)) => {
            read_workshop(&base_url, Credentials::from_env()?, &Id::from(workshop.as_str())).await
        }
        _ => book_at_mock_server().await,
    }
}

/// The reading part, at Repairy.
async fn read_workshop(base_url: &str, credentials: Credentials, workshop: &Id<Workshop>) -> Result<(), Error> {
    println!("Reading from {base_url}. Nothing is booked.");
    let client = Client::builder(credentials).with_base_url(base_url).build()?;
    find_free_time(&client, workshop, jiff::Zoned::now().date()).await?;
    list_services(&client, workshop).await?;
    Ok(())
}

/// Everything, at a mock server inside this program.
async fn book_at_mock_server() -> Result<(), Error> {
    let server = MockServer::start().await;
    println!("Using a Repairy mock server at {}.", server.base_url());
    println!("Set REPAIRY_BASE_URL, _APP_KEY, _APP_SECRET, _PARTNER_ID and _WORKSHOP_ID to read from a real workshop.");
    let client = Client::builder(server.credentials()).with_base_url(server.base_url()).build()?;
    let workshop = Id::from("640000000000000000000001");

    let monday = date(2026, 6, 1);
    let Some(time) = find_free_time(&client, &workshop, monday).await? else {
        println!("There is no free time in this week.");
        return Ok(());
    };
    let services = list_services(&client, &workshop).await?;
    let booking = book(&client, booking_request(&workshop, time, &services)).await?;
    follow_status(&client, &booking).await?;
    lose_the_response(&server, &client, booking_request(&workshop, time + 1.day(), &services)).await
}

/// Prints the free times of a week, and returns the earliest.
async fn find_free_time(client: &Client, workshop: &Id<Workshop>, first: Date) -> Result<Option<DateTime>, Error> {
    heading("Free times in one week");
    let days = client.list_availabilities().workshop_id(workshop).week(first).send().await?;
    let mut earliest = None;
    for day in days.iter() {
        let times: Vec<DateTime> = day.drop_off_times().collect();
        earliest = earliest.or_else(|| times.first().copied());
        let times: Vec<String> = times.iter().map(|time| time.strftime("%H:%M").to_string()).collect();
        let date = day.date.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        println!("{date}  {}", if times.is_empty() { "closed or full".to_owned() } else { times.join("  ") });
    }
    Ok(earliest)
}

/// The services that the workshop offers.
async fn list_services(client: &Client, workshop: &Id<Workshop>) -> Result<Vec<CatalogItem>, Error> {
    heading("Services");
    let services = client.list_workshop_services().workshop_id(workshop).send().await?.into_inner();
    for service in &services {
        let category = service.category.as_ref().map_or("?", |category| category.as_str());
        println!("{category:<8} {}", service.title.as_deref().unwrap_or("?"));
    }
    Ok(services)
}

fn booking_request(workshop: &Id<Workshop>, time: DateTime, services: &[CatalogItem]) -> BookingCreate {
    BookingCreate::new()
        .workshop_id(workshop)
        .customer(CustomerInput::new().first_name("Ada").email("ada@example.com").phone("0400000009"))
        .car(CarInput::new().rego("ABC123").make("Toyota").model("Corolla"))
        .services(services.iter().take(1).map(ServiceInput::of))
        .drop_off_time(time)
}

async fn book(client: &Client, request: BookingCreate) -> Result<Id<Booking>, Error> {
    heading("Book the first service");
    let created = client.create_booking().body(request).send().await?;
    println!("Booking {} was created.", created.booking_id);
    Ok(created.booking_id.clone())
}

/// Sets the status as the workshop's day goes on. The last change is not allowed, and the error has the vendor's reason.
async fn follow_status(client: &Client, id: &Id<Booking>) -> Result<(), Error> {
    heading("Change its status");
    for status in [BookingStatus::Confirmed, BookingStatus::Completed, BookingStatus::Pending] {
        match client.update_booking_status().id(id).status(status.clone()).send().await {
            Ok(_) => println!("{status:<10} accepted"),
            Err(error @ (Error::Conflict(_) | Error::Validation(_) | Error::Api(_))) => {
                let reason = error.call_error().and_then(|error| error.message());
                println!("{status:<10} refused: {}", reason.unwrap_or("no reason given"));
            }
            Err(other) => return Err(other),
        }
    }
    let booking = client.get_booking().id(id).send().await?;
    println!("The booking is {}.", booking.status.as_ref().map_or("?", |status| status.as_str()));
    Ok(())
}

/// Books once more, and loses the response. The call is not repeated, and the error says that its outcome is unknown.
async fn lose_the_response(server: &MockServer, client: &Client, request: BookingCreate) -> Result<(), Error> {
    heading("Book while the connection breaks");
    let before = server.counters().operation("create_booking");
    server.fault(Fault::lost_response().on("POST", "/bookings"));
    match client.create_booking().body(request).send().await {
        Err(error @ Error::OutcomeUnknown(_)) => {
            println!("Error: {error}");
            println!("May have been applied: {}. Check before you book again.", error.maybe_applied());
        }
        Err(other) => return Err(other),
        Ok(_) => unreachable!("the mock server drops the response"),
    }
    println!("The server received {} request.", server.counters().operation("create_booking") - before);
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}
