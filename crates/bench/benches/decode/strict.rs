//! Orders for a program that trusts the vendor: serde's derived code, one type for each field.
//!
//! The fields are those of `servicebay::fixably::types`, and so are the nested objects, as far as a page holds them.

#![expect(dead_code, reason = "the fields are read from JSON, which is what is measured")]

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A page of orders, whose relations to customer and status are links or objects.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<C, S> {
    limit: Option<u32>,
    offset: Option<u32>,
    total_items: Option<u64>,
    items: Vec<Order<C, S>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order<C, S> {
    id: Option<i64>,
    href: Option<String>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    is_closed: Option<bool>,
    is_draft: Option<bool>,
    reference: Option<String>,
    internal_location: Option<InternalLocation>,
    total: Option<f64>,
    total_remaining: Option<f64>,
    contact: Option<Contact>,
    customer: Option<C>,
    ordered_by: Option<Link>,
    handled_by: Option<Link>,
    device: Option<Link>,
    location: Option<Link>,
    store: Option<Link>,
    queue: Option<Link>,
    status: Option<S>,
    lines: Option<Link>,
    notes: Option<Link>,
    tasks: Option<Link>,
    billing_address: Option<Link>,
    shipping_address: Option<Link>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Link {
    href: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum InternalLocation {
    Customer,
    DealerShop,
    InTransit,
    Service,
    Store,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contact {
    full_name: Option<String>,
    company: Option<String>,
    phone_number: Option<String>,
    email_address: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Customer {
    id: Option<i64>,
    href: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    company: Option<String>,
    phone: Option<String>,
    email: Option<String>,
    business_id: Option<String>,
    language: Option<String>,
    provider: Option<String>,
    identifier: Option<String>,
    tags: Option<Vec<Value>>,
    billing_address: Option<Link>,
    shipping_address: Option<Link>,
    children: Option<Link>,
    created_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    id: Option<i64>,
    href: Option<String>,
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    queue: Option<Link>,
    custom: Option<Link>,
}
