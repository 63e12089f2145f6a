//! What can be chosen about a tenant before it starts.

use std::time::Duration;

use http::StatusCode;

use super::MockServer;
use super::partners::{LIFETIMES, RefreshTokens};
use super::rules::{DailyLimits, Transitions};
use crate::testing::response as reply;
use crate::testing::token_issuer::TokenLifetimes as Lifetimes;

/// What a reminder to a phone number that no customer has leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownPhone {
    /// A new customer with this number.
    MakesACustomer,
    /// A refusal.
    Refused,
}

/// The choices themselves.
#[derive(Clone, Debug)]
pub(in crate::testing) struct Options {
    pub(super) daily_limits: DailyLimits,
    pub(super) editable: Vec<String>,
    pub(super) envelope: Option<String>,
    pub(super) ignores_unknown_fields: bool,
    pub(super) lifetimes: Lifetimes,
    pub(super) missing_partner_status: StatusCode,
    pub(super) post_status: StatusCode,
    pub(super) refresh_tokens: RefreshTokens,
    pub(super) silent_changes: bool,
    pub(super) tells_expiry: bool,
    pub(super) transitions: Transitions,
    pub(super) unknown_phone: UnknownPhone,
}

crate::testing::mock_server_builder::mock_server_builder! {
    Options,
    /// Chooses what the vendor's pages leave open, then starts a [`MockServer`].
    ///
    /// Each choice has the default that hides the fewest mistakes. A client that passes with the other values too does not
    /// depend on a guess.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::testing::repairy::MockServer;
    ///
    /// // Answers wrapped, and changes answered with nothing: neither is known, so neither should matter.
    /// let tenant = MockServer::builder().with_envelope("data").with_silent_changes().start().await;
    /// let booking = tenant.client()?.get_booking().id("670000000000000000000001").send().await?;
    /// assert_eq!(booking.code.as_deref(), Some("BK000001"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A server in memory follows a paused clock:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use std::time::Duration;
    ///
    /// use servicebay::testing::repairy::{Partner, MockServer};
    ///
    /// let tenant = MockServer::builder().in_memory();
    /// let tokens = tenant.issue_tokens(Partner::Main);
    /// assert!(tenant.is_valid(&tokens.access_token));
    /// tokio::time::advance(Duration::from_secs(48 * 3600)).await;
    /// assert!(!tenant.is_valid(&tokens.access_token));
    /// # Ok(())
    /// # }
    /// ```
}
crate::testing::mock_server_builder::unknown_field_option!();

impl Default for Options {
    fn default() -> Self {
        let editable = [
            "customer",
            "car",
            "dropOffTime",
            "pickupTime",
            "services",
            "serviceCategory",
            "servicePackageType",
            "externalId",
        ];
        Self {
            daily_limits: DailyLimits::default(),
            editable: editable.map(str::to_owned).into(),
            envelope: None,
            ignores_unknown_fields: false,
            lifetimes: LIFETIMES,
            missing_partner_status: StatusCode::FORBIDDEN,
            post_status: StatusCode::CREATED,
            refresh_tokens: RefreshTokens::Rotated,
            silent_changes: false,
            tells_expiry: false,
            transitions: Transitions::default(),
            unknown_phone: UnknownPhone::MakesACustomer,
        }
    }
}

impl MockServerBuilder {
    /// How many bookings of a category a workshop takes in a day. Default: any number. That there are such limits is
    /// documented; how the vendor refuses is not, and here it is 409.
    pub fn with_daily_limit(mut self, category: impl Into<String>, bookings: u32) -> Self {
        self.options.daily_limits.limit_category(category.into(), bookings);
        self
    }

    /// How many bookings of one service, by its id in the catalog, a workshop takes in a day. Overrides its category's
    /// limit.
    pub fn with_daily_limit_of_service(mut self, catalog_id: impl Into<String>, bookings: u32) -> Self {
        self.options.daily_limits.limit_item(catalog_id.into(), bookings);
        self
    }

    /// The fields of a booking that may be changed, in place of the default: all of a new booking's but its workshop. Which
    /// they are at the vendor's is unknown.
    pub fn with_editable_fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.options.editable = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Wraps every success in an object, under this name. Default: not wrapped. The vendor promises one form for all of
    /// them and does not show it.
    pub fn with_envelope(mut self, name: impl Into<String>) -> Self {
        self.options.envelope = Some(name.into());
        self
    }

    /// Tells in the answers with tokens how many seconds the access token lives, as `expiresIn`. Default: not told, because
    /// nothing of the kind is known.
    pub fn with_expiry_told(mut self) -> Self {
        self.options.tells_expiry = true;
        self
    }

    /// The status for a request without `X-Partner-ID`. Default 403; 401 is as likely.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn with_missing_partner_status(mut self, status: u16) -> Self {
        self.options.missing_partner_status = reply::status_code(status);
        self
    }

    /// The status of a successful creation. Default 201; 200 is as likely.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn with_post_status(mut self, status: u16) -> Self {
        self.options.post_status = reply::status_code(status);
        self
    }

    /// What becomes of a refresh token when it is used. Default [`RefreshTokens::Rotated`], the stricter one; the vendor
    /// does not say.
    pub fn with_refresh_tokens(mut self, refresh_tokens: RefreshTokens) -> Self {
        self.options.refresh_tokens = refresh_tokens;
        self
    }

    /// Answers changes, quotes and reminders with an empty body. Default: with the object.
    pub fn with_silent_changes(mut self) -> Self {
        self.options.silent_changes = true;
        self
    }

    /// How long access tokens and refresh tokens live. Default 48 hours and 14 days, which is documented.
    pub fn with_token_lifetimes(mut self, access: Duration, refresh: Duration) -> Self {
        self.options.lifetimes = Lifetimes::new(access, refresh);
        self
    }

    /// The moves from one status to another that are allowed, in place of the default. The first status of the first move is
    /// that of a new booking; one that no move leaves is final.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[track_caller]
    pub fn with_transitions(mut self, moves: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        self.options.transitions = Transitions::new(moves);
        self
    }

    /// What a reminder to a phone number that no customer has leads to. Default [`UnknownPhone::MakesACustomer`]; the
    /// vendor describes a special case for new customers, which could not be read.
    pub fn with_unknown_phone(mut self, unknown: UnknownPhone) -> Self {
        self.options.unknown_phone = unknown;
        self
    }
}
