//! What many tests share: clients over a script, without sockets; tokens; and everything that can be printed.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::{fs, io};

use jiff::{SignedDuration, Timestamp};
use servicebay::testing::{Script, Step, fentu};
use servicebay::{ClientBuilder, Error, TokenSet, fixably};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// A token that must not appear in any output. It contains characters that JSON and URLs escape.
pub(crate) const SECRET: &str = "hush/hush+token==";

pub(crate) fn builder(script: &Script) -> ClientBuilder<fixably::Client> {
    fixably::Client::builder(fixably::Credentials::bearer(SECRET)).with_tenant("acme").with_transport(script.clone())
}

pub(crate) fn client(steps: impl IntoIterator<Item = Step>) -> (fixably::Client, Script) {
    let script = Script::new(steps);
    (builder(&script).build().unwrap(), script)
}

/// A response with an order.
pub(crate) fn order() -> Step {
    Step::json(200, serde_json::json!({"id": 1}))
}

/// A 429 with this value of the reset header.
pub(crate) fn refused(reset: &str) -> Step {
    Step::json(429, serde_json::json!({"status": 429, "developerMessage": "Too many requests"}))
        .header("x-ratelimit-remaining", "0")
        .header("x-ratelimit-reset", reset)
}

/// The tokens that a user granted at `now`, with the lifetimes that Fentu documents.
pub(crate) fn token_set(pair: &fentu::TokenPair, now: Timestamp) -> TokenSet {
    let after = |hours| now.checked_add(SignedDuration::from_hours(hours)).unwrap();
    TokenSet::new(pair.access_token.clone())
        .with_refresh_token(pair.refresh_token.clone())
        .with_access_expires_at(after(1))
        .with_refresh_expires_at(after(30 * 24))
}

/// Appends everything that can be printed of an error.
pub(crate) fn print(printed: &mut String, error: &Error) {
    writeln!(printed, "{error} {error:?} {error:#?} {}", error.support_report()).unwrap();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        writeln!(printed, "{cause} {cause:?}").unwrap();
        source = cause.source();
    }
    if let Some(call) = error.call_error() {
        writeln!(printed, "{:?} {} {:?}", call.body(), call.url(), call.request_id()).unwrap();
    }
}

/// Collects every event as text.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Collects the events of this thread, and so of all tasks of a test, until the guard is dropped.
    pub(crate) fn listen(&self) -> impl Sized + use<> {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(self.clone());
        // With a single subscriber, `tracing` caches whether an event is enabled as seen by the first thread that emits it,
        // which may belong to another test. A second subscriber makes it ask again.
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        (tracing::subscriber::set_default(subscriber.finish()), second)
    }

    /// As [`listen`](Self::listen), in the format that programs have by default, but without times and colors, and with the events
    /// of this crate alone, down to DEBUG.
    pub(crate) fn listen_plainly(&self) -> impl Sized + use<> {
        let format = tracing_subscriber::fmt::layer().without_time().with_ansi(false).with_writer(self.clone());
        let filter = tracing_subscriber::filter::Targets::new().with_target("servicebay", tracing::Level::DEBUG);
        let subscriber = tracing_subscriber::registry().with(filter).with(format);
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        (tracing::subscriber::set_default(subscriber), second)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The names of the vendors: each has its spec in `openapi/<vendor>.json`.
pub(crate) fn vendors() -> Vec<String> {
    let specs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi")).unwrap();
    let specs = specs.map(|spec| spec.unwrap().path());
    let mut vendors: Vec<_> = specs
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    vendors.sort();
    vendors
}
