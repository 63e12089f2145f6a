//! What a club's own page shows: sites, the classes of a week, and a place in one of them.
//!
//! `cargo run --example club_schedule` runs it against a mock server inside this program. With `FISIKAL_TENANT`,
//! `FISIKAL_CLIENT_ID`, `FISIKAL_CLIENT_SECRET`, `FISIKAL_USERNAME` and `FISIKAL_PASSWORD` set, it lists that club's
//! classes instead, and books nobody.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::env;

use futures_util::TryStreamExt;
use jiff::{Timestamp, ToSpan, Zoned};
use servicebay::Error;
use servicebay::fisikal::types::{ForClient, Occurrence};
use servicebay::fisikal::{self, Client, Credentials, Direction, Id};
use servicebay::testing::fisikal::{MockServer, Role};

/// The client of the mock server that gets a place.
const MEMBER: i64 = 2001;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let names = ["TENANT", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD"];
    let values: Option<Vec<String>> = names.iter().map(|name| env::var(format!("FISIKAL_{name}")).ok()).collect();
    match values.as_deref() {
        Some([tenant, id, secret, username, password]) => {
            println!("Reading from the club {tenant}; nobody is booked.");
            let credentials = Credentials::password(id, secret.as_str(), username, password.as_str());
            let client = Client::builder(credentials).with_tenant(tenant).build()?;
            sites(&client).await?;
            week(&client, Zoned::now().timestamp()).await?;
            Ok(())
        }
        _ => embedded().await,
    }
}

/// Everything, against a mock server.
async fn embedded() -> Result<(), Error> {
    let tenant = MockServer::start().await;
    println!("A mock server of Fisikal listens at {}.", tenant.base_url());
    println!(
        "Set FISIKAL_TENANT, _CLIENT_ID, _CLIENT_SECRET, _USERNAME and _PASSWORD to read from a real one instead."
    );
    let (username, password) = tenant.login(Role::Manager);
    let credentials = Credentials::password(MockServer::CLIENT_ID, MockServer::CLIENT_SECRET, username, password);
    let client = Client::builder(credentials).with_base_url(tenant.base_url()).build()?;

    sites(&client).await?;
    let classes = week(&client, Zoned::now().timestamp()).await?;
    join(&client, &classes).await?;

    heading("How long the login lasts");
    let status = client.auth_status();
    match status.expires_at() {
        Some(moment) => println!("until {moment:.0}, and is renewed before"),
        None => println!("until the vendor refuses it, and is then renewed"),
    }
    Ok(())
}

/// The club's sites, by name.
async fn sites(client: &Client) -> Result<(), Error> {
    heading("Sites");
    let mut sites = client.list_locations().hidden(false).sort_by_name(Direction::Ascending).items();
    while let Some(site) = sites.try_next().await? {
        println!("{}", site.name.as_deref().unwrap_or("?"));
    }
    Ok(())
}

/// The classes of seven days.
async fn week(client: &Client, first: Timestamp) -> Result<Vec<Occurrence>, Error> {
    heading("Classes in a week");
    let classes = client.list_occurrences().since(first).till(first + (7 * 24).hours()).items();
    let classes: Vec<Occurrence> = classes.try_collect().await?;
    println!("{:<22} {:>5}  {:<26} {:<20} {:>6}", "when (UTC)", "min", "class", "where", "free");
    for class in classes.iter().take(12) {
        println!("{}", row(class));
    }
    println!("{} classes in all", classes.len());
    Ok(classes)
}

fn row(class: &Occurrence) -> String {
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
    let when = class.occurs_at.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let minutes = class.duration().map_or_else(|| "?".to_owned(), |length| length.as_mins().to_string());
    let free = class.free_places().map_or_else(|| "?".to_owned(), |free| free.to_string());
    let (title, place) = (or(&class.service_title), or(&class.location_name));
    format!("{when:<22} {minutes:>5}  {title:<26} {place:<20} {free:>6}")
}

/// Books a member into the first class that has a place, and tells why where it is refused.
async fn join(client: &Client, classes: &[Occurrence]) -> Result<(), Error> {
    heading("A place for a member");
    let free = classes.iter().filter(|class| class.free_places().is_some_and(|free| free > 0));
    for id in free.filter_map(|class| class.id) {
        if book(client, id).await? {
            return Ok(());
        }
    }
    println!("no class has a place for the member");
    Ok(())
}

async fn book(client: &Client, id: Id<Occurrence>) -> Result<bool, Error> {
    match client.join_occurrence().id(id).body(ForClient::new(MEMBER)).send().await {
        Ok(class) => {
            println!("booked into {id}; {} places are left", class.free_places().unwrap_or_default());
            Ok(true)
        }
        // The vendor says no inside a success; it is a typed refusal all the same.
        Err(Error::Validation(refused)) => {
            let errors = fisikal::errors(&Error::Validation(refused));
            let reasons = errors.iter().filter_map(|error| Some(error.kind.as_ref()?.as_str()));
            let reasons: Vec<&str> = reasons.collect();
            println!("not into {id}: {}", reasons.join("; "));
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

fn heading(text: &str) {
    println!("\n--- {text}");
}
