//! The packages for sale and the discounts of promo codes. No call changes them.

use serde_json::{Value, json};

use super::catalog::service;

/// A package for sale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Package {
    pub(super) id: i64,
    product: i64,
    pub(super) name: &'static str,
    pub(super) pence: i64,
    pub(super) credits: i64,
    pub(super) services: &'static [i64],
    location: i64,
    position: i64,
}

static PACKAGES: [Package; 3] = [
    Package {
        id: 1,
        product: 101,
        name: "Ten classes",
        pence: 4_900,
        credits: 10,
        services: &[1, 2],
        location: 1,
        position: 2,
    },
    Package {
        id: 2,
        product: 102,
        name: "Five hours of personal training",
        pence: 20_000,
        credits: 5,
        services: &[3],
        location: 1,
        position: 1,
    },
    Package {
        id: 3,
        product: 103,
        name: "A month of classes",
        pence: 3_900,
        credits: 31,
        services: &[1, 2],
        location: 2,
        position: 3,
    },
];

/// The package with this id or product id.
pub(super) fn package(id: i64) -> Option<Package> {
    PACKAGES.into_iter().find(|package| package.id == id || package.product == id)
}

pub(super) fn packages() -> Vec<Value> {
    PACKAGES.into_iter().map(Package::to_json).collect()
}

/// The package with this id, with the fields that lists leave out.
pub(super) fn package_details(id: i64) -> Option<Value> {
    let mut package = PACKAGES.iter().find(|package| package.id == id)?.to_json();
    for entry in package["service_package_services"].as_array_mut().into_iter().flatten() {
        let service_id = entry["service_id"].as_i64()?;
        entry["service"] = json!({"id": service_id, "service_title": service(service_id).map(|service| service.title)});
    }
    package["single"] = json!(id == 1);
    package["expirable"] = json!(id == 2);
    package["expires_in"] = json!(6);
    package["expires_period_type"] = json!("months");
    package["bookings_limit"] = Value::Null;
    package["tags"] = json!([]);
    Some(package)
}

impl Package {
    /// The package as lists show it.
    pub(super) fn to_json(self) -> Value {
        let Self { id, product, name, pence, credits, services, location, position } = self;
        let credits_by_service = services.iter().map(|service_id| {
            json!({"id": id * 10 + service_id, "amount": credits, "price": null, "service_id": service_id})
        });
        json!({
            "id": id, "name": name, "product_id": product, "price": {"amount": pence, "currency_code": "GBP"},
            "custom_price": if id == 2 { json!({"amount": 18_000, "currency_code": "GBP"}) } else { Value::Null },
            "disabled": false, "subscribed": false, "subscribable": id == 3, "user_visibility": ["Client"],
            "service_package_services": credits_by_service.collect::<Vec<_>>(), "location_id": location, "club_id": 1,
            "position": position, "service_ids": services,
        })
    }
}

/// The discount of a promo code; `None` for an unknown code.
pub(super) fn discount(code: &str) -> Option<Value> {
    match code {
        "TENOFF" => Some(json!({"id": 1, "name": "Ten percent", "percentage_off": 10, "amount_off": null})),
        "FIVEOFF" => Some(json!({"id": 2, "name": "Five pounds", "percentage_off": null, "amount_off": 500})),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_refer_to_existing_services() {
        assert!(PACKAGES.iter().all(|package| package.services.iter().all(|id| service(*id).is_some())));
    }

    #[test]
    fn a_package_is_found_by_its_id_and_its_product_id() {
        assert_eq!((package(1).unwrap().id, package(101).unwrap().id), (1, 1));
        assert!(package(7).is_none());
    }
}
