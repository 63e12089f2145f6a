//! The lifecycle of tokens: rows A1 to A19 of the contract, each at the vendor that shows it best, and failures around tokens.
//! What holds for every vendor is in [`conformance`](crate::conformance).

mod clocks;
mod early_refresh;
mod endpoint;
mod invalid_responses;
mod keep_alive;
mod lease_timer;
mod lifecycle;
mod login;
pub(crate) mod no_leases;
mod notes;
mod refresh;
mod refused_refresh;
mod revocation;
mod scripted_store;
mod secrecy;
mod storage;

use std::time::Duration;

use futures_util::future::BoxFuture;
use servicebay::testing::fentu::RefreshTokens;
use servicebay::testing::fisikal::Role;
use servicebay::testing::{fentu as fentu_testing, fisikal as fisikal_testing, repairy as repairy_testing};
use servicebay::{ClientBuilder, Error, TokenSet, fentu, fisikal, repairy};

use crate::support::token_set;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A Fentu server without a rate limit.
fn fentu_server(refresh_tokens: RefreshTokens) -> fentu_testing::MockServer {
    let builder = fentu_testing::MockServer::builder().with_tier(fentu_testing::Tier::Enterprise);
    builder.with_refresh_tokens(refresh_tokens).in_memory()
}

/// Tokens that a user of this server has just granted.
fn consent(server: &fentu_testing::MockServer) -> TokenSet {
    token_set(&server.sign_in(["admin"]), server.now())
}

/// The builder of a client of the server's application with these tokens.
fn fentu_builder(server: &fentu_testing::MockServer, tokens: TokenSet) -> ClientBuilder<fentu::Client> {
    let application = server.application();
    let credentials = fentu::Credentials::oauth(application.client_id(), application.client_secret(), tokens);
    server.client_builder_with(credentials).with_tenant("acme")
}

/// A server that rotates refresh tokens, and a client with tokens that a user has just granted.
fn fentu() -> (fentu_testing::MockServer, fentu::Client) {
    fentu_with(RefreshTokens::Rotated)
}

fn fentu_with(refresh_tokens: RefreshTokens) -> (fentu_testing::MockServer, fentu::Client) {
    let server = fentu_server(refresh_tokens);
    let client = fentu_builder(&server, consent(&server)).build().unwrap();
    (server, client)
}

fn repairy() -> (repairy_testing::MockServer, repairy::Client) {
    let server = repairy_testing::MockServer::builder().in_memory();
    let client = server.client().unwrap();
    (server, client)
}

fn manager(server: &fisikal_testing::MockServer) -> fisikal::Credentials {
    let (user, password) = server.login(Role::Manager);
    fisikal::Credentials::password(
        fisikal_testing::MockServer::CLIENT_ID,
        fisikal_testing::MockServer::CLIENT_SECRET,
        user,
        password,
    )
}

fn fisikal(
    configure: impl FnOnce(fisikal_testing::MockServerBuilder) -> fisikal_testing::MockServerBuilder,
) -> (fisikal_testing::MockServer, fisikal::Client) {
    let server = configure(fisikal_testing::MockServer::builder()).in_memory();
    let client = server.client_builder(manager(&server)).build().unwrap();
    (server, client)
}

/// A call to Fentu.
fn task(client: &fentu::Client) -> BoxFuture<'static, Result<(), Error>> {
    let call = client.get_task().id("task-001").send();
    Box::pin(async { call.await.map(|_| ()) })
}

/// A call to Repairy.
fn booking(client: &repairy::Client) -> BoxFuture<'static, Result<(), Error>> {
    let call = client.get_booking().id("670000000000000000000001").send();
    Box::pin(async { call.await.map(|_| ()) })
}

/// A call to Fisikal.
fn profile(client: &fisikal::Client) -> BoxFuture<'static, Result<(), Error>> {
    let call = client.get_profile().send();
    Box::pin(async { call.await.map(|_| ()) })
}

/// The number of requests to a path.
fn request_count(requests: &[servicebay::testing::RecordedRequest], path: &str) -> usize {
    requests.iter().filter(|request| request.path == path).count()
}
