//! The way to endpoints that this crate does not model.

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client_inner::ClientInner;
use crate::error::{Error, Postponed};
use crate::operation::Operation;
use crate::request::Request;
use crate::response::Response;

/// A request to an endpoint that this crate does not model, with the same credentials, pacing, retries and errors as
/// any other.
///
/// # Example
///
/// ```
/// use http::Method;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let tenant = servicebay::testing::fixably::MockServer::start().await;
/// # let client = tenant.client()?;
/// let order = client.request(Method::GET, "orders/20000010").query("expand", "customer");
/// let order = order.send::<serde_json::Value>().await?;
/// assert_eq!(order["id"], 20000010);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a request is sent by `send`"]
pub struct RawRequest {
    request: Request,
}

impl RawRequest {
    pub(crate) fn new(client: &ClientInner, method: Method, path: &str) -> Self {
        let mut request = Request::new(client, operation(&method));
        request.set_method(method);
        match below_base(path) {
            Ok(path) => request.append(path),
            Err(reason) => request.refuse("path", reason),
        }
        Self { request }
    }

    /// The request that was put off, to be sent by this client.
    pub(crate) fn resumed(client: &ClientInner, vendor: &'static str, postponed: &Postponed) -> Self {
        let method = postponed.method().clone();
        let mut request = Request::new(client, operation(&method));
        request.set_method(method);
        request.set_idempotent(postponed.is_idempotent());
        match rest(client, postponed) {
            Some(path) if postponed.vendor() == vendor => {
                request.append(path);
                request.append_query(postponed.url().query());
                request.set_body(postponed.body());
            }
            _ => request.refuse("postponed", "was to be sent to another vendor or tenant than this client's"),
        }
        Self { request }
    }

    /// Adds a parameter to the query. Errors and spans show the path and the query as they are, so neither is a place
    /// for a secret.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.request.query(name, Some(&value.to_string()));
        self
    }

    /// Sets a JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.request.json(Some(body));
        self
    }

    /// Whether sending the request twice has the effect of sending it once. Default: yes for GET, HEAD, PUT, DELETE
    /// and OPTIONS, no for the others. Only then is it repeated when its answer is lost.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.request.set_idempotent(idempotent);
        self
    }

    /// Sends the request and reads the answer as `T`, for which [`serde_json::Value`] always fits.
    ///
    /// # Errors
    ///
    /// As every call: see [`Error`].
    pub async fn send<T: DeserializeOwned>(self) -> Result<Response<T>, Error> {
        self.request.send_raw().await
    }
}

/// What stands below the client's base in the address of a call that was put off.
fn rest<'a>(client: &ClientInner, postponed: &'a Postponed) -> Option<&'a str> {
    client.below_base(postponed.url()).filter(|rest| below_base(rest).is_ok())
}

/// A path that stays below the base URL, without the slash that may begin it.
fn below_base(path: &str) -> Result<&str, &'static str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() || path.starts_with('/') || path.contains("://") {
        return Err("has to be relative to the base URL, such as orders/1");
    }
    if path.contains(['?', '#', '\\']) || path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("cannot hold a query, a fragment, a backslash or white space; set parameters with .query(..)");
    }
    let climbs = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if path.split('/').any(climbs) {
        return Err("cannot climb with . or ..");
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
    fn a_path_stays_below_the_base() {
        assert_eq!(below_base("orders/1/anything"), Ok("orders/1/anything"));
        assert_eq!(below_base("/orders"), Ok("orders"));
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
            assert!(below_base(path).is_err(), "{path}");
        }
    }
}
