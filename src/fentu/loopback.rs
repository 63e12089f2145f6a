//! Waits on this machine for the browser to come back from a login.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;
use url::Url;

use super::application::Application;
use super::authorization::Authorization;
use crate::auth::TokenSet;
use crate::error::Error;

/// How long a user may take: what a code lives at most (RFC 6749, section 4.1.2).
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a connection may take to say what it wants: a browser opens some that it never uses.
const REQUEST: Duration = Duration::from_secs(10);
/// How long after a connection that could not be taken the next one is.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// The longest head of a request that is read.
const LONGEST_HEAD: usize = 16 * 1024;
/// The end of a request's head.
const END: &[u8] = b"\r\n\r\n";

/// A login that comes back to this machine, from [`Application::log_in_here`].
///
/// # Example
///
/// ```
/// use servicebay::fentu::{Application, Scope};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let tenant = servicebay::testing::fentu::MockServer::start().await;
/// # let application = Application::builder("test-application", "test-application-secret");
/// # let application = application.with_base_url(tenant.base_url()).build()?;
/// let login = application.log_in_here([Scope::ReadWorkOrders]).await?;
/// println!("open this in your browser: {}", login.url());
/// # tokio::spawn(reqwest::get(tenant.visit(login.url().as_str()).expect("the tenant's user consents")));
/// let tokens = login.tokens().await?; // waits for the browser
/// # assert!(tokens.refresh_token().is_some());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LoopbackLogin {
    application: Application,
    listener: TcpListener,
    login: Authorization,
}

impl LoopbackLogin {
    pub(super) fn new(application: Application, listener: TcpListener, login: Authorization) -> Self {
        Self { application, listener, login }
    }

    /// The address to open in the user's browser.
    pub fn url(&self) -> &Url {
        self.login.url()
    }

    /// Waits for the browser to come back, ten minutes at most, and redeems the code that it brings. The browser then
    /// shows a page that says how it went. What comes with another `state` is told off, and waited past.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when nobody comes back; otherwise those of [`Application::exchange`].
    pub async fn tokens(self) -> Result<TokenSet, Error> {
        let clock = self.application.inner().endpoint().clock;
        let outcome = clock.within(self.serve(), clock.now() + PATIENCE).await;
        outcome.unwrap_or_else(|| Err(self.application.too_late()))
    }

    async fn serve(&self) -> Result<TokenSet, Error> {
        let clock = self.application.inner().endpoint().clock;
        let redeemed = OnceCell::new();
        let mut visits = FuturesUnordered::new();
        loop {
            let arrival = pin!(self.listener.accept());
            let event = match visits.is_empty() {
                true => Either::Left(arrival.await),
                false => match select(arrival, visits.next()).await {
                    Either::Left((arrived, _)) => Either::Left(arrived),
                    Either::Right((visited, _)) => Either::Right(visited),
                },
            };
            match event {
                Either::Left(Ok((stream, _))) => visits.push(self.visit(stream, &redeemed)),
                // A connection that was gone before it was taken is nobody's login; too many open files pass.
                Either::Left(Err(_)) => clock.sleep_until(clock.now() + ACCEPT_AGAIN).await,
                Either::Right(Some(true)) => break,
                Either::Right(_) => {}
            }
        }
        // Whoever came along with it is answered too, and not waited for.
        while let Some(Some(_)) = visits.next().now_or_never() {}
        drop(visits);
        redeemed.into_inner().expect("a visit that is the browser's redeems the code")
    }

    /// Serves one connection; whether it was the browser that comes back. It may come more than once, loading a page ahead or
    /// again: the code, which works once, is redeemed for the first and the others get to see the same.
    async fn visit(&self, mut stream: TcpStream, redeemed: &OnceCell<Result<TokenSet, Error>>) -> bool {
        let clock = self.application.inner().endpoint().clock;
        let Some(Some(target)) = clock.within(target(&mut stream), clock.now() + REQUEST).await else { return false };
        if target.split('?').next() != Some("/callback") {
            answer(&mut stream, "404 Not Found", "There is nothing here.").await;
            return false;
        }
        if self.login.answer(&target).is_err() {
            answer(&mut stream, "400 Bad Request", "This is not the login that was begun here.").await;
            return false;
        }
        let outcome = redeemed.get_or_init(|| self.application.exchange(&self.login, &target)).await;
        let (status, words) = match outcome {
            Ok(_) => ("200 OK", "You are logged in. You can close this window."),
            Err(_) => ("400 Bad Request", "The login failed. The program that began it says why."),
        };
        answer(&mut stream, status, words).await;
        true
    }
}

/// The target of the one request that is read, if it is a GET.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(END.len()).any(|window| window == END) {
        if head.len() > LONGEST_HEAD || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    (words.next() == Some("GET")).then_some(())?;
    words.next().map(str::to_owned)
}

/// Sends a page. Whether the browser still wants it does not matter.
async fn answer(stream: &mut TcpStream, status: &str, words: &str) {
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>Login</title><p>{words}</p>");
    let length = page.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}"
    );
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
