//! The vendor's objects: their fields, their relations, and when a client may write a field.
//!
//! Taken from the vendor's documentation and its working clients. What they leave open is decided here, with a comment.

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    Customer,
    /// Named in a client of the vendor, but never seen: there are none here, so the list is always empty.
    Delivery,
    Device,
    Line,
    Location,
    Note,
    Order,
    Product,
    Queue,
    Status,
    Store,
    Task,
    User,
}

/// One field of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) write: Write,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An amount of money.
    Amount,
    /// A user: an integer when written, a link when read.
    Author,
    Date,
    /// An object without a URL of its own, with these texts; always shown in full. `expand` may name it.
    Embedded(&'static [&'static str]),
    Flag,
    Href,
    Id,
    Many(Resource),
    Number,
    One(Resource),
    OneOf(&'static [&'static str]),
    /// A list with unknown content.
    Tags,
    Text,
    Timestamp,
    /// Unknown content, shown as null. `expand` may name it.
    Unknown,
}

/// When a client may send a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Always,
    Never,
    OnCreate,
    OnUpdate,
}

impl Resource {
    /// The segment in its URLs, and its name in a list of excluded fields.
    pub(super) fn segment(self) -> &'static str {
        match self {
            Self::Customer => "customers",
            Self::Delivery => "deliveries",
            Self::Device => "devices",
            Self::Line => "lines",
            Self::Location => "locations",
            Self::Note => "notes",
            Self::Order => "orders",
            Self::Product => "products",
            Self::Queue => "queues",
            Self::Status => "statuses",
            Self::Store => "stores",
            Self::Task => "tasks",
            Self::User => "users",
        }
    }

    /// The kind of object that contains it, if its URLs are below those of another object.
    pub(super) fn owner(self) -> Option<Self> {
        match self {
            Self::Line | Self::Note | Self::Task => Some(Self::Order),
            _ => None,
        }
    }

    pub(super) fn fields(self) -> &'static [Field] {
        match self {
            Self::Customer => CUSTOMER,
            Self::Delivery => &[],
            Self::Device => DEVICE,
            Self::Line => LINE,
            Self::Location => LOCATION,
            Self::Note => NOTE,
            Self::Order => ORDER,
            Self::Product => PRODUCT,
            Self::Queue => QUEUE,
            Self::Status => STATUS,
            Self::Store => STORE,
            Self::Task => TASK,
            Self::User => USER,
        }
    }

    pub(super) fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().iter().find(|field| field.name == name)
    }
}

const fn read(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, write: Write::Never }
}

const fn create(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, write: Write::OnCreate }
}

const fn update(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, write: Write::OnUpdate }
}

const fn always(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, write: Write::Always }
}

pub(super) const ADDRESS: Kind =
    Kind::Embedded(&["name", "address1", "address2", "address3", "zip", "city", "state", "country"]);
const CONTACT: Kind = Kind::Embedded(&["fullName", "company", "phoneNumber", "emailAddress"]);
const INTERNAL_LOCATION: Kind = Kind::OneOf(&["CUSTOMER", "DEALER_SHOP", "IN_TRANSIT", "SERVICE", "STORE"]);
const NOTE_TYPE: Kind = Kind::OneOf(&["DIAGNOSIS", "INTERNAL", "ISSUE", "RESOLUTION"]);

const ID: Field = read("id", Kind::Id);
const HREF: Field = read("href", Kind::Href);
const CREATED_AT: Field = read("createdAt", Kind::Timestamp);

const ORDER: &[Field] = &[
    ID,
    HREF,
    CREATED_AT,
    read("updatedAt", Kind::Timestamp),
    read("isClosed", Kind::Flag),
    create("isDraft", Kind::Flag),
    create("reference", Kind::Text),
    create("internalLocation", INTERNAL_LOCATION),
    read("total", Kind::Amount),
    read("totalRemaining", Kind::Amount),
    create("contact", CONTACT),
    create("customer", Kind::One(Resource::Customer)),
    create("orderedBy", Kind::One(Resource::Customer)),
    // One client reads a customer here; the vendor's documentation calls the handler an employee.
    create("handledBy", Kind::One(Resource::User)),
    create("device", Kind::One(Resource::Device)),
    create("location", Kind::One(Resource::Location)),
    create("store", Kind::One(Resource::Store)),
    create("queue", Kind::One(Resource::Queue)),
    always("status", Kind::One(Resource::Status)),
    read("lines", Kind::Many(Resource::Line)),
    create("notes", Kind::Many(Resource::Note)),
    read("tasks", Kind::Many(Resource::Task)),
];

