//! How Repairy grants tokens: for key and secret, then again for both tokens of a pair that still lives.

use std::borrow::Cow;
use std::time::Duration;

use http::Method;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::refusal;
use crate::auth::{Body, Grant, Granted, Lives, Place, TokenRequest, TokenSet, life};
use crate::error::Error;
use crate::operation::Operation;

/// Both documented by method and path ([source](https://docs.partners.repairy.au/access-token-14778975e0)).
static LOGIN: Operation = Operation::new("access_token", Method::POST, "/auth/token");
static REFRESH: Operation = Operation::new("refresh_token", Method::POST, "/auth/refresh");

/// What the vendor documents: 48 hours, and 14 days.
const LIVES: Lives =
    Lives { access: Some(Duration::from_secs(48 * 3600)), refresh: Some(Duration::from_secs(14 * 24 * 3600)) };

/// The app of a partner.
#[derive(Debug)]
pub(super) struct AppGrant {
    app_key: String,
    app_secret: SecretString,
}

impl AppGrant {
    pub(super) fn new(app_key: String, app_secret: SecretString) -> Result<Self, Error> {
        for (field, text) in [("app_key", app_key.as_str()), ("app_secret", app_secret.expose_secret())] {
            if text.is_empty() || text.trim() != text {
                return Err(Error::config(field, "is empty, or begins or ends with white space"));
            }
        }
        Ok(Self { app_key, app_secret })
    }
}

impl Grant for AppGrant {
    fn login(&self) -> Option<TokenRequest> {
        let body = json!({"appKey": self.app_key, "appSecret": self.app_secret.expose_secret()});
        Some(TokenRequest::new(&LOGIN, Place::Base, Body::Json(body)))
    }

    /// The vendor asks for the access token that is still valid, and for the refresh token. Where each goes it does not
    /// say; the header is where every request has the first, and the body is assumed for the second.
    fn refresh(&self, tokens: &TokenSet, access_lives: bool) -> Option<TokenRequest> {
        let refresh = tokens.refresh_token().filter(|_| access_lives)?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", tokens.access_token().expose_secret())).ok()?;
        bearer.set_sensitive(true);
        let body = json!({"refreshToken": refresh.expose_secret()});
        let mut request = TokenRequest::new(&REFRESH, Place::Base, Body::Json(body));
        request.headers.push((AUTHORIZATION, bearer));
        Some(request)
    }

    /// The vendor promises both tokens and does not show their names; these are in its own spelling. It promises one form
    /// for all answers too, so that they may be wrapped in something.
    fn read(&self, body: &Value) -> Result<Granted, Cow<'static, str>> {
        let holds = |value: &&Value| value.get("accessToken").is_some();
        let inside = || body.as_object().and_then(|fields| fields.values().find(holds));
        let pair = Some(body).filter(holds).or_else(inside).ok_or("the answer holds no accessToken")?;
        let text = |name: &str| pair.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Ok(Granted {
            access: text("accessToken").ok_or("the answer's accessToken is empty, or no text")?.into(),
            refresh: text("refreshToken").map(Into::into),
            access_life: pair.get("expiresIn").and_then(life),
            refresh_life: pair.get("refreshExpiresIn").and_then(life),
        })
    }

    fn explain(&self, body: &Value) -> (Option<String>, Option<String>) {
        let explanation = refusal::explain(body);
        (explanation.message, explanation.code)
    }

    fn header(&self) -> (HeaderName, Option<&'static str>) {
        (AUTHORIZATION, Some("Bearer"))
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.app_secret]
    }

    fn needs_living_access(&self) -> bool {
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
    fn a_pair_is_read_whether_or_not_it_is_wrapped() {
        let pair = json!({"accessToken": "a", "refreshToken": "r", "expiresIn": 172_800});
        for body in [pair.clone(), json!({"success": true, "data": pair})] {
            let granted = grant().read(&body).unwrap();
            assert_eq!(granted.access.expose_secret(), "a", "{body}");
            assert_eq!(granted.refresh.unwrap().expose_secret(), "r");
            assert_eq!(granted.access_life, Some(Duration::from_secs(172_800)));
        }
    }

    #[test]
    fn an_answer_without_an_access_token_grants_nothing() {
        for body in [json!({}), json!([]), json!({"accessToken": ""}), json!({"accessToken": 7}), json!({"data": {}})] {
            assert!(grant().read(&body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_refresh_takes_an_access_token_that_lives() {
        let pair = TokenSet::new("a").with_refresh_token("r");
        let request = grant().refresh(&pair, true).unwrap();
        assert_eq!(request.headers[0].1, "Bearer a");
        assert!(grant().refresh(&pair, false).is_none());
        assert!(grant().refresh(&TokenSet::new("a"), true).is_none());
    }
}
