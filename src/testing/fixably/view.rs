//! Formats stored objects as the responses show them: links, objects and lists.

use serde_json::{Map, Value, json};

use super::auth::Token;
use super::expand::Expand;
use super::options::{Amounts, ExcludedField, Options};
use super::params::Page;
use super::schema::{Field, Kind, Resource};
use super::store::{ROOT, Record, Store};

/// The store as one token sees it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) base_url: &'a str,
    pub(super) options: &'a Options,
    pub(super) store: &'a Store,
    pub(super) token: &'a Token,
}

impl<'a> View<'a> {
    /// Whether the token may see a record. A token with Customer access level sees its customer, the orders of that
    /// customer with their contents and devices, and reference data.
    pub(super) fn sees(&self, resource: Resource, record: &Record) -> bool {
        let Some(customer) = self.token.customer() else { return true };
        let owns = |order: &Record| order.target("customer") == Some(customer);
        match resource {
            Resource::Customer => record.id == customer,
            Resource::Device => {
                let mut orders = self.store.under(Resource::Order, ROOT);
                orders.any(|order| owns(order) && order.target("device") == Some(record.id))
            }
            Resource::Line | Resource::Note | Resource::Task => {
                self.store.get(Resource::Order, ROOT, record.parent).is_some_and(owns)
            }
            Resource::Order => owns(record),
            _ => true,
        }
    }

    pub(super) fn object(&self, resource: Resource, record: &Record, expand: &Expand) -> Value {
        let mut object = Map::new();
        for field in resource.fields() {
            let value = if !self.token.hides(resource, field.name) {
                self.value(resource, record, field, expand.inside(field.name))
            } else if self.options.excluded_field == ExcludedField::Null {
                Value::Null
            } else {
                continue;
            };
            object.insert(field.name.to_owned(), value);
        }
        Value::Object(object)
    }

    /// A list in its envelope. Its items are links unless `expand` names them.
    pub(super) fn list(&self, resource: Resource, records: &[&Record], page: Page, expand: &Expand) -> Value {
        let shown = records.iter().skip(page.offset).take(page.limit);
        let items: Vec<_> = match expand.inside("items") {
            Some(inside) => shown.map(|record| self.object(resource, record, inside)).collect(),
            None => shown.map(|record| self.link(resource, record)).collect(),
        };
        json!({"limit": page.limit, "offset": page.offset, "totalItems": records.len(), "items": items})
    }

    fn link(&self, resource: Resource, record: &Record) -> Value {
        json!({"href": self.href(resource, record)})
    }

    fn href(&self, resource: Resource, record: &Record) -> String {
        let (base_url, own) = (self.base_url, resource.segment());
        match resource.owner() {
            Some(owner) => format!("{base_url}/{}/{}/{own}/{}", owner.segment(), record.parent, record.id),
            None => format!("{base_url}/{own}/{}", record.id),
        }
    }

    fn value(&self, resource: Resource, record: &'a Record, field: &Field, expand: Option<&Expand>) -> Value {
        let value = record.value(field.name);
        match field.kind {
            Kind::Amount => self.amount(value),
            Kind::Author | Kind::One(_) => match (self.store.target(record, field.name, field.kind), expand) {
                (Some((resource, target)), Some(expand)) if self.sees(resource, target) => {
                    self.object(resource, target, expand)
                }
                (Some((resource, target)), _) => self.link(resource, target),
                (None, _) => Value::Null,
            },
            Kind::Embedded(texts) => match value {
                Value::Object(object) => {
                    let texts =
                        texts.iter().map(|text| (text.to_string(), object.get(*text).cloned().unwrap_or_default()));
                    Value::Object(texts.collect())
                }
                _ => Value::Null,
            },
            Kind::Href => self.href(resource, record).into(),
            Kind::Id => record.id.into(),
            Kind::Many(members) => match expand {
                Some(expand) => {
                    let mut records = self.store.members(resource, record, members);
                    records.retain(|member| self.sees(members, member));
                    self.list(members, &records, Page::FIRST, expand)
                }
                None => json!({"href": format!("{}/{}", self.href(resource, record), field.name)}),
            },
            Kind::Date | Kind::Flag | Kind::Number | Kind::OneOf(_) | Kind::Tags | Kind::Text | Kind::Timestamp => {
                value.clone()
            }
            Kind::Unknown => Value::Null,
        }
    }

