//! The data at the start: a small repair shop. Nothing here is random.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::schema::Resource;
use super::store::{PARENT, ROOT, Record, Store};
use crate::testing::clock::shifted;

/// Monday, 2 March 2026, 08:00 UTC, when the first order was created.
const OPENING: i64 = 1_772_438_400;

const FIRST_ORDER: i64 = 20_000_010;

pub(super) fn store(orders: usize) -> Store {
    let mut seed = Seed::default();
    seed.put_reference_data();
    seed.put_customers();
    seed.put_devices();
    for number in 0..i64::try_from(orders).unwrap_or(i64::MAX) {
        seed.put_order(number);
    }
    seed.store
}

/// Repairs: the issue, the diagnosis, the product of the part, and the price of the work in cents.
const CASES: [(&str, &str, i64, i64); 6] = [
    (
        "Screen cracked after a fall, touch works in the upper half only",
        "Display assembly has to be replaced",
        1,
        5_900,
    ),
    ("Battery drains before noon", "Battery at 71 % of its capacity", 2, 3_900),
    ("Does not charge unless the cable is held at an angle", "Charging port worn out", 3, 4_900),
    ("Keyboard does not react after a spilled coffee", "Corrosion under the keyboard, board is fine", 4, 8_900),
    ("Does not start any more", "Short circuit on the logic board", 5, 12_900),
    ("Customer data has to move to the new device", "Storage is readable", 6, 2_900),
];

/// Name, type and queue of the statuses from 450: one of each type that the vendor's pages list. The spelling of types
/// in the API is unknown.
const STATUSES: [(&str, &str, i64); 11] = [
    ("In queue", "IN_QUEUE", 1),
    ("In diagnosis", "IN_DIAGNOSIS", 2),
    ("Waiting for parts", "WAITING_FOR_PARTS", 3),
    ("Parts arrived", "PARTS_ARRIVED", 3),
    ("Waiting for customer", "WAITING_FOR_CUSTOMER", 1),
    ("At the manufacturer", "WAITING_FOR_THIRD_PARTY", 3),
    ("Waiting for processing", "WAITING_FOR_PROCESSING", 2),
    ("Ready for pickup", "WAITING_FOR_PICKUP", 4),
    ("Picked up", "PICKED_UP", 4),
    ("Ready for shipping", "READY_FOR_SHIPPING", 4),
    ("Shipped", "SHIPPED", 4),
];

#[derive(Default)]
struct Seed {
    store: Store,
}

impl Seed {
    fn put(&mut self, resource: Resource, id: i64, values: Value) {
        self.put_in(resource, ROOT, id, values);
    }

    fn put_in(&mut self, resource: Resource, parent: i64, id: i64, values: Value) {
        if let Value::Object(values) = values {
            self.store.put(resource, Record { id, parent, values });
        }
    }

    fn add_in(&mut self, resource: Resource, order: i64, values: Value) {
        if let Value::Object(values) = values {
            self.store.add(resource, order, values);
        }
    }

    fn put_reference_data(&mut self) {
        for (id, name) in (1..).zip(["Reception", "Workshop", "Parts", "Handover"]) {
            self.put(Resource::Queue, id, json!({"name": name}));
        }
        for (id, (name, kind, queue)) in (450..).zip(STATUSES) {
            self.put(Resource::Status, id, json!({"name": name, "type": kind, "queue": queue}));
        }
        for (id, name) in (1..).zip(["Main street workshop", "Harbour service centre", "Collection van"]) {
            self.put(Resource::Location, id, json!({"name": name}));
        }
        for (id, name) in (1..).zip(["City centre", "Harbour"]) {
            self.put(Resource::Store, id, json!({"name": name}));
        }
        for (id, first, last) in [(107_460, "Sofia", "Lind"), (107_461, "Peter", "Okafor")] {
            let email = format!("{}@shop.example", first.to_lowercase());
            self.put(
                Resource::User,
                id,
                json!({"firstName": first, "lastName": last, "email": email, "phone": "+44 113 496 0100"}),
            );
        }
        let products = [
            ("DISP-661", "Display assembly", "PART", "Displays", 19_900),
            ("BATT-204", "Battery", "PART", "Batteries", 4_900),
            ("PORT-118", "Charging port", "PART", "Connectors", 2_400),
            ("KEYB-732", "Keyboard with top case", "PART", "Input", 14_900),
            ("LOGI-901", "Logic board", "PART", "Boards", 32_900),
            ("CABL-010", "Transfer cable", "ACCESSORY", "Cables", 900),
        ];
        for (id, (code, name, kind, category, cents)) in (1..).zip(products) {
            self.put(
                Resource::Product,
                id,
                json!({
                    "code": code, "name": name, "version": "1", "typeString": kind, "categoryString": category,
                    "stockPrice": amount(cents),
                }),
            );
        }
    }

