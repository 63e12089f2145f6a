//! What a client reports to `tracing` and to observers. `conformance` checks for every vendor that no secret is in it.

mod observer;
mod plain;
mod recorder;
mod spans;
mod table;

use bytes::Bytes;
use http::Request;
use serde_json::json;
use servicebay::testing::{Script, Step};
use servicebay::{ClientBuilder, repairy};

pub(crate) use self::recorder::{Record, Recorder};

/// A builder of a client that logs in, over a script that responds to token requests with `token` and to calls with `call`.
fn login_client(
    token: impl Fn(&Request<Bytes>) -> Step + Send + Sync + 'static,
    call: impl Fn(&Request<Bytes>) -> Step + Send + Sync + 'static,
) -> ClientBuilder<repairy::Client> {
    let respond = move |request: &Request<Bytes>| match request.uri().path() {
        path if path.contains("/auth/") => token(request),
        _ => call(request),
    };
    repairy::Client::builder(repairy::Credentials::app("app key", "app secret", "partner"))
        .with_base_url("https://partner.example/api")
        .with_tenant("garage")
        .with_transport(Script::new([Step::with(respond).repeat()]))
}

/// A response with tokens of this lifetime, in seconds.
fn tokens(expires_in: i64) -> Step {
    Step::json(200, json!({"accessToken": "acc3ss", "refreshToken": "r3fresh", "expiresIn": expires_in}))
}

fn booking(_: &Request<Bytes>) -> Step {
    Step::json(200, json!({}))
}

async fn call(client: &repairy::Client) -> Result<(), servicebay::Error> {
    client.get_booking().id("670000000000000000000001").send().await.map(drop)
}
