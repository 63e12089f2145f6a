//! The parameters of a token request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};

use crate::testing::body;

/// The parameters of a token request, from a form or a JSON body, with the client credentials in the body or in the
/// `Basic` header.
pub(super) struct TokenForm(Map<String, Value>);

impl TokenForm {
    pub(super) fn parse(request: &Request<Bytes>) -> Self {
        let mut params = match body::form(request) {
            Some(form) => form.fields.into_iter().map(|(name, value)| (name, value.into())).collect(),
            None => body::json_object(request).unwrap_or_default(),
        };
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let basic = header.and_then(|header| STANDARD.decode(header.strip_prefix("Basic ")?).ok());
        let basic = basic.and_then(|pair| String::from_utf8(pair).ok());
        if let Some((id, secret)) = basic.as_deref().and_then(|pair| pair.split_once(':')) {
            params.insert("client_id".to_owned(), id.into());
            params.insert("client_secret".to_owned(), secret.into());
        }
        Self(params)
    }

    /// A parameter that is text and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|value| !value.is_empty())
    }
}
