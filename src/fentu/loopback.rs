//! A login that returns to this machine: an HTTP listener on a loopback port, until the browser is redirected to it.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;
use url::Url;

use super::authorization::Authorization;
use super::code_flow::CodeFlow;
use crate::auth::TokenSet;
use crate::error::Error;

/// How long the user may take: the longest that a code may live (RFC 6749, section 4.1.2).
const LOGIN_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a connection may take to send its request. Browsers open connections that they never use.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be accepted.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// The longest request head that is read, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The end of a request's head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A login that returns to this machine, started by [`Application::loopback_login`](super::Application::loopback_login).
///
/// # Example
///
/// ```
/// use servicebay::fentu::{Application, Scope};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = servicebay::testing::fentu::MockServer::start().await;
/// # let application = Application::builder("test-application", "test-application-secret");
/// # let application = application.with_base_url(server.base_url()).build()?;
/// let login = application.loopback_login([Scope::ReadWorkOrders]).await?;
/// println!("open this in your browser: {}", login.url());
/// # tokio::spawn(reqwest::get(server.visit(login.url().as_str()).expect("the mock server's user consents")));
/// let tokens = login.tokens().await?; // waits for the browser
/// # assert!(tokens.refresh_token().is_some());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LoopbackLogin {
    flow: CodeFlow,
    listener: TcpListener,
    login: Authorization,
}

impl LoopbackLogin {
    /// Opens a port and starts a login that returns to it.
    pub(super) async fn listen(
        flow: CodeFlow,
        scopes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, Error> {
        let no_port = |error| Error::config("loopback", format!("no port of 127.0.0.1 could be opened: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(no_port)?;
        let port = listener.local_addr().map_err(no_port)?.port();
        let login = flow.authorize(format!("http://127.0.0.1:{port}/callback"), scopes)?;
        Ok(Self { flow, listener, login })
    }

    /// The URL to open in the user's browser.
    pub fn url(&self) -> &Url {
        self.login.url()
    }

    /// Waits up to ten minutes for the browser to return, and exchanges the code that it brings for tokens. The browser
    /// shows a page with the result. A request with another `state` gets an error page, and the wait goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if the browser does not return in time; otherwise the errors of
    /// [`Application::exchange`](super::Application::exchange).
    pub async fn tokens(self) -> Result<TokenSet, Error> {
        let clock = self.flow.clock();
        let outcome = clock.within(self.serve(), clock.now() + LOGIN_TIMEOUT).await;
        outcome.unwrap_or_else(|| Err(self.flow.timed_out()))
    }

    async fn serve(&self) -> Result<TokenSet, Error> {
        let clock = self.flow.clock();
        let redeemed = OnceCell::new();
        let mut connections = FuturesUnordered::new();
        loop {
            let accept = pin!(self.listener.accept());
            let event = match connections.is_empty() {
                true => Either::Left(accept.await),
                false => match select(accept, connections.next()).await {
                    Either::Left((accepted, _)) => Either::Left(accepted),
                    Either::Right((handled, _)) => Either::Right(handled),
                },
            };
            match event {
                Either::Left(Ok((stream, _))) => connections.push(self.handle(stream, &redeemed)),
                // The peer closed the connection early, or the process has too many open files: try again.
                Either::Left(Err(_)) => clock.sleep_until(clock.now() + ACCEPT_RETRY).await,
                Either::Right(Some(true)) => break,
                Either::Right(_) => {}
            }
        }
        // Other connections that are ready get their response too; none is waited for.
        while let Some(Some(_)) = connections.next().now_or_never() {}
        drop(connections);
        redeemed.into_inner().expect("the connection that ended the loop has redeemed the code")
    }

    /// Serves one connection, and returns whether it was the redirect of this login. Browsers may load the page twice
    /// (prefetch, reload): the first request redeems the code, which works once, and the others get the same result.
    async fn handle(&self, mut stream: TcpStream, redeemed: &OnceCell<Result<TokenSet, Error>>) -> bool {
        let clock = self.flow.clock();
        let target = clock.within(read_target(&mut stream), clock.now() + REQUEST_TIMEOUT).await;
        let Some(Some(target)) = target else { return false };
        if target.split('?').next() != Some("/callback") {
            respond(&mut stream, "404 Not Found", "There is nothing here.").await;
            return false;
        }
        if self.login.read_callback(&target).is_err() {
            respond(&mut stream, "400 Bad Request", "This request does not belong to the login in progress.").await;
            return false;
        }
        let outcome = redeemed.get_or_init(|| self.flow.exchange(&self.login, &target)).await;
        let (status, text) = match outcome {
            Ok(_) => ("200 OK", "You are logged in. You can close this window."),
            Err(_) => ("400 Bad Request", "The login failed. The program that started it shows why."),
        };
        respond(&mut stream, status, text).await;
        true
    }
}

/// The target of the request, if it is a GET. Only one request per connection is read.
async fn read_target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(HEAD_END.len()).any(|window| window == HEAD_END) {
        if head.len() > MAX_HEAD || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    (words.next() == Some("GET")).then_some(())?;
    words.next().map(str::to_owned)
}

/// Sends a page. Errors are ignored: the browser may have closed the connection.
async fn respond(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>Login</title><p>{text}</p>");
    let length = page.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}"
    );
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}
