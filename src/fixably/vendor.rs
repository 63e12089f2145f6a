//! The facts about Fixably that the rest of the crate reads.

use super::error_body;
use crate::vendor::{LimitHeaders, Vendor};

pub(super) static VENDOR: Vendor = Vendor {
    name: "fixably",
    base_url: "https://{tenant}.fixably.com/api/v3",
    base_paths: &[],
    // None is documented; most gateways use this name.
    request_id_headers: &["x-request-id"],
    limit_headers: LimitHeaders::Sent,
    read_error: error_body::read,
    content: None,
    reference_data: &["locations", "queues", "statuses", "stores", "users"],
};
