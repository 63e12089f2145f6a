//! The token requests of a partner's app: login with key and secret, and refresh with both current tokens.

use std::time::Duration;

use http::Method;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::error_body;
use crate::auth::{
    ErrorWords, Grant, Granted, Lives, Place, TokenBody, TokenRequest, TokenSet, VendorRefusals, check_text,
    is_gateway_phrase, life,
};
use crate::error::Error;
use crate::operation::Operation;

/// Methods and paths are documented ([source](https://docs.partners.repairy.au/access-token-14778975e0)).
static LOGIN: Operation = Operation::new("access_token", Method::POST, "/auth/token");
static REFRESH: Operation = Operation::new("refresh_token", Method::POST, "/auth/refresh");

/// Documented: 48 hours, and 14 days.
const LIVES: Lives =
    Lives { access: Some(Duration::from_secs(48 * 3600)), refresh: Some(Duration::from_secs(14 * 24 * 3600)) };

/// The grant of a partner's app.
#[derive(Debug)]
pub(super) struct AppGrant {
    app_key: String,
    app_secret: SecretString,
}

impl AppGrant {
    pub(super) fn new(app_key: String, app_secret: SecretString) -> Result<Self, Error> {
        check_text("app_key", &app_key)?;
        check_text("app_secret", app_secret.expose_secret())?;
        Ok(Self { app_key, app_secret })
    }
}

impl Grant for AppGrant {
    fn can_log_in(&self) -> bool {
        true
    }

    fn login(&self) -> Option<TokenRequest> {
        let body = json!({"appKey": self.app_key, "appSecret": self.app_secret.expose_secret()});
        Some(TokenRequest::new(&LOGIN, Place::Base, TokenBody::Json(body)))
    }

    /// The vendor requires both the refresh token and an access token that is still valid. Where to put them is not
    /// documented. The access token goes into the header, as in every request; the body is assumed for the refresh token.
    fn refresh(&self, tokens: &TokenSet, access_is_valid: bool) -> Option<TokenRequest> {
        let refresh = tokens.refresh_token().filter(|_| access_is_valid)?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", tokens.access_token().expose_secret())).ok()?;
        bearer.set_sensitive(true);
        let body = json!({"refreshToken": refresh.expose_secret()});
        let mut request = TokenRequest::new(&REFRESH, Place::Base, TokenBody::Json(body));
        request.headers.push((AUTHORIZATION, bearer));
        Some(request.with_secrets(tokens.secrets()))
    }

    /// The vendor promises both tokens but does not show the names of the fields; these follow its usual spelling. The tokens
    /// may be in a wrapper, as in every response.
    fn read(&self, body: &Value) -> Result<Granted, &'static str> {
        let holds = |value: &&Value| value.get("accessToken").is_some();
        let inside = || body.as_object().and_then(|fields| fields.values().find(holds));
        let pair = Some(body).filter(holds).or_else(inside).ok_or("the response has no accessToken")?;
        let text = |name: &str| pair.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Ok(Granted {
            access: text("accessToken").ok_or("the accessToken in the response is empty or not text")?.into(),
            refresh: text("refreshToken").map(Into::into),
            access_life: pair.get("expiresIn").and_then(life),
            refresh_life: pair.get("refreshExpiresIn").and_then(life),
        })
    }

    /// A gateway has a `message` too, but says nothing more than its status, and nothing else.
    fn read_error(&self, body: &Value) -> ErrorWords {
        let error = error_body::read(body);
        let is_of_gateway = body.as_object().is_some_and(|fields| fields.len() == 1)
            && error.message.as_deref().is_some_and(is_gateway_phrase);
        let is_vendor_shape = !is_of_gateway && (error.message.is_some() || error.code.is_some());
        ErrorWords { message: error.message, code: error.code, is_vendor_shape }
    }

    /// The vendor names no codes. Its statuses for a wrong key, a wrong secret and an expired token are the usual ones.
    fn refusals(&self) -> VendorRefusals {
        VendorRefusals { codes: &[], statuses: &[401, 403] }
    }

    fn header(&self) -> (HeaderName, Option<&'static str>) {
        (AUTHORIZATION, Some("Bearer"))
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.app_secret]
    }

    fn needs_valid_access(&self) -> bool {
        true
    }

    fn lives(&self) -> Lives {
        LIVES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> AppGrant {
        AppGrant::new("key".to_owned(), "secret".into()).unwrap()
    }

    #[test]
    fn tokens_are_read_with_and_without_a_wrapper() {
        let pair = json!({"accessToken": "a", "refreshToken": "r", "expiresIn": 172_800});
        for body in [pair.clone(), json!({"success": true, "data": pair})] {
            let granted = grant().read(&body).unwrap();
            assert_eq!(granted.access.expose_secret(), "a", "{body}");
            assert_eq!(granted.refresh.unwrap().expose_secret(), "r");
            assert_eq!(granted.access_life, Some(Duration::from_secs(172_800)));
        }
    }

    #[test]
    fn a_response_without_an_access_token_is_an_error() {
        for body in [json!({}), json!([]), json!({"accessToken": ""}), json!({"accessToken": 7}), json!({"data": {}})] {
            assert!(grant().read(&body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_refresh_needs_a_valid_access_token() {
        let pair = TokenSet::new("a").with_refresh_token("r");
        let request = grant().refresh(&pair, true).unwrap();
        assert_eq!(request.headers[0].1, "Bearer a");
        assert!(grant().refresh(&pair, false).is_none());
        assert!(grant().refresh(&TokenSet::new("a"), true).is_none());
    }
}
