//! What a tenant has that no call changes: places, services, offers, packages and lookups.

use serde_json::{Value, json};

/// A service that can be booked, and how its length is written: whole hours in either of the forms that clients have
/// seen.
struct Service {
    id: i64,
    title: &'static str,
    category: i64,
    activity: i64,
    /// Hours and minutes as they are sent.
    written: (i64, i64),
    minutes: i64,
    size: i64,
}

const SERVICES: [Service; 3] = [
    Service { id: 1, title: "Indoor cycling", category: 1, activity: 1, written: (0, 45), minutes: 45, size: 12 },
    Service { id: 2, title: "Yoga", category: 1, activity: 2, written: (1, 0), minutes: 60, size: 20 },
    Service { id: 3, title: "Personal training", category: 2, activity: 1, written: (1, 60), minutes: 60, size: 1 },
];

/// Who offers what, and where: id, trainer, service, location.
const OFFERS: [(i64, i64, i64, i64); 3] = [(1, 3001, 3, 1), (2, 3002, 3, 2), (3, 3002, 2, 1)];

const PACKAGES: [Package; 3] = [
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

pub(super) fn locations() -> Vec<Value> {
    [
        (1, None, "Harbour", false),
        (2, None, "Mill Lane", false),
        (3, None, "Old Pool", true),
        (11, Some(1), "Studio 1", false),
        (12, Some(1), "Gym floor", false),
        (21, Some(2), "Studio A", false),
        (22, Some(2), "Studio B", false),
    ]
    .into_iter()
    .map(|(id, parent, name, hidden): (i64, Option<i64>, &str, bool)| {
        let directory = parent.is_none().then(|| {
            json!({
                "id": id, "location_id": id, "name": name, "address": format!("{id} Quay Street"), "postcode": "LS1 4AB",
                "phone_no": "0113 496 0000", "cover_image_urls": [],
                "opening_hours": [{"id": id, "directory_id": id, "title": "Every day", "start_time": "06:00", "end_time": "22:00"}],
            })
        });
        json!({
            "id": id, "parent_id": parent, "parent_name": parent.and_then(location_name), "region_id": 1, "name": name,
            "short_code": null, "hidden": hidden, "directory_is_enabled": parent.is_none(), "directory": directory,
            "latitude": 53.79, "longitude": -1.55, "club_id": 1, "tag_ids": [],
        })
    })
    .collect()
}

pub(super) fn location_name(id: i64) -> Option<&'static str> {
    match id {
        1 => Some("Harbour"),
        2 => Some("Mill Lane"),
        3 => Some("Old Pool"),
        11 => Some("Studio 1"),
        12 => Some("Gym floor"),
        21 => Some("Studio A"),
        22 => Some("Studio B"),
        _ => None,
    }
}

pub(super) fn regions() -> Vec<Value> {
    vec![json!({"id": 1, "name": "North", "disabled": false}), json!({"id": 2, "name": "South", "disabled": true})]
}

pub(super) fn countries() -> Vec<Value> {
    vec![
        json!({"id": 1, "name": "United Kingdom", "abbr": "GB", "dialing_code": "+44"}),
        json!({"id": 2, "name": "Ireland", "abbr": "IE", "dialing_code": "+353"}),
        json!({"id": 3, "name": "Antarctica", "abbr": "AQ", "dialing_code": null}),
    ]
}

pub(super) fn sections() -> Vec<Value> {
    vec![
        json!({"id": 1, "section": "classes", "title": "Classes", "service_categories": [category(1)]}),
        json!({"id": 2, "section": "appointments", "title": "Training", "service_categories": [category(2)]}),
    ]
}

pub(super) fn settings() -> Value {
    json!({
        "id": 1, "locale": "en", "other_locales": ["ga"], "booking_minutes_interval": STEP, "club_logo_url": null,
        "strike_service_category_ids": [], "strike_service_ids": [], "access_control_enabled": false, "otp_interval": 30,
        "wallet_settings": {"wallet_enabled": false},
    })
}

/// The grid on which free slots begin, in minutes.
pub(super) const STEP: i64 = 30;

fn category(id: i64) -> Value {
    json!({"id": id, "name": if id == 1 { "Classes" } else { "Personal training" }, "name_in_member_app": null})
}

pub(super) fn activity_categories() -> Vec<Value> {
    vec![json!({"id": 1, "name": "Strength and stamina"}), json!({"id": 2, "name": "Balance"})]
}

pub(super) fn services() -> Vec<Value> {
    SERVICES.iter().map(shown_service).collect()
}

fn shown_service(service: &Service) -> Value {
    json!({
        "id": service.id, "service_title": service.title, "duration_in_hours": service.written.0,
        "duration_in_minutes": service.written.1, "group_size": service.size, "show_free_spaces": true, "starred": false,
    })
}

/// What a class or slot of a service takes from it: title, category of the activity, hours and minutes as written, and
/// the minutes it really takes.
pub(super) fn service(id: i64) -> Option<(&'static str, i64, (i64, i64), i64)> {
    let service = SERVICES.iter().find(|service| service.id == id)?;
    Some((service.title, service.activity, service.written, service.minutes))
}

