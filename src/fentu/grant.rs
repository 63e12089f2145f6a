//! The token requests of a registered application: exchange of a code, refresh, and revocation.

use std::time::Duration;

use http::Method;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::error_body;
use crate::auth::{
    ErrorWords, Grant, Granted, Lives, Place, TokenBody, TokenRequest, TokenSet, VendorRefusals, check_text,
};
use crate::error::Error;
use crate::operation::Operation;

/// Documented, and so are the fields of a refresh.
pub(super) static EXCHANGE: Operation = Operation::new("exchange_code", Method::POST, "/oauth/token");
static REFRESH: Operation = Operation::new("refresh_token", Method::POST, "/oauth/token");
/// Only its existence is documented; the fields are those of RFC 7009.
static REVOKE: Operation = Operation::new("revoke_token", Method::POST, "/oauth/revoke");

/// Documented: 1 hour, and 30 days.
const LIVES: Lives =
    Lives { access: Some(Duration::from_secs(3600)), refresh: Some(Duration::from_secs(30 * 24 * 3600)) };

/// No code is documented. These are what other servers respond with in place of `invalid_grant`. The API documents 401 for a token
/// that is not valid.
const REFUSALS: VendorRefusals =
    VendorRefusals { codes: &["bad_refresh_token", "bad_verification_code", "invalid_token"], statuses: &[401] };

/// The grant of a registered application.
#[derive(Clone, Debug)]
pub(super) struct CodeGrant {
    client_id: String,
    client_secret: SecretString,
}

impl CodeGrant {
    pub(super) fn new(client_id: String, client_secret: SecretString) -> Result<Self, Error> {
        check_text("client_id", &client_id)?;
        check_text("client_secret", client_secret.expose_secret())?;
        Ok(Self { client_id, client_secret })
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The request that exchanges a code for tokens (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
    pub(super) fn exchange(&self, code: String, redirect_uri: String, verifier: &SecretString) -> TokenRequest {
        let mut fields = self.fields("authorization_code");
        let secrets = vec![code.clone().into(), verifier.clone()];
        fields.push(("code", code));
        fields.push(("redirect_uri", redirect_uri));
        fields.push(("code_verifier", verifier.expose_secret().to_owned()));
        TokenRequest::new(&EXCHANGE, Place::Root, TokenBody::Form(fields)).with_secrets(secrets)
    }

    fn fields(&self, kind: &str) -> Vec<(&'static str, String)> {
        vec![
            ("grant_type", kind.to_owned()),
            ("client_id", self.client_id.clone()),
            ("client_secret", self.client_secret.expose_secret().to_owned()),
        ]
    }
}

impl Grant for CodeGrant {
    fn client_id(&self) -> Option<&str> {
        Some(&self.client_id)
    }

    fn can_log_in(&self) -> bool {
        false
    }

    fn login(&self) -> Option<TokenRequest> {
        None
    }

    fn refresh(&self, tokens: &TokenSet, _access_is_valid: bool) -> Option<TokenRequest> {
        let mut fields = self.fields("refresh_token");
        fields.push(("refresh_token", tokens.refresh_token()?.expose_secret().to_owned()));
        let secrets = tokens.secrets();
        Some(TokenRequest::new(&REFRESH, Place::Root, TokenBody::Form(fields)).with_secrets(secrets))
    }

    fn revoke(&self, tokens: &TokenSet) -> Vec<TokenRequest> {
        let access = tokens.access_token();
        let Ok(bearer) = HeaderValue::try_from(format!("Bearer {}", access.expose_secret())) else {
            return Vec::new();
        };
        // The refresh token first: the access token authenticates both requests.
        let each = tokens.refresh_token().into_iter().chain([access]);
        each.map(|token| {
            let fields = vec![("token", token.expose_secret().to_owned())];
            let request = TokenRequest::new(&REVOKE, Place::Root, TokenBody::Form(fields));
            let mut request = request.with_secrets(tokens.secrets());
            let mut bearer = bearer.clone();
            bearer.set_sensitive(true);
            request.headers.push((AUTHORIZATION, bearer));
            request
        })
        .collect()
    }

    fn read(&self, body: &Value) -> Result<Granted, &'static str> {
        Granted::oauth(body)
    }

    /// The shape is that of RFC 6749, or, from the API before it, that of the API's own errors.
    fn read_error(&self, body: &Value) -> ErrorWords {
        let error = error_body::read(body);
        ErrorWords {
            message: error.message,
            code: error.code,
            is_vendor_shape: body.pointer("/error/code").is_some_and(Value::is_string),
        }
    }

    fn refusals(&self) -> VendorRefusals {
        REFUSALS
    }

    fn header(&self) -> (HeaderName, Option<&'static str>) {
        (AUTHORIZATION, Some("Bearer"))
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.client_secret]
    }

    fn lives(&self) -> Lives {
        LIVES
    }
}
