//! A backend that receives Repairy's webhooks: it acknowledges each one at once, handles it afterwards, and finds a booking
//! whose response was lost by the webhook that it causes.
//!
//! ```sh
//! cargo run -p servicebay-demos --example webhooks
//! ```
//!
//! `webhooks/backend.rs` is the backend. The rest plays the vendor: a mock server, and a task that delivers its webhooks to the
//! backend over HTTP. How Repairy signs webhooks is not public; here it is HMAC-SHA256, which is assumed. For real webhooks,
//! pass the recipe that you got from the vendor to `WebhookReceiver::new`.

#![expect(clippy::print_stdout, reason = "an example prints")]

#[path = "webhooks/backend.rs"]
mod backend;

use std::error::Error;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::date;
use servicebay::repairy::types::{BookingCreate, BookingStatus, CarInput, CustomerInput};
use servicebay::repairy::{BookingEvent, Client};
use servicebay::testing::Fault;
use servicebay::testing::repairy::{MockServer, WebhookDelivery};
use servicebay::webhook::{HmacSha256, WebhookReceiver};
use tokio::net::TcpListener;

use self::backend::Backend;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let repairy = MockServer::start().await;
    let client = Client::builder(repairy.credentials()).with_base_url(repairy.base_url()).build()?;
    // Pass the new and the old secret while one is being replaced.
    let receiver = WebhookReceiver::<BookingEvent>::new(HmacSha256::new([repairy.webhook_secret()])?);
    let (backend, worker) = Backend::new(client.clone(), receiver);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhooks/repairy", listener.local_addr()?);
    let router = backend.router();

    tokio::select! {
        shown = demonstrate(&repairy, &client, &backend, &url) => shown?,
        () = deliver(&repairy, &url) => {}
        () = worker.run() => {}
        served = axum::serve(listener, router).into_future() => served?,
    }
    client.close().await?;
    Ok(())
}

async fn demonstrate(
    repairy: &MockServer,
    client: &Client,
    backend: &Backend,
    url: &str,
) -> Result<(), Box<dyn Error>> {
    heading("Book, and lose the response");
    repairy.fault(Fault::lost_response().on("POST", "/bookings"));
    let request = BookingCreate::new()
        .workshop_id("640000000000000000000001")
        .customer(CustomerInput::new().first_name("Ada").email("ada@example.com").phone("0400000009"))
        .car(CarInput::new().rego("ABC123").make("Toyota").model("Corolla"))
        .service_package_type("logbook")
        .drop_off_time(date(2026, 6, 2).at(9, 0, 0, 0));
    let id = backend.book("PO-7", request).await?;
    let sent = repairy.counters().operation("create_booking");
    println!("The webhook brought booking {id} with our reference PO-7, and the request was sent {sent} time.");
    assert_eq!(sent, 1);

    heading("The workshop does the work");
    for status in [BookingStatus::Confirmed, BookingStatus::Completed] {
        client.update_booking_status().id(&id).status(status).send().await?;
    }
    let mut bookings = backend.bookings();
    let is_completed = |status: &Option<BookingStatus>| *status == Some(BookingStatus::Completed);
    bookings.wait_for(|all| all.get(&id).is_some_and(|booking| is_completed(&booking.status))).await?;
    println!("The copy of the booking is completed.");

    heading("Webhooks that are not handled");
    let webhook = repairy.webhook("bookingUpdated", id.as_str());
    let forged = webhook.clone().with_bad_signature();
    let late = webhook.clone().with_age(SignedDuration::from_mins(10));
    for (what, webhook, expected) in
        [("a new one", &webhook, 200), ("a forged one", &forged, 401), ("a late one", &late, 400)]
    {
        let status = send(webhook, url).await?;
        println!("{what:<13} {status}");
        assert_eq!(status, expected);
    }
    // Until the first delivery is handled, the backend asks the vendor to try again, because it might fail.
    let again = webhook.again(SignedDuration::from_secs(1));
    let status = loop {
        match send(&again, url).await? {
            503 => tokio::time::sleep(Duration::from_millis(20)).await,
            status => break status,
        }
    };
    println!("the first one once more: {status}, and nothing is done");
    assert_eq!(status, 200);
    Ok(())
}

/// Delivers the webhooks that calls cause, as the vendor does.
async fn deliver(repairy: &MockServer, url: &str) {
    loop {
        while let Some(webhook) = repairy.next_webhook() {
            match send(&webhook, url).await {
                Ok(status) => println!("{} delivered: {status}", webhook.action()),
                Err(error) => println!("{} could not be delivered: {error}", webhook.action()),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Delivers a webhook and returns the status of the response.
async fn send(webhook: &WebhookDelivery, url: &str) -> Result<u16, reqwest::Error> {
    // The vendor waits for 10 seconds.
    let vendor = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let request = reqwest::Request::try_from(webhook.request(url))?;
    Ok(vendor.execute(request).await?.status().as_u16())
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}
