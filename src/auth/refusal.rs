//! Decides what an error response of a token endpoint means: a pure table over its status, its code and its shape.
//!
//! Permanent is only what speaks of the credentials. A proxy, a firewall or a maintenance page may answer with any status, and
//! a client that takes that for a refusal locks a user out for nothing.

use super::token_error::TokenErrorKind;

/// The codes of RFC 6749, section 5.2, that speak of the credentials. The sixth, `invalid_request`, speaks of the request.
const PERMANENT: [&str; 5] =
    ["invalid_grant", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"];

/// What gateways in front of an API say on their own, in bodies that look like an API's.
const GATEWAY_PHRASES: [&str; 8] = [
    "forbidden",
    "unauthorized",
    "access denied",
    "access_denied",
    "request blocked",
    "missing authentication token",
    "not found",
    "internal server error",
];

/// How a vendor refuses credentials, besides the codes of RFC 6749.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VendorRefusals {
    /// The codes that speak of the credentials.
    pub(crate) codes: &'static [&'static str],
    /// The statuses with which an error in the vendor's own shape refuses the credentials, whatever its code.
    pub(crate) statuses: &'static [u16],
}

/// What the body of an error response says.
#[derive(Debug, Default)]
pub(crate) struct ErrorWords {
    /// What went wrong, for people.
    pub(crate) message: Option<String>,
    /// What went wrong, for programs.
    pub(crate) code: Option<String>,
    /// Whether the body has the shape that only this vendor's errors have.
    pub(crate) is_vendor_shape: bool,
}

/// What an error response means for the credentials, and for sending the request again.
///
/// `status` is that of the response; a success that reports an error counts as 400. `is_vendor_shape` tells whether the
/// body is JSON in the vendor's own error shape.
pub(super) fn classify(
    status: u16,
    code: Option<&str>,
    is_vendor_shape: bool,
    vendor: VendorRefusals,
) -> TokenErrorKind {
    match status {
        429 => TokenErrorKind::Throttled,
        // A gateway without a response, or a server without the whole request: the endpoint may have processed it.
        408 | 502 | 504 | 520..=524 | 527 | 530 => TokenErrorKind::Unknown,
        400..=499 => {
            let speaks_of_credentials = code
                .is_some_and(|code| PERMANENT.contains(&code) || vendor.codes.contains(&code))
                || (is_vendor_shape && vendor.statuses.contains(&status));
            if speaks_of_credentials { TokenErrorKind::Refused } else { TokenErrorKind::Failed }
        }
        _ => TokenErrorKind::Failed,
    }
}

/// Whether a login page's error code speaks of the login, and not of a failure that passes (RFC 6749, section 4.1.2.1).
#[cfg(feature = "fentu")]
pub(super) fn is_denial(code: &str) -> bool {
    !matches!(code, "server_error" | "temporarily_unavailable")
}

/// Whether a text is what a gateway says on its own.
pub(crate) fn is_gateway_phrase(text: &str) -> bool {
    GATEWAY_PHRASES.iter().any(|phrase| text.trim().trim_end_matches('.').eq_ignore_ascii_case(phrase))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::TokenErrorKind::{Failed, Refused, Throttled, Unknown};
    use super::*;

    const OAUTH: VendorRefusals = VendorRefusals { codes: &["bad_refresh_token"], statuses: &[] };
    const OWN: VendorRefusals = VendorRefusals { codes: &[], statuses: &[401, 403] };

    #[test]
    fn the_table() {
        for (status, code, is_vendor_shape, vendor, kind) in [
            // The codes of the credentials, with every status that servers give them.
            (400, Some("invalid_grant"), false, OAUTH, Refused),
            (401, Some("invalid_client"), false, OAUTH, Refused),
            (403, Some("unauthorized_client"), false, OAUTH, Refused),
            (400, Some("unsupported_grant_type"), false, OAUTH, Refused),
            (422, Some("invalid_scope"), false, OAUTH, Refused),
            (400, Some("bad_refresh_token"), false, OAUTH, Refused),
            (400, Some("bad_refresh_token"), false, OWN, Failed),
            // A vendor's own shape, with and without the right status.
            (401, None, true, OWN, Refused),
            (403, Some("17"), true, OWN, Refused),
            (400, None, true, OWN, Failed),
            (404, None, true, OWN, Failed),
            (401, None, true, OAUTH, Failed),
            // What passes.
            (400, Some("temporarily_unavailable"), false, OAUTH, Failed),
            (400, Some("server_error"), false, OAUTH, Failed),
            (400, Some("slow_down"), false, OAUTH, Failed),
            (400, Some("invalid_request"), false, OAUTH, Failed),
            (400, Some("Invalid_Grant"), false, OAUTH, Failed),
            (400, None, false, OAUTH, Failed),
            (401, None, false, OWN, Failed),
            (403, None, false, OWN, Failed),
            (404, Some("not_found"), false, OAUTH, Failed),
            (410, None, false, OAUTH, Failed),
            (307, None, false, OAUTH, Failed),
            (500, None, false, OAUTH, Failed),
            (503, Some("temporarily_unavailable"), false, OAUTH, Failed),
            (500, Some("invalid_grant"), false, OAUTH, Failed),
            // What nothing is known about.
            (408, None, false, OAUTH, Unknown),
            (502, Some("invalid_grant"), false, OAUTH, Unknown),
            (504, None, false, OWN, Unknown),
            (522, None, false, OWN, Unknown),
            // The limit, whatever else the body says.
            (429, Some("invalid_grant"), true, OWN, Throttled),
        ] {
            let found = classify(status, code, is_vendor_shape, vendor);
            assert_eq!(found, kind, "{status} {code:?} {is_vendor_shape} {vendor:?}");
        }
    }

    #[test]
    fn a_gateway_is_recognized_by_its_phrases() {
        for phrase in ["Forbidden", "forbidden.", " Unauthorized ", "Missing Authentication Token"] {
            assert!(is_gateway_phrase(phrase), "{phrase}");
        }
        for text in ["The partner is unknown.", "Forbidden partner", ""] {
            assert!(!is_gateway_phrase(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn only_a_client_error_that_speaks_of_the_credentials_is_permanent(
            status in 100_u16..1000,
            code in prop::option::of("[a-z_]{0,24}"),
            is_vendor_shape in any::<bool>(),
        ) {
            let is_own_code = code.as_deref().is_some_and(|code| PERMANENT.contains(&code) || OWN.codes.contains(&code));
            let kind = classify(status, code.as_deref(), is_vendor_shape, OWN);
            if kind == Refused {
                prop_assert!((400..500).contains(&status));
                prop_assert!(is_own_code || (is_vendor_shape && [401, 403].contains(&status)));
            }
            prop_assert!(matches!(kind, Refused | Failed | Throttled | Unknown));
            prop_assert_eq!(kind == Throttled, status == 429);
        }
    }
}
