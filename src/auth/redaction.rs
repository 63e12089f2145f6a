//! Removes the client's own secrets from what a vendor sends back.
//!
//! A vendor may quote the header that it refuses: verbatim, escaped as JSON allows, or percent-encoded in a URL. Errors keep
//! the vendor's message, so all these forms are decoded before the token is removed.

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

const STRUCK: &str = "[redacted]";

/// The forms of secrets that are struck out.
pub(super) struct Redaction(Vec<String>);

impl Redaction {
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut forms: Vec<String> = secrets.into_iter().flat_map(forms).collect();
        // The longest first, so that a secret which is part of another leaves no rest of it behind.
        forms.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        forms.retain(|form| !form.is_empty());
        Self(forms)
    }

    /// The text without the secrets; `None` when it holds none.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        let mut clean: Option<String> = None;
        for form in &self.0 {
            let so_far = clean.as_deref().unwrap_or(text);
            if so_far.contains(form) {
                clean = Some(so_far.replace(form, STRUCK));
            }
        }
        clean
    }

    /// A body without the secrets, and what it says where it is JSON.
    pub(super) fn body(&self, body: &Bytes) -> (Bytes, Option<Value>) {
        if let Ok(mut value) = serde_json::from_slice::<Value>(body) {
            let body = if self.value(&mut value) { value.to_string().into() } else { body.clone() };
            return (body, Some(value));
        }
        let clean = self.text(&String::from_utf8_lossy(body)).map(Bytes::from);
        (clean.unwrap_or_else(|| body.clone()), None)
    }

    /// Strikes the secrets out of every text in a value, names too; whether there was any.
    fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match self.text(text) {
                Some(clean) => {
                    *text = clean;
                    true
                }
                None => false,
            },
            Value::Array(items) => items.iter_mut().fold(false, |struck, item| self.value(item) | struck),
            Value::Object(fields) => {
                let mut struck = fields.values_mut().fold(false, |struck, field| self.value(field) | struck);
                if fields.keys().any(|name| self.text(name).is_some()) {
                    struck = true;
                    let renamed = std::mem::take(fields).into_iter();
                    fields.extend(renamed.map(|(name, field)| (self.text(&name).unwrap_or(name), field)));
                }
                struck
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

/// A secret as it is, and as an address may hold it.
fn forms(secret: &SecretString) -> Vec<String> {
    let secret = secret.expose_secret();
    let encoded = percent_encode(secret.as_bytes(), NON_ALPHANUMERIC).to_string();
    // Which characters an encoder leaves alone differs; these are the usual ones, with digits in either case.
    let unreserved = encoded.replace("%2D", "-").replace("%2E", ".").replace("%5F", "_").replace("%7E", "~");
    let path = unreserved.replace("%2B", "+").replace("%3D", "=");
    let mut forms = vec![secret.to_owned()];
    for form in [encoded, unreserved, path] {
        forms.push(lower_hex(&form));
        forms.push(form);
    }
    forms
}

/// A percent-encoded text with its digits in lower case.
fn lower_hex(encoded: &str) -> String {
    let mut digits = 0;
    encoded
        .chars()
        .map(|c| {
            if c == '%' {
                digits = 2;
                return c;
            }
            let hex = digits > 0;
            digits -= i32::from(hex);
            if hex { c.to_ascii_lowercase() } else { c }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Hush/Hush+token==";

    fn redaction() -> Redaction {
        Redaction::of([&SECRET.into()])
    }

    fn cleaned(body: &str) -> String {
        String::from_utf8(redaction().body(&Bytes::from(body.to_owned())).0.to_vec()).unwrap()
    }

    #[test]
    fn a_token_is_struck_out_however_often_it_is_repeated() {
        let clean = redaction().text(&format!("bad {SECRET}, really {SECRET}!")).unwrap();
        assert_eq!(clean, "bad [redacted], really [redacted]!");
        assert_eq!(redaction().text("bad token"), None);
    }

    #[test]
    fn a_token_is_struck_out_of_json_however_it_is_escaped() {
        let slashes = SECRET.replace('/', "\\/");
        let unicode = SECRET.replace('=', "\\u003d").replace('H', "\\u0048");
        for token in [SECRET, &slashes, &unicode] {
            let clean = cleaned(&format!(r#"{{"a": ["{token}"], "{token}": {{"b": "x {token}"}}}}"#));
            assert_eq!(clean, r#"{"[redacted]":{"b":"x [redacted]"},"a":["[redacted]"]}"#);
        }
    }

    #[test]
    fn a_token_is_struck_out_of_addresses() {
        for form in ["Hush%2FHush%2Btoken%3D%3D", "Hush%2fHush%2btoken%3d%3d", "Hush%2FHush+token=="] {
            assert_eq!(redaction().text(&format!("/login/{form}?x")).as_deref(), Some("/login/[redacted]?x"), "{form}");
        }
    }

    #[test]
    fn a_secret_that_is_part_of_another_leaves_no_rest_of_it() {
        let redaction = Redaction::of([&"hush".into(), &"hush-hush".into()]);
        assert_eq!(redaction.text("hush-hush, hush").as_deref(), Some("[redacted], [redacted]"));
    }

    #[test]
    fn a_body_that_does_not_hold_the_token_stays_as_it_came() {
        for body in [r#"{"b": 1.50,   "a": "x"}"#, "<html>", "\u{fffd}"] {
            assert_eq!(cleaned(body), body);
        }
        let binary = Bytes::from_static(b"\xff\xfe");
        assert_eq!(redaction().body(&binary).0, binary);
    }
}
