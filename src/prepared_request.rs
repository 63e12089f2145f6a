//! A request as it would be sent, to look at.

use std::fmt;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, USER_AGENT};
use url::Url;

use crate::transport::RequestBody;

/// A request as it would be sent, without a secret. Made by [`RawRequest::prepare`](crate::RawRequest::prepare).
///
/// It prints as a command line of curl for a POSIX shell. The token, and the values of headers that may be secrets, are
/// variables of the shell. The URL and the body are printed as they are: they may name customers. A body that is not text, or has
/// files among its parts, is shown as a file `body`, which you have to write. `Debug` omits the body.
///
/// # Example
///
/// ```
/// use http::Method;
///
/// # fn main() -> Result<(), servicebay::Error> {
/// let credentials = servicebay::fixably::Credentials::bearer("secret");
/// let client = servicebay::fixably::Client::builder(credentials).with_tenant("acme").build()?;
/// let note = serde_json::json!({"text": "Battery isn't original"});
/// let request = client.request(Method::POST, "orders/1/notes").json(&note).prepare()?;
/// assert_eq!(request.url().path(), "/api/v3/orders/1/notes");
/// println!("{request}");
/// # let printed = request.to_string();
/// # assert!(printed.starts_with("curl -g -X POST 'https://acme.fixably.com/api/v3/orders/1/notes'"), "{printed}");
/// # assert!(printed.contains(r#"-H "authorization: Bearer $TOKEN""#) && !printed.contains("secret"), "{printed}");
/// # assert!(printed.ends_with(r#"--data-raw '{"text":"Battery isn'\''t original"}'"#), "{printed}");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PreparedRequest {
    method: Method,
    url: Url,
    headers: HeaderMap,
    /// The header that the token is sent in, and the scheme before it.
    token: Option<(HeaderName, Option<&'static str>)>,
    body: Option<RequestBody>,
}

impl PreparedRequest {
    pub(crate) fn new(
        method: Method,
        url: Url,
        headers: HeaderMap,
        token: Option<(HeaderName, Option<&'static str>)>,
        body: Option<RequestBody>,
    ) -> Self {
        Self { method, url, headers, token, body }
    }

    /// The HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL with its query.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The headers besides the token, and those that the connection adds.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, if all of it is in memory: not that of a file or a stream. Empty if there is none.
    pub fn body(&self) -> &Bytes {
        static EMPTY: Bytes = Bytes::new();
        self.body.as_ref().and_then(RequestBody::as_bytes).unwrap_or(&EMPTY)
    }
}

impl fmt::Display for PreparedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without `-g`, brackets in the URL would be patterns.
        match self.method {
            Method::HEAD => f.write_str("curl -g --head ")?,
            ref method => write!(f, "curl -g -X {method} ")?,
        }
        f.write_str(&quoted(self.url.as_str()))?;
        if let Some((name, scheme)) = &self.token {
            let space = if scheme.is_some() { " " } else { "" };
            write!(f, " -H \"{name}: {}{space}$TOKEN\"", scheme.unwrap_or_default())?;
        }
        for (name, value) in &self.headers {
            match shown(name, value) {
                Some(value) => write!(f, " -H {}", quoted(&format!("{name}: {value}")))?,
                None => write!(f, " -H \"{name}: ${}\"", variable(name))?,
            }
        }
        let Some(body) = &self.body else { return Ok(()) };
        if let Some(path) = body.path() {
            return write!(f, " --data-binary {}", quoted(&format!("@{}", path.display())));
        }
        match body.as_bytes().and_then(|body| std::str::from_utf8(body).ok()) {
            Some("") => Ok(()),
            Some(text) if !text.contains('\0') => write!(f, " --data-raw {}", quoted(text)),
            _ => f.write_str(" --data-binary @body"),
        }
    }
}

impl fmt::Debug for PreparedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedRequest")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// The value of a header, if it is no secret.
fn shown<'a>(name: &HeaderName, value: &'a HeaderValue) -> Option<&'a str> {
    let is_plain = [ACCEPT, CONTENT_TYPE, IF_NONE_MATCH, USER_AGENT].contains(name);
    value.to_str().ok().filter(|_| is_plain)
}

/// The variable of the shell that stands for the value of a header.
fn variable(name: &HeaderName) -> String {
    name.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
