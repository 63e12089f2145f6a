//! The stored objects.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::schema::{Kind, Resource};

/// The parent of objects that no other object contains.
pub(super) const ROOT: i64 = 0;

/// The internal field that makes a customer a child of another. Responses never show it.
pub(super) const PARENT: &str = "#parent";

/// One object. A to-one relation holds the id of its target; a missing value is null.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: i64,
    pub(super) parent: i64,
    pub(super) values: Map<String, Value>,
}

impl Record {
    pub(super) fn value(&self, field: &str) -> &Value {
        self.values.get(field).unwrap_or(&Value::Null)
    }

    /// The id that a to-one relation holds.
    pub(super) fn target(&self, field: &str) -> Option<i64> {
        self.value(field).as_i64()
    }
}

/// All objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    tables: BTreeMap<Resource, Table>,
    /// The invoices as their requests describe them. How the vendor shows them is unknown.
    invoices: Vec<Value>,
}

#[derive(Clone, Debug, Default)]
struct Table {
    /// By parent and id, so that the objects of an order are adjacent and sorted.
    rows: BTreeMap<(i64, i64), Record>,
    last: i64,
}

impl Store {
    /// Adds an object with the next free id, which is unique among its kind.
    pub(super) fn add(&mut self, resource: Resource, parent: i64, values: Map<String, Value>) -> i64 {
        let id = self.tables.entry(resource).or_default().last + 1;
        self.put(resource, Record { id, parent, values });
        id
    }

    /// Adds an invoice for an order and returns its id.
    pub(super) fn add_invoice(&mut self, order: i64, mut values: Map<String, Value>) -> usize {
        let id = self.invoices.len() + 1;
        values.insert("id".to_owned(), id.into());
        values.insert("order".to_owned(), order.into());
        self.invoices.push(values.into());
        id
    }

    pub(super) fn invoices(&self) -> &[Value] {
        &self.invoices
    }

    pub(super) fn put(&mut self, resource: Resource, record: Record) {
        let table = self.tables.entry(resource).or_default();
        table.last = table.last.max(record.id);
        table.rows.insert((record.parent, record.id), record);
    }

    pub(super) fn get(&self, resource: Resource, parent: i64, id: i64) -> Option<&Record> {
        self.tables.get(&resource)?.rows.get(&(parent, id))
    }

    pub(super) fn get_mut(&mut self, resource: Resource, parent: i64, id: i64) -> Option<&mut Record> {
        self.tables.get_mut(&resource)?.rows.get_mut(&(parent, id))
    }

    /// The objects of one kind under one parent, by ascending id.
    pub(super) fn under(&self, resource: Resource, parent: i64) -> impl Iterator<Item = &Record> {
        let rows = self.tables.get(&resource).map(|table| table.rows.range((parent, i64::MIN)..=(parent, i64::MAX)));
        rows.into_iter().flatten().map(|(_, record)| record)
    }

    /// The targets of a to-many relation, by ascending id.
    pub(super) fn members(&self, owner: Resource, record: &Record, members: Resource) -> Vec<&Record> {
        let linked = |field: &'static str| {
            self.under(members, ROOT).filter(move |member| member.target(field) == Some(record.id)).collect()
        };
        match (owner, members) {
            (Resource::Customer, Resource::Customer) => linked(PARENT),
            (Resource::Queue, Resource::Status) => linked("queue"),
            _ if members.owner() == Some(owner) => self.under(members, record.id).collect(),
            _ => Vec::new(),
        }
    }

    /// The target of a to-one relation.
    pub(super) fn target(&self, record: &Record, field: &str, kind: Kind) -> Option<(Resource, &Record)> {
        let resource = match kind {
            Kind::Author => Resource::User,
            Kind::One(resource) => resource,
            _ => return None,
        };
        Some((resource, self.get(resource, ROOT, record.target(field)?)?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(id: i64, parent: i64, values: Value) -> Record {
        let Value::Object(values) = values else { panic!("{values} is not an object") };
        Record { id, parent, values }
    }

    #[test]
    fn a_new_id_is_the_highest_of_all_parents_plus_one() {
        let mut store = Store::default();
        store.put(Resource::Line, record(7, 1, json!({})));
        assert_eq!(store.add(Resource::Line, 2, Map::new()), 8);
        assert_eq!(store.add(Resource::Line, 1, Map::new()), 9);
        let ids: Vec<_> = store.under(Resource::Line, 1).map(|line| line.id).collect();
        assert_eq!(ids, [7, 9]);
    }

    #[test]
    fn an_object_is_not_found_under_another_parent() {
        let mut store = Store::default();
        store.put(Resource::Line, record(7, 1, json!({})));
        assert!(store.get(Resource::Line, 1, 7).is_some());
        assert!(store.get(Resource::Line, 2, 7).is_none());
    }

    #[test]
    fn members_are_children_statuses_of_a_queue_or_parts_of_an_order() {
        let mut store = Store::default();
        store.put(Resource::Customer, record(1, ROOT, json!({})));
        store.put(Resource::Customer, record(2, ROOT, json!({PARENT: 1})));
        store.put(Resource::Queue, record(1, ROOT, json!({})));
        store.put(Resource::Status, record(450, ROOT, json!({"queue": 1})));
        store.put(Resource::Order, record(9, ROOT, json!({})));
        store.put(Resource::Note, record(3, 9, json!({})));

        for (owner, id, members, expected) in [
            (Resource::Customer, 1, Resource::Customer, 2),
            (Resource::Queue, 1, Resource::Status, 450),
            (Resource::Order, 9, Resource::Note, 3),
        ] {
            let record = store.get(owner, ROOT, id).expect("there");
            let ids: Vec<_> = store.members(owner, record, members).iter().map(|member| member.id).collect();
            assert_eq!(ids, [expected], "{owner:?} {members:?}");
        }
    }
}
