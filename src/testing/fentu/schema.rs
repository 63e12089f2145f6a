//! The vendor's records: what may be written, and what of it refers to what.
//!
//! What is read is known from the vendor's samples; what may be written, and which values there are where a sample shows
//! one of several, is a choice here.

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Asset,
    /// A part that is in an asset.
    AssetPart,
    Branch,
    Checklist,
    Contact,
    Customer,
    /// A site or building of a customer.
    Object,
    /// A part of the catalogue.
    Part,
    Product,
    Task,
    Technician,
    WorkOrder,
}

/// A field that may be written.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    /// Whether a new record needs it.
    pub(super) required: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Address,
    /// A whole number from this on.
    Count(u64),
    Day,
    OneOf(&'static [&'static str]),
    /// The id of another record.
    One(Kind),
    Text,
    Time,
}

pub(super) const ADDRESS: [&str; 5] = ["street", "city", "state", "postal_code", "country"];
pub(super) const WORK_ORDER_STATUSES: &[&str] =
    &["draft", "open", "assigned", "in_progress", "on_hold", "completed", "cancelled"];
pub(super) const ASSET_STATUSES: &[&str] = &["active", "inactive", "under_repair", "retired", "pending_install"];
/// One value is known; the others are made up.
pub(super) const CUSTOMER_STATUSES: &[&str] = &["active", "inactive"];
/// Two values are known; the others are made up.
pub(super) const TASK_STATUSES: &[&str] = &["pending", "in_progress", "completed", "cancelled"];
const PRIORITIES: &[&str] = &["low", "normal", "high", "urgent"];
const CUSTOMER_TYPES: &[&str] = &["commercial", "residential"];

impl Kind {
    /// What its ids begin with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::AssetPart => "asset-part",
            Self::Branch => "branch",
            Self::Checklist => "checklist",
            Self::Contact => "contact",
            Self::Customer => "cust",
            Self::Object => "obj",
            Self::Part => "part",
            Self::Product => "prod",
            Self::Task => "task",
            Self::Technician => "tech",
            Self::WorkOrder => "wo",
        }
    }

    /// The fields that a body may have.
    pub(super) fn fields(self) -> &'static [Field] {
        match self {
            Self::Asset => ASSET,
            Self::AssetPart => ASSET_PART,
            Self::Customer => CUSTOMER,
            Self::WorkOrder => WORK_ORDER,
            _ => &[],
        }
    }
}

const fn required(name: &'static str, holds: Holds) -> Field {
    Field { name, holds, required: true }
}

const fn optional(name: &'static str, holds: Holds) -> Field {
    Field { name, holds, required: false }
}

const WORK_ORDER: &[Field] = &[
    required("customer_id", Holds::One(Kind::Customer)),
    required("description", Holds::Text),
    optional("contact_id", Holds::One(Kind::Contact)),
    optional("technician_id", Holds::One(Kind::Technician)),
    optional("priority", Holds::OneOf(PRIORITIES)),
    optional("status", Holds::OneOf(WORK_ORDER_STATUSES)),
    optional("scheduled_date", Holds::Time),
    optional("estimated_duration", Holds::Count(0)),
    optional("asset_id", Holds::One(Kind::Asset)),
];

const CUSTOMER: &[Field] = &[
    required("name", Holds::Text),
    required("address", Holds::Address),
    optional("customer_type", Holds::OneOf(CUSTOMER_TYPES)),
    optional("status", Holds::OneOf(CUSTOMER_STATUSES)),
    optional("email", Holds::Text),
    optional("phone", Holds::Text),
    optional("fax", Holds::Text),
    optional("website", Holds::Text),
    optional("billing_address", Holds::Address),
    optional("branch_id", Holds::One(Kind::Branch)),
    optional("tax_id", Holds::Text),
    optional("payment_terms", Holds::Text),
];

const ASSET: &[Field] = &[
    required("name", Holds::Text),
    required("customer_id", Holds::One(Kind::Customer)),
    optional("product_id", Holds::One(Kind::Product)),
    optional("object_id", Holds::One(Kind::Object)),
    optional("location", Holds::Text),
    optional("asset_tag", Holds::Text),
    optional("serial_number", Holds::Text),
    optional("model_number", Holds::Text),
    optional("status", Holds::OneOf(ASSET_STATUSES)),
    optional("install_date", Holds::Day),
    optional("warranty_start", Holds::Day),
    optional("warranty_expiry", Holds::Day),
];

const ASSET_PART: &[Field] = &[required("part_id", Holds::One(Kind::Part)), optional("quantity", Holds::Count(1))];
