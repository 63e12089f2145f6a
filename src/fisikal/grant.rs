//! The token requests of both logins: an application with a user's password, and a user alone.

use http::Method;
use http::header::{AUTHORIZATION, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::error_body;
use crate::auth::{
    ErrorWords, Grant, Granted, Lives, Place, TokenBody, TokenRequest, TokenSet, VendorRefusals, check_present,
    check_text, is_gateway_phrase,
};
use crate::error::Error;
use crate::operation::Operation;

/// The header of a session token.
pub(super) const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-fisikal-token");

/// The path is documented; the fields are those of Doorkeeper, which the vendor's server looks like.
static TOKEN: Operation = Operation::new("access_token", Method::POST, "/oauth/token");
static REFRESH: Operation = Operation::new("refresh_token", Method::POST, "/oauth/token");
static REVOKE: Operation = Operation::new("revoke_token", Method::POST, "/oauth/revoke");
/// Documented on a page that the vendor has since withdrawn.
static SESSIONS: Operation = Operation::new("log_in", Method::POST, "/api/unified/sessions/auth");

/// The grant of a registered application that acts for a user.
#[derive(Debug)]
pub(super) struct PasswordGrant {
    client_id: String,
    client_secret: SecretString,
    username: String,
    password: SecretString,
}

impl PasswordGrant {
    pub(super) fn new(
        client_id: String,
        client_secret: SecretString,
        username: String,
        password: SecretString,
    ) -> Result<Self, Error> {
        check_text("client_id", &client_id)?;
        check_text("client_secret", client_secret.expose_secret())?;
        check_text("username", &username)?;
        check_present("password", password.expose_secret())?;
        Ok(Self { client_id, client_secret, username, password })
    }

    /// The fields of a request, with the application's id and secret. They go into the body: a `Basic` header would work
    /// too, but would be one more place to redact.
    fn fields<const N: usize>(&self, more: [(&'static str, &str); N]) -> TokenBody {
        let application = [("client_id", &*self.client_id), ("client_secret", self.client_secret.expose_secret())];
        TokenBody::Form(more.into_iter().chain(application).map(|(name, value)| (name, value.to_owned())).collect())
    }
}

impl Grant for PasswordGrant {
    fn can_log_in(&self) -> bool {
        true
    }

    fn login(&self) -> Option<TokenRequest> {
        let body = self.fields([
            ("grant_type", "password"),
            ("username", &self.username),
            ("password", self.password.expose_secret()),
        ]);
        Some(TokenRequest::new(&TOKEN, Place::Base, body))
    }

    fn refresh(&self, tokens: &TokenSet, _access_is_valid: bool) -> Option<TokenRequest> {
        let refresh = tokens.refresh_token()?.expose_secret();
        let body = self.fields([("grant_type", "refresh_token"), ("refresh_token", refresh)]);
        Some(TokenRequest::new(&REFRESH, Place::Base, body).with_secrets(tokens.secrets()))
    }

    fn revoke(&self, tokens: &TokenSet) -> Vec<TokenRequest> {
        let each = tokens.refresh_token().into_iter().chain([tokens.access_token()]);
        let request = |token: &SecretString| {
            let body = self.fields([("token", token.expose_secret())]);
            TokenRequest::new(&REVOKE, Place::Base, body).with_secrets(tokens.secrets())
        };
        each.map(request).collect()
    }

    fn read(&self, body: &Value) -> Result<Granted, &'static str> {
        Granted::oauth(body)
    }

    /// Those of Doorkeeper, which adds the first for a client whose token is over.
    fn refusals(&self) -> VendorRefusals {
        VendorRefusals { codes: &["invalid_token", "bad_refresh_token"], statuses: &[] }
    }

    fn header(&self) -> (HeaderName, Option<&'static str>) {
        (AUTHORIZATION, Some("Bearer"))
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.client_secret, &self.password]
    }

    /// None is documented. If a response does not include one either, a 401 shows that the token has expired.
    fn lives(&self) -> Lives {
        Lives::default()
    }
}

/// The grant of a user without an application.
#[derive(Debug)]
pub(super) struct SessionGrant {
    email: String,
    password: SecretString,
    roles: Vec<String>,
}

impl SessionGrant {
    pub(super) fn new(email: String, password: SecretString, roles: Vec<String>) -> Result<Self, Error> {
        check_text("email", &email)?;
        check_present("password", password.expose_secret())?;
        if roles.is_empty() || roles.iter().any(|role| role.trim().is_empty()) {
            return Err(Error::config("roles", "has no role, or an empty one; the vendor's page shows [\"manager\"]"));
        }
        Ok(Self { email, password, roles })
    }
}

impl Grant for SessionGrant {
    fn can_log_in(&self) -> bool {
        true
    }

    fn login(&self) -> Option<TokenRequest> {
        let password = self.password.expose_secret();
        let body = json!({"email": self.email, "password": password, "roles": self.roles});
        Some(TokenRequest::new(&SESSIONS, Place::Base, TokenBody::Json(body)))
    }

    fn refresh(&self, _tokens: &TokenSet, _access_is_valid: bool) -> Option<TokenRequest> {
        None
    }

    fn read(&self, body: &Value) -> Result<Granted, &'static str> {
        let token = body.pointer("/identity/fisikal_token").and_then(Value::as_str).filter(|token| !token.is_empty());
        let access = token.ok_or("the response has no identity.fisikal_token")?.into();
        Ok(Granted { access, refresh: None, access_life: None, refresh_life: None })
    }

    /// Only this vendor has a list `errors` whose entries have a type, or a code in `error`.
    fn read_error(&self, body: &Value) -> ErrorWords {
        let error = error_body::read(body);
        let code = error.code.filter(|code| !code.is_empty());
        let is_vendor_shape = code.as_ref().is_some_and(|code| !is_gateway_phrase(code));
        ErrorWords { message: error.message, code, is_vendor_shape }
    }

    /// A wrong password is an entry of `errors`; the status is not documented.
    fn refusals(&self) -> VendorRefusals {
        VendorRefusals { codes: &["invalid_token"], statuses: &[401, 403, 422] }
    }

    fn header(&self) -> (HeaderName, Option<&'static str>) {
        (SESSION_TOKEN, None)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.password]
    }

    fn lives(&self) -> Lives {
        Lives::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(request: &TokenRequest) -> Vec<(&'static str, String)> {
        match &request.body {
            TokenBody::Form(fields) => fields.clone(),
            TokenBody::Json(body) => panic!("{body}"),
        }
    }

    #[test]
    fn a_login_sends_the_application_and_the_user_in_a_form() {
        let grant = PasswordGrant::new("id".into(), "secret".into(), "a@b.example".into(), " pass ".into()).unwrap();
        let fields = form(&grant.login().unwrap());
        let expected = [
            ("grant_type", "password"),
            ("username", "a@b.example"),
            ("password", " pass "),
            ("client_id", "id"),
            ("client_secret", "secret"),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name, value.to_owned())));
        assert!(grant.refresh(&TokenSet::new("a"), true).is_none());
        let refresh = grant.refresh(&TokenSet::new("a").with_refresh_token("r"), false).unwrap();
        assert_eq!(form(&refresh)[..2], [("grant_type", "refresh_token".into()), ("refresh_token", "r".into())]);
    }

    #[test]
    fn a_session_token_is_read_from_the_identity() {
        let grant = SessionGrant::new("a@b.example".into(), "pass".into(), vec!["manager".into()]).unwrap();
        let granted = grant.read(&json!({"user": {"id": 1}, "identity": {"fisikal_token": "t"}})).unwrap();
        assert_eq!((granted.access.expose_secret(), granted.access_life), ("t", None));
        for odd in [json!({}), json!({"identity": {"fisikal_token": ""}}), json!({"identity": {"fisikal_token": 7}})] {
            assert!(grant.read(&odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn the_error_names_the_missing_field() {
        let field = |result: Result<(), Error>| match result {
            Err(Error::Config(error)) => error.field(),
            other => panic!("{other:?}"),
        };
        let password = |id: &str, secret: &str, user: &str, pass: &str| {
            PasswordGrant::new(id.into(), secret.into(), user.into(), pass.into()).map(|_| ())
        };
        assert_eq!(field(password("", "s", "u", "p")), "client_id");
        assert_eq!(field(password("i", "s\n", "u", "p")), "client_secret");
        assert_eq!(field(password("i", "s", " u", "p")), "username");
        assert_eq!(field(password("i", "s", "u", "")), "password");
        assert_eq!(field(SessionGrant::new("e".into(), "p".into(), Vec::new()).map(|_| ())), "roles");
    }
}
