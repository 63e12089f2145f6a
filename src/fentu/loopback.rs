//! A login that returns to this machine: an HTTP listener on a loopback port, until the browser is redirected to it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::Duration;

use futures_util::future::{AbortHandle, abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;
use url::Url;

use super::Client;
use super::authorization::Authorization;
use super::code_flow::CodeFlow;
use crate::auth::TokenSet;
use crate::client_inner::ClientInner;
use crate::error::Error;

/// How long the user may take: the longest that a code may live (RFC 6749, section 4.1.2).
const LOGIN_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a connection may take to send its request. Browsers open connections that they never use.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be accepted.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How many connections may be open that have not sent their request. One more closes the oldest of them.
const MAX_WAITING: usize = 16;
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
/// # use servicebay::fentu::{Client, Credentials};
/// # let client = Client::builder(Credentials::oauth_stored("test-application", "test-application-secret"));
/// # let client = client.with_base_url(server.base_url()).build()?;
/// login.tokens_into(&client).await?; // waits for the browser
/// client.list_work_orders().send().await?;
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
    /// [`Application::exchange`](super::Application::exchange), whose docs say what must happen to the tokens.
    pub async fn tokens(self) -> Result<TokenSet, Error> {
        self.complete(None).await
    }

    /// Does what [`tokens`](Self::tokens) does, and blocks this thread until it is done. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`tokens`](Self::tokens); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn tokens_blocking(self) -> Result<TokenSet, Error> {
        crate::blocking::block_on("loopback_login", "tokens", self.tokens())
    }

    /// Waits for the browser as [`tokens`](Self::tokens) does, and hands the tokens to `client`, which stores and uses them from
    /// then on. The browser shows success once they are stored.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if the browser does not return in time; otherwise the errors of
    /// [`Application::exchange_into`](super::Application::exchange_into).
    pub async fn tokens_into(self, client: &Client) -> Result<(), Error> {
        self.complete(Some(client.inner())).await.map(drop)
    }

    /// Does what [`tokens_into`](Self::tokens_into) does, and blocks this thread until it is done. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`tokens_into`](Self::tokens_into); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn tokens_into_blocking(self, client: &Client) -> Result<(), Error> {
        crate::blocking::block_on("loopback_login", "tokens_into", self.tokens_into(client))
    }

    async fn complete(self, client: Option<&ClientInner>) -> Result<TokenSet, Error> {
        let clock = self.flow.clock();
        let outcome = clock.within(self.serve(client), clock.now() + LOGIN_TIMEOUT).await;
        outcome.unwrap_or_else(|| Err(self.flow.timed_out()))
    }

    async fn serve(&self, client: Option<&ClientInner>) -> Result<TokenSet, Error> {
        let clock = self.flow.clock();
        let redeemed = OnceCell::new();
        // Connections whose request is being read, oldest first, and those that get their response.
        let mut waiting: VecDeque<(u64, AbortHandle)> = VecDeque::with_capacity(MAX_WAITING);
        let (mut requests, mut responses) = (FuturesUnordered::new(), FuturesUnordered::new());
        let (mut accept_at, mut accepted) = (clock.now(), 0);
        loop {
            let mut pause = pin!(clock.sleep_until(accept_at));
            // Connections come first: while they are served, accepting may fail again and again for lack of files.
            let event = poll_fn(|context| {
                if let Poll::Ready(Some(is_done)) = responses.poll_next_unpin(context) {
                    return Poll::Ready(LoopbackEvent::Responded(is_done));
                }
                if let Poll::Ready(Some((number, request))) = requests.poll_next_unpin(context) {
                    return Poll::Ready(LoopbackEvent::Requested(number, request));
                }
                ready!(pause.as_mut().poll(context));
                self.listener.poll_accept(context).map_ok(|(stream, _)| stream).map(LoopbackEvent::Accepted)
            });
            match event.await {
                LoopbackEvent::Responded(true) => break,
                LoopbackEvent::Responded(false) => {}
                LoopbackEvent::Requested(number, request) => {
                    waiting.retain(|(waiting, _)| *waiting != number);
                    if let Some((stream, target)) = request {
                        responses.push(self.respond(stream, target, &redeemed, client));
                    }
                }
                LoopbackEvent::Accepted(Ok(stream)) => {
                    if waiting.len() == MAX_WAITING {
                        close_oldest(&mut waiting);
                    }
                    let (number, (request, handle)) = (accepted, abortable(self.request(stream)));
                    accepted += 1;
                    waiting.push_back((number, handle));
                    requests.push(async move { (number, request.await.ok().flatten()) });
                }
                // The peer closed the connection early.
                LoopbackEvent::Accepted(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // The process has too many open files. A pause only if none of them is ours to close.
                LoopbackEvent::Accepted(Err(_)) => {
                    if !close_oldest(&mut waiting) {
                        accept_at = clock.now() + ACCEPT_RETRY;
                    }
                }
            }
        }
        // Other connections that are ready get their response too; none is waited for.
        while let Some(Some(_)) = responses.next().now_or_never() {}
        drop((requests, responses));
        redeemed.into_inner().expect("the connection that ended the loop has redeemed the code")
    }

    /// Reads the request of a connection, if it comes in time.
    async fn request(&self, mut stream: TcpStream) -> Option<(TcpStream, String)> {
        let clock = self.flow.clock();
        let target = clock.within(read_target(&mut stream), clock.now() + REQUEST_TIMEOUT).await;
        Some((stream, target??))
    }

    /// Responds to a request, and returns whether it was the redirect of this login. Browsers may load the page twice
    /// (prefetch, reload): the first request redeems the code, which works once, and the others get the same result.
    async fn respond(
        &self,
        mut stream: TcpStream,
        target: String,
        redeemed: &OnceCell<Result<TokenSet, Error>>,
        client: Option<&ClientInner>,
    ) -> bool {
        if target.split('?').next() != Some("/callback") {
            self.send_page(&mut stream, "404 Not Found", "There is nothing here.").await;
            return false;
        }
        if self.login.read_callback(&target).is_err() {
            let text = "This request does not belong to the login in progress.";
            self.send_page(&mut stream, "400 Bad Request", text).await;
            return false;
        }
        let outcome = redeemed.get_or_init(|| self.flow.exchange(&self.login, &target, client)).await;
        let (status, text) = match outcome {
            Ok(_) => ("200 OK", "You are logged in. You can close this window."),
            Err(_) => ("400 Bad Request", "The login failed. The program that started it shows why."),
        };
        self.send_page(&mut stream, status, text).await;
        true
    }

    /// Sends a page, if the browser reads it in time.
    async fn send_page(&self, stream: &mut TcpStream, status: &str, text: &str) {
        let clock = self.flow.clock();
        let _ = clock.within(send_page(stream, status, text), clock.now() + REQUEST_TIMEOUT).await;
    }
}

/// What happens at the port of a login.
enum LoopbackEvent {
    Accepted(io::Result<TcpStream>),
    /// A connection, by its number, has sent this request, or none.
    Requested(u64, Option<(TcpStream, String)>),
    /// A request has its response. Whether it was the redirect of the login.
    Responded(bool),
}

/// Closes the connection that has been silent for the longest. Returns whether there was one.
fn close_oldest(waiting: &mut VecDeque<(u64, AbortHandle)>) -> bool {
    let oldest = waiting.pop_front();
    if let Some((_, oldest)) = &oldest {
        oldest.abort();
    }
    oldest.is_some()
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
async fn send_page(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>Login</title><p>{text}</p>");
    let length = page.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}"
    );
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}
