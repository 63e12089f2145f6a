//! Clients over a script: no sockets, and waits on the paused clock.

use servicebay::testing::{Script, Step};
use servicebay::{ClientBuilder, fixably};

/// A token that must turn up nowhere. It holds what JSON and addresses escape.
pub(crate) const SECRET: &str = "hush/hush+token==";

pub(crate) fn builder(script: &Script) -> ClientBuilder<fixably::Client> {
    fixably::Client::builder(fixably::Credentials::bearer(SECRET)).with_tenant("acme").with_wire(script.clone())
}

pub(crate) fn client(steps: impl IntoIterator<Item = Step>) -> (fixably::Client, Script) {
    let script = Script::new(steps);
    (builder(&script).build().unwrap(), script)
}

/// An order, as far as most tests need one.
pub(crate) fn order() -> Step {
    Step::json(200, serde_json::json!({"id": 1}))
}

/// A refusal for the limit, with the reset as the vendor's header says it.
pub(crate) fn refused(reset: &str) -> Step {
    Step::json(429, serde_json::json!({"status": 429, "developerMessage": "Too many requests"}))
        .header("x-ratelimit-remaining", "0")
        .header("x-ratelimit-reset", reset)
}
