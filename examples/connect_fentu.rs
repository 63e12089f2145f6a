//! How a program on a desk connects to a user's Fentu account, and stays connected.
//!
//! `cargo run --example connect_fentu` runs it against a mock server inside this program, which plays the user and the
//! browser too. With `FENTU_CLIENT_ID` and `FENTU_CLIENT_SECRET` of a registered application set, it prints the address to
//! open in your browser instead; its tokens are kept in `FENTU_TOKENS`, or else in `.servicebay` in your home folder, and
//! the next run needs no login.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::env;
use std::path::{Path, PathBuf};

use servicebay::fentu::{Application, Client, Credentials, LoopbackLogin, Scope};
use servicebay::testing::fentu::MockServer;
use servicebay::{Error, FileStore};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// An application, where its vendor is, and where its tokens are kept.
struct Setup {
    client_id: String,
    client_secret: String,
    /// `None` for the vendor itself.
    base_url: Option<String>,
    /// Whose tokens: one name for each Fentu account that the program connects to.
    account: &'static str,
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> Outcome {
    match (env::var("FENTU_CLIENT_ID"), env::var("FENTU_CLIENT_SECRET")) {
        (Ok(client_id), Ok(client_secret)) => real(client_id, client_secret).await,
        _ => embedded().await,
    }
}

/// With the user's browser, against the vendor.
async fn real(client_id: String, client_secret: String) -> Outcome {
    let home = || env::home_dir().unwrap_or_default().join(".servicebay");
    let folder = env::var_os("FENTU_TOKENS").map_or_else(home, PathBuf::from);
    let setup = Setup { client_id, client_secret, base_url: None, account: "main", folder };
    run(&setup, |login| println!("\nOpen this in your browser:\n\n  {}\n", login.url())).await
}

/// Twice, against a mock server whose user consents at once.
async fn embedded() -> Outcome {
    let tenant = MockServer::start().await;
    println!("A mock server of Fentu listens at {}.", tenant.base_url());
    println!("Set FENTU_CLIENT_ID and FENTU_CLIENT_SECRET to connect to a real account instead.");
    let application = tenant.application();
    let setup = Setup {
        client_id: application.client_id().to_owned(),
        client_secret: application.client_secret().to_owned(),
        base_url: Some(tenant.base_url().to_owned()),
        account: "test",
        folder: env::temp_dir().join(format!("servicebay-connect-fentu-{}", std::process::id())),
    };
    for name in ["First run", "Second run"] {
        println!("\n--- {name}");
        run(&setup, |login| browse(&tenant, login)).await?;
    }
    println!("\nThe tenant was asked for tokens {} time(s) in all.", tenant.token_requests().len());
    std::fs::remove_dir_all(&setup.folder)?;
    Ok(())
}

/// One run of the program: it uses the tokens in the store, and asks the user where there are none that work.
async fn run(setup: &Setup, send_user: impl FnOnce(&LoopbackLogin)) -> Outcome {
    let store = FileStore::new(&setup.folder)?;
    let stored = Credentials::oauth_stored(&setup.client_id, setup.client_secret.as_str());
    let client = client(setup, stored, &store)?;
    match show_orders(&client).await {
        Err(Error::ReauthRequired(why)) => {
            println!("No login yet: {}.", why.reason());
            let client = self::client(setup, log_in(setup, send_user).await?, &store)?;
            show_orders(&client).await?;
            println!("The tokens are kept in {}.", place(&setup.folder));
        }
        shown => shown?,
    }
    Ok(())
}

fn client(setup: &Setup, credentials: Credentials, store: &FileStore) -> Result<Client, Error> {
    let builder = Client::builder(credentials).with_tenant(setup.account).with_token_store(store.clone());
    match &setup.base_url {
        Some(base_url) => builder.with_base_url(base_url).build(),
        None => builder.build(),
    }
}

/// Sends the user to the vendor's login page, and waits until the browser is back.
async fn log_in(setup: &Setup, send_user: impl FnOnce(&LoopbackLogin)) -> Result<Credentials, Error> {
    let builder = Application::builder(&setup.client_id, setup.client_secret.as_str());
    let application = match &setup.base_url {
        Some(base_url) => builder.with_base_url(base_url).build()?,
        None => builder.build()?,
    };
    let login = application.loopback_login([Scope::ReadWorkOrders]).await?;
    send_user(&login);
    println!("Waiting for the browser to come back to this machine ...");
    let tokens = login.tokens().await?;
    println!("Logged in.");
    Ok(application.credentials(tokens))
}

/// What the program is there for.
async fn show_orders(client: &Client) -> Result<(), Error> {
    let orders = client.list_work_orders().per_page(5).send().await?;
    for order in &orders.items {
        let status = order.status.as_ref().map_or("?", |status| status.as_str());
        let customer = order.customer.as_ref().and_then(|customer| customer.name.as_deref());
        let number = order.work_order_number.as_deref();
        println!("{:<10} {status:<12} {}", number.unwrap_or("?"), customer.unwrap_or_default());
    }
    let status = client.auth_status();
    if let (Some(access), Some(refresh)) = (status.expires_at(), status.refresh_expires_at()) {
        println!(
            "The access token is renewed before {access:.0}; the login holds until {refresh:.0}, and longer with use."
        );
    }
    Ok(())
}

/// Plays the user who consents and the browser that follows the vendor back to this machine.
#[expect(clippy::disallowed_methods, reason = "the browser is a program of its own")]
fn browse(tenant: &MockServer, login: &LoopbackLogin) {
    println!("The mock server's user consents at {}", login.url().path());
    if let Some(back) = tenant.visit(login.url().as_str()) {
        tokio::spawn(reqwest::get(back));
    }
}

fn place(folder: &Path) -> String {
    folder.display().to_string()
}