// Lines can be updated, but which fields is unknown: here all of their own values.
const LINE: &[Field] = &[
    ID,
    HREF,
    read("product", Kind::One(Resource::Product)),
    update("price", Kind::Amount),
    update("quantity", Kind::Number),
    update("discount", Kind::Number),
    update("vat", Kind::Number),
    update("serialNumber", Kind::Text),
    update("originalSerialNumber", Kind::Text),
];

const NOTE: &[Field] = &[
    ID,
    HREF,
    create("type", NOTE_TYPE),
    create("title", Kind::Text),
    create("text", Kind::Text),
    create("createdBy", Kind::Author),
    CREATED_AT,
];

const TASK: &[Field] = &[ID, HREF, read("task", Kind::Unknown)];

const CUSTOMER: &[Field] = &[
    ID,
    HREF,
    always("firstName", Kind::Text),
    always("lastName", Kind::Text),
    always("company", Kind::Text),
    always("phone", Kind::Text),
    always("email", Kind::Text),
    always("businessId", Kind::Text),
    always("language", Kind::Text),
    always("provider", Kind::Text),
    always("identifier", Kind::Text),
    read("tags", Kind::Tags),
    always("billingAddress", ADDRESS),
    always("shippingAddress", ADDRESS),
    read("children", Kind::Many(Resource::Customer)),
    CREATED_AT,
];

const DEVICE: &[Field] = &[
    ID,
    HREF,
    create("name", Kind::Text),
    create("serialNumber", Kind::Text),
    create("imeiNumber1", Kind::Text),
    create("imeiNumber2", Kind::Text),
    create("configuration", Kind::Text),
    create("brand", Kind::Text),
    create("purchaseCountry", Kind::Text),
    create("purchaseDate", Kind::Date),
];

const USER: &[Field] = &[
    ID,
    HREF,
    read("firstName", Kind::Text),
    read("lastName", Kind::Text),
    read("email", Kind::Text),
    read("phone", Kind::Text),
];

const LOCATION: &[Field] = &[ID, HREF, read("name", Kind::Text), read("deliveries", Kind::Many(Resource::Delivery))];

const QUEUE: &[Field] = &[ID, HREF, read("name", Kind::Text), read("statuses", Kind::Many(Resource::Status))];

const STATUS: &[Field] = &[
    ID,
    HREF,
    read("name", Kind::Text),
    read("type", Kind::Text),
    read("queue", Kind::One(Resource::Queue)),
    read("custom", Kind::Unknown),
];

const STORE: &[Field] = &[ID, HREF, read("name", Kind::Text)];

const PRODUCT: &[Field] = &[
    ID,
    HREF,
    read("code", Kind::Text),
    read("name", Kind::Text),
    read("description", Kind::Text),
    read("version", Kind::Text),
    read("typeString", Kind::Text),
    read("categoryString", Kind::Text),
    read("stockPrice", Kind::Amount),
];

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Resource; 12] = [
        Resource::Customer,
        Resource::Device,
        Resource::Line,
        Resource::Location,
        Resource::Note,
        Resource::Order,
        Resource::Product,
        Resource::Queue,
        Resource::Status,
        Resource::Store,
        Resource::Task,
        Resource::User,
    ];

    #[test]
    fn every_object_starts_with_its_id_and_its_link() {
        for resource in ALL {
            let names: Vec<_> = resource.fields().iter().take(2).map(|field| field.name).collect();
            assert_eq!(names, ["id", "href"], "{resource:?}");
        }
    }

    #[test]
    fn no_object_has_a_field_twice() {
        for resource in ALL {
            for field in resource.fields() {
                let count = resource.fields().iter().filter(|other| other.name == field.name).count();
                assert_eq!(count, 1, "{resource:?}.{}", field.name);
            }
        }
    }

    #[test]
    fn fields_that_the_vendor_sets_are_never_writable() {
        for resource in ALL {
            for name in ["id", "href", "createdAt", "updatedAt", "tags"] {
                let writable = resource.field(name).is_some_and(|field| field.write != Write::Never);
                assert!(!writable, "{resource:?}.{name}");
            }
        }
    }
}
