//! How the mock server behaves, as the builder sets it.

use http::StatusCode;
use jiff::SignedDuration;

use super::rules::{DailyLimits, Transitions};
use crate::testing::token_issuer::TokenLifetimes;

/// What webhooks are signed with. Not a real secret.
#[cfg(feature = "webhooks")]
pub(super) const WEBHOOK_SECRET: &str = "test-webhook-secret";

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) daily_limits: DailyLimits,
    pub(super) editable_fields: Vec<String>,
    /// Whether the responses to changes have an empty body.
    pub(super) empty_change_responses: bool,
    pub(super) envelope: Option<String>,
    /// Whether token responses have `expiresIn`.
    pub(super) expires_in: bool,
    pub(super) ignores_unknown_fields: bool,
    pub(super) lifetimes: TokenLifetimes,
    pub(super) missing_partner_status: StatusCode,
    pub(super) post_status: StatusCode,
    pub(super) refresh_tokens: RefreshTokens,
    pub(super) transitions: Transitions,
    pub(super) unknown_phone: UnknownPhone,
    /// The member of a webhook's body that contains the booking.
    #[cfg(feature = "webhooks")]
    pub(super) webhook_content: String,
    #[cfg(feature = "webhooks")]
    pub(super) webhook_signature: crate::webhook::HmacSha256,
}

/// What a refresh does to the refresh token. The vendor does not document it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshTokens {
    /// It stays valid until it expires, and the response contains none.
    Kept,
    /// A new one replaces it. If the old one is used again, all tokens of its login are revoked.
    Rotated,
}

/// What a reminder to an unknown phone number does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownPhone {
    /// It creates a customer with this number.
    CreatesCustomer,
    /// It is refused.
    Refused,
}

impl Default for Options {
    fn default() -> Self {
        let editable_fields = [
            "customer",
            "car",
            "dropOffTime",
            "pickupTime",
            "services",
            "serviceCategory",
            "servicePackageType",
            "externalId",
        ];
        // The vendor documents these lifetimes.
        let (access, refresh) = (SignedDuration::from_hours(48), SignedDuration::from_hours(14 * 24));
        Self {
            daily_limits: DailyLimits::default(),
            editable_fields: editable_fields.map(str::to_owned).into(),
            empty_change_responses: false,
            envelope: None,
            expires_in: false,
            ignores_unknown_fields: false,
            lifetimes: TokenLifetimes { access, refresh },
            missing_partner_status: StatusCode::FORBIDDEN,
            post_status: StatusCode::CREATED,
            refresh_tokens: RefreshTokens::Rotated,
            transitions: Transitions::default(),
            unknown_phone: UnknownPhone::CreatesCustomer,
            #[cfg(feature = "webhooks")]
            webhook_content: "data".to_owned(),
            #[cfg(feature = "webhooks")]
            webhook_signature: crate::webhook::HmacSha256::new([WEBHOOK_SECRET]).expect("the secret is not empty"),
        }
    }
}
