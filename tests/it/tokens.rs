//! The life of tokens: rows A1 to A13 of the contract, each on the vendor that shows it best, and what goes wrong with
//! tokens. What holds for all vendors alike is in [`conformance`](crate::conformance).

mod ahead;
mod clocks;
mod ending;
mod keeping;
mod login;
mod odd_answers;
mod renewal;
mod revocation;
mod secrecy;
mod storing;

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

/// A tenant of Fentu without a limit.
fn fentu_tenant(refresh_tokens: RefreshTokens) -> fentu_testing::MockServer {
    let builder = fentu_testing::MockServer::builder().with_tier(fentu_testing::Tier::Enterprise);
    builder.with_refresh_tokens(refresh_tokens).in_memory()
}

/// Tokens that a user of this tenant has just granted.
fn consent(tenant: &fentu_testing::MockServer) -> TokenSet {
    token_set(&tenant.sign_in(["admin"]), tenant.now())
}

/// The builder of a client of the tenant's application with these tokens.
fn fentu_builder(tenant: &fentu_testing::MockServer, tokens: TokenSet) -> ClientBuilder<fentu::Client> {
    let application = tenant.application();
    let credentials = fentu::Credentials::oauth(application.client_id(), application.client_secret(), tokens);
    tenant.client_builder_with(credentials).with_tenant("acme")
}

/// A tenant that rotates refresh tokens, and a client that a user has just let in.
fn fentu() -> (fentu_testing::MockServer, fentu::Client) {
    fentu_with(RefreshTokens::Rotated)
}

fn fentu_with(refresh_tokens: RefreshTokens) -> (fentu_testing::MockServer, fentu::Client) {
    let tenant = fentu_tenant(refresh_tokens);
    let client = fentu_builder(&tenant, consent(&tenant)).build().unwrap();
    (tenant, client)
}

fn repairy() -> (repairy_testing::MockServer, repairy::Client) {
    let tenant = repairy_testing::MockServer::builder().in_memory();
    let client = tenant.client().unwrap();
    (tenant, client)
}

fn manager(tenant: &fisikal_testing::MockServer) -> fisikal::Credentials {
    let (user, password) = tenant.login(Role::Manager);
    fisikal::Credentials::password(
        fisikal_testing::MockServer::CLIENT_ID,
        fisikal_testing::MockServer::CLIENT_SECRET,
        user,
        password,
    )
}

fn fisikal(
    choose: impl FnOnce(fisikal_testing::MockServerBuilder) -> fisikal_testing::MockServerBuilder,
) -> (fisikal_testing::MockServer, fisikal::Client) {
    let tenant = choose(fisikal_testing::MockServer::builder()).in_memory();
    let client = tenant.client_builder(manager(&tenant)).build().unwrap();
    (tenant, client)
}

/// A call of Fentu's.
fn task(client: &fentu::Client) -> BoxFuture<'static, Result<(), Error>> {
    let call = client.get_task().id("task-001").send();
    Box::pin(async { call.await.map(|_| ()) })
}

/// A call of Repairy's.
fn booking(client: &repairy::Client) -> BoxFuture<'static, Result<(), Error>> {
    let call = client.get_booking().id("670000000000000000000001").send();
    Box::pin(async { call.await.map(|_| ()) })
}

/// A call of Fisikal's.
fn profile(client: &fisikal::Client) -> BoxFuture<'static, Result<(), Error>> {
    let call = client.get_profile().send();
    Box::pin(async { call.await.map(|_| ()) })
}

/// How often a path was asked for.
fn asked(requests: &[servicebay::testing::RecordedRequest], path: &str) -> usize {
    requests.iter().filter(|request| request.path == path).count()
}
