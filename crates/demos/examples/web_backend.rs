//! A web backend whose customers let it into their Fentu accounts: it sends each of them to the vendor's login page, which
//! sends them back to this server, and then lists their open work orders. Several server processes share the tokens.
//!
//! ```sh
//! cargo run -p servicebay-demos --example web_backend
//! ```
//!
//! runs two servers inside this program, and a mock server that also plays the customers and their browsers. To serve real
//! customers, set the credentials of an application that is registered with Fentu, then open `/connect/acme` in your browser:
//!
//! ```sh
//! export FENTU_CLIENT_ID=...
//! export FENTU_CLIENT_SECRET=...
//! export FENTU_TOKENS=/path/to/folder          # optional; the processes of one machine share it
//! export PORT=3000                             # optional; each process has its own
//! export PUBLIC_URL=http://127.0.0.1:3000      # optional; what customers open, and the vendor redirects to /callback there
//! cargo run -p servicebay-demos --example web_backend
//! ```
//!
//! Ctrl-C ends it: it serves the requests under way, and closes the clients of all customers, so that no login is lost.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::env;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use servicebay::fentu::types::WorkOrderStatus;
use servicebay::fentu::{Application, Authorization, Client, Scope};
use servicebay::testing::fentu::MockServer;
use servicebay::{Error, FileStore, Tenants};
use tokio::net::TcpListener;
use tokio::sync::watch;

type ExampleResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Stands for the table of your customers.
const CUSTOMERS: [&str; 3] = ["acme", "birch", "cedar"];

/// A registered application, and what the processes of this server share.
struct Config {
    client_id: String,
    client_secret: String,
    /// `None` for Fentu itself.
    base_url: Option<String>,
    folder: PathBuf,
    /// Where the vendor sends the customers back to. It is registered with the vendor.
    redirect_url: String,
}

/// What one server process has.
struct Backend {
    application: Application,
    customers: Tenants<Client>,
    logins: Logins,
    redirect_url: String,
}

#[tokio::main]
async fn main() -> ExampleResult<()> {
    match (env::var("FENTU_CLIENT_ID"), env::var("FENTU_CLIENT_SECRET")) {
        (Ok(client_id), Ok(client_secret)) => serve_customers(client_id, client_secret).await,
        _ => demonstrate().await,
    }
}

/// One server process, until Ctrl-C.
async fn serve_customers(client_id: String, client_secret: String) -> ExampleResult<()> {
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let public_url = env::var("PUBLIC_URL").unwrap_or_else(|_| format!("http://127.0.0.1:{port}"));
    let default_folder = || env::home_dir().unwrap_or_default().join(".servicebay");
    let folder = env::var_os("FENTU_TOKENS").map_or_else(default_folder, PathBuf::from);
    let redirect_url = format!("{}/callback", public_url.trim_end_matches('/'));
    println!("Register {redirect_url} as the redirect URL of your application.");
    println!("Open {public_url}/connect/{} in your browser, and end the server with Ctrl-C.", CUSTOMERS[0]);
    let config = Config { client_id, client_secret, base_url: None, folder, redirect_url };
    serve(listener, Backend::new(&config)?, async {
        // Without a signal handler, the server ends at once, which is no worse than Ctrl-C without one.
        let _ = tokio::signal::ctrl_c().await;
    })
    .await
}

impl Backend {
    fn new(config: &Config) -> ExampleResult<Arc<Self>> {
        let builder = Application::builder(&config.client_id, config.client_secret.as_str());
        let application = match &config.base_url {
            Some(base_url) => builder.with_base_url(base_url).build()?,
            None => builder.build()?,
        };
        // Every customer's client uses the tokens that are stored under the customer's key. There are none before the first
        // login.
        let (credentials, base_url) = (application.stored_credentials(), config.base_url.clone());
        let customers = Tenants::builder(move |_customer| {
            let builder = Client::builder(credentials.clone());
            let builder = match &base_url {
                Some(base_url) => builder.with_base_url(base_url),
                None => builder,
            };
            async { Ok::<_, Error>(builder) }
        });
        let customers = customers.with_token_store(FileStore::new(&config.folder)?).build();
        let logins = Logins::new(config.folder.join("logins"))?;
        Ok(Arc::new(Self { application, customers, logins, redirect_url: config.redirect_url.clone() }))
    }
}

