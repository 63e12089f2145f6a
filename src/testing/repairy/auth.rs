//! Authentication: logins, refreshes, and the checks of the partner and the token.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::error_response::{FieldError, error, forbidden, invalid, unauthorized};
use super::options::{Options, RefreshTokens};
use super::partner::Partner;
use super::validator::body;
use crate::testing::authorization::{Authorization, TokenSeen};
use crate::testing::error_response::ErrorResponse;
use crate::testing::request_log::RequestLog;
use crate::testing::token_issuer::{IssuedTokens, RefreshError, TokenIssuer};
use crate::testing::token_log::{TokenRequest, TokenRequestKind};

const PARTNER_ID: &str = "x-partner-id";

/// Issues and checks the tokens of the partners.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) issuer: TokenIssuer,
    missing_partner_status: StatusCode,
    refresh_tokens: RefreshTokens,
    expires_in: bool,
}

impl Auth {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            issuer: TokenIssuer::new(options.lifetimes, options.refresh_tokens == RefreshTokens::Rotated),
            missing_partner_status: options.missing_partner_status,
            refresh_tokens: options.refresh_tokens,
            expires_in: options.expires_in,
        }
    }

    /// The partner that a request names.
    pub(super) fn partner(&self, headers: &HeaderMap) -> Result<Partner, ErrorResponse> {
        let Some(id) = headers.get(PARTNER_ID) else {
            return Err(error(self.missing_partner_status, "The header X-Partner-ID is missing."));
        };
        let partner = Partner::ALL.into_iter().find(|partner| id == partner.id());
        partner.ok_or_else(|| forbidden("The partner is unknown."))
    }

    /// Issues the tokens of a login to a partner.
    pub(super) fn issue(&mut self, partner: Partner, now: Timestamp) -> IssuedTokens {
        self.issuer.log_in(partner.id(), BTreeSet::new(), now)
    }

    /// Checks the access token of a request and returns the family of the token.
    pub(super) fn authenticate(
        &self,
        partner: Partner,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<u32, ErrorResponse> {
        let access = match Authorization::of(headers) {
            Authorization { seen: TokenSeen::Bearer, value } if !value.is_empty() => value,
            _ => return Err(unauthorized("The request has no access token.")),
        };
        let valid = self.issuer.validate(access, now);
        let (origin, _) = valid.ok_or_else(|| unauthorized("The access token is not valid."))?;
        if self.issuer.owner(origin.family) == Some(partner.id()) {
            Ok(origin.family)
        } else {
            Err(forbidden("The access token belongs to another partner."))
        }
    }

    /// `POST /auth/token`: issues tokens for an app key and an app secret.
    pub(super) fn log_in(
        &mut self,
        partner: Partner,
        request: &Request<Bytes>,
        now: Timestamp,
        log: &mut RequestLog,
    ) -> Result<Value, ErrorResponse> {
        let credentials = body(request).and_then(|body| texts(&body, ["appKey", "appSecret"]));
        let outcome = credentials.and_then(|[key, secret]| {
            if key == partner.app_key() && secret == partner.app_secret() {
                Ok(self.issue(partner, now))
            } else {
                Err(unauthorized("The app key or the app secret is wrong."))
            }
        });
        let origin = outcome.as_ref().ok().map(|tokens| tokens.origin);
        log.add_token_request(TokenRequest::new(now, TokenRequestKind::Login, origin, outcome.is_ok()));
        Ok(self.token_body(outcome?, true))
    }

    /// `POST /auth/refresh`: issues new tokens for a valid access token in the header and the refresh token of the same
    /// login in the body.
    pub(super) fn refresh(
        &mut self,
        partner: Partner,
        request: &Request<Bytes>,
        now: Timestamp,
        log: &mut RequestLog,
    ) -> Result<Value, ErrorResponse> {
        let authenticated = self.authenticate(partner, request.headers(), now);
        let refresh_token = body(request).and_then(|body| texts(&body, ["refreshToken"]));
        // The log has the origin of a known refresh token even if the rest of the request is invalid.
        let origin = refresh_token.as_ref().ok().and_then(|[token]| self.issuer.origin_of(token));
        let outcome = match (authenticated, refresh_token) {
            (Ok(family), Ok([token])) if origin.is_some_and(|origin| origin.family == family) => {
                self.issuer.refresh(partner.id(), &token, now).1.map_err(refresh_error)
            }
            (Ok(_), Ok(_)) => Err(refresh_error(RefreshError::Unknown)),
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        log.add_token_request(TokenRequest::new(now, TokenRequestKind::Refresh, origin, outcome.is_ok()));
        Ok(self.token_body(outcome?, self.refresh_tokens == RefreshTokens::Rotated))
    }

    fn token_body(&self, tokens: IssuedTokens, with_refresh_token: bool) -> Value {
        let mut body = json!({"accessToken": tokens.access});
        if with_refresh_token {
            body["refreshToken"] = tokens.refresh.into();
        }
        if self.expires_in {
            body["expiresIn"] = self.issuer.lifetimes().access.as_secs().into();
        }
        body
    }
}

fn refresh_error(error: RefreshError) -> ErrorResponse {
    unauthorized(match error {
        RefreshError::Expired => "The refresh token has expired.",
        RefreshError::Reused => "The refresh token was used before. All tokens of its login are revoked.",
        RefreshError::Unknown => "The refresh token is not valid.",
    })
}

/// The texts of a body, all of which are required.
fn texts<const N: usize>(body: &Map<String, Value>, names: [&str; N]) -> Result<[String; N], ErrorResponse> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let missing = names.iter().filter(|name| text(name).is_none());
    let missing: Vec<_> = missing.map(|name| FieldError::new(*name, "is required as text")).collect();
    if missing.is_empty() {
        Ok(names.map(|name| text(name).unwrap_or_default().to_owned()))
    } else {
        Err(invalid(missing))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{MockServer, TokenPair};
    use super::*;
    use crate::testing::Fault;

    const HOUR: Duration = Duration::from_secs(3600);

    fn log_in(server: &MockServer, body: Value) -> (u16, Value) {
        let (status, body) =
            server.request_with(&[("x-partner-id", "test-partner")], "POST", "/auth/token", Some(body));
        (status.as_u16(), body)
    }

    fn refresh(server: &MockServer, access: &str, refresh: &str) -> (u16, Value) {
        server.request_as(Partner::Main, access, "POST", "/auth/refresh", Some(json!({"refreshToken": refresh})))
    }

    fn call(server: &MockServer, access: &str) -> u16 {
        server.request_as(Partner::Main, access, "GET", "/bookings/670000000000000000000001", None).0
    }

    fn pair(body: &Value) -> TokenPair {
        let text = |name: &str| body[name].as_str().expect("a token").to_owned();
        TokenPair { access_token: text("accessToken"), refresh_token: text("refreshToken") }
    }

    #[test]
    fn a_login_with_the_key_and_secret_of_the_partner_issues_tokens() {
        let server = MockServer::builder().in_memory();
        let (status, body) = log_in(&server, json!({"appKey": "test-app-key", "appSecret": "test-app-secret"}));
        assert_eq!((status, body.as_object().map(Map::len)), (200, Some(2)));
        assert_eq!(call(&server, &pair(&body).access_token), 200);
        let [request] = &server.token_requests()[..] else { panic!("{:?}", server.token_requests()) };
        assert_eq!((request.kind, request.generation, request.accepted), (TokenRequestKind::Login, Some(1), true));
    }

    #[test]
    fn a_login_with_other_credentials_is_refused_and_counted() {
        let server = MockServer::builder().in_memory();
        for (credentials, expected) in [
            (json!({"appKey": "test-app-key", "appSecret": "wrong"}), 401),
            (json!({"appKey": "test-other-app-key", "appSecret": "test-other-app-secret"}), 401),
            (json!({"appKey": "test-app-key"}), 400),
            (json!({"appKey": 7, "appSecret": ""}), 400),
        ] {
            let (status, body) = log_in(&server, credentials.clone());
            assert_eq!(status, expected, "{credentials}: {body}");
        }
        let counters = server.counters();
        assert_eq!((counters.logins(), counters.refused_logins()), (0, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_access_token_is_valid_for_48_hours() {
        let server = MockServer::builder().in_memory();
        let tokens = server.issue_tokens(Partner::Main);
        tokio::time::advance(48 * HOUR - Duration::from_secs(1)).await;
        assert_eq!(call(&server, &tokens.access_token), 200);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(call(&server, &tokens.access_token), 401);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_needs_a_valid_access_token() {
        let server = MockServer::builder().in_memory();
        let tokens = server.issue_tokens(Partner::Main);
        tokio::time::advance(48 * HOUR).await;
        let (status, body) = refresh(&server, &tokens.access_token, &tokens.refresh_token);
        assert_eq!((status, &body["message"]), (401, &json!("The access token is not valid.")));
        assert_eq!(server.counters().refused_refreshes(), 1);
        assert_eq!(server.token_requests()[0].generation, Some(1), "the refresh token is known");
    }

    #[test]
    fn a_refresh_needs_the_access_token_of_the_same_login() {
        let server = MockServer::builder().in_memory();
        let (one, two) = (server.issue_tokens(Partner::Main), server.issue_tokens(Partner::Main));
        assert_eq!(refresh(&server, &two.access_token, &one.refresh_token).0, 401);
        assert_eq!(refresh(&server, "unknown", &one.refresh_token).0, 401);
        assert_eq!(refresh(&server, &one.access_token, "unknown").0, 401);
        assert_eq!(
            refresh(&server, &one.access_token, &one.refresh_token).0,
            200,
            "a refused refresh does not use up the token"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_every_47_hours_keeps_the_access_forever() {
        let server = MockServer::builder().in_memory();
        let mut tokens = server.issue_tokens(Partner::Main);
        for _ in 0..20 {
            tokio::time::advance(47 * HOUR).await;
            tokens = pair(&refresh(&server, &tokens.access_token, &tokens.refresh_token).1);
        }
        assert_eq!(call(&server, &tokens.access_token), 200);
        let counters = server.counters();
        assert_eq!((counters.refreshes(), counters.repeated_refreshes()), (20, 0));
    }

    #[test]
    fn a_reused_refresh_token_revokes_all_tokens_of_its_login() {
        let server = MockServer::builder().in_memory();
        let old = server.issue_tokens(Partner::Main);
        let new = pair(&refresh(&server, &old.access_token, &old.refresh_token).1);
        assert_eq!((call(&server, &old.access_token), call(&server, &new.access_token)), (200, 200));
        let (status, body) = refresh(&server, &old.access_token, &old.refresh_token);
        assert_eq!(status, 401);
        assert!(body["message"].as_str().is_some_and(|message| message.contains("used before")), "{body}");
        assert_eq!((call(&server, &old.access_token), call(&server, &new.access_token)), (401, 401));
        let counters = server.counters();
        assert_eq!((counters.refreshes(), counters.refused_refreshes(), counters.repeated_refreshes()), (1, 1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_refresh_token_expires_14_days_after_the_login() {
        let server = MockServer::builder().with_refresh_tokens(RefreshTokens::Kept).in_memory();
        let TokenPair { access_token: mut access, refresh_token: kept } = server.issue_tokens(Partner::Main);
        for _ in 0..8 {
            tokio::time::advance(41 * HOUR).await;
            let (_, body) = refresh(&server, &access, &kept);
            assert_eq!(body.get("refreshToken"), None, "{body}");
            access = body["accessToken"].as_str().expect("a token").to_owned();
        }
        tokio::time::advance(8 * HOUR).await;
        let (status, body) = refresh(&server, &access, &kept);
        assert_eq!((status, &body["message"]), (401, &json!("The refresh token has expired.")));
    }

    #[test]
    fn a_lost_response_has_rotated_the_tokens() {
        let server = MockServer::builder().in_memory();
        let tokens = server.issue_tokens(Partner::Main);
        server.fault(Fault::lost_response().on("POST", "/auth/refresh"));
        refresh(&server, &tokens.access_token, &tokens.refresh_token);
        assert_eq!(server.counters().refreshes(), 1);
        assert_eq!(refresh(&server, &tokens.access_token, &tokens.refresh_token).0, 401);
        assert_eq!(log_in(&server, json!({"appKey": "test-app-key", "appSecret": "test-app-secret"})).0, 200);
    }

    #[test]
    fn a_token_response_can_contain_the_lifetime() {
        let server = MockServer::builder().with_expires_in().with_envelope("data").in_memory();
        let (_, body) = log_in(&server, json!({"appKey": "test-app-key", "appSecret": "test-app-secret"}));
        assert_eq!(body["data"]["expiresIn"], 172_800);
    }

    #[test]
    fn ended_and_revoked_tokens_are_refused() {
        let server = MockServer::builder().in_memory();
        let tokens = server.issue_tokens(Partner::Main);
        server.end_access_tokens();
        assert_eq!(call(&server, &tokens.access_token), 401);
        let tokens = server.issue_tokens(Partner::Main);
        server.revoke_all();
        assert_eq!(call(&server, &tokens.access_token), 401);
        assert_eq!(refresh(&server, &tokens.access_token, &tokens.refresh_token).0, 401);
    }
}
