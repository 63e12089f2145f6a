//! Tokens: how a request is authenticated, and what its token allows.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use http::header::HeaderMap;
use jiff::Timestamp;

use super::error_response::error;
use super::schema::Resource;
use crate::testing::authorization::{Authorization, TokenSeen};
use crate::testing::error_response::ErrorResponse;

/// All scopes. The vendor documents their pattern, but no name.
const SCOPES: [&str; 16] = [
    "customers:create",
    "customers:update",
    "customers:view",
    "devices:create",
    "devices:view",
    "invoices:create",
    "invoices:view",
    "locations:view",
    "orders:create",
    "orders:update",
    "orders:view",
    "products:view",
    "queues:view",
    "statuses:view",
    "stores:view",
    "users:view",
];

/// The user of the seeded tokens.
const OWNER: i64 = 107_460;

/// The tokens that every mock server accepts.
///
/// ```
/// use servicebay::testing::fixably::{MockServer, TokenKind};
///
/// let server = MockServer::builder().in_memory();
/// assert_eq!(server.token(TokenKind::AdminViewOnly), "test-admin-view-only");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// An OAuth2 client token with every scope: `test-admin-all`.
    AdminAll,
    /// An OAuth2 client token that may read everything and change nothing: `test-admin-view-only`.
    AdminViewOnly,
    /// An OAuth2 client token with Customer access level: it sees customer 1 and the orders of that customer, and may
    /// create orders for it: `test-customer`.
    Customer,
    /// An OAuth2 client token that may read everything except the discount of order lines, the stock price of products
    /// and the amount left to pay of an order: `test-excluded-fields`.
    ExcludedFields,
    /// An OAuth2 client token that expired years ago: `test-expired`.
    Expired,
    /// A legacy user token, sent without a scheme: `pk_` and 47 letters and digits.
    Legacy,
}

impl TokenKind {
    const ALL: [Self; 6] =
        [Self::AdminAll, Self::AdminViewOnly, Self::Customer, Self::ExcludedFields, Self::Expired, Self::Legacy];

    /// The value that a client sends.
    pub(super) fn value(self) -> String {
        match self {
            Self::AdminAll => "test-admin-all".to_owned(),
            Self::AdminViewOnly => "test-admin-view-only".to_owned(),
            Self::Customer => "test-customer".to_owned(),
            Self::ExcludedFields => "test-excluded-fields".to_owned(),
            Self::Expired => "test-expired".to_owned(),
            Self::Legacy => format!("pk_{:0<47}", "testTokenNotASecret"),
        }
    }

    fn token(self) -> Token {
        let view = || SCOPES.into_iter().filter(|scope| scope.ends_with(":view"));
        match self {
            Self::AdminAll => Token::bearer(self.value()).with_all_scopes(),
            Self::AdminViewOnly => Token::bearer(self.value()).with_scopes(view()),
            Self::Customer => Token::bearer(self.value()).with_scopes(view().chain(["orders:create"])).with_customer(1),
            Self::ExcludedFields => Token::bearer(self.value()).with_scopes(view()).with_excluded_fields([
                "lines.discount",
                "products.stockPrice",
                "orders.totalRemaining",
            ]),
            Self::Expired => Token::bearer(self.value()).with_all_scopes().with_expires_at(Timestamp::UNIX_EPOCH),
            Self::Legacy => Token::legacy(self.value()),
        }
    }
}

/// A token with your own settings, for [`MockServer::add_token`](super::MockServer::add_token).
///
/// By default it is an Admin token of user 107460 that never expires. An OAuth2 token starts without scopes, so that a
/// test names those that the integration needs. That list is what to ask the owner of the real tenant for.
///
/// ```
/// use servicebay::testing::fixably::{MockServer, Token};
///
/// let server = MockServer::builder().in_memory();
/// server.add_token(Token::bearer("test-sync").with_scopes(["orders:view", "customers:view"]));
/// ```
#[derive(Clone)]
#[must_use = "the mock server accepts a token only after `server.add_token(...)`"]
pub struct Token {
    value: String,
    seen: TokenSeen,
    scopes: BTreeSet<String>,
    expires_at: Option<Timestamp>,
    user: i64,
    customer: Option<i64>,
    excluded: BTreeSet<String>,
}

