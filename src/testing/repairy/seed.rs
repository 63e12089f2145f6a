//! The initial data: two workshops, and a customer with a car, a booking and a reminder.

use serde_json::{Map, Value, json};

use super::catalog::{Catalog, Item};
use super::partner::Partner;
use super::store::{Kind, Store};

/// The workshop with a catalog.
pub(super) const WORKSHOP: &str = "640000000000000000000001";
/// The workshop without a catalog, which accepts only the older form of bookings.
pub(super) const LEGACY_WORKSHOP: &str = "640000000000000000000002";
// Both ids are in the vendor's examples.
pub(super) const LOGBOOK: &str = "68b7bf3f6210580c57363a94";
const ROADWORTHY: &str = "507f1f77bcf86cd799439011";

pub(super) fn store() -> Store {
    let mut store = Store::default();
    store.catalogs.insert(WORKSHOP.to_owned(), catalog());
    store.catalogs.insert(LEGACY_WORKSHOP.to_owned(), Catalog::default());

    let customer = json!({
        "firstName": "Noor", "lastName": "Ali", "email": "noor.ali@mail.example", "phone": "0400000001",
        "address": "8 Harbour Lane, Melbourne VIC 3000",
    });
    let customer = store.add(Kind::Customer, Partner::Main, values(customer));
    let car = json!({
        "customerId": customer, "rego": "1AB2CD", "year": 2019, "make": "Toyota", "model": "Corolla", "badge": "Ascent",
        "vin": "JTNKU3JE60J000000",
    });
    let car = store.add(Kind::Car, Partner::Main, values(car));
    let logbook = json!({
        "catalogId": LOGBOOK, "catalogCode": "logbook", "title": "Logbook Service", "category": "service", "cost": 150,
        "maxCost": 200, "icon": "basic", "color": "green", "source": "catalog",
    });
    let booking = json!({
        "code": "BK000001", "carId": car, "customerId": customer, "workshopId": WORKSHOP, "externalId": null,
        "serviceCategory": "service", "services": [logbook], "status": "pending",
        "dropOffTime": "2026-06-01T09:00:00", "pickupTime": "2026-06-01T16:00:00",
    });
    let booking = store.add(Kind::Booking, Partner::Main, values(booking));
    let reminder = json!({
        "code": "RM000001", "carId": car, "customerId": customer, "workshopId": WORKSHOP, "lastServiceId": null,
        "lastBookingId": booking, "newBookingId": null, "externalId": null,
    });
    store.add(Kind::Reminder, Partner::Main, values(reminder));

    // The main partner must not see this one.
    let foreign = json!({
        "code": "BK000002", "carId": null, "customerId": null, "workshopId": LEGACY_WORKSHOP,
        "servicePackageType": "logbook", "status": "confirmed", "dropOffTime": "2026-06-01T09:00:00",
    });
    store.add(Kind::Booking, Partner::Other, values(foreign));
    store
}

pub(super) fn catalog() -> Catalog {
    let item = |id, code, title, category, cost, max_cost, icon, color| Item {
        id,
        code,
        title,
        category,
        cost,
        max_cost,
        icon,
        color,
    };
    Catalog {
        items: vec![
            item(LOGBOOK, "logbook", "Logbook Service", "service", 150, Some(200), "basic", "green"),
            item("690aa0000000000000000001", "rotation", "Tyre Rotation", "tyres", 60, Some(90), "tyre", "grey"),
            item("690aa0000000000000000002", "diagnosis", "Engine Diagnosis", "repair", 110, None, "engine", "red"),
            item(ROADWORTHY, "roadworthy", "Roadworthy Inspection", "others", 150, None, "clipboard", "blue"),
            // The workshop defined this one itself.
            item(
                "690aa0000000000000000003",
                "detailing",
                "Hand Wash and Detailing",
                "others",
                80,
                None,
                "drop",
                "blue",
            ),
        ],
    }
}

fn values(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(values) => values,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::CATEGORIES;
    use super::*;

    #[test]
    fn the_catalog_has_a_service_of_every_category() {
        let items = catalog().items;
        for category in CATEGORIES {
            assert!(items.iter().any(|item| item.category == category), "{category}");
        }
    }

    #[test]
    fn references_point_to_existing_records() {
        let store = store();
        let booking = store.to_json(Kind::Booking, "670000000000000000000001");
        assert_eq!((&booking["car"]["rego"], &booking["customer"]["phone"]), (&json!("1AB2CD"), &json!("0400000001")));
        let reminder = store.to_json(Kind::Reminder, "690000000000000000000001");
        assert_eq!((&reminder["lastBookingId"], &reminder["car"]["id"]), (&booking["id"], &booking["carId"]));
    }
}
