//! Puts a token, in escaped forms, into any error response: the error prints none of them.
//!
//! The first line of the input becomes part of the token. The rest is a response, with markers for the token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use servicebay::fixably::{Client, Credentials};
use servicebay::testing::Script;
use servicebay_fuzz::{SecretText, first_line, print, response, run};

fuzz_target!(|input: &[u8]| {
    let (part, template) = first_line(input);
    // Only what a header can carry. Brackets are left out because a redacted text contains some; what begins an escape,
    // because a token that looks escaped several times over needs more levels than are decoded.
    let is_allowed = |byte: &u8| byte.is_ascii_graphic() && !b"[]\\%&".contains(byte);
    if part.len() > 40 || !part.iter().all(is_allowed) {
        return;
    }
    // No other text contains these two ends, so that a match is the token.
    let token = format!("Zq{}qZ", String::from_utf8_lossy(part));
    let text = SecretText::new(template, &[&token]);
    let Some(response) = response(&text.text) else { return };
    let client = Client::builder(Credentials::bearer(token))
        .with_tenant("acme")
        .with_transport(Script::new([response.repeat()]))
        .build()
        .expect("a token of printable characters is accepted");
    run(async {
        let mut printed = String::new();
        if let Err(error) = client.get_order().id(1).send().await {
            print(&mut printed, &error);
        }
        printed.push_str(&format!("{client:?} {:?}", client.auth_status()));
        text.assert_absent_from(&printed);
    });
});