impl Token {
    /// An OAuth2 client token without scopes, sent as `Authorization: Bearer ...`.
    pub fn bearer(value: impl Into<String>) -> Self {
        Self::new(value.into(), TokenSeen::Bearer)
    }

    /// A legacy user token, sent without a scheme. It has no scopes: it allows what its user may do, which here is
    /// everything.
    pub fn legacy(value: impl Into<String>) -> Self {
        Self::new(value.into(), TokenSeen::Legacy).with_all_scopes()
    }

    /// Grants these scopes and no others, in the vendor's pattern `orders:view`.
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Grants every scope.
    pub fn with_all_scopes(self) -> Self {
        self.with_scopes(SCOPES)
    }

    /// Sets the time from which the token gets 401. Default: it never expires.
    pub fn with_expires_at(mut self, time: Timestamp) -> Self {
        self.expires_at = Some(time);
        self
    }

    /// Gives the token Customer access level: it sees only what belongs to this customer, and reference data.
    pub fn with_customer(mut self, customer: i64) -> Self {
        self.customer = Some(customer);
        self
    }

    /// The user that the token acts for, who is the author of its notes. Default 107460.
    pub fn with_user(mut self, user: i64) -> Self {
        self.user = user;
        self
    }

    /// Hides fields from the responses to this token. Each is named by the plural of its object and its own name:
    /// `lines.discount`, `orders.total`, `customers.email`.
    ///
    /// # Panics
    ///
    /// If there is no such field, because a token that hides nothing would let a test pass for the wrong reason.
    #[track_caller]
    pub fn with_excluded_fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.excluded = fields.into_iter().map(Into::into).collect();
        for field in &self.excluded {
            assert!(is_field(field), "there is no field `{field}` to exclude; a field is written as `lines.discount`");
        }
        self
    }

    /// The token of the mock server itself, which may see and do everything.
    pub(super) fn internal() -> Self {
        Self::legacy(String::new())
    }

    pub(super) fn user(&self) -> i64 {
        self.user
    }

    /// The customer of a token with Customer access level.
    pub(super) fn customer(&self) -> Option<i64> {
        self.customer
    }

    pub(super) fn allows(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    pub(super) fn hides(&self, resource: Resource, field: &str) -> bool {
        let hidden = |name: &String| {
            name.split_once('.').is_some_and(|(object, name)| object == resource.segment() && name == field)
        };
        self.excluded.iter().any(hidden)
    }

    fn new(value: String, seen: TokenSeen) -> Self {
        Self {
            value,
            seen,
            scopes: BTreeSet::new(),
            expires_at: None,
            user: OWNER,
            customer: None,
            excluded: BTreeSet::new(),
        }
    }
}

fn is_field(name: &str) -> bool {
    use Resource::{Customer, Device, Line, Location, Note, Order, Product, Queue, Status, Store, Task, User};
    let resources =
        [Customer, Device, Line, Location, Note, Order, Product, Queue, Status, Store, Task, User].into_iter();
    name.split_once('.').is_some_and(|(object, field)| {
        resources.filter(|resource| resource.segment() == object).any(|resource| resource.field(field).is_some())
    })
}

/// Shows everything except the value, because a test may use a real one.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("kind", &self.seen)
            .field("scopes", &self.scopes)
            .field("expires_at", &self.expires_at)
            .field("user", &self.user)
            .field("customer", &self.customer)
            .field("excluded", &self.excluded)
            .finish_non_exhaustive()
    }
}

/// The tokens that the mock server accepts.
#[derive(Debug)]
pub(super) struct Tokens(Vec<Arc<Token>>);

impl Tokens {
    pub(super) fn seeded() -> Self {
        Self(TokenKind::ALL.into_iter().map(|kind| Arc::new(kind.token())).collect())
    }

