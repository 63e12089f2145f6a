//! Decodes any body as JSON: valid JSON keeps its value, and a body that cannot be repaired stays as it was sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use servicebay::Error;
use servicebay::fixably::{Client, Credentials};
use servicebay::testing::{Script, Step};
use servicebay_fuzz::run;

/// The client's token, which it redacts in errors.
const TOKEN: &str = "t0ken-9f3a";

fuzz_target!(|body: &[u8]| {
    // An empty body is null, and one with the token is not kept as it is.
    if body.is_empty() || body.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()) {
        return;
    }
    let decoded = decode(body);
    match (serde_json::from_slice::<Value>(body), &decoded) {
        (Ok(valid), Some(value)) => assert_eq!(&valid, value),
        (Ok(valid), None) => panic!("{valid} is refused"),
        (Err(_), _) => {}
    }
    // The same with a part that needs a repair before the body: the rest keeps its value.
    if let (Some(value), Ok(_)) = (decoded, serde_json::from_slice::<Value>(body)) {
        let wrapped = [b"[\"\\ud83d\", 1e999, ", body, b"]"].concat();
        // A body that is nested as deeply as the parser allows cannot be wrapped.
        if let Some(wrapped) = decode(&wrapped) {
            assert_eq!(wrapped, Value::from(vec!["\u{fffd}".into(), Value::Null, value]));
        }
    }
});

/// The value of a body, or nothing if the client refuses it with an error that has the whole body.
fn decode(body: &[u8]) -> Option<Value> {
    let script = Script::new([Step::body(200, "application/json", body.to_vec())]);
    let client = Client::builder(Credentials::bearer(TOKEN))
        .with_tenant("acme")
        .with_transport(script)
        .build()
        .expect("the settings are valid");
    match run(client.request(http::Method::GET, "x").send::<Value>()) {
        Ok(response) => Some((*response).clone()),
        Err(Error::Decode(error)) => {
            assert_eq!(error.body(), body);
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}