    fn put_customers(&mut self) {
        let address = json!({"name": "Harbour Lane Studios", "address1": "14 Harbour Lane", "zip": "LS1 4AB", "city": "Leeds", "country": "GB"});
        self.put(
            Resource::Customer,
            1,
            json!({
                "company": "Harbour Lane Studios", "email": "repairs@harbourlane.example", "phone": "+44 113 496 0000",
                "businessId": "GB-0420771", "language": "en", "provider": "erp", "identifier": "C-1001",
                "tags": ["contract"], "billingAddress": address, "shippingAddress": address, "createdAt": time(-2_000),
            }),
        );
        for (id, first, last) in [(2, "Jill", "Marsh"), (3, "Omar", "Haddad")] {
            let email = format!("{}@harbourlane.example", first.to_lowercase());
            self.put(
                Resource::Customer,
                id,
                json!({
                    PARENT: 1, "firstName": first, "lastName": last, "company": "Harbour Lane Studios", "email": email,
                    "language": "en", "tags": [], "createdAt": time(-1_990),
                }),
            );
        }
        self.put(
            Resource::Customer,
            4,
            json!({"firstName": "Ines", "lastName": "Cortez", "phone": "+44 113 496 0004", "tags": [], "createdAt": time(-900)}),
        );
        let people =
            [("Aino", "Virtanen", "fi"), ("Tomas", "Berg", "sv"), ("Grace", "Osei", "en"), ("Liam", "Doyle", "en")];
        for (id, (first, last, language)) in (5..).zip(people) {
            let email = format!("{}.{}@mail.example", first.to_lowercase(), last.to_lowercase());
            self.put(
                Resource::Customer,
                id,
                json!({
                    "firstName": first, "lastName": last, "email": email, "phone": format!("+44 113 496 000{id}"),
                    "language": language, "tags": [], "createdAt": time(-100 * id),
                }),
            );
        }
    }

    fn put_devices(&mut self) {
        let devices = [
            ("iPhone 14 Pro", "Apple", json!("SN0000000001"), json!("350000000000001"), "128 GB, black"),
            ("MacBook Air 13", "Apple", json!("SN0000000002"), json!(null), "M2, 16 GB, 512 GB"),
            ("Galaxy S23", "Samsung", json!(null), json!("350000000000003"), "256 GB, green"),
            ("iPad Air", "Apple", json!("SN0000000004"), json!(null), "64 GB, blue"),
            ("Pixel 8", "Google", json!("SN0000000005"), json!("350000000000005"), "128 GB, grey"),
            ("ThinkPad T14", "Lenovo", json!("SN0000000006"), json!(null), "16 GB, 1 TB"),
        ];
        for (id, (name, brand, serial, imei, configuration)) in (1..).zip(devices) {
            self.put(
                Resource::Device,
                id,
                json!({
                    "name": name, "brand": brand, "serialNumber": serial, "imeiNumber1": imei,
                    "configuration": configuration, "purchaseCountry": "GB", "purchaseDate": format!("2024-0{id}-15"),
                }),
            );
        }
    }

