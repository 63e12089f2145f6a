//! Fixed data: locations, services, trainers and lookups. No call changes it.

use serde_json::{Value, json};

/// The grid on which free slots begin, in minutes.
pub(super) const SLOT_MINUTES: i64 = 30;

/// A service that can be booked.
#[derive(Debug)]
pub(super) struct Service {
    id: i64,
    pub(super) title: &'static str,
    category: i64,
    pub(super) activity_category: i64,
    /// Hours and minutes as they are sent. Clients have seen a full hour both as 1:00 and as 1:60.
    pub(super) duration: (i64, i64),
    /// How long it really takes.
    pub(super) minutes: i64,
    group_size: i64,
}

/// A service that a trainer gives at a location.
#[derive(Debug)]
pub(super) struct TrainerActivity {
    id: i64,
    pub(super) trainer: i64,
    pub(super) service: i64,
    pub(super) location: i64,
}

static SERVICES: [Service; 3] = [
    Service {
        id: 1,
        title: "Indoor cycling",
        category: 1,
        activity_category: 1,
        duration: (0, 45),
        minutes: 45,
        group_size: 12,
    },
    Service { id: 2, title: "Yoga", category: 1, activity_category: 2, duration: (1, 0), minutes: 60, group_size: 20 },
    Service {
        id: 3,
        title: "Personal training",
        category: 2,
        activity_category: 1,
        duration: (1, 60),
        minutes: 60,
        group_size: 1,
    },
];

static TRAINER_ACTIVITIES: [TrainerActivity; 3] = [
    TrainerActivity { id: 1, trainer: 3001, service: 3, location: 1 },
    TrainerActivity { id: 2, trainer: 3002, service: 3, location: 2 },
    TrainerActivity { id: 3, trainer: 3002, service: 2, location: 1 },
];

pub(super) fn locations() -> Vec<Value> {
    [
        (1, None, false),
        (2, None, false),
        (3, None, true),
        (11, Some(1), false),
        (12, Some(1), false),
        (21, Some(2), false),
        (22, Some(2), false),
    ]
    .into_iter()
    .map(|(id, parent, hidden): (i64, Option<i64>, bool)| {
        let name = location_name(id);
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

fn category(id: i64) -> Value {
    json!({"id": id, "name": if id == 1 { "Classes" } else { "Personal training" }, "name_in_member_app": null})
}

pub(super) fn settings() -> Value {
    json!({
        "id": 1, "locale": "en", "other_locales": ["ga"], "booking_minutes_interval": SLOT_MINUTES, "club_logo_url": null,
        "strike_service_category_ids": [], "strike_service_ids": [], "access_control_enabled": false, "otp_interval": 30,
        "wallet_settings": {"wallet_enabled": false},
    })
}

pub(super) fn activity_categories() -> Vec<Value> {
    vec![json!({"id": 1, "name": "Strength and stamina"}), json!({"id": 2, "name": "Balance"})]
}

pub(super) fn service(id: i64) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.id == id)
}

pub(super) fn services() -> Vec<Value> {
    SERVICES.iter().map(Service::to_json).collect()
}

impl Service {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id, "service_title": self.title, "duration_in_hours": self.duration.0,
            "duration_in_minutes": self.duration.1, "group_size": self.group_size, "show_free_spaces": true, "starred": false,
        })
    }
}

pub(super) fn trainers() -> Vec<Value> {
    [3001, 3002].map(trainer).to_vec()
}

pub(super) fn trainer_name(id: i64) -> &'static str {
    if id == 3001 { "Mia Novak" } else { "Tom Reyes" }
}

/// A trainer as lists show it.
fn trainer(id: i64) -> Value {
    let activities = TRAINER_ACTIVITIES.iter().filter(|activity| activity.trainer == id);
    let locations: Vec<_> = activities.map(|activity| activity.location).collect();
    json!({
        "id": id, "name": trainer_name(id), "type": "Trainer", "email": format!("{id}@club.example"), "image": null,
        "alt_id": null, "location_ids": locations,
    })
}

/// A trainer with the fields that lists leave out.
pub(super) fn trainer_details(id: i64) -> Value {
    let mut trainer = trainer(id);
    trainer["qualifications"] = json!("Level 3");
    trainer["bio"] = json!("Rows before breakfast.");
    trainer["tags"] = json!([]);
    trainer["relationships"] = json!({"has_package_with": 0, "has_booking_with": 0});
    trainer
}

pub(super) fn trainer_activity(id: i64) -> Option<&'static TrainerActivity> {
    TRAINER_ACTIVITIES.iter().find(|activity| activity.id == id)
}

pub(super) fn trainer_activities() -> Vec<Value> {
    TRAINER_ACTIVITIES.iter().map(TrainerActivity::to_json).collect()
}

/// The ids of the trainer activities with this service at this location, in ascending order.
pub(super) fn activities_of(service: i64, location: i64) -> impl Iterator<Item = i64> {
    let matching =
        TRAINER_ACTIVITIES.iter().filter(move |activity| (activity.service, activity.location) == (service, location));
    matching.map(|activity| activity.id)
}

impl TrainerActivity {
    pub(super) fn to_json(&self) -> Value {
        let service = service(self.service);
        json!({
            "id": self.id, "trainer": trainer(self.trainer), "service": service.map(Service::to_json),
            "location": {"id": self.location, "name": location_name(self.location)},
            "trainer_id": self.trainer, "location_id": self.location,
            "service_category_id": service.map(|service| service.category),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_location_has_a_name_and_every_room_has_a_site() {
        for location in locations() {
            let parent = location["parent_id"].as_i64();
            assert!(parent.is_none_or(|parent| location_name(parent).is_some()), "{location}");
            assert!(location["name"].is_string(), "{location}");
        }
    }

    #[test]
    fn trainer_activities_refer_to_existing_services_and_locations() {
        let exists = |activity: &TrainerActivity| {
            service(activity.service).is_some() && location_name(activity.location).is_some()
        };
        assert!(TRAINER_ACTIVITIES.iter().all(exists));
    }
}
