//! The data at the start: a company that maintains heating and cooling. Nothing here is random.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::schema::{ASSET_STATUSES, Kind, WORK_ORDER_STATUSES};
use super::store::Store;
use crate::testing::clock::shifted;

/// Monday, 2 March 2026, 08:00 UTC, when the first work order was created.
const OPENING: i64 = 1_772_438_400;

const WORK_ORDERS: usize = 70;
const CUSTOMERS: usize = 30;
const ASSETS: usize = 60;

const PRODUCTS: [(&str, &str); 4] = [
    ("Rooftop unit, 35 kW", "Northwind Climate"),
    ("Condensing boiler, 80 kW", "Kessel & Sohn"),
    ("Air handler, 12,000 m3/h", "Northwind Climate"),
    ("Water chiller, 120 kW", "Frigor"),
];
const PARTS: [&str; 4] = ["Air filter 500 x 635", "Fan belt B-42", "Ignition electrode", "Refrigerant R-32, 1 kg"];
const TECHNICIANS: [&str; 4] = ["Jane Doe", "Marek Nowak", "Aisha Karim", "Tom Weller"];
const COMPANIES: [&str; 6] =
    ["Harbour Hotels", "Linden Clinics", "Old Mill Bakery", "Quay Offices", "Vale Schools", "Yarrow Foods"];
const JOBS: [(&str, [&str; 5]); 3] = [
    (
        "Annual maintenance",
        ["Inspect the filters", "Check the pressure", "Clean the coils", "Test the alarms", "Hand over the report"],
    ),
    (
        "Noise at start",
        ["Look at the fan", "Change the belt", "Balance the rotor", "Listen again", "Hand over the report"],
    ),
    (
        "Does not hold the temperature",
        ["Read the log", "Check for leaks", "Refill", "Run for an hour", "Hand over the report"],
    ),
];

pub(super) fn store() -> Store {
    let mut seed = Seed::default();
    seed.put_names();
    seed.put_customers();
    seed.put_assets();
    seed.put_work_orders();
    seed.store
}

#[derive(Default)]
struct Seed {
    store: Store,
}

impl Seed {
    /// Adds a record without its null fields.
    fn add(&mut self, kind: Kind, values: Value) -> String {
        let Value::Object(mut values) = values else { return String::new() };
        values.retain(|_, value| !value.is_null());
        self.store.add(kind, values)
    }

    fn set(&mut self, kind: Kind, id: &str, changes: Value) {
        if let (Some(record), Value::Object(changes)) = (self.store.get_mut(kind, id), changes) {
            record.values.extend(changes);
            record.values.retain(|_, value| !value.is_null());
        }
    }

    fn put_names(&mut self) {
        for name in TECHNICIANS {
            self.add(Kind::Technician, json!({"name": name}));
        }
        for name in ["Northeast Region", "Southwest Region"] {
            self.add(Kind::Branch, json!({"name": name}));
        }
        for (name, manufacturer) in PRODUCTS {
            self.add(Kind::Product, json!({"name": name, "manufacturer": manufacturer}));
        }
        for name in PARTS {
            self.add(Kind::Part, json!({"name": name}));
        }
        self.add(Kind::Checklist, json!({"name": "Filter inspection"}));
    }

