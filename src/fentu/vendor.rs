//! The facts about Fentu that the rest of the crate reads.

use super::error_body;
use crate::vendor::{LimitHeaders, Vendor};

pub(super) static VENDOR: Vendor = Vendor {
    name: "fentu",
    base_url: "https://api.fentu.io/v1",
    base_paths: &["/v1", "/api/v1"],
    // None is documented; most gateways use this name.
    request_id_headers: &["x-request-id"],
    // Only the reset is documented, and the unlimited plan has none.
    limit_headers: LimitHeaders::Unsure,
    read_error: error_body::read,
    content: None,
    reference_data: &[],
};
