//! Reads any response of a token endpoint: no panic, and no secret of the client in what it prints.
//!
//! The input is a response, with markers for the secrets that the client holds.
#![no_main]

use std::fmt::Write as _;

use libfuzzer_sys::fuzz_target;
use servicebay::testing::Script;
use servicebay::{TokenSet, fentu, fisikal, repairy};
use servicebay_fuzz::{SecretText, print, response, run};

const SECRET: &str = "app-s3cret/x==";
const PASSWORD: &str = "passw0rd+\"ü\\";
const ACCESS: &str = "old-acc3ss/x==";
const REFRESH: &str = "old-r3fresh&<x";

/// Sends a call of a client to a token endpoint that responds with the template, which quotes secrets of this client.
macro_rules! check {
    ($template:ident, $secrets:expr, $vendor:ident($credentials:expr)) => {
        let text = SecretText::new($template, &$secrets);
        let Some(response) = response(&text.text) else { return };
        let client = $vendor::Client::builder($credentials)
            .with_base_url("https://vendor.example")
            .with_transport(Script::new([response.repeat()]))
            .build()
            .expect("the settings are valid");
        let mut printed = String::new();
        if let Err(error) = run(client.request(http::Method::GET, "x").send::<serde_json::Value>()) {
            print(&mut printed, &error);
        }
        write!(printed, "{client:?} {:?}", client.auth_status()).expect("a string can be written to");
        text.assert_absent_from(&printed);
    };
}

fuzz_target!(|template: &[u8]| {
    let tokens = TokenSet::new(ACCESS)
        .with_refresh_token(REFRESH)
        .with_access_expires_at("2020-01-01T00:00:00Z".parse().expect("it is a timestamp"));
    let application = fentu::Credentials::oauth("application", SECRET, tokens);
    let user = fisikal::Credentials::password("application", SECRET, "user", PASSWORD);
    let session = fisikal::Credentials::session("user@club.example", PASSWORD, ["manager"]);
    let app = repairy::Credentials::app("app-key", SECRET, "partner");
    check!(template, [SECRET, ACCESS, REFRESH], fentu(application));
    check!(template, [SECRET, PASSWORD], fisikal(user));
    check!(template, [PASSWORD], fisikal(session));
    check!(template, [SECRET], repairy(app));
});
