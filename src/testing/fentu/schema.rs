//! The vendor's records: which fields may be written, and their types.
//!
//! The fields of responses are known from the vendor's samples. Which fields may be written, and which values an enum
//! has besides the one in a sample, is assumed here.

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Asset,
    /// A part that is installed in an asset.
    AssetPart,
    Branch,
    Checklist,
    Contact,
    Customer,
    /// A site or building of a customer.
    Object,
    /// A part in the catalog.
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
    pub(super) field_type: FieldType,
    /// Whether a new record needs it.
    pub(super) required: bool,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldType {
    Address,
    /// An integer of at least this.
    Count(u64),
    Date,
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
/// One value is known, the other is assumed.
pub(super) const CUSTOMER_STATUSES: &[&str] = &["active", "inactive"];
/// Two values are known, the others are assumed.
pub(super) const TASK_STATUSES: &[&str] = &["pending", "in_progress", "completed", "cancelled"];
const PRIORITIES: &[&str] = &["low", "normal", "high", "urgent"];
const CUSTOMER_TYPES: &[&str] = &["commercial", "residential"];

impl Kind {
    /// The prefix of its ids.
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

    /// The fields that a body may contain.
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

const fn required(name: &'static str, field_type: FieldType) -> Field {
    Field { name, field_type, required: true }
}

const fn optional(name: &'static str, field_type: FieldType) -> Field {
    Field { name, field_type, required: false }
}

const WORK_ORDER: &[Field] = &[
    required("customer_id", FieldType::One(Kind::Customer)),
    required("description", FieldType::Text),
    optional("contact_id", FieldType::One(Kind::Contact)),
    optional("technician_id", FieldType::One(Kind::Technician)),
    optional("priority", FieldType::OneOf(PRIORITIES)),
    optional("status", FieldType::OneOf(WORK_ORDER_STATUSES)),
    optional("scheduled_date", FieldType::Time),
    optional("estimated_duration", FieldType::Count(0)),
    optional("asset_id", FieldType::One(Kind::Asset)),
];

const CUSTOMER: &[Field] = &[
    required("name", FieldType::Text),
    required("address", FieldType::Address),
    optional("customer_type", FieldType::OneOf(CUSTOMER_TYPES)),
    optional("status", FieldType::OneOf(CUSTOMER_STATUSES)),
    optional("email", FieldType::Text),
    optional("phone", FieldType::Text),
    optional("fax", FieldType::Text),
    optional("website", FieldType::Text),
    optional("billing_address", FieldType::Address),
    optional("branch_id", FieldType::One(Kind::Branch)),
    optional("tax_id", FieldType::Text),
    optional("payment_terms", FieldType::Text),
];

const ASSET: &[Field] = &[
    required("name", FieldType::Text),
    required("customer_id", FieldType::One(Kind::Customer)),
    optional("product_id", FieldType::One(Kind::Product)),
    optional("object_id", FieldType::One(Kind::Object)),
    optional("location", FieldType::Text),
    optional("asset_tag", FieldType::Text),
    optional("serial_number", FieldType::Text),
    optional("model_number", FieldType::Text),
    optional("status", FieldType::OneOf(ASSET_STATUSES)),
    optional("install_date", FieldType::Date),
    optional("warranty_start", FieldType::Date),
    optional("warranty_expiry", FieldType::Date),
];

const ASSET_PART: &[Field] =
    &[required("part_id", FieldType::One(Kind::Part)), optional("quantity", FieldType::Count(1))];
