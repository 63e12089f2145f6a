//! The facts about Fisikal that the rest of the crate reads.

use super::error_body;
use crate::vendor::{LimitHeaders, Vendor};

pub(super) static VENDOR: Vendor = Vendor {
    name: "fisikal",
    base_url: "https://{tenant}.fisikal.com",
    base_paths: &[],
    // None is documented; the framework that the vendor uses sends this one by default.
    request_id_headers: &["x-request-id"],
    limit_headers: LimitHeaders::Unsure,
    read_error: error_body::read,
    content: None,
    reference_data: &[],
};
