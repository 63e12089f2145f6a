//! What a client tells of what it does. That none of it holds a secret is tried for every vendor in `conformance`.

mod observer;
mod recorder;
mod spans;
mod table;

use bytes::Bytes;
use http::Request;
use serde_json::json;
use servicebay::testing::{Script, Step};
use servicebay::{ClientBuilder, repairy};

pub(crate) use self::recorder::{Record, Recorder};

/// A client whose tokens are granted, over a server that answers requests for tokens with `token`, and all else with
/// `call`.
fn granted(
    token: impl Fn(&Request<Bytes>) -> Step + Send + Sync + 'static,
    call: impl Fn(&Request<Bytes>) -> Step + Send + Sync + 'static,
) -> ClientBuilder<repairy::Client> {
    let answer = move |request: &Request<Bytes>| match request.uri().path() {
        path if path.contains("/auth/") => token(request),
        _ => call(request),
    };
    repairy::Client::builder(repairy::Credentials::app("app key", "app secret", "partner"))
        .with_base_url("https://partner.example/api")
        .with_tenant("garage")
        .with_transport(Script::new([Step::with(answer).repeat()]))
}

/// Tokens that live this long, in seconds.
fn pair(life: i64) -> Step {
    Step::json(200, json!({"accessToken": "acc3ss", "refreshToken": "r3fresh", "expiresIn": life}))
}

fn booking(_: &Request<Bytes>) -> Step {
    Step::json(200, json!({}))
}

async fn call(client: &repairy::Client) -> Result<(), servicebay::Error> {
    client.get_booking().id("670000000000000000000001").send().await.map(drop)
}
