//! What a tenant remembers.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Partner;
use super::catalog::Catalog;

/// A kind of object that a partner's calls make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Customer = 65,
    Car = 66,
    Booking = 67,
    Quote = 68,
    Reminder = 69,
}

/// One object, as it is shown but for what it holds of others.
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

/// All objects of a tenant.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    /// By the id of their workshop.
    pub(super) catalogs: BTreeMap<String, Catalog>,
    /// By kind and id.
    records: BTreeMap<(Kind, String), Record>,
    last: BTreeMap<Kind, u32>,
}

impl Store {
    /// Adds an object under the next id of its kind: 24 hexadecimal digits, as the vendor's examples have it.
    pub(super) fn add(&mut self, kind: Kind, partner: Partner, mut values: Map<String, Value>) -> String {
        let last = self.last.entry(kind).or_default();
        *last += 1;
        let id = format!("{}{last:022}", kind as u8);
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

    /// The objects of a kind, oldest first.
    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |((other, _), _)| *other == kind).map(|(_, record)| record)
    }

    /// How many objects of a kind there have been.
    pub(super) fn count(&self, kind: Kind) -> u32 {
        self.last.get(&kind).copied().unwrap_or(0)
    }

    /// The partner's object whose `field` has this value, updated with `values`, or a new one: one customer has one
    /// phone number, one car one plate.
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

    /// An object as it is shown: a booking and a reminder with the car and the customer that they name.
    pub(super) fn shown(&self, kind: Kind, id: &str) -> Value {
        let Some(record) = self.get(kind, id) else { return Value::Null };
        let mut shown = record.values.clone();
        let held: &[_] = match kind {
            Kind::Booking => &[("car", "carId", Kind::Car), ("customer", "customerId", Kind::Customer)],
            // Whether it holds its customer is not known.
            Kind::Reminder => &[("car", "carId", Kind::Car)],
            Kind::Car | Kind::Customer | Kind::Quote => &[],
        };
        for (name, field, kind) in held {
            if let Some(inner) = record.text(field).and_then(|id| self.get(*kind, id)) {
                shown.insert((*name).to_owned(), inner.values.clone().into());
            }
        }
        shown.into()
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
    fn ids_have_twenty_four_digits_and_tell_the_kind() {
        let mut store = Store::default();
        for kind in [Kind::Customer, Kind::Booking] {
            store.add(kind, Partner::Main, Map::new());
            let id = store.add(kind, Partner::Main, Map::new());
            assert_eq!((id.len(), &id[..2], &id[22..]), (24, &*(kind as u8).to_string(), "02"));
        }
    }

    #[test]
    fn the_same_plate_is_the_same_car_of_the_same_partner() {
        let mut store = Store::default();
        let mut merge = |partner, car| store.merge(Kind::Car, partner, "rego", values(car));
        let first = merge(Partner::Main, json!({"rego": "ABC123", "make": "Toyota"}));
        assert_eq!(merge(Partner::Main, json!({"rego": "ABC123", "year": 2019})), first);
        assert_ne!(merge(Partner::Other, json!({"rego": "ABC123"})), first);
        assert_ne!(merge(Partner::Main, json!({"make": "Toyota"})), first);
        let car = store.shown(Kind::Car, &first);
        assert_eq!((&car["make"], &car["year"]), (&json!("Toyota"), &json!(2019)));
    }
}