    /// Adds a token, in place of one with the same value.
    pub(super) fn add(&mut self, token: Token) {
        self.revoke(&token.value);
        self.0.push(Arc::new(token));
    }

    /// Removes a token. The vendor does not document the response to a revoked token; here it is that to an unknown
    /// one.
    pub(super) fn revoke(&mut self, value: &str) {
        self.0.retain(|token| token.value != value);
    }

    /// The token of a request, if it is known and has not expired.
    pub(super) fn authenticate(&self, headers: &HeaderMap, now: Timestamp) -> Result<Arc<Token>, ErrorResponse> {
        let unauthorized = |message| error(StatusCode::UNAUTHORIZED, message);
        // Whether the vendor accepts `Bearer` before a legacy token is not documented; here it is refused.
        let Authorization { seen, value } = Authorization::of(headers);
        if seen == TokenSeen::None {
            return Err(unauthorized("The request has no token."));
        }
        let known = self.0.iter().find(|token| token.seen == seen && token.value == value && !value.is_empty());
        match known {
            Some(token) if token.expires_at.is_none_or(|end| now < end) => Ok(Arc::clone(token)),
            _ => Err(unauthorized("The token is not valid.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    fn authenticate(header: &str) -> Result<Arc<Token>, ErrorResponse> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().expect("a header"));
        Tokens::seeded().authenticate(&headers, crate::clock::wall_now())
    }

    #[test]
    fn a_legacy_token_has_the_format_that_clients_have_seen() {
        let value = TokenKind::Legacy.value();
        assert_eq!(value.len(), 50, "{value}");
        assert!(value.starts_with("pk_") && value[3..].bytes().all(|b| b.is_ascii_alphanumeric()), "{value}");
    }

    #[test]
    fn each_kind_of_token_is_accepted_only_in_its_own_form() {
        let legacy = TokenKind::Legacy.value();
        assert!(authenticate("Bearer test-admin-all").is_ok());
        assert!(authenticate("bearer test-admin-all").is_ok());
        assert!(authenticate(&legacy).is_ok());
        for header in ["test-admin-all", &format!("Bearer {legacy}"), "Bearer", "Bearer ", "", "Basic test-admin-all"] {
            assert_eq!(authenticate(header).expect_err(header).status, 401, "{header}");
        }
    }

    #[test]
    fn a_token_is_valid_until_the_second_it_expires() {
        let end = Timestamp::UNIX_EPOCH;
        let mut tokens = Tokens::seeded();
        tokens.add(Token::bearer("test-short").with_expires_at(end));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, "Bearer test-short".parse().expect("a header"));
        assert!(tokens.authenticate(&headers, end - jiff::SignedDuration::from_secs(1)).is_ok());
        assert!(tokens.authenticate(&headers, end).is_err());
    }

    #[test]
    fn two_tokens_in_one_request_are_refused() {
        let mut headers = HeaderMap::new();
        for value in ["Bearer test-admin-all", "Bearer test-customer"] {
            headers.append(AUTHORIZATION, value.parse().expect("a header"));
        }
        assert!(Tokens::seeded().authenticate(&headers, Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn a_write_scope_does_not_imply_its_view_scope() {
        let token = Token::bearer("test").with_scopes(["orders:update"]);
        assert!(token.allows("orders:update") && !token.allows("orders:view"));
    }

    #[test]
    fn a_view_only_token_has_no_write_scope() {
        let token = authenticate("Bearer test-admin-view-only").expect("valid");
        let writes: Vec<_> = token.scopes.iter().filter(|scope| !scope.ends_with(":view")).collect();
        assert!(writes.is_empty(), "{writes:?}");
        assert!(token.allows("users:view"));
    }

    #[test]
    fn the_debug_output_does_not_show_the_token() {
        let shown = format!("{:?}", Token::bearer("test-hidden-value"));
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    #[should_panic(expected = "there is no field `lines.purchasePrice` to exclude")]
    fn a_token_cannot_exclude_an_unknown_field() {
        let _ = Token::bearer("test").with_excluded_fields(["lines.purchasePrice"]);
    }
}