pub(super) fn trainers() -> Vec<Value> {
    [3001, 3002].map(|id| trainer(id, false)).to_vec()
}

pub(super) fn trainer_name(id: i64) -> &'static str {
    if id == 3001 { "Mia Novak" } else { "Tom Reyes" }
}

/// A trainer, in a list or alone.
pub(super) fn trainer(id: i64, whole: bool) -> Value {
    let locations: Vec<_> = OFFERS.iter().filter(|offer| offer.1 == id).map(|offer| offer.3).collect();
    let mut trainer = json!({
        "id": id, "name": trainer_name(id), "type": "Trainer", "email": format!("{id}@club.example"), "image": null,
        "alt_id": null, "location_ids": locations,
    });
    if whole {
        trainer["qualifications"] = json!("Level 3");
        trainer["bio"] = json!("Rows before breakfast.");
        trainer["tags"] = json!([]);
        trainer["relationships"] = json!({"has_package_with": 0, "has_booking_with": 0});
    }
    trainer
}

pub(super) fn offers() -> Vec<Value> {
    OFFERS.iter().filter_map(|offer| shown_offer(offer.0)).collect()
}

/// Trainer, service and location of an offer.
pub(super) fn offer(id: i64) -> Option<(i64, i64, i64)> {
    OFFERS.iter().find(|offer| offer.0 == id).map(|&(_, trainer, service, location)| (trainer, service, location))
}

/// The offers of a service at a location, in the order of their ids.
pub(super) fn offers_of(service: i64, location: i64) -> impl Iterator<Item = i64> {
    OFFERS.iter().filter(move |offer| (offer.2, offer.3) == (service, location)).map(|offer| offer.0)
}

pub(super) fn shown_offer(id: i64) -> Option<Value> {
    let (trainer_id, service_id, location_id) = offer(id)?;
    let service = SERVICES.iter().find(|service| service.id == service_id)?;
    Some(json!({
        "id": id, "trainer": trainer(trainer_id, false), "service": shown_service(service),
        "location": {"id": location_id, "name": location_name(location_id)},
        "trainer_id": trainer_id, "location_id": location_id, "service_category_id": service.category,
    }))
}

/// A package by its number, or by its number as a product.
pub(super) fn package(id: i64) -> Option<Package> {
    PACKAGES.into_iter().find(|package| package.id == id || package.product == id)
}

pub(super) fn packages() -> Vec<Value> {
    PACKAGES.iter().filter_map(|package| shown_package(package.id, false)).collect()
}

/// A package, in a list or alone.
pub(super) fn shown_package(id: i64, whole: bool) -> Option<Value> {
    let Package { product, name, pence, credits, services, location, position, .. } =
        PACKAGES.into_iter().find(|package| package.id == id)?;
    let holds = services.iter().map(|service_id| {
        let mut entry = json!({"id": id * 10 + service_id, "amount": credits, "price": null, "service_id": service_id});
        if whole {
            entry["service"] =
                json!({"id": service_id, "service_title": service(*service_id).map(|service| service.0)});
        }
        entry
    });
    let mut package = json!({
        "id": id, "name": name, "product_id": product, "price": {"amount": pence, "currency_code": "GBP"},
        "custom_price": if id == 2 { json!({"amount": 18_000, "currency_code": "GBP"}) } else { Value::Null },
        "disabled": false, "subscribed": false, "subscribable": id == 3, "user_visibility": ["Client"],
        "service_package_services": holds.collect::<Vec<_>>(), "location_id": location, "club_id": 1,
        "position": position, "service_ids": services,
    });
    if whole {
        package["single"] = json!(id == 1);
        package["expirable"] = json!(id == 2);
        package["expires_in"] = json!(6);
        package["expires_period_type"] = json!("months");
        package["bookings_limit"] = Value::Null;
        package["tags"] = json!([]);
    }
    Some(package)
}

/// What a promo code takes off, and of how many pence. Codes that nobody gave out take nothing.
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
    fn every_room_has_a_site_and_every_place_a_name() {
        for location in locations() {
            let parent = location["parent_id"].as_i64();
            assert!(parent.is_none_or(|parent| location_name(parent).is_some()), "{location}");
            assert_eq!(location["name"].as_str(), location_name(location["id"].as_i64().unwrap()), "{location}");
        }
    }

    #[test]
    fn every_offer_and_package_is_of_services_that_exist() {
        assert!(OFFERS.iter().all(|offer| service(offer.2).is_some() && location_name(offer.3).is_some()));
        assert!(PACKAGES.iter().all(|package| package.services.iter().all(|id| service(*id).is_some())));
    }

    #[test]
    fn a_package_is_found_under_both_of_its_numbers() {
        assert_eq!((package(1).unwrap().id, package(101).unwrap().id), (1, 1));
        assert!(package(7).is_none());
    }
}
