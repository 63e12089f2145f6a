//! What a workshop offers, and what the vendor makes of the services that a booking asks for.

use serde_json::{Map, Value, json};

use super::refusal::Complaint;

/// The categories of services, on the wire.
pub(super) const CATEGORIES: [&str; 4] = ["service", "tyres", "repair", "others"];

/// The services of one workshop.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    pub(super) items: Vec<Item>,
}

/// A service.
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
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({
            "_id": self.id, "catalogCode": self.code, "title": self.title, "category": self.category,
            "cost": self.cost, "icon": self.icon, "color": self.color,
        });
        if let Some(max_cost) = self.max_cost {
            shown["maxCost"] = max_cost.into();
        }
        shown
    }
}

impl Catalog {
    pub(super) fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    /// Services as the vendor stores them: those of the catalog completed from it, others as they were sent. Each entry
    /// is an object, whose fields have been checked.
    pub(super) fn complete(&self, services: &[Value], complaints: &mut Vec<Complaint>) -> Vec<Value> {
        let mut complain =
            |field: String, message: &str| complaints.push(Complaint { field, message: message.to_owned() });
        let mut completed = Vec::new();
        for (index, service) in services.iter().filter_map(Value::as_object).enumerate() {
            let text = |name: &str| service.get(name).and_then(Value::as_str);
            let mut stored: Map<String, Value> = service.clone();
            stored.retain(|_, value| !value.is_null());
            match text("catalogId").map(|id| self.item(id)) {
                Some(Some(item)) if text("catalogCode").is_none_or(|code| code == item.code) => {
                    let Value::Object(known) = item.shown() else { continue };
                    for (name, value) in known.into_iter().filter(|(name, _)| name != "_id") {
                        // The vendor calls a title that was sent an override, and shows the catalog's in its place. It
                        // keeps the price that was sent.
                        if name != "cost" || !stored.contains_key("cost") {
                            stored.insert(name, value);
                        }
                    }
                    stored.insert("source".to_owned(), "catalog".into());
                }
                Some(Some(_)) => complain(format!("services[{index}].catalogCode"), "is not the code of this service"),
                Some(None) => complain(format!("services[{index}].catalogId"), "is not in the catalog of the workshop"),
                None => {
                    for name in ["title", "category"] {
                        if text(name).is_none() {
                            complain(format!("services[{index}].{name}"), "is required for a custom service");
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
        let mut complaints = Vec::new();
        let mut completed = seed::catalog().complete(&[service], &mut complaints);
        match complaints.pop() {
            Some(complaint) => Err(format!("{} {}", complaint.field, complaint.message)),
            None => Ok(completed.remove(0)),
        }
    }

    #[test]
    fn a_service_of_the_catalog_is_completed_from_it_and_keeps_its_price() {
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
    fn a_service_that_is_neither_is_refused_by_its_place() {
        for (service, complaint) in [
            (json!({"catalogId": "68"}), "services[0].catalogId is not in the catalog of the workshop"),
            (
                json!({"catalogId": seed::LOGBOOK, "catalogCode": "tyres"}),
                "services[0].catalogCode is not the code of this service",
            ),
            (json!({"title": "Brakes"}), "services[0].category is required for a custom service"),
            (json!({"category": "repair"}), "services[0].title is required for a custom service"),
        ] {
            assert_eq!(complete(service), Err(complaint.to_owned()));
        }
    }
}
