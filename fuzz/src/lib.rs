//! What the fuzz targets share: responses written as text, secrets in escaped forms, and everything that an error prints.

use std::error::Error as _;
use std::fmt::Write as _;

use http::{HeaderName, HeaderValue};
use servicebay::Error;
use servicebay::testing::Step;

/// How often a secret is escaped at most. The crate decodes one level more: JSON is parsed before it is searched.
const MAX_ESCAPES: usize = 3;

/// Runs a future on a clock that jumps to the next timer.
pub fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O can be built").block_on(future)
}

/// The first line of a text, and the rest after it.
pub fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    split(text, b"\n").unwrap_or((text, b""))
}

/// A response, written as a line with the status, lines with headers, an empty line and the body. A header that HTTP does
/// not allow is left out; without a status there is no response.
pub fn response(text: &[u8]) -> Option<Step> {
    let (head, body) = split(text, b"\n\n").unwrap_or((text, b""));
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = str::from_utf8(lines.next()?).ok()?.parse().ok().filter(|status| (200..600).contains(status))?;
    let headers = lines.filter_map(|line| {
        let (name, value) = split(line, b":")?;
        let value = HeaderValue::from_bytes(value.trim_ascii()).ok()?;
        Some((HeaderName::from_bytes(name).ok()?, value))
    });
    let response = Step::body(status, "", body.to_vec());
    Some(headers.fold(response, |response, (name, value)| response.header(name.as_str(), value)))
}

fn split<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(separator.len()).position(|window| window == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// A text with secrets in it.
pub struct SecretText {
    pub text: Vec<u8>,
    /// The secrets in every form that the text has them in.
    forms: Vec<String>,
}

impl SecretText {
    /// Puts secrets into a template. `@1jp;` stands for the second secret, escaped as in JSON and then as in a URL; after the
    /// last secret, numbers start over.
    ///
    /// | letter | escapes |
    /// | --- | --- |
    /// | `j` | what JSON requires, and slashes |
    /// | `u` | every character, as JSON may |
    /// | `p` | every byte, as a URL may |
    /// | `f` | what a form requires |
    /// | `h` | every character, as HTML may |
    /// | `n` | what HTML requires |
    pub fn new(template: &[u8], secrets: &[&str]) -> Self {
        let (mut text, mut forms) = (Vec::new(), Vec::new());
        let mut rest = template;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match (first == b'@').then(|| marker(after, secrets)).flatten() {
                Some((levels, length)) => {
                    text.extend_from_slice(levels.last().expect("the first level is the secret").as_bytes());
                    forms.extend(levels);
                    rest = &after[length..];
                }
                None => text.push(first),
            }
        }
        Self { text, forms }
    }

    /// Fails if a secret is in a text, in a form that it was given in or in one that leads to it.
    pub fn assert_absent_from(&self, printed: &str) {
        for form in &self.forms {
            let debug = format!("{form:?}");
            for form in [form, &debug[1..debug.len() - 1]] {
                assert!(!printed.contains(form), "{form} is in:\n{printed}");
            }
        }
    }
}

/// The levels of escaping of the secret that a marker stands for, and the length of the marker.
fn marker(text: &[u8], secrets: &[&str]) -> Option<(Vec<String>, usize)> {
    let digits = text.iter().take(1).filter(|byte| byte.is_ascii_digit()).count();
    let index = text[..digits].first().map_or(0, |digit| usize::from(digit - b'0'));
    let letters = text[digits..].iter().take(MAX_ESCAPES + 1).position(|byte| *byte == b';')?;
    let mut levels = vec![secrets[index % secrets.len()].to_owned()];
    for letter in &text[digits..digits + letters] {
        levels.push(escaped(&levels[levels.len() - 1], *letter)?);
    }
    Some((levels, digits + letters + 1))
}

fn escaped(text: &str, letter: u8) -> Option<String> {
    Some(match letter {
        b'j' => {
            let json = serde_json::Value::from(text).to_string();
            json[1..json.len() - 1].replace('/', "\\/")
        }
        b'u' => text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        b'p' => text.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        b'f' => text.bytes().fold(String::new(), |mut form, byte| {
            match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => form.push(byte.into()),
                b' ' => form.push('+'),
                _ => write!(form, "%{byte:02x}").expect("a string can be written to"),
            }
            form
        }),
        b'h' => text.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        b'n' => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"),
        _ => return None,
    })
}

/// Appends everything that can be printed of an error.
pub fn print(printed: &mut String, error: &Error) {
    let mut add = |text: &dyn std::fmt::Debug| writeln!(printed, "{text:?}").expect("a string can be written to");
    add(&format_args!("{error} {error:?} {error:#?} {}", error.support_report()));
    let mut source = error.source();
    while let Some(cause) = source {
        add(&format_args!("{cause} {cause:?}"));
        source = cause.source();
    }
    if let Some(call) = error.call_error() {
        add(&format_args!("{} {:?} {:?}", call.url(), call.request_id(), call.code()));
        add(&format_args!("{:?} {}", call.message(), call.reason()));
        printed.push_str(&String::from_utf8_lossy(call.body()));
    }
}