    fn amount(&self, value: &Value) -> Value {
        match (self.options.amounts, value.as_f64()) {
            (Amounts::Text, Some(amount)) => format!("{amount:.2}").into(),
            _ => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use super::super::auth::TokenKind;
    use super::super::mock_server::MockServer;
    use super::super::options::{Amounts, ExcludedField};

    const BASE: &str = "https://demo.fixably.com/api/v3";

    fn get(path: &str) -> Value {
        let (status, body) = MockServer::builder().in_memory().request("GET", path, None);
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    #[test]
    fn relations_are_links_until_they_are_expanded() {
        let order = get("/orders/20000010");
        assert_eq!(order["id"], 20_000_010);
        assert_eq!(order["href"], format!("{BASE}/orders/20000010"));
        assert_eq!(order["customer"], json!({"href": format!("{BASE}/customers/1")}));
        assert_eq!(order["lines"], json!({"href": format!("{BASE}/orders/20000010/lines")}));
        assert_eq!(
            order["contact"]["fullName"], "Jill Marsh",
            "a contact has no URL of its own, so it is always shown in full"
        );
    }

    #[test]
    fn an_expanded_object_has_its_id_and_its_link() {
        let order = get("/orders/20000010?expand=customer,lines(items(product)),status(queue)");
        assert_eq!(order["customer"]["id"], 1);
        assert_eq!(order["customer"]["href"], format!("{BASE}/customers/1"));
        assert_eq!(order["status"]["queue"]["name"], "Reception");
        let lines = &order["lines"];
        assert_eq!((&lines["limit"], &lines["offset"], &lines["totalItems"]), (&json!(25), &json!(0), &json!(2)));
        assert_eq!(lines["items"][0]["href"], format!("{BASE}/orders/20000010/lines/1"));
        assert_eq!(lines["items"][0]["product"]["id"], 1);
        assert_eq!(lines["items"][1]["product"], Value::Null);
    }

    #[test]
    fn a_list_has_links_until_its_items_are_expanded() {
        let links = get("/customers?limit=2");
        assert_eq!(links["items"][1], json!({"href": format!("{BASE}/customers/2")}));
        let objects = get("/customers?limit=2&expand=items(children(items))");
        assert_eq!(objects["items"][0]["children"]["items"][1]["id"], 3);
    }

    #[test]
    fn an_expanded_list_holds_at_most_twenty_five_items() {
        let order = get("/orders/20000014?expand=lines(items)");
        assert_eq!(order["lines"]["totalItems"], 30);
        assert_eq!(order["lines"]["items"].as_array().map(Vec::len), Some(25));
        let lines = get("/orders/20000014/lines?limit=100&expand=items");
        assert_eq!(lines["items"].as_array().map(Vec::len), Some(30));
    }

    #[test]
    fn blank_values_are_null_and_not_left_out() {
        let order = get("/orders/20000011");
        for field in ["customer", "store", "device", "status", "contact", "reference"] {
            assert_eq!(order.get(field), Some(&Value::Null), "{field}");
        }
    }

    #[test]
    fn unknown_content_is_null_and_a_relation_without_targets_is_an_empty_list() {
        assert_eq!(get("/statuses/450?expand=custom")["custom"], Value::Null);
        assert_eq!(get("/locations/1?expand=deliveries(items)")["deliveries"]["totalItems"], 0);
    }

    #[test]
    fn an_excluded_field_is_absent_or_null() {
        for (mode, expected) in [(ExcludedField::Absent, None), (ExcludedField::Null, Some(&Value::Null))] {
            let server = MockServer::builder().with_excluded_fields_as(mode).in_memory();
            let token = server.token(TokenKind::ExcludedFields);
            let (_, line) = server.request_as(&format!("Bearer {token}"), "GET", "/orders/20000010/lines/1", None);
            assert_eq!(line.get("discount"), expected, "{mode:?}");
            assert!(line["price"].is_number(), "{line}");
            let (status, _) = server.request_as(&format!("Bearer {token}"), "GET", "/products?q=stockPrice:[1,]", None);
            assert_eq!(status, 400, "a filter must not reveal a hidden field");
        }
    }

    #[test]
    fn amounts_are_numbers_or_text() {
        for (amounts, price) in [(Amounts::Number, json!(249.0)), (Amounts::Text, json!("249.00"))] {
            let server = MockServer::builder().with_amounts(amounts).in_memory();
            assert_eq!(server.request("GET", "/orders/20000010/lines/1", None).1["price"], price, "{amounts:?}");
        }
    }

    #[test]
    fn a_customer_token_sees_only_what_belongs_to_its_customer() {
        let server = MockServer::builder().in_memory();
        let token = format!("Bearer {}", server.token(TokenKind::Customer));
        let get = |path: &str| server.request_as(&token, "GET", path, None);
        for (path, status) in [
            ("/orders/20000010", 200),
            ("/orders/20000010/lines/1", 200),
            ("/orders/20000011", 404),
            ("/orders/20000011/notes", 404),
            ("/customers/1", 200),
            ("/customers/2", 404),
            ("/customers/1/children/2", 404),
            ("/devices/1", 200),
            ("/queues/1", 200),
        ] {
            assert_eq!(get(path).0, status, "{path}");
        }
        let orders = get("/orders?limit=100&expand=items").1;
        let own = format!("{BASE}/customers/1");
        let items = orders["items"].as_array().expect("items");
        assert!(!items.is_empty() && items.iter().all(|order| order["customer"]["href"] == own), "{orders}");
        assert_eq!(get("/customers").1["totalItems"], 1);
    }
}
