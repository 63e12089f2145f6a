//! The headers that a caller adds to requests.

use std::fmt;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::idempotency_key::IDEMPOTENCY_KEY;

/// The headers that no caller can set: those of the credentials, and those that the HTTP client needs to frame a message.
const RESERVED: [HeaderName; 11] = [
    header::ACCEPT_ENCODING,
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::COOKIE,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The headers that a caller adds to requests, each with one value. The first invalid one is kept until a request is sent.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct CallHeaders {
    headers: Vec<(HeaderName, HeaderValue)>,
    error: Option<InvalidCallHeader>,
}

/// A header that cannot be sent, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidCallHeader {
    pub(crate) name: String,
    pub(crate) reason: &'static str,
}

impl CallHeaders {
    /// Sets a header, in place of the value that was set before.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match parse(name, value) {
            Ok((name, value)) => {
                self.headers.retain(|(other, _)| *other != name);
                self.headers.push((name, value));
            }
            Err(reason) => self.refuse(name, reason),
        }
    }

    /// Removes a header.
    pub(crate) fn remove(&mut self, name: &HeaderName) {
        self.headers.retain(|(other, _)| other != name);
    }

    pub(crate) fn refuse(&mut self, name: &str, reason: &'static str) {
        if self.error.is_none() {
            // A value may be a secret; the name is cut, because a caller may have swapped the two.
            let name = name.chars().filter(|c| !c.is_control()).take(40).collect();
            self.error = Some(InvalidCallHeader { name, reason });
        }
    }

    /// Adds the headers of `others`, which replace those of the same name.
    pub(crate) fn extend(&mut self, others: Self) {
        self.headers.retain(|(name, _)| others.headers.iter().all(|(other, _)| other != name));
        self.headers.extend(others.headers);
        self.error = self.error.take().or(others.error);
    }

    /// Why the headers cannot be sent with a client that sends the headers `own` itself.
    pub(crate) fn error(&self, own: &[(HeaderName, HeaderValue)]) -> Option<InvalidCallHeader> {
        let is_own = |name: &HeaderName| {
            own.iter().any(|(own, _)| own == name) && !matches!(*name, header::ACCEPT | header::USER_AGENT)
        };
        let taken = || self.headers.iter().find(|(name, _)| is_own(name));
        let taken = || taken().map(|(name, _)| InvalidCallHeader { name: name.to_string(), reason: CREDENTIALS });
        self.error.clone().or_else(taken)
    }

    /// Adds the headers to those of a request.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
    }

    /// Whether the caller has set this header.
    pub(crate) fn contains(&self, name: &HeaderName) -> bool {
        self.headers.iter().any(|(other, _)| other == name)
    }

    /// Names and values, which are visible ASCII.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
    }

    pub(crate) fn len(&self) -> usize {
        self.headers.len()
    }
}

const CREDENTIALS: &str = "is set by the client: change the credentials instead";

fn parse(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::try_from(name).map_err(|_| "is not the name of a header, such as X-Request-Source")?;
    if RESERVED.contains(&name) {
        return Err(CREDENTIALS);
    }
    let value = HeaderValue::from_str(value.trim_matches([' ', '\t'])).ok();
    if name == IDEMPOTENCY_KEY && value.as_ref().is_some_and(HeaderValue::is_empty) {
        return Err("is empty, so every write would have the same one: use IdempotencyKey::random()");
    }
    // What servers make of bytes outside ASCII differs from one to the next.
    let Some(mut value) = value.filter(|value| value.to_str().is_ok()) else {
        return Err("has a value with characters that no header can contain: send visible ASCII, encoded if need be");
    };
    // It may be a secret of the caller's.
    value.set_sensitive(true);
    Ok((name, value))
}

/// Without the values, which may be secrets.
impl fmt::Debug for CallHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.headers.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> CallHeaders {
        let mut headers = CallHeaders::default();
        for (name, value) in pairs {
            headers.set(name, value);
        }
        headers
    }

    fn sent(headers: &CallHeaders) -> Vec<(String, String)> {
        let mut map = HeaderMap::new();
        headers.add_to(&mut map);
        let mut sent: Vec<_> =
            map.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        sent.sort();
        sent
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn the_last_value_of_a_header_counts() {
        let mut headers = headers(&[("X-Source", "a"), ("x-trace", " t "), ("x-source", "b")]);
        assert_eq!(sent(&headers), [pair("x-source", "b"), pair("x-trace", "t")]);
        let mut others = CallHeaders::default();
        others.set("X-SOURCE", "c");
        headers.extend(others);
        assert_eq!(sent(&headers), [pair("x-source", "c"), pair("x-trace", "t")]);
        assert_eq!((headers.error(&[]), headers.len()), (None, 2));
    }

    #[test]
    fn headers_of_the_credentials_and_of_the_message_cannot_be_set() {
        for name in ["Authorization", "proxy-authorization", "Cookie", "Host", "content-length", "Transfer-Encoding"] {
            let error = headers(&[("x-ok", "1"), (name, "v"), ("other", "\n")]).error(&[]).unwrap();
            assert_eq!((error.name.as_str(), error.reason), (name, CREDENTIALS));
        }
        let value = HeaderValue::from_static("v");
        let own = [
            (HeaderName::from_static("x-partner-id"), value.clone()),
            (header::ACCEPT, value.clone()),
            (header::USER_AGENT, value),
        ];
        let error = headers(&[("Accept", "application/pdf"), ("X-Partner-ID", "1")]).error(&own).unwrap();
        assert_eq!((error.name.as_str(), error.reason), ("x-partner-id", CREDENTIALS));
        assert_eq!(headers(&[("Accept", "application/pdf"), ("user-agent", "x")]).error(&own), None);
    }

    #[test]
    fn an_idempotency_key_is_not_empty() {
        for key in ["", " ", "\t"] {
            let error = headers(&[("Idempotency-Key", key)]).error(&[]).unwrap();
            assert!(error.reason.starts_with("is empty"), "{}", error.reason);
        }
        assert_eq!(headers(&[("Idempotency-Key", "7"), ("X-Empty", "")]).error(&[]), None);
    }

    #[test]
    fn an_invalid_name_or_value_is_an_error_without_the_value() {
        for (name, value) in
            [("", "v"), ("a b", "v"), ("näme", "v"), ("x", "line\r\nx-evil: 1"), ("x", "ü"), ("x", "\0")]
        {
            let error = headers(&[(name, value)]).error(&[]).unwrap();
            assert_eq!(error.name, name);
            assert!(!format!("{error:?}").contains("evil"), "{error:?}");
        }
        let long = "n".repeat(100) + " ";
        assert_eq!(headers(&[(&long, "v")]).error(&[]).unwrap().name.len(), 40);
        assert_eq!(format!("{:?}", headers(&[("x-key", "secret-value")])), r#"["x-key"]"#);
    }
}