    fn put_customers(&mut self) {
        for n in 0..CUSTOMERS {
            let name = match n {
                0 => "Acme Corporation".to_owned(),
                _ => format!("{} {n}", COMPANIES[n % COMPANIES.len()]),
            };
            let domain = format!("customer{}.example", n + 1);
            let address = |street: String| json!({"street": street, "city": "Albany", "state": "NY", "postal_code": format!("{}", 12_200 + n), "country": "US"});
            let customer = self.add(
                Kind::Customer,
                json!({
                    "name": name,
                    "customer_number": format!("C-{}", 10_001 + n),
                    "status": "active",
                    "customer_type": "commercial",
                    "email": format!("office@{domain}"),
                    "phone": format!("+1-518-555-{:04}", 100 + n),
                    "fax": (n % 3 == 0).then(|| format!("+1-518-555-{:04}", 500 + n)),
                    "website": format!("https://{domain}"),
                    "address": address(format!("{} Main Street", 100 + n)),
                    "billing_address": address(format!("{} Finance Avenue", 400 + n)),
                    "branch_id": format!("branch-{:03}", n % 2 + 1),
                    "tax_id": format!("14-{:07}", 3_456_000 + n),
                    "payment_terms": "net30",
                    "created_at": time(24 * n, -10_000),
                }),
            );
            let people = if n == 0 { 2 } else { 1 };
            for person in 0..people {
                let name = ["John Smith", "Rosa Lind"][person];
                self.add(
                    Kind::Contact,
                    json!({
                        "customer_id": customer,
                        "name": name,
                        "title": (["Facilities Manager", "Caretaker"][person]),
                        "email": format!("{}@{domain}", name.to_lowercase().replace(' ', ".")),
                        "phone": format!("+1-518-555-{:04}", 1_000 + 2 * n + person),
                        "is_primary": person == 0,
                    }),
                );
            }
            let street = format!("{} Main Street", 100 + n);
            self.add(Kind::Object, json!({"customer_id": customer, "name": "Building A", "address": street}));
        }
        self.store.trash(Kind::Customer, "cust-030");
    }

    fn put_assets(&mut self) {
        for n in 0..ASSETS {
            let (warranty_start, warranty_expiry) = match n {
                0 => ("2023-06-15", "2099-12-31"),
                1 => ("2016-06-15", "2019-06-15"),
                _ => ("2023-06-15", "2026-06-15"),
            };
            let asset = self.add(
                Kind::Asset,
                json!({
                    "name": format!("Unit #{}", n + 1),
                    "asset_tag": format!("A-{}", 10_001 + n),
                    "serial_number": format!("SN-2023-{:06}", 1_234 + n),
                    "model_number": format!("M{}-2023", n % PRODUCTS.len() + 1),
                    "product_id": format!("prod-{:03}", n % PRODUCTS.len() + 1),
                    "customer_id": customer_of(n),
                    "object_id": customer_of(n).replace("cust", "obj"),
                    "location": (["Roof", "Basement", "Second floor"][n % 3]),
                    "status": ASSET_STATUSES[n % ASSET_STATUSES.len()],
                    "install_date": warranty_start,
                    "warranty_start": warranty_start,
                    "warranty_expiry": warranty_expiry,
                    "last_service": (n % 2 == 0).then(|| time(10 * n, -800)),
                    "created_at": time(20 * n, -8_000),
                }),
            );
            if n == 0 {
                for part in [1, 2] {
                    self.add(
                        Kind::AssetPart,
                        json!({
                            "asset_id": asset, "part_id": format!("part-{part:03}"), "quantity": part,
                            "install_date": warranty_start,
                        }),
                    );
                }
            }
        }
        self.store.trash(Kind::Asset, "asset-060");
    }

    fn put_work_orders(&mut self) {
        self.store.number_from(Kind::WorkOrder, 10_000);
        for n in 0..WORK_ORDERS {
            let asset = n % (ASSETS - 1);
            let status = match n {
                0 => "in_progress",
                1 => "draft",
                2 => "open",
                59 => "completed",
                _ => WORK_ORDER_STATUSES[n % WORK_ORDER_STATUSES.len()],
            };
            let planned = status != "draft";
            let technician = (planned && status != "open" || n == 2).then(|| format!("tech-{:03}", n % 4 + 1));
            let order = self.add(
                Kind::WorkOrder,
                json!({
                    "work_order_number": format!("WO-2026-{}", 10_001 + n),
                    "status": status,
                    "priority": "high",
                    "description": JOBS[n % JOBS.len()].0,
                    "customer_id": customer_of(asset),
                    "contact_id": planned.then(|| contact_of(asset)),
                    "technician_id": technician,
                    "asset_id": format!("asset-{:03}", asset + 1),
                    "scheduled_date": planned.then(|| time(36 * n, 48)),
                    "estimated_duration": 60 + n % 3 * 30,
                    "created_at": time(36 * n, 0),
                }),
            );
            self.put_tasks(&order, n, status);
        }
        self.set(
            Kind::Task,
            "task-001",
            json!({
                "checklist_id": "checklist-001",
                "description": "Look at each filter and change those that are grey.",
                "parts_used": [{"part_id": "part-001", "name": PARTS[0], "quantity": 2}],
                "notes": "Two of four changed.",
                "photos": [{"id": "photo-001", "url": "https://files.fentu.example/photo-001.jpg"}],
            }),
        );
        let needed = json!([{"part_id": "part-002", "name": PARTS[1], "quantity": 1}]);
        self.set(Kind::Task, "task-002", json!({"technician_id": null, "parts_required": needed}));
        self.store.trash(Kind::WorkOrder, "wo-10070");
    }

