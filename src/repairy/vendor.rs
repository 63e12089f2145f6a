//! The facts about Repairy that the rest of the crate reads.

use super::{envelope, error_body};
use crate::vendor::{LimitHeaders, Vendor};

pub(super) static VENDOR: Vendor = Vendor {
    name: "repairy",
    base_url: "",
    base_paths: &[],
    // None is documented; the vendor's own webhooks use this name.
    request_id_headers: &["x-request-id"],
    limit_headers: LimitHeaders::Unsure,
    read_error: error_body::read,
    content: Some(envelope::content),
    reference_data: &[],
};
