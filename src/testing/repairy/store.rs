//! The data of the mock server: the catalogs of the workshops, and the records that calls create.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::catalog::Catalog;
use super::partner::Partner;

/// A kind of record. Its number begins the ids of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Customer = 65,
    Car = 66,
    Booking = 67,
    Quote = 68,
    Reminder = 69,
}

/// One record, with the ids of other records in place of their content.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) partner: Partner,
    pub(super) values: Map<String, Value>,
}

impl Record {
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.values.get(field)?.as_str()
    }
}

/// All catalogs and records.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    /// The catalogs by workshop.
    pub(super) catalogs: BTreeMap<String, Catalog>,
    records: BTreeMap<(Kind, String), Record>,
    /// How many records of each kind were added.
    counts: BTreeMap<Kind, u32>,
}

impl Store {
    /// Adds a record and returns its id, which has 24 digits as in the vendor's examples.
    pub(super) fn add(&mut self, kind: Kind, partner: Partner, mut values: Map<String, Value>) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let id = format!("{}{count:022}", kind as u8);
        values.insert("id".to_owned(), id.clone().into());
        self.records.insert((kind, id.clone()), Record { partner, values });
        id
    }

    pub(super) fn get(&self, kind: Kind, id: &str) -> Option<&Record> {
        self.records.get(&(kind, id.to_owned()))
    }

    pub(super) fn get_mut(&mut self, kind: Kind, id: &str) -> Option<&mut Record> {
        self.records.get_mut(&(kind, id.to_owned()))
    }

    /// The records of a kind, oldest first.
    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |((other, _), _)| *other == kind).map(|(_, record)| record)
    }

    /// How many records of a kind were added.
    pub(super) fn count(&self, kind: Kind) -> u32 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// Updates the partner's record with the same value in `field`, or else adds one, and returns its id. A customer is
    /// identified by phone number, a car by its plate.
    pub(super) fn merge(&mut self, kind: Kind, partner: Partner, field: &str, values: Map<String, Value>) -> String {
        let wanted = values.get(field).filter(|value| !value.is_null());
        let same = |record: &&mut Record| record.partner == partner && record.values.get(field) == wanted;
        let records = self.records.iter_mut().filter(|((other, _), _)| *other == kind).map(|(_, record)| record);
        match wanted.and_then(|_| records.into_iter().find(|record| same(record))) {
            Some(known) => {
                known.values.extend(values);
                known.text("id").unwrap_or_default().to_owned()
            }
            None => self.add(kind, partner, values),
        }
    }

    /// The records of a kind as the vendor shows them, oldest first.
    pub(super) fn list(&self, kind: Kind) -> Vec<Value> {
        self.all(kind).filter_map(|record| Some(self.to_json(kind, record.text("id")?))).collect()
    }

    /// A record as the vendor shows it: a booking contains its car and its customer, a reminder its car.
    pub(super) fn to_json(&self, kind: Kind, id: &str) -> Value {
        let Some(record) = self.get(kind, id) else { return Value::Null };
        let mut json = record.values.clone();
        let embedded: &[_] = match kind {
            Kind::Booking => &[("car", "carId", Kind::Car), ("customer", "customerId", Kind::Customer)],
            // Whether a reminder contains its customer is unknown.
            Kind::Reminder => &[("car", "carId", Kind::Car)],
            Kind::Car | Kind::Customer | Kind::Quote => &[],
        };
        for (name, field, kind) in embedded {
            if let Some(inner) = record.text(field).and_then(|id| self.get(*kind, id)) {
                json.insert((*name).to_owned(), inner.values.clone().into());
            }
        }
        json.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn an_id_has_24_digits_and_begins_with_its_kind() {
        let mut store = Store::default();
        for kind in [Kind::Customer, Kind::Booking] {
            store.add(kind, Partner::Main, Map::new());
            let id = store.add(kind, Partner::Main, Map::new());
            assert_eq!((id.len(), &id[..2], &id[22..]), (24, &*(kind as u8).to_string(), "02"));
        }
    }

    #[test]
    fn a_partner_has_one_car_with_a_plate() {
        let mut store = Store::default();
        let mut merge = |partner, car| store.merge(Kind::Car, partner, "rego", values(car));
        let first = merge(Partner::Main, json!({"rego": "ABC123", "make": "Toyota"}));
        assert_eq!(merge(Partner::Main, json!({"rego": "ABC123", "year": 2019})), first);
        assert_ne!(merge(Partner::Other, json!({"rego": "ABC123"})), first);
        assert_ne!(merge(Partner::Main, json!({"make": "Toyota"})), first);
        let car = store.to_json(Kind::Car, &first);
        assert_eq!((&car["make"], &car["year"]), (&json!("Toyota"), &json!(2019)));
    }
}
