//! Shows the schedule of a fitness club at Fisikal: its sites, the classes of one week, and a booking that the vendor may
//! refuse.
//!
//! ```sh
//! cargo run --example club_schedule
//! ```
//!
//! runs against a mock server inside this program. To list the classes of a real club, set the credentials of an application
//! and of a user; nothing is booked then:
//!
//! ```sh
//! export FISIKAL_TENANT=acme    # the part before .fisikal.com
//! export FISIKAL_CLIENT_ID=... FISIKAL_CLIENT_SECRET=...
//! export FISIKAL_USERNAME=... FISIKAL_PASSWORD=...
//! cargo run --example club_schedule
//! ```

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::env;

use futures_util::TryStreamExt;
use jiff::{Timestamp, ToSpan};
use servicebay::Error;
use servicebay::fisikal::types::{ForClient, Occurrence};
use servicebay::fisikal::{self, Client, Credentials, Direction, Id};
use servicebay::testing::fisikal::{MockServer, Role};

/// The member of the mock server's club who books a class.
const MEMBER: i64 = 2001;

#[tokio::main]
async fn main() -> Result<(), Error> {
    match env::var("FISIKAL_TENANT") {
        Ok(tenant) => show_club(&tenant, Credentials::from_env()?).await,
        Err(_) => book_at_mock_server().await,
    }
}

/// The reading part, at a real club.
async fn show_club(tenant: &str, credentials: Credentials) -> Result<(), Error> {
    println!("Reading from https://{tenant}.fisikal.com. Nothing is booked.");
    let client = Client::builder(credentials).with_tenant(tenant).build()?;
    list_sites(&client).await?;
    list_classes(&client, now()).await?;
    Ok(())
}

/// Everything, at a mock server inside this program.
async fn book_at_mock_server() -> Result<(), Error> {
    let server = MockServer::start().await;
    println!("Using a Fisikal mock server at {}.", server.base_url());
    println!("Set FISIKAL_TENANT, _CLIENT_ID, _CLIENT_SECRET, _USERNAME and _PASSWORD to read from a real club.");
    let (username, password) = server.login(Role::Manager);
    let credentials = Credentials::password(MockServer::CLIENT_ID, MockServer::CLIENT_SECRET, username, password);
    let client = Client::builder(credentials).with_base_url(server.base_url()).build()?;

    list_sites(&client).await?;
    let classes = list_classes(&client, now()).await?;
    book_first_free_class(&client, &classes).await?;

    heading("Login");
    match client.auth_status().expires_at() {
        Some(expires_at) => println!("The token is valid until {expires_at:.0}, and is refreshed before."),
        None => println!("The expiry of the token is unknown. The client logs in again when it is refused."),
    }
    Ok(())
}

/// Lists the club's sites by name.
async fn list_sites(client: &Client) -> Result<(), Error> {
    heading("Sites");
    let mut sites = client.list_locations().hidden(false).sort_by_name(Direction::Ascending).items();
    while let Some(site) = sites.try_next().await? {
        println!("{}", site.name.as_deref().unwrap_or("?"));
    }
    Ok(())
}

/// Lists the classes of seven days.
async fn list_classes(client: &Client, first: Timestamp) -> Result<Vec<Occurrence>, Error> {
    heading("Classes in the next seven days");
    let classes = client.list_occurrences().since(first).till(first + (7 * 24).hours()).items();
    let classes: Vec<Occurrence> = classes.try_collect().await?;
    println!("{:<20} {:>5}  {:<20} {:<16} {:>6}", "start (UTC)", "min", "class", "site", "free");
    for class in classes.iter().take(12) {
        println!("{}", table_row(class));
    }
    println!("{} classes in total", classes.len());
    Ok(classes)
}

fn table_row(class: &Occurrence) -> String {
    let unknown = || "?".to_owned();
    let start = class.occurs_at.as_ref().map_or_else(unknown, ToString::to_string);
    let minutes = class.duration().map_or_else(unknown, |duration| duration.as_mins().to_string());
    let free = class.free_places().map_or_else(unknown, |free| free.to_string());
    let title = class.service_title.as_deref().unwrap_or("?");
    let site = class.location_name.as_deref().unwrap_or("?");
    format!("{start:<20} {minutes:>5}  {title:<20} {site:<16} {free:>6}")
}

/// Books the member into the first class that has a free place and accepts the booking.
async fn book_first_free_class(client: &Client, classes: &[Occurrence]) -> Result<(), Error> {
    heading("Book a class for a member");
    let with_free_places = classes.iter().filter(|class| class.free_places().is_some_and(|free| free > 0));
    for id in with_free_places.filter_map(|class| class.id) {
        if book(client, id).await? {
            return Ok(());
        }
    }
    println!("No class accepts the member.");
    Ok(())
}

/// Returns whether the booking was accepted.
async fn book(client: &Client, id: Id<Occurrence>) -> Result<bool, Error> {
    match client.join_occurrence().id(id).body(ForClient::new(MEMBER)).send().await {
        Ok(class) => {
            println!("Booked class {id}. Free places left: {}.", class.free_places().unwrap_or_default());
            Ok(true)
        }
        // Fisikal refuses with a status of 200. The client returns an error all the same.
        Err(error @ Error::Validation(_)) => {
            let reasons = fisikal::errors(&error);
            let reasons: Vec<&str> = reasons.iter().filter_map(|error| Some(error.kind.as_ref()?.as_str())).collect();
            println!("Class {id} refused the booking: {}", reasons.join("; "));
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

fn now() -> Timestamp {
    jiff::Zoned::now().timestamp()
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}
