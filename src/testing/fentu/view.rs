//! Formats stored records as the responses show them. A field without a value is left out.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::schema::{ADDRESS, Kind};
use super::store::{Record, Store};

/// The store as the responses show it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) store: &'a Store,
}

impl View<'_> {
    /// A record as a list shows it.
    pub(super) fn summary(self, kind: Kind, record: &Record) -> Value {
        let mut shown = Shown::of(record);
        match kind {
            Kind::Asset => {
                shown.copy(&["name", "serial_number"]);
                shown.put("product", self.named(Kind::Product, record, "product_id"));
                shown.put("customer", self.named(Kind::Customer, record, "customer_id"));
                // A list shows the location in another form than the record.
                let object = self.store.target(Kind::Object, record, "object_id").map(|object| object.text("name"));
                let location: Vec<_> = object.into_iter().chain([record.text("location")]).collect();
                shown.put("location", json!(location.join(" - ")));
                shown.copy(&["status", "warranty_expiry", "last_service"]);
            }
            Kind::Customer => {
                shown.copy(&["name", "customer_number", "status", "email", "phone", "address", "created_at"]);
            }
            Kind::Task => {
                shown.copy(&["name", "description", "status"]);
                shown.put("technician", self.named(Kind::Technician, record, "technician_id"));
                shown.copy(&["started_at", "completed_at"]);
                shown.put("duration", record.value("actual_duration").clone());
                shown.copy(&["parts_required"]);
            }
            Kind::WorkOrder => {
                shown.copy(&["work_order_number", "status"]);
                shown.put("customer", self.named(Kind::Customer, record, "customer_id"));
                shown.copy(&["scheduled_date", "priority", "created_at"]);
            }
            _ => shown.copy(&["name"]),
        }
        shown.into()
    }

    /// A record in full.
    pub(super) fn full(self, kind: Kind, record: &Record) -> Value {
        let mut shown = Shown::of(record);
        match kind {
            Kind::Asset => {
                shown.copy(&["name", "asset_tag", "serial_number", "model_number"]);
                let product = self.store.target(Kind::Product, record, "product_id");
                shown.put("product", fields(product, &["name", "manufacturer"]));
                shown.put("customer", self.named(Kind::Customer, record, "customer_id"));
                shown.put("object", fields(self.store.target(Kind::Object, record, "object_id"), &["name", "address"]));
                shown.copy(&["location", "status", "install_date", "warranty_start", "warranty_expiry"]);
                shown.copy(&["last_service", "created_at", "updated_at"]);
            }
            Kind::Customer => {
                shown.copy(&["name", "customer_number", "status", "customer_type", "email", "phone", "fax", "website"]);
                shown.copy(&["address", "billing_address"]);
                let contacts = self.store.of(Kind::Contact, "customer_id", &record.id);
                let contact = |contact| fields(Some(contact), &["name", "title", "email", "phone", "is_primary"]);
                shown.put("contacts", contacts.map(contact).collect());
                shown.put("branch", self.named(Kind::Branch, record, "branch_id"));
                shown.copy(&["tax_id", "payment_terms", "created_at", "updated_at"]);
            }
            Kind::Task => {
                shown.copy(&["work_order_id", "name", "description", "status", "sequence"]);
                shown.copy(&["estimated_duration", "actual_duration"]);
                shown.put("technician", self.named(Kind::Technician, record, "technician_id"));
                shown.put("checklist", self.named(Kind::Checklist, record, "checklist_id"));
                shown.copy(&["parts_used", "parts_required", "notes", "photos", "started_at", "completed_at"]);
            }
            Kind::WorkOrder => {
                shown.copy(&["work_order_number", "status", "priority", "description"]);
                let mut customer = self.named(Kind::Customer, record, "customer_id");
                let address = self.store.target(Kind::Customer, record, "customer_id").map(one_line);
                if let (Some(customer), Some(address)) = (customer.as_object_mut(), address) {
                    customer.insert("address".to_owned(), address.into());
                }
                shown.put("customer", customer);
                let contact = self.store.target(Kind::Contact, record, "contact_id");
                shown.put("contact", fields(contact, &["name", "phone"]));
                shown.copy(&["scheduled_date", "estimated_duration"]);
                shown.put("technician", self.named(Kind::Technician, record, "technician_id"));
                let tasks = self.tasks(&record.id);
                shown.put("tasks", tasks.into_iter().map(|task| self.summary(Kind::Task, task)).collect());
                shown.copy(&["created_at", "updated_at"]);
            }
            _ => shown.copy(&["name"]),
        }
        shown.into()
    }

    /// The tasks of a work order, in sequence.
    pub(super) fn tasks(&self, work_order: &str) -> Vec<&Record> {
        let mut tasks: Vec<_> = self.store.all(Kind::Task).collect();
        tasks.retain(|task| task.text("work_order_id") == work_order);
        tasks.sort_by_key(|task| task.value("sequence").as_u64());
        tasks
    }

    /// The work that was completed on an asset. The vendor's format is unknown.
    pub(super) fn service_history(self, asset: &Record) -> Value {
        let done = self.store.of(Kind::WorkOrder, "asset_id", &asset.id);
        let done = done.filter(|order| order.text("status") == "completed");
        let visit = |order: &Record| {
            json!({
                "work_order_id": order.id,
                "work_order_number": order.value("work_order_number"),
                "date": order.value("scheduled_date"),
                "description": order.value("description"),
                "technician": self.named(Kind::Technician, order, "technician_id"),
                "status": order.value("status"),
            })
        };
        done.map(visit).collect()
    }

    /// The parts in an asset. The vendor's format is unknown.
    pub(super) fn parts(self, asset: &Record) -> Value {
        self.store.of(Kind::AssetPart, "asset_id", &asset.id).map(|part| self.part(part)).collect()
    }

    pub(super) fn part(self, part: &Record) -> Value {
        let mut shown = Shown::of(part);
        shown.copy(&["part_id"]);
        let catalog = self.store.target(Kind::Part, part, "part_id");
        shown.put("name", catalog.map_or(Value::Null, |catalog| catalog.value("name").clone()));
        shown.copy(&["quantity", "serial_number", "install_date"]);
        shown.into()
    }

    /// Whether an asset is under warranty. The vendor's format is unknown.
    pub(super) fn warranty(self, asset: &Record, now: Timestamp) -> Value {
        let day = |field: &str| asset.text(field).parse::<Date>().ok();
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let left = day("warranty_expiry").and_then(|end| today.until(end).ok()).map(|span| span.get_days());
        let has_started = day("warranty_start").is_none_or(|start| start <= today);
        json!({
            "asset_id": asset.id,
            "warranty_start": asset.value("warranty_start"),
            "warranty_expiry": asset.value("warranty_expiry"),
            "in_warranty": has_started && left.is_some_and(|days| days >= 0),
            "days_remaining": left.unwrap_or_default().max(0),
        })
    }

    /// The id and name of the record that a field refers to.
    fn named(self, kind: Kind, record: &Record, field: &str) -> Value {
        fields(self.store.target(kind, record, field), &["name"])
    }
}

