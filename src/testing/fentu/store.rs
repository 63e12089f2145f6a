//! The stored records.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::schema::Kind;

/// One record. A missing value is absent or null.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) values: Map<String, Value>,
}

impl Record {
    pub(super) fn value(&self, field: &str) -> &Value {
        self.values.get(field).unwrap_or(&Value::Null)
    }

    /// The text of a field; empty if there is none.
    pub(super) fn text(&self, field: &str) -> &str {
        self.value(field).as_str().unwrap_or_default()
    }
}

/// All records.
#[derive(Clone, Debug, Default)]
pub(super) struct Store(BTreeMap<Kind, Table>);

#[derive(Clone, Debug, Default)]
struct Table {
    rows: BTreeMap<String, Record>,
    /// The API cannot restore a record from here.
    trash: BTreeMap<String, Record>,
    last: u64,
}

impl Store {
    /// Adds a record with the next id.
    pub(super) fn add(&mut self, kind: Kind, values: Map<String, Value>) -> String {
        let table = self.0.entry(kind).or_default();
        table.last += 1;
        let id = format!("{}-{:03}", kind.prefix(), table.last);
        table.rows.insert(id.clone(), Record { id: id.clone(), values });
        id
    }

    /// Sets the number after which the ids of a kind continue.
    pub(super) fn number_from(&mut self, kind: Kind, last: u64) {
        self.0.entry(kind).or_default().last = last;
    }

    /// The number of the last id of a kind.
    pub(super) fn last(&self, kind: Kind) -> u64 {
        self.0.get(&kind).map_or(0, |table| table.last)
    }

    pub(super) fn get(&self, kind: Kind, id: &str) -> Option<&Record> {
        self.0.get(&kind)?.rows.get(id)
    }

    pub(super) fn get_mut(&mut self, kind: Kind, id: &str) -> Option<&mut Record> {
        self.0.get_mut(&kind)?.rows.get_mut(id)
    }

    /// The record that a field of another refers to, even if it is in the trash.
    pub(super) fn target(&self, kind: Kind, record: &Record, field: &str) -> Option<&Record> {
        let (table, id) = (self.0.get(&kind)?, record.text(field));
        table.rows.get(id).or_else(|| table.trash.get(id))
    }

    /// The records of a kind, sorted by id.
    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = &Record> {
        self.0.get(&kind).into_iter().flat_map(|table| table.rows.values())
    }

    /// The records of a kind whose field holds this id.
    pub(super) fn of<'a>(&'a self, kind: Kind, field: &'a str, id: &'a str) -> impl Iterator<Item = &'a Record> {
        self.all(kind).filter(move |record| record.text(field) == id)
    }

    /// Moves a record to the trash, and returns whether there was one.
    pub(super) fn trash(&mut self, kind: Kind, id: &str) -> bool {
        let Some(table) = self.0.get_mut(&kind) else { return false };
        let Some(record) = table.rows.remove(id) else { return false };
        table.trash.insert(id.to_owned(), record);
        true
    }

    pub(super) fn is_trashed(&self, id: &str) -> bool {
        self.0.values().any(|table| table.trash.contains_key(id))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_continue_after_a_record_is_trashed() {
        let mut store = Store::default();
        let first = store.add(Kind::Task, Map::new());
        assert_eq!(first, "task-001");
        assert!(store.trash(Kind::Task, &first));
        assert_eq!(store.add(Kind::Task, Map::new()), "task-002");
        store.number_from(Kind::WorkOrder, 10_000);
        assert_eq!(store.add(Kind::WorkOrder, Map::new()), "wo-10001");
    }

    #[test]
    fn a_trashed_record_is_not_found_but_still_referred_to() {
        let mut store = Store::default();
        let customer = store.add(Kind::Customer, Map::new());
        let mut values = Map::new();
        values.insert("customer_id".to_owned(), json!(customer));
        let asset = store.add(Kind::Asset, values);
        assert!(store.trash(Kind::Customer, &customer) && !store.trash(Kind::Customer, &customer));
        assert!(store.get(Kind::Customer, &customer).is_none() && store.is_trashed(&customer));
        let asset = store.get(Kind::Asset, &asset).expect("a record");
        assert!(store.target(Kind::Customer, asset, "customer_id").is_some());
    }
}
