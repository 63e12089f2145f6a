//! Who may come in: partners, and the tokens that they were given.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::builder::Options;
use super::refusal::{Complaint, Refusal};
use crate::testing::authorization::Authorization;
use crate::testing::request_log::RequestLog as Log;
use crate::testing::token_issuer::{
    IssuedTokens as Pair, RefreshError as Stale, TokenIssuer as Grants, TokenLifetimes as Lifetimes,
};
use crate::testing::{TokenRequest, TokenRequestKind, TokenSeen, body};

const PARTNER_ID: &str = "x-partner-id";

/// How long the vendor's tokens live. Documented.
pub(super) const LIFETIMES: Lifetimes =
    Lifetimes { access: SignedDuration::from_hours(48), refresh: SignedDuration::from_hours(14 * 24) };

/// One of the two partners that every tenant knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Partner {
    /// Whom the seeded bookings and customers belong to: `test-partner`.
    Main,
    /// Somebody else, with a booking of its own: `test-other-partner`.
    Other,
}

impl Partner {
    const ALL: [Self; 2] = [Self::Main, Self::Other];

    /// What goes into `X-Partner-ID`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Main => "test-partner",
            Self::Other => "test-other-partner",
        }
    }

    /// The app key. It is not a secret and not made like one.
    #[must_use]
    pub fn app_key(self) -> &'static str {
        match self {
            Self::Main => "test-app-key",
            Self::Other => "test-other-app-key",
        }
    }

    /// The app secret, which is none.
    #[must_use]
    pub fn app_secret(self) -> &'static str {
        match self {
            Self::Main => "test-app-secret",
            Self::Other => "test-other-app-secret",
        }
    }
}

/// What a refresh does to the refresh token. The vendor does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshTokens {
    /// It stays as it is until it expires, and the answer has none.
    Kept,
    /// A new one takes its place. Whoever uses the old one again is taken for a thief: all tokens of the login are revoked.
    Rotated,
}

/// The door of a tenant.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) grants: Grants,
    missing_partner_status: StatusCode,
    refresh_tokens: RefreshTokens,
    tells_expiry: bool,
}

impl Door {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            grants: Grants::new(options.lifetimes, options.refresh_tokens == RefreshTokens::Rotated),
            missing_partner_status: options.missing_partner_status,
            refresh_tokens: options.refresh_tokens,
            tells_expiry: options.tells_expiry,
        }
    }

    /// The partner that a request names, before anything else is looked at.
    pub(super) fn partner(&self, headers: &HeaderMap) -> Result<Partner, Refusal> {
        let Some(id) = headers.get(PARTNER_ID) else {
            return Err(Refusal::new(
                self.missing_partner_status,
                "The request does not say which partner it is from.",
            ));
        };
        let known = Partner::ALL.into_iter().find(|partner| id == partner.id());
        known.ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, "There is no such partner."))
    }

    /// Gives a partner the first tokens of a login.
    pub(super) fn issue(&mut self, partner: Partner, now: Timestamp) -> Pair {
        self.grants.log_in(partner.id(), BTreeSet::new(), now)
    }

    /// Lets a partner in whose access token is good and its own. Tells the login that it comes of.
    pub(super) fn admit(&self, partner: Partner, headers: &HeaderMap, now: Timestamp) -> Result<u32, Refusal> {
        let access = match Authorization::of(headers) {
            Authorization { seen: TokenSeen::Bearer, value } if !value.is_empty() => value,
            _ => return Err(unauthorized("The request has no access token.")),
        };
        let (origin, _) =
            self.grants.validate(access, now).ok_or_else(|| unauthorized("The access token is not valid."))?;
        if self.grants.owner(origin.family) == Some(partner.id()) {
            Ok(origin.family)
        } else {
            Err(Refusal::new(StatusCode::FORBIDDEN, "The access token is another partner's."))
        }
    }

    /// `POST /auth/token`: key and secret for a pair of tokens.
    pub(super) fn log_in(
        &mut self,
        partner: Partner,
        request: &Request<Bytes>,
        now: Timestamp,
        log: &mut Log,
    ) -> Result<Value, Refusal> {
        let outcome = body(request).and_then(|body| texts(&body, ["appKey", "appSecret"])).and_then(|[key, secret]| {
            let right = key == partner.app_key() && secret == partner.app_secret();
            let pair = right.then(|| self.issue(partner, now));
            pair.ok_or_else(|| unauthorized("The app key or the app secret is not valid."))
        });
        let origin = outcome.as_ref().ok().map(|pair| pair.origin);
        log.add_token_request(TokenRequest::new(now, TokenRequestKind::Login, origin, outcome.is_ok()));
        Ok(self.answer(outcome?, true))
    }

    /// `POST /auth/refresh`: a valid access token in the header and the refresh token that came with it in the body, for
    /// a new pair.
    pub(super) fn refresh(
        &mut self,
        partner: Partner,
        request: &Request<Bytes>,
        now: Timestamp,
        log: &mut Log,
    ) -> Result<Value, Refusal> {
        let admitted = self.admit(partner, request.headers(), now);
        let given = body(request).and_then(|body| texts(&body, ["refreshToken"]));
        // What was presented is noted even where the rest of the request is not good.
        let origin = given.as_ref().ok().and_then(|[refresh]| self.grants.origin_of(refresh));
        let outcome = match (admitted, given) {
            (Ok(family), Ok([refresh])) if origin.is_some_and(|origin| origin.family == family) => {
                self.grants.refresh(partner.id(), &refresh, now).1.map_err(stale)
            }
            (Ok(_), Ok(_)) => Err(stale(Stale::Unknown)),
            (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
        };
        log.add_token_request(TokenRequest::new(now, TokenRequestKind::Refresh, origin, outcome.is_ok()));
        Ok(self.answer(outcome?, self.refresh_tokens == RefreshTokens::Rotated))
    }

    fn answer(&self, pair: Pair, tells_refresh: bool) -> Value {
        let mut answer = json!({"accessToken": pair.access});
        if tells_refresh {
            answer["refreshToken"] = pair.refresh.into();
        }
        if self.tells_expiry {
            answer["expiresIn"] = self.grants.lifetimes().access.as_secs().into();
        }
        answer
    }
}