/// An object of a response under construction.
struct Shown<'a> {
    record: &'a Record,
    object: Map<String, Value>,
}

impl<'a> Shown<'a> {
    fn of(record: &'a Record) -> Self {
        let mut object = Map::new();
        object.insert("id".to_owned(), record.id.clone().into());
        Self { record, object }
    }

    fn copy(&mut self, names: &[&str]) {
        for name in names {
            self.put(name, self.record.value(name).clone());
        }
    }

    fn put(&mut self, name: &str, value: Value) {
        if !value.is_null() {
            self.object.insert(name.to_owned(), value);
        }
    }
}

impl From<Shown<'_>> for Value {
    fn from(shown: Shown<'_>) -> Self {
        Self::Object(shown.object)
    }
}

/// The id and some fields of a record; null if there is none.
fn fields(record: Option<&Record>, names: &[&str]) -> Value {
    let Some(record) = record else { return Value::Null };
    let mut shown = Shown::of(record);
    shown.copy(names);
    shown.into()
}

/// The address of a customer in one line, as a work order shows it.
fn one_line(customer: &Record) -> String {
    let address = customer.value("address");
    let part = |name: &str| address[name].as_str().unwrap_or_default();
    let [street, city, state, code, _] = ADDRESS.map(part);
    [street, city, &format!("{state} {code}")].map(str::trim).join(", ")
}
