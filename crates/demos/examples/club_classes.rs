//! A command that prints the next classes of a fitness club at Fisikal, and says plainly what is wrong if it cannot.
//!
//! ```sh
//! export FISIKAL_TENANT=acme    # the part before .fisikal.com
//! export FISIKAL_CLIENT_ID=... FISIKAL_CLIENT_SECRET=... FISIKAL_USERNAME=... FISIKAL_PASSWORD=...
//! cargo run -p servicebay-demos --example club_classes
//! ```
//!
//! Instead of the last four, `FISIKAL_SESSION` may hold the token of a session. Without `FISIKAL_TENANT` the program uses a mock
//! server inside itself. Tokens are kept in the platform's folder for a program's own files, so that the next run needs no login.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]

use std::process::ExitCode;
use std::time::Duration;
use std::{env, iter};

use jiff::{Timestamp, ToSpan as _};
use servicebay::fisikal::{Client, Credentials};
use servicebay::testing::fisikal::MockServer;
use servicebay::{Error, FileStore};

pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let client = connect()?;
    let now = jiff::Zoned::now().timestamp();
    print_classes(&client, now).and_then(|()| client.close_blocking()).map_err(|error| explain(&error))
}

fn connect() -> Result<Client, String> {
    let Ok(tenant) = env::var("FISIKAL_TENANT") else {
        return MockServer::builder().in_memory().client().map_err(|error| explain(&error));
    };
    let store = FileStore::in_default_folder("club-classes").map_err(|error| error.to_string())?;
    let credentials = match env::var("FISIKAL_SESSION") {
        Ok(token) => Ok(Credentials::session_token(token)),
        Err(_) => Credentials::from_env(),
    };
    let client = credentials.and_then(|credentials| {
        let builder = Client::builder(credentials).with_tenant(tenant).with_token_store(store);
        // A command may end at any time, and a person does not wait for minutes.
        let builder = builder.with_background_refresh(false).with_max_wait(Duration::from_secs(5));
        // For the tests of this example.
        let base_url = env::var("FISIKAL_BASE_URL").ok();
        iter::once(base_url).flatten().fold(builder, |builder, url| builder.with_base_url(url)).build()
    });
    client.map_err(|error| explain(&error))
}

fn print_classes(client: &Client, first: Timestamp) -> Result<(), Error> {
    for class in client.list_occurrences().since(first).till(first + (7 * 24).hours()).items_blocking() {
        let class = class?;
        let start = class.occurs_at.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        println!("{start:<20}  {}", class.service_title.as_deref().unwrap_or("?"));
    }
    Ok(())
}

/// What to tell the person, with the whole error for whoever helps.
pub(crate) fn explain(error: &Error) -> String {
    let advice = match error {
        Error::ReauthRequired(_) => "Fisikal refuses the login: check the user name, the password and the application.",
        Error::Unauthorized(_) => "The session has expired: get a new token for FISIKAL_SESSION.",
        Error::Forbidden(_) => "The login is right, but this user may not see the classes: ask for the role Manager.",
        Error::RateLimited(limited) => {
            return format!("The limit of calls is spent: try again at {:.0}.\n({error})", limited.resume_at());
        }
        Error::Config(config) => return format!("{}: {}", config.field(), config.reason()),
        Error::Connect(call) if call.is_unknown_host() => "There is no club under this name: check FISIKAL_TENANT.",
        Error::Connect(_) => "There is no connection to Fisikal: check the network.",
        _ => "Something else went wrong.",
    };
    format!("{advice}\n({error})")
}
