//! Recordings: what a session becomes in a file, and that a client sees the same when the file is played.

mod files;
mod scrubbing;
mod sessions;

use bytes::Bytes;
use http::{Request, Response};
use servicebay::testing::{Keep, Recorder, Recording, Replay, Script, Step};
use servicebay::{Body, ClientBuilder, Transport, TransportError, fixably};

use crate::support::SECRET;

/// A client of Fixably over any transport.
fn client(transport: impl Transport) -> fixably::Client {
    builder().with_transport(transport).build().unwrap()
}

fn builder() -> ClientBuilder<fixably::Client> {
    fixably::Client::builder(fixably::Credentials::bearer(SECRET)).with_tenant("acme")
}

/// A recorder before scripted responses.
fn recorder(steps: impl IntoIterator<Item = Step>, keep: Keep) -> Recorder<Script> {
    Recorder::new(Script::new(steps)).with_keep(keep)
}

/// Sends a request without a client, and reads the response.
async fn send(transport: &dyn Transport, request: Request<Body>) -> Result<Response<Bytes>, TransportError> {
    let (head, body) = transport.send(request).await?.into_parts();
    Ok(Response::from_parts(head, body.collect(usize::MAX).await?))
}

fn get(path: &str) -> Request<Body> {
    Request::get(format!("https://acme.fixably.com{path}")).body(Body::empty()).unwrap()
}

/// The recording of these exchanges, of which each has a request and its response.
async fn recorded(keep: Keep, exchanges: impl IntoIterator<Item = (Request<Body>, Step)>) -> Recording {
    let (requests, steps): (Vec<_>, Vec<_>) = exchanges.into_iter().unzip();
    let recorder = recorder(steps, keep);
    for request in requests {
        // A recorded failure is one of the exchanges.
        let _ = send(&recorder, request).await;
    }
    recorder.recording()
}

/// What a replay sends back to one request.
async fn played(replay: &Replay, request: Request<Body>) -> serde_json::Value {
    serde_json::from_slice(send(replay, request).await.unwrap().body()).unwrap()
}