/// Reads a body, which has to be a JSON object.
pub(super) fn body(request: &Request<Bytes>) -> Result<Map<String, Value>, Refusal> {
    body::json_object(request).map_err(|problem| Refusal::new(problem.status(), problem.message()))
}

fn stale(stale: Stale) -> Refusal {
    unauthorized(match stale {
        Stale::Expired => "The refresh token has expired.",
        Stale::Reused => "The refresh token has been used before. All tokens of its login are revoked.",
        Stale::Unknown => "The refresh token is not valid.",
    })
}

/// The texts of a body, all of which it has to have.
fn texts<const N: usize>(body: &Map<String, Value>, names: [&str; N]) -> Result<[String; N], Refusal> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let missing = names.iter().filter(|name| text(name).is_none());
    let missing: Vec<_> = missing
        .map(|name| Complaint { field: (*name).to_owned(), message: "is required as text".to_owned() })
        .collect();
    if missing.is_empty() {
        Ok(names.map(|name| text(name).unwrap_or_default().to_owned()))
    } else {
        Err(Refusal::invalid(missing))
    }
}

fn unauthorized(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{MockServer, TokenPair};
    use super::*;
    use crate::testing::Fault;

    const HOUR: Duration = Duration::from_secs(3600);

    fn log_in(tenant: &MockServer, body: Value) -> (u16, Value) {
        let (status, body) =
            tenant.request_with(&[("x-partner-id", "test-partner")], "POST", "/auth/token", Some(body));
        (status.as_u16(), body)
    }

    fn refresh(tenant: &MockServer, access: &str, refresh: &str) -> (u16, Value) {
        tenant.ask_of(Partner::Main, access, "POST", "/auth/refresh", Some(json!({"refreshToken": refresh})))
    }

    fn call(tenant: &MockServer, access: &str) -> u16 {
        tenant.ask_of(Partner::Main, access, "GET", "/bookings/670000000000000000000001", None).0
    }

    fn pair(answer: &Value) -> TokenPair {
        let text = |name: &str| answer[name].as_str().expect("a token").to_owned();
        TokenPair { access_token: text("accessToken"), refresh_token: text("refreshToken") }
    }

    #[test]
    fn key_and_secret_of_the_partner_give_a_pair() {
        let tenant = MockServer::builder().in_memory();
        let (status, answer) = log_in(&tenant, json!({"appKey": "test-app-key", "appSecret": "test-app-secret"}));
        assert_eq!((status, answer.as_object().map(Map::len)), (200, Some(2)));
        assert_eq!(call(&tenant, &pair(&answer).access_token), 200);
        let [request] = &tenant.token_requests()[..] else { panic!("{:?}", tenant.token_requests()) };
        assert_eq!((request.kind, request.generation, request.accepted), (TokenRequestKind::Login, Some(1), true));
    }

    #[test]
    fn a_login_with_anything_else_is_refused_and_counted() {
        let tenant = MockServer::builder().in_memory();
        for (body, code) in [
            (json!({"appKey": "test-app-key", "appSecret": "wrong"}), 401),
            (json!({"appKey": "test-other-app-key", "appSecret": "test-other-app-secret"}), 401),
            (json!({"appKey": "test-app-key"}), 400),
            (json!({"appKey": 7, "appSecret": ""}), 400),
        ] {
            let (status, answer) = log_in(&tenant, body.clone());
            assert_eq!(status, code, "{body}: {answer}");
        }
        let sums = tenant.counters();
        assert_eq!((sums.logins(), sums.refused_logins()), (0, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_access_token_lasts_forty_eight_hours() {
        let tenant = MockServer::builder().in_memory();
        let tokens = tenant.issue_tokens(Partner::Main);
        tokio::time::advance(48 * HOUR - Duration::from_secs(1)).await;
        assert_eq!(call(&tenant, &tokens.access_token), 200);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(call(&tenant, &tokens.access_token), 401);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_needs_the_access_token_alive() {
        let tenant = MockServer::builder().in_memory();
        let tokens = tenant.issue_tokens(Partner::Main);
        tokio::time::advance(48 * HOUR).await;
        let (status, answer) = refresh(&tenant, &tokens.access_token, &tokens.refresh_token);
        assert_eq!((status, &answer["message"]), (401, &json!("The access token is not valid.")));
        assert_eq!(tenant.counters().refused_refreshes(), 1);
        assert_eq!(tenant.token_requests()[0].generation, Some(1), "it is known which tokens were presented");
    }

    #[test]
    fn a_refresh_needs_the_access_token_of_the_same_login() {
        let tenant = MockServer::builder().in_memory();
        let (one, two) = (tenant.issue_tokens(Partner::Main), tenant.issue_tokens(Partner::Main));
        assert_eq!(refresh(&tenant, &two.access_token, &one.refresh_token).0, 401);
        assert_eq!(refresh(&tenant, "nobody's", &one.refresh_token).0, 401);
        assert_eq!(refresh(&tenant, &one.access_token, "nobody's").0, 401);
        assert_eq!(refresh(&tenant, &one.access_token, &one.refresh_token).0, 200, "a refusal uses nothing up");
    }

    #[tokio::test(start_paused = true)]
    async fn who_refreshes_every_two_days_stays_in_for_ever() {
        let tenant = MockServer::builder().in_memory();
        let mut tokens = tenant.issue_tokens(Partner::Main);
        for _ in 0..20 {
            tokio::time::advance(47 * HOUR).await;
            tokens = pair(&refresh(&tenant, &tokens.access_token, &tokens.refresh_token).1);
        }
        assert_eq!(call(&tenant, &tokens.access_token), 200);
        let sums = tenant.counters();
        assert_eq!((sums.refreshes(), sums.repeated_refreshes()), (20, 0));
    }

    #[test]
    fn an_old_refresh_token_used_twice_revokes_its_login() {
        let tenant = MockServer::builder().in_memory();
        let old = tenant.issue_tokens(Partner::Main);
        let new = pair(&refresh(&tenant, &old.access_token, &old.refresh_token).1);
        assert_eq!((call(&tenant, &old.access_token), call(&tenant, &new.access_token)), (200, 200));
        let (status, answer) = refresh(&tenant, &old.access_token, &old.refresh_token);
        assert_eq!(status, 401);
        assert!(answer["message"].as_str().is_some_and(|message| message.contains("used before")), "{answer}");
        assert_eq!((call(&tenant, &old.access_token), call(&tenant, &new.access_token)), (401, 401));
        let sums = tenant.counters();
        assert_eq!((sums.refreshes(), sums.refused_refreshes(), sums.repeated_refreshes()), (1, 1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_token_that_is_kept_ends_fourteen_days_after_the_login() {
        let tenant = MockServer::builder().with_refresh_tokens(RefreshTokens::Kept).in_memory();
        let TokenPair { access_token: mut access, refresh_token: kept } = tenant.issue_tokens(Partner::Main);
        for _ in 0..8 {
            tokio::time::advance(41 * HOUR).await;
            let (_, answer) = refresh(&tenant, &access, &kept);
            assert_eq!(answer.get("refreshToken"), None, "{answer}");
            access = answer["accessToken"].as_str().expect("a token").to_owned();
        }
        tokio::time::advance(8 * HOUR).await;
        let (status, answer) = refresh(&tenant, &access, &kept);
        assert_eq!((status, &answer["message"]), (401, &json!("The refresh token has expired.")));
    }

    #[test]
    fn a_lost_answer_has_rotated_the_tokens_all_the_same() {
        let tenant = MockServer::builder().in_memory();
        let tokens = tenant.issue_tokens(Partner::Main);
        tenant.fault(Fault::lost_response().on("POST", "/auth/refresh"));
        refresh(&tenant, &tokens.access_token, &tokens.refresh_token);
        assert_eq!(tenant.counters().refreshes(), 1);
        assert_eq!(refresh(&tenant, &tokens.access_token, &tokens.refresh_token).0, 401);
        assert_eq!(log_in(&tenant, json!({"appKey": "test-app-key", "appSecret": "test-app-secret"})).0, 200);
    }

    #[test]
    fn the_life_of_a_token_can_be_told() {
        let tenant = MockServer::builder().with_expiry_told().with_envelope("data").in_memory();
        let (_, answer) = log_in(&tenant, json!({"appKey": "test-app-key", "appSecret": "test-app-secret"}));
        assert_eq!(answer["data"]["expiresIn"], 172_800);
    }

    #[test]
    fn tokens_that_are_expired_or_revoked_by_order_get_nobody_in() {
        let tenant = MockServer::builder().in_memory();
        let tokens = tenant.issue_tokens(Partner::Main);
        tenant.end_access_tokens();
        assert_eq!(call(&tenant, &tokens.access_token), 401);
        let tokens = tenant.issue_tokens(Partner::Main);
        tenant.revoke_all();
        assert_eq!(call(&tenant, &tokens.access_token), 401);
        assert_eq!(refresh(&tenant, &tokens.access_token, &tokens.refresh_token).0, 401);
    }
}