/// Serves requests until `shutdown`, then waits until no tokens are under way.
async fn serve(
    listener: TcpListener,
    backend: Arc<Backend>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> ExampleResult<()> {
    let router = Router::new()
        .route("/connect/{customer}", get(connect))
        .route("/callback", get(callback))
        .route("/work-orders/{customer}", get(work_orders))
        .with_state(Arc::clone(&backend));
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await?;
    // A token refresh may be under way. Without this, the process could end after the vendor has replaced a refresh token and
    // before the new one is stored.
    backend.customers.close().await?;
    Ok(())
}

/// Sends a customer to the vendor's login page.
///
/// A real server knows from its own session which customer sits at the browser, and does not read it from the URL.
async fn connect(
    State(backend): State<Arc<Backend>>,
    UrlPath(customer): UrlPath<String>,
) -> Result<impl IntoResponse, ErrorResponse> {
    check_customer(&customer)?;
    let login = backend.application.authorize(&backend.redirect_url, [Scope::ReadWorkOrders])?;
    let id = backend.logins.insert(&customer, &login).await?;
    // Behind https, add `Secure`. The cookie ties the login to this browser.
    let cookie = format!("login={id}; Path=/callback; Max-Age=600; HttpOnly; SameSite=Lax");
    Ok(([(SET_COOKIE, cookie)], Redirect::to(login.url().as_str())))
}

/// Completes a login. The vendor has sent the customer back, perhaps to another process than the one that started it.
async fn callback(
    State(backend): State<Arc<Backend>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Redirect, ErrorResponse> {
    let id =
        login_cookie(&headers).ok_or_else(|| ErrorResponse::new(StatusCode::BAD_REQUEST, "start the login again"))?;
    let Some((customer, login)) = backend.logins.remove(id).await? else {
        return Err(ErrorResponse::new(StatusCode::BAD_REQUEST, "this login was completed before; start it again"));
    };
    let client = backend.customers.get(&customer).await?;
    // The tokens are stored when this returns, and the other processes find them there. It checks that the redirect belongs to
    // this login, and completes even if the browser closes the connection.
    backend.application.exchange_into(&login, &uri.to_string(), &client).await?;
    Ok(Redirect::to(&format!("/work-orders/{customer}")))
}

/// Lists a customer's open work orders.
async fn work_orders(
    State(backend): State<Arc<Backend>>,
    UrlPath(customer): UrlPath<String>,
) -> Result<String, ErrorResponse> {
    check_customer(&customer)?;
    let client = backend.customers.get(&customer).await?;
    let mut orders = client.list_work_orders().status(WorkOrderStatus::Open).items();
    let mut text = String::new();
    loop {
        match orders.try_next().await {
            Ok(Some(order)) => {
                let number = order.work_order_number.as_deref().unwrap_or("?");
                let name = order.customer.as_ref().and_then(|customer| customer.name.as_deref());
                writeln!(text, "{number:<14} {}", name.unwrap_or_default()).expect("a string accepts everything");
            }
            Ok(None) => return Ok(text),
            Err(Error::ReauthRequired(_) | Error::Unauthorized(_)) => {
                let message = format!("no access to the account of {customer}: open /connect/{customer}");
                return Err(ErrorResponse::new(StatusCode::UNAUTHORIZED, message));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn check_customer(customer: &str) -> Result<(), ErrorResponse> {
    let is_known = CUSTOMERS.contains(&customer);
    is_known.then_some(()).ok_or_else(|| ErrorResponse::new(StatusCode::NOT_FOUND, "there is no such customer"))
}

fn login_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    cookies.flat_map(|header| header.split("; ")).find_map(|cookie| cookie.strip_prefix("login="))
}

/// The logins in progress, in files that all processes read. Stands for the session table of your database, which would also
/// remove logins that were never completed.
struct Logins(PathBuf);

impl Logins {
    fn new(folder: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// Remembers a login, and returns its id: the `state` of its URL, which no one can guess.
    async fn insert(&self, customer: &str, login: &Authorization) -> Result<String, ErrorResponse> {
        let id = login.url().query_pairs().find(|(name, _)| name == "state").map(|(_, state)| state.into_owned());
        let id = id.ok_or_else(|| ErrorResponse::internal("a login without a state"))?;
        let json = serde_json::to_vec(&(customer, login)).map_err(ErrorResponse::internal)?;
        tokio::fs::write(self.file(&id)?, json).await.map_err(ErrorResponse::internal)?;
        Ok(id)
    }

    /// The customer and the login with this id. Each is returned once.
    async fn remove(&self, id: &str) -> Result<Option<(String, Authorization)>, ErrorResponse> {
        let file = self.file(id)?;
        // The process that renames the file has it alone.
        let taken = file.with_extension("taken");
        match tokio::fs::rename(&file, &taken).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            renamed => renamed.map_err(ErrorResponse::internal)?,
        }
        let json = tokio::fs::read(&taken).await.map_err(ErrorResponse::internal)?;
        tokio::fs::remove_file(&taken).await.map_err(ErrorResponse::internal)?;
        serde_json::from_slice(&json).map(Some).map_err(ErrorResponse::internal)
    }

    /// The file of an id. The id comes from a cookie, so it may hold anything.
    fn file(&self, id: &str) -> Result<PathBuf, ErrorResponse> {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_valid = !id.is_empty() && id.len() <= 100 && id.bytes().all(is_id);
        let file = is_valid.then(|| self.0.join(format!("{id}.json")));
        file.ok_or_else(|| ErrorResponse::new(StatusCode::BAD_REQUEST, "start the login again"))
    }
}

/// A response that reports a failure.
#[derive(Debug)]
struct ErrorResponse {
    status: StatusCode,
    message: String,
}

impl ErrorResponse {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn internal(error: impl ToString) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<Error> for ErrorResponse {
    /// The messages of this crate's errors contain no secret.
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::InvalidRequest(_) => StatusCode::BAD_REQUEST,
            Error::ReauthRequired(_) | Error::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Error::RateLimited(_) | Error::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        (self.status, format!("{}\n", self.message)).into_response()
    }
}

/// Two server processes in one program, a mock server, and the browsers of three customers.
async fn demonstrate() -> ExampleResult<()> {
    let fentu = MockServer::start().await;
    println!("Using a Fentu mock server at {}.", fentu.base_url());
    println!("Set FENTU_CLIENT_ID and FENTU_CLIENT_SECRET to serve real customers.");
    let listeners = [TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?];
    let [one, other] =
        [listeners[0].local_addr()?, listeners[1].local_addr()?].map(|address| format!("http://{address}"));
    let application = fentu.application();
    let config = Config {
        client_id: application.client_id().to_owned(),
        client_secret: application.client_secret().to_owned(),
        base_url: Some(fentu.base_url().to_owned()),
        folder: env::temp_dir().join(format!("servicebay-web-backend-{}", std::process::id())),
        // The vendor sends every customer to the other process than the one that the customer came from.
        redirect_url: format!("{other}/callback"),
    };
    let (shut_down, shutdown) = watch::channel(());
    let servers = async {
        let [listener, other_listener] = listeners;
        // Two backends share nothing but the folder, as two processes do.
        let (backend, other_backend) = (Backend::new(&config)?, Backend::new(&config)?);
        let until = |mut shutdown: watch::Receiver<()>| async move { drop(shutdown.changed().await) };
        let servers = (
            serve(listener, backend, until(shutdown.clone())),
            serve(other_listener, other_backend, until(shutdown.clone())),
        );
        tokio::try_join!(servers.0, servers.1).map(drop)
    };
    let customers = async {
        let shown = play_customers(&fentu, &one, &other).await;
        // From here on, the servers accept no requests.
        drop(shut_down);
        shown
    };
    let (served, shown) = tokio::join!(servers, customers);
    shown.and(served)?;
    println!("\nBoth servers are shut down, and all tokens are in {}:", config.folder.display());
    print_token_files(&config.folder)?;
    std::fs::remove_dir_all(&config.folder)?;
    Ok(())
}

/// What the customers do.
async fn play_customers(fentu: &MockServer, one: &str, other: &str) -> ExampleResult<()> {
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;

    heading("A customer who has not let the backend in");
    show(&browser, one, CUSTOMERS[2], StatusCode::UNAUTHORIZED).await?;

    heading("Each customer logs in: one process starts the login, and the other completes it");
    for customer in CUSTOMERS {
        log_in(&browser, fentu, one, customer).await?;
    }

    heading("Both processes list the open work orders");
    for (server, customer) in [(one, CUSTOMERS[0]), (other, CUSTOMERS[0]), (one, CUSTOMERS[1])] {
        show(&browser, server, customer, StatusCode::OK).await?;
    }
    println!("{} token requests so far: one for each login.", fentu.token_requests().len());

    heading("The customers withdraw the access");
    fentu.revoke_all();
    for server in [one, other] {
        show(&browser, server, CUSTOMERS[2], StatusCode::UNAUTHORIZED).await?;
    }

    heading("One logs in again, and within a second both processes go on");
    log_in(&browser, fentu, one, CUSTOMERS[2]).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for server in [other, one] {
        show(&browser, server, CUSTOMERS[2], StatusCode::OK).await?;
    }
    Ok(())
}

/// A customer's browser follows the redirects of a login.
async fn log_in(browser: &reqwest::Client, fentu: &MockServer, server: &str, customer: &str) -> ExampleResult<()> {
    let started = browser.get(format!("{server}/connect/{customer}")).send().await?;
    let page = header(&started, &LOCATION)?;
    let cookie = header(&started, &SET_COOKIE)?;
    let cookie = cookie.split(';').next().unwrap_or_default();
    // The customer consents on the vendor's page.
    let returned = fentu.visit(page)?;
    let completed = browser.get(returned.as_str()).header(COOKIE, cookie).send().await?;
    let target = header(&completed, &LOCATION)?.to_owned();
    println!("{customer}: logged in, and redirected to {target}");
    Ok(())
}

/// A customer opens the list of work orders.
async fn show(browser: &reqwest::Client, server: &str, customer: &str, expected: StatusCode) -> ExampleResult<()> {
    let url = format!("{server}/work-orders/{customer}");
    let response = browser.get(&url).send().await?;
    let (status, text) = (response.status(), response.text().await?);
    println!("GET {url}: {status}");
    for line in text.lines().take(3) {
        println!("    {line}");
    }
    match text.lines().count().saturating_sub(3) {
        0 => {}
        more => println!("    and {more} more"),
    }
    (status == expected).then_some(()).ok_or_else(|| format!("{url} responded with {status}: {text}").into())
}

fn header<'a>(response: &'a reqwest::Response, name: &HeaderName) -> ExampleResult<&'a str> {
    let value = response.headers().get(name).ok_or_else(|| format!("{} sent no {name}", response.url().path()))?;
    Ok(value.to_str()?)
}

fn print_token_files(folder: &Path) -> ExampleResult<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.ends_with(".json").then_some(name));
    }
    names.sort();
    names.iter().for_each(|name| println!("    {name}"));
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}