    /// The first six orders have special properties. The others follow from their number.
    fn put_order(&mut self, number: i64) {
        let id = FIRST_ORDER + number;
        let closed = number % 2 == 1;
        let pick = |of: i64| usize::try_from(number % of).unwrap_or_default();
        let customer = [5, 4, 6, 1, 7, 2, 8, 3][pick(8)];
        let status =
            if closed { [458, 460][pick(4) / 2] } else { [450, 451, 452, 453, 454, 455, 456, 457, 459][pick(9)] };
        let (_, _, queue) = STATUSES[status - 450];
        let place = ["STORE", "SERVICE", "CUSTOMER", "IN_TRANSIT", "DEALER_SHOP"][pick(5)];
        let created = number * 13;
        let mut order = json!({
            "createdAt": time(created),
            "updatedAt": time(created + 1 + number * 37 % 120),
            "isClosed": closed,
            "isDraft": false,
            "reference": format!("R-{}", 7_000 + number),
            "internalLocation": place,
            "customer": customer,
            "orderedBy": customer,
            "handledBy": 107_460 + number % 2,
            "device": 1 + number % 6,
            "location": 1 + number % 3,
            "store": 1 + number % 2,
            "queue": queue,
            "status": status,
        });
        match number {
            0 => {
                order["customer"] = json!(1);
                order["orderedBy"] = json!(2);
                order["contact"] = json!({
                    "fullName": "Jill Marsh", "company": "Harbour Lane Studios", "phoneNumber": "+44 113 496 0002",
                    "emailAddress": "jill@harbourlane.example",
                });
            }
            1 => {
                for field in ["customer", "orderedBy", "store", "device", "status", "reference"] {
                    order[field] = Value::Null;
                }
                order["isClosed"] = json!(false);
            }
            2 => order["isDraft"] = json!(true),
            4 => order["customer"] = json!(1),
            5 => {
                order["isClosed"] = Value::Null;
                order["isDraft"] = Value::Null;
            }
            _ => {}
        }
        let total = self.put_lines(id, number);
        order["total"] = amount(total);
        order["totalRemaining"] = amount(if closed { 0 } else { total });
        self.put(Resource::Order, id, order);
        self.put_notes(id, number, created);
        self.add_in(Resource::Task, id, json!({}));
    }

    /// Adds the lines of an order, and returns their sum in cents.
    fn put_lines(&mut self, order: i64, number: i64) -> i64 {
        let (_, _, product, work) = case(number);
        let part = [24_900, 6_900, 3_900, 18_900, 39_900, 1_900][usize::try_from(product - 1).unwrap_or_default()];
        let line = |product, cents, serial: Option<String>| {
            json!({
                "product": product, "price": amount(cents), "quantity": 1, "discount": 0, "vat": 20,
                "serialNumber": serial, "originalSerialNumber": null,
            })
        };
        let parts = if number == 4 { 29 } else { 1 };
        for part_number in 0..parts {
            let serial = format!("P{order}{part_number:02}");
            self.add_in(Resource::Line, order, line(Some(product), part, Some(serial)));
        }
        self.add_in(Resource::Line, order, line(None::<i64>, work, None));
        parts * part + work
    }

    fn put_notes(&mut self, order: i64, number: i64, created: i64) {
        let (issue, diagnosis, _, _) = case(number);
        let mut notes = vec![("ISSUE", "Reported by the customer", issue)];
        if number % 2 == 1 || number == 0 {
            notes.push(("DIAGNOSIS", "First look", diagnosis));
            notes.push(("RESOLUTION", "Done", "Repaired and tested for an hour"));
        }
        if number == 0 {
            notes.push(("INTERNAL", "Contract customer", "Hand over at the studio, not at the counter"));
        }
        for (hours, (kind, title, text)) in (0..).zip(notes) {
            self.add_in(
                Resource::Note,
                order,
                json!({"type": kind, "title": title, "text": text, "createdBy": 107_460, "createdAt": time(created + hours)}),
            );
        }
    }
}

fn case(number: i64) -> (&'static str, &'static str, i64, i64) {
    CASES[usize::try_from(number).unwrap_or_default() % CASES.len()]
}

/// The time some hours after the opening, in the vendor's format.
fn time(hours: i64) -> Value {
    let opening = Timestamp::from_second(OPENING).unwrap_or_default();
    shifted(opening, SignedDuration::from_hours(hours)).to_string().into()
}