    /// Adds two to five tasks. Those of a completed work order are done, and so is the first of one in progress.
    fn put_tasks(&mut self, order: &str, n: usize, status: &str) {
        for (sequence, name) in JOBS[n % JOBS.len()].1.iter().take(2 + n % 4).enumerate() {
            let done = status == "completed" || (status == "in_progress" && sequence == 0);
            let start = 36 * n + 48 + sequence;
            self.add(
                Kind::Task,
                json!({
                    "work_order_id": order,
                    "name": name,
                    "status": if done { "completed" } else { "pending" },
                    "sequence": sequence + 1,
                    "estimated_duration": 15,
                    "actual_duration": done.then_some(60),
                    "technician_id": done.then(|| format!("tech-{:03}", n % 4 + 1)),
                    "started_at": done.then(|| time(start, 0)),
                    "completed_at": done.then(|| time(start, 1)),
                }),
            );
        }
    }
}

/// The customer of an asset. The customer in the trash has none.
fn customer_of(asset: usize) -> String {
    format!("cust-{:03}", asset % (CUSTOMERS - 1) + 1)
}

/// The first contact of an asset's customer. The first customer has two contacts.
fn contact_of(asset: usize) -> String {
    let customer = asset % (CUSTOMERS - 1);
    format!("contact-{:03}", if customer == 0 { 1 } else { customer + 2 })
}

/// The time some hours after the opening, plus `more` hours, in the vendor's format.
fn time(hours: usize, more: i64) -> Value {
    let hours = i64::try_from(hours).unwrap_or(i64::MAX).saturating_add(more);
    let opening = Timestamp::from_second(OPENING).unwrap_or_default();
    shifted(opening, SignedDuration::from_hours(hours)).to_string().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::schema::FieldType;
    use super::*;

    #[test]
    fn there_are_records_of_every_kind_and_status() {
        let store = store();
        for (kind, count) in
            [(Kind::WorkOrder, 69), (Kind::Customer, 29), (Kind::Asset, 59), (Kind::Contact, 31), (Kind::Branch, 2)]
        {
            assert_eq!(store.all(kind).count(), count, "{kind:?}");
        }
        let statuses = |kind| store.all(kind).map(|record| record.text("status").to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(statuses(Kind::WorkOrder).len(), WORK_ORDER_STATUSES.len());
        assert_eq!(statuses(Kind::Asset).len(), ASSET_STATUSES.len());
    }

    #[test]
    fn every_reference_has_a_target() {
        let store = store();
        for kind in [Kind::Asset, Kind::Customer, Kind::WorkOrder] {
            for record in store.all(kind) {
                for (name, value) in &record.values {
                    let Some(field) = kind.fields().iter().find(|field| field.name == name) else { continue };
                    if let FieldType::One(target) = field.field_type {
                        let id = value.as_str().expect("an id");
                        assert!(store.get(target, id).is_some(), "{} refers to {id}", record.id);
                    }
                }
            }
        }
    }

    #[test]
    fn the_contact_of_a_work_order_belongs_to_its_customer() {
        let store = store();
        for order in store.all(Kind::WorkOrder) {
            if let Some(contact) = store.target(Kind::Contact, order, "contact_id") {
                assert_eq!(contact.text("customer_id"), order.text("customer_id"), "{}", order.id);
            }
        }
    }

    #[test]
    fn every_work_order_has_two_to_five_tasks() {
        let store = store();
        for order in store.all(Kind::WorkOrder) {
            let tasks = store.of(Kind::Task, "work_order_id", &order.id).count();
            assert!((2..=5).contains(&tasks), "{}: {tasks}", order.id);
        }
    }
}
