//! Requests to endpoints that this crate does not model.

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client_inner::ClientInner;
use crate::decode;
use crate::error::{Error, Postponed};
use crate::operation::Operation;
use crate::request::Request;
use crate::response::Response;

/// A request to an endpoint that this crate does not model. It uses the client's credentials, rate limit, retries and errors
/// like any other call. Made by a client's `request`.
///
/// # Example
///
/// ```
/// use http::Method;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = servicebay::testing::fixably::MockServer::start().await;
/// # let client = server.client()?;
/// let order = client.request(Method::GET, "orders/20000010").query("expand", "customer");
/// let order = order.send::<serde_json::Value>().await?;
/// assert_eq!(order["id"], 20000010);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a request does nothing until `send` is called"]
pub struct RawRequest {
    request: Request,
}

impl RawRequest {
    pub(crate) fn new(client: &ClientInner, method: Method, path: &str) -> Self {
        let mut request = Request::new(client, operation(&method));
        request.set_method(method);
        match relative(path) {
            Ok(path) => request.append_path(path),
            Err(reason) => request.refuse("path", reason),
        }
        Self { request }
    }

    /// The request of a postponed call.
    pub(crate) fn resume(client: &ClientInner, vendor: &'static str, postponed: &Postponed) -> Self {
        let method = postponed.method().clone();
        let mut request = Request::new(client, operation(&method));
        request.set_method(method);
        request.set_idempotent(postponed.is_idempotent());
        match client.relative_path(postponed.url()).and_then(|path| relative(path).ok()) {
            Some(path) if postponed.vendor() == vendor => {
                request.append_path(path);
                request.append_query(postponed.url().query());
                request.set_body(postponed.body());
            }
            _ => {
                request.refuse("postponed", "belongs to another vendor or tenant: resume it with a client of that one")
            }
        }
        Self { request }
    }

    /// Adds a parameter to the query. Errors and spans show the path and the query: do not put secrets into either.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.request.query(name, Some(&value.to_string()));
        self
    }

    /// Sets a JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.request.json(Some(body));
        self
    }

    /// Sets whether sending the request twice has the effect of sending it once. Only then does the client repeat it after its
    /// response was lost. Default: true for GET, HEAD, OPTIONS, PUT and DELETE, false for other methods.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.request.set_idempotent(idempotent);
        self
    }

    /// Sends the request and decodes the response as `T`. [`serde_json::Value`] fits every response.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] like every call; [`Error::InvalidRequest`] if the path or the query is invalid.
    pub async fn send<T: DeserializeOwned>(self) -> Result<Response<T>, Error> {
        self.request.send(decode::document).await
    }
}

/// Checks that a path stays below the base URL, and strips its leading slash.
fn relative(path: &str) -> Result<&str, &'static str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() || path.starts_with('/') || path.contains("://") {
        return Err("must be relative to the base URL, such as orders/1");
    }
    if path.contains(['?', '#', '\\']) || path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("must not contain a query, a fragment, a backslash or white space: set parameters with .query(..)");
    }
    let is_dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if path.split('/').any(is_dots) {
        return Err("must not contain the segments . and ..");
    }
    Ok(path)
}

fn operation(method: &Method) -> &'static Operation {
    static READ: Operation = Operation::new("request", Method::GET, "/").idempotent(true);
    static PUT: Operation = Operation::new("request", Method::PUT, "/").idempotent(true);
    static DELETE: Operation = Operation::new("request", Method::DELETE, "/").idempotent(true);
    static PATCH: Operation = Operation::new("request", Method::PATCH, "/");
    static OTHER: Operation = Operation::new("request", Method::POST, "/");
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => &READ,
        Method::PUT => &PUT,
        Method::DELETE => &DELETE,
        Method::PATCH => &PATCH,
        _ => &OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_base_url() {
        assert_eq!(relative("orders/1/anything"), Ok("orders/1/anything"));
        assert_eq!(relative("/orders"), Ok("orders"));
        for path in [
            "",
            "/",
            "//evil.com/x",
            "https://evil.com/x",
            "a/../../b",
            "a/%2E%2e/b",
            "./a",
            "a?b=c",
            "a#b",
            "a b",
            "a\\b",
        ] {
            assert!(relative(path).is_err(), "{path}");
        }
    }
}
