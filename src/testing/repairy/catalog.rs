//! The services of a workshop, and how they complete the services of a booking.

use serde_json::{Map, Value, json};

use super::error_response::FieldError;

/// The categories of services.
pub(super) const CATEGORIES: [&str; 4] = ["service", "tyres", "repair", "others"];

/// The services of one workshop.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    pub(super) items: Vec<Item>,
}

/// A service in the catalog.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: &'static str,
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) category: &'static str,
    pub(super) cost: u32,
    pub(super) max_cost: Option<u32>,
    pub(super) icon: &'static str,
    pub(super) color: &'static str,
}

impl Item {
    pub(super) fn to_json(&self) -> Value {
        let mut json = json!({
            "_id": self.id, "catalogCode": self.code, "title": self.title, "category": self.category,
            "cost": self.cost, "icon": self.icon, "color": self.color,
        });
        if let Some(max_cost) = self.max_cost {
            json["maxCost"] = max_cost.into();
        }
        json
    }
}

impl Catalog {
    pub(super) fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    /// Services as the vendor stores them: those in the catalog are completed from it, custom ones stay as they were
    /// sent. Each service is an object whose fields have been checked.
    pub(super) fn complete(&self, services: &[Value], errors: &mut Vec<FieldError>) -> Vec<Value> {
        let mut error = |index: usize, field: &str, message: &str| {
            errors.push(FieldError::new(format!("services[{index}].{field}"), message));
        };
        let mut completed = Vec::new();
        for (index, service) in services.iter().filter_map(Value::as_object).enumerate() {
            let text = |name: &str| service.get(name).and_then(Value::as_str);
            let mut stored: Map<String, Value> = service.clone();
            stored.retain(|_, value| !value.is_null());
            match text("catalogId").map(|id| self.item(id)) {
                Some(Some(item)) if text("catalogCode").is_none_or(|code| code == item.code) => {
                    let Value::Object(known) = item.to_json() else { continue };
                    for (name, value) in known.into_iter().filter(|(name, _)| name != "_id") {
                        // The vendor calls a sent title an override, but shows the catalog's title. A sent price stays.
                        if name != "cost" || !stored.contains_key("cost") {
                            stored.insert(name, value);
                        }
                    }
                    stored.insert("source".to_owned(), "catalog".into());
                }
                Some(Some(_)) => error(index, "catalogCode", "is not the code of this service"),
                Some(None) => error(index, "catalogId", "is not in the catalog of the workshop"),
                None => {
                    for name in ["title", "category"] {
                        if text(name).is_none() {
                            error(index, name, "is required for a custom service");
                        }
                    }
                    stored.insert("source".to_owned(), "custom".into());
                }
            }
            completed.push(stored.into());
        }
        completed
    }
}

#[cfg(test)]
mod tests {
    use super::super::seed;
    use super::*;

    fn complete(service: Value) -> Result<Value, String> {
        let mut errors = Vec::new();
        let mut completed = seed::catalog().complete(&[service], &mut errors);
        match errors.pop() {
            Some(error) => Err(format!("{} {}", error.field, error.message)),
            None => Ok(completed.remove(0)),
        }
    }

    #[test]
    fn a_catalog_service_is_completed_and_keeps_its_price() {
        let sent = json!({"catalogId": seed::LOGBOOK, "catalogCode": "logbook", "title": "Logbook", "cost": 170});
        let stored = complete(sent).expect("valid");
        assert_eq!((&stored["title"], &stored["cost"]), (&json!("Logbook Service"), &json!(170)));
        assert_eq!((&stored["maxCost"], &stored["category"]), (&json!(200), &json!("service")));
        assert_eq!((&stored["icon"], &stored["source"]), (&json!("basic"), &json!("catalog")));
        assert_eq!(complete(json!({"catalogId": seed::LOGBOOK})).expect("valid")["cost"], 150);
    }

    #[test]
    fn a_custom_service_is_stored_as_it_was_sent() {
        let sent = json!({"title": "Custom Brake Service", "category": "repair", "cost": 150, "icon": null});
        let stored = json!({"title": "Custom Brake Service", "category": "repair", "cost": 150, "source": "custom"});
        assert_eq!(complete(sent), Ok(stored));
    }

    #[test]
    fn an_invalid_service_is_reported_with_its_index() {
        for (service, error) in [
            (json!({"catalogId": "68"}), "services[0].catalogId is not in the catalog of the workshop"),
            (
                json!({"catalogId": seed::LOGBOOK, "catalogCode": "tyres"}),
                "services[0].catalogCode is not the code of this service",
            ),
            (json!({"title": "Brakes"}), "services[0].category is required for a custom service"),
            (json!({"category": "repair"}), "services[0].title is required for a custom service"),
        ] {
            assert_eq!(complete(service), Err(error.to_owned()));
        }
    }
}
