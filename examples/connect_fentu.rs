//! Connects a desktop program to a user's Fentu account, and stays connected across runs: the authorization-code flow with
//! PKCE in the browser, tokens in a file, refreshes in the background.
//!
//! ```sh
//! cargo run --example connect_fentu
//! ```
//!
//! runs twice against a mock server inside this program, which also plays the user and the browser. To connect to a real
//! account, set the credentials of an application that is registered with Fentu; the program then prints the address to open
//! in your browser:
//!
//! ```sh
//! export FENTU_CLIENT_ID=...
//! export FENTU_CLIENT_SECRET=...
//! export FENTU_TOKENS=/path/to/folder    # optional; default .servicebay in your home folder
//! cargo run --example connect_fentu
//! ```
//!
//! The second run needs no login, because the tokens are in the folder.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::env;
use std::path::PathBuf;

use servicebay::fentu::{Application, Client, Credentials, LoopbackLogin, Scope};
use servicebay::testing::fentu::MockServer;
use servicebay::{Error, FileStore};

type ExampleResult = Result<(), Box<dyn std::error::Error>>;

/// A registered application, and where its tokens are stored.
struct Config {
    client_id: String,
    client_secret: String,
    /// `None` for Fentu itself.
    base_url: Option<String>,
    /// A name for the Fentu account. A program that connects to several accounts gives each its own.
    account: &'static str,
    token_folder: PathBuf,
}

#[tokio::main]
async fn main() -> ExampleResult {
    match (env::var("FENTU_CLIENT_ID"), env::var("FENTU_CLIENT_SECRET")) {
        (Ok(client_id), Ok(client_secret)) => connect_to_fentu(client_id, client_secret).await,
        _ => connect_to_mock_server().await,
    }
}

/// One run, with the user's own browser.
async fn connect_to_fentu(client_id: String, client_secret: String) -> ExampleResult {
    let default_folder = || env::home_dir().unwrap_or_default().join(".servicebay");
    let token_folder = env::var_os("FENTU_TOKENS").map_or_else(default_folder, PathBuf::from);
    let config = Config { client_id, client_secret, base_url: None, account: "main", token_folder };
    run(&config, |login| println!("Open this address in your browser:\n\n  {}\n", login.url())).await
}

/// Two runs, with a mock server whose user consents immediately.
async fn connect_to_mock_server() -> ExampleResult {
    let server = MockServer::start().await;
    println!("Using a Fentu mock server at {}.", server.base_url());
    println!("Set FENTU_CLIENT_ID and FENTU_CLIENT_SECRET to connect to a real account.");
    let application = server.application();
    let config = Config {
        client_id: application.client_id().to_owned(),
        client_secret: application.client_secret().to_owned(),
        base_url: Some(server.base_url().to_owned()),
        account: "example",
        token_folder: env::temp_dir().join(format!("servicebay-connect-fentu-{}", std::process::id())),
    };
    for title in ["First run: the user logs in", "Second run: the stored tokens are used"] {
        heading(title);
        run(&config, |login| open_mock_browser(&server, login)).await?;
    }
    println!("\nBoth runs together made {} token request.", server.token_requests().len());
    std::fs::remove_dir_all(&config.token_folder)?;
    Ok(())
}

/// One run of the program: uses the stored tokens, and lets the user log in if there are none that work.
async fn run(config: &Config, open_browser: impl FnOnce(&LoopbackLogin)) -> ExampleResult {
    let store = FileStore::new(&config.token_folder)?;
    let client = client(config, store)?;
    match show_work_orders(&client).await {
        Err(Error::ReauthRequired(_)) => {
            log_in(config, &client, open_browser).await?;
            show_work_orders(&client).await?;
            println!("The tokens are in {}.", config.token_folder.display());
        }
        result => result?,
    }
    // A token refresh may be under way, which must not end with the process.
    client.close().await?;
    Ok(())
}

fn client(config: &Config, store: FileStore) -> Result<Client, Error> {
    let credentials = Credentials::oauth_stored(&config.client_id, config.client_secret.as_str());
    let builder = Client::builder(credentials).with_tenant(config.account).with_token_store(store);
    match &config.base_url {
        Some(base_url) => builder.with_base_url(base_url).build(),
        None => builder.build(),
    }
}

/// Sends the user to the vendor's login page, and waits until the browser is redirected back to this machine. The client stores
/// the tokens.
async fn log_in(config: &Config, client: &Client, open_browser: impl FnOnce(&LoopbackLogin)) -> Result<(), Error> {
    let builder = Application::builder(&config.client_id, config.client_secret.as_str());
    let application = match &config.base_url {
        Some(base_url) => builder.with_base_url(base_url).build()?,
        None => builder.build()?,
    };
    let login = application.loopback_login([Scope::ReadWorkOrders]).await?;
    open_browser(&login);
    println!("Waiting for the browser ...");
    login.tokens_into(client).await?;
    println!("Logged in.\n");
    Ok(())
}

/// What the program is for.
async fn show_work_orders(client: &Client) -> Result<(), Error> {
    let orders = client.list_work_orders().per_page(5).send().await?;
    for order in &orders.items {
        let number = order.work_order_number.as_deref().unwrap_or("?");
        let status = order.status.as_ref().map_or("?", |status| status.as_str());
        let customer = order.customer.as_ref().and_then(|customer| customer.name.as_deref());
        println!("{number:<14} {status:<12} {}", customer.unwrap_or_default());
    }
    let status = client.auth_status();
    if let (Some(access), Some(refresh)) = (status.expires_at(), status.refresh_expires_at()) {
        println!("\nAccess token valid until {access:.0}, refreshed before. Login valid until {refresh:.0}.");
    }
    Ok(())
}

/// Plays the user, who consents, and the browser, which follows the redirect back to this machine.
#[expect(clippy::disallowed_methods, reason = "a browser is another program")]
fn open_mock_browser(server: &MockServer, login: &LoopbackLogin) {
    println!("The user consents at {} in the browser.", login.url().path());
    match server.visit(login.url().as_str()) {
        Ok(redirect) => drop(tokio::spawn(reqwest::get(redirect))),
        Err(error) => println!("The browser stays where it is: {error}"),
    }
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}