fn amount(cents: i64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "exact, because no sum comes near 2^53 cents")]
    let cents = cents as f64;
    json!(cents / 100.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::mock_server::MockServer;

    fn all(path: &str) -> Vec<Value> {
        let server = MockServer::builder().in_memory();
        let mut items = Vec::new();
        loop {
            let (_, list) =
                server.request("GET", &format!("{path}?limit=100&expand=items&offset={}", items.len()), None);
            match list["items"].as_array() {
                Some(page) if !page.is_empty() => items.extend(page.iter().cloned()),
                _ => return items,
            }
        }
    }

    fn server() -> MockServer {
        MockServer::builder().in_memory()
    }

    #[test]
    fn the_first_order_has_everything_that_examples_use() {
        let order = server().snapshot("orders/20000010?expand=customer,device,store,location,queue,status,lines(items(product)),notes(items),tasks(items)");
        for (relation, id) in
            [("customer", 1), ("device", 1), ("store", 1), ("location", 1), ("queue", 1), ("status", 450)]
        {
            assert_eq!(order[relation]["id"], id, "{relation}");
        }
        let (lines, notes) = (&order["lines"]["items"], &order["notes"]["items"]);
        assert_eq!((&lines[0]["id"], &lines[0]["product"]["id"]), (&json!(1), &json!(1)));
        assert_eq!((&lines[1]["id"], &lines[1]["product"]), (&json!(2), &Value::Null));
        let mut types: Vec<_> =
            notes.as_array().expect("notes").iter().filter_map(|note| note["type"].as_str()).collect();
        types.sort_unstable();
        assert_eq!(types, ["DIAGNOSIS", "INTERNAL", "ISSUE", "RESOLUTION"]);
        assert_eq!((&notes[0]["id"], &order["tasks"]["items"][0]["id"]), (&json!(1), &json!(1)));
    }

    #[test]
    fn about_half_of_more_than_a_hundred_orders_are_closed_and_paid() {
        let orders = all("/orders");
        let closed: Vec<_> = orders.iter().filter(|order| order["isClosed"] == true).collect();
        assert!(orders.len() >= 130 && (50..90).contains(&closed.len()), "{} of {}", closed.len(), orders.len());
        assert!(closed.iter().all(|order| order["totalRemaining"] == 0.0), "{closed:?}");
        assert!(orders.iter().any(|order| order["isDraft"] == true));
        assert!(orders.iter().any(|order| order["isClosed"].is_null()));
    }

    #[test]
    fn there_are_orders_in_each_internal_location_and_status() {
        let orders = all("/orders");
        for place in ["CUSTOMER", "DEALER_SHOP", "IN_TRANSIT", "SERVICE", "STORE"] {
            assert!(orders.iter().any(|order| order["internalLocation"] == place), "{place}");
        }
        for status in all("/statuses") {
            let used = orders.iter().any(|order| order["status"]["href"] == status["href"]);
            assert!(used, "{status}");
        }
    }

    #[test]
    fn orders_were_created_in_the_order_of_their_ids_and_changed_later() {
        let orders = all("/orders");
        let created: Vec<_> = orders.iter().filter_map(|order| order["createdAt"].as_str()).collect();
        assert!(created.is_sorted(), "{created:?}");
        assert!(orders.iter().all(|order| order["updatedAt"].as_str() > order["createdAt"].as_str()));
        assert!(orders.iter().all(|order| order["updatedAt"].as_str() < Some("2026-06-01")));
    }

    #[test]
    fn a_total_is_the_sum_of_its_lines() {
        for id in [20_000_010, 20_000_011, 20_000_033] {
            let order = server().order(id);
            let lines = order["lines"]["items"].as_array().expect("lines");
            let sum: f64 = lines.iter().filter_map(|line| line["price"].as_f64()).sum();
            assert_eq!(order["total"].as_f64(), Some(sum), "{id}");
        }
    }

    #[test]
    fn customers_and_devices_have_their_special_properties() {
        let server = server();
        assert_eq!(server.snapshot("customers/1?expand=children(items)")["children"]["totalItems"], 2);
        let phone_only = server.snapshot("customers/4");
        assert!(phone_only["phone"].is_string() && phone_only["email"].is_null(), "{phone_only}");
        let imei_only = server.snapshot("devices/3");
        assert!(imei_only["imeiNumber1"].is_string() && imei_only["serialNumber"].is_null(), "{imei_only}");
        assert_eq!(server.snapshot("queues")["totalItems"], 4);
        assert_eq!(server.snapshot("users/107460")["firstName"], "Sofia");
    }

    #[test]
    fn two_servers_start_with_the_same_data() {
        let [one, other] = [server(), server()].map(|server| server.snapshot("orders?limit=100&expand=items"));
        assert_eq!(one, other);
    }

    #[test]
    fn a_server_can_start_without_orders() {
        let server = MockServer::builder().with_order_count(0).in_memory();
        assert_eq!(server.snapshot("orders")["totalItems"], 0);
    }
}
