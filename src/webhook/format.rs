//! What differs between vendors, as data.

/// The facts about the webhooks of a vendor.
#[derive(Debug)]
#[non_exhaustive]
#[expect(unnameable_types, reason = "a part of a sealed trait")]
pub struct WebhookFormat {
    /// The name of the vendor's module, as events show it.
    pub(crate) vendor: &'static str,
    /// The header with the id of a delivery, which further attempts repeat.
    pub(crate) request_id: &'static str,
    /// The header with the id of an attempt.
    pub(crate) webhook_id: &'static str,
    pub(crate) signature: &'static str,
    /// The header with the time in seconds since 1970.
    pub(crate) timestamp: &'static str,
    /// The header with the version of the format.
    pub(crate) version_header: &'static str,
    /// The version that this crate was written for.
    pub(crate) version: &'static str,
}
