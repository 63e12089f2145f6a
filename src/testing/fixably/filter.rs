//! The `q` parameter: which records a list contains.
//!
//! `jill`, `company:Acme`, `isClosed:false`, `updatedAt:2026-03-02`, `createdAt:[2026-03-01,2026-03-31]`,
//! `updatedAt:[2026-03-01,]`, `status.id:450`, `status.id:(450,454)!`, and any of them joined by commas; a record must
//! match all of them. A field matches its whole text, free text any part of a text, both in any case. The meaning of
//! `!` after a list is unknown, so it is ignored.

use jiff::civil::Date;
use serde_json::Value;

use super::schema::{Field, Kind, Resource};
use super::store::{Record, Store};

/// A parsed `q`, checked against the fields of one kind of object. The empty filter matches every record.
#[derive(Debug, Default)]
pub(super) struct Filter(Vec<Term>);

#[derive(Debug)]
enum Term {
    Anywhere(String),
    At(Path, Condition),
}

/// The path to a value: through to-one relations to a field, or into an embedded object.
#[derive(Debug)]
struct Path {
    relations: Vec<&'static Field>,
    field: &'static Field,
    inside: Option<&'static str>,
}

#[derive(Debug, PartialEq)]
enum Condition {
    Flag(bool),
    Numbers(Vec<f64>),
    NumbersBetween(Option<f64>, Option<f64>),
    /// In lower case.
    Texts(Vec<String>),
    /// In the format of the stored times, which sort as text.
    TimesBetween(Option<String>, Option<String>),
}

impl Filter {
    /// Parses the parameter. `hidden` returns whether the client may not see a field, and so may not search it.
    pub(super) fn parse(
        text: &str,
        resource: Resource,
        hidden: impl Fn(Resource, &str) -> bool,
    ) -> Result<Self, String> {
        let terms = split(text)?.into_iter().map(|term| match term.split_once(':') {
            _ if term.is_empty() => Err("q has an empty term".to_owned()),
            None => Ok(Term::Anywhere(term.to_lowercase())),
            Some((path, value)) => {
                let path = Path::parse(path, resource, &hidden)?;
                let condition = Condition::parse(term, value, path.kind())?;
                Ok(Term::At(path, condition))
            }
        });
        Ok(Self(terms.collect::<Result<_, _>>()?))
    }

    pub(super) fn matches(&self, store: &Store, resource: Resource, record: &Record) -> bool {
        self.0.iter().all(|term| match term {
            Term::Anywhere(text) => mentions(resource, record, text),
            Term::At(path, condition) => condition.holds(&path.value(store, record)),
        })
    }
}

/// Splits at the commas that are not inside brackets.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let (mut terms, mut start, mut open) = (Vec::new(), 0, None);
    for (position, c) in text.char_indices() {
        match (c, open) {
            ('(' | '[', None) => open = Some(if c == '(' { ')' } else { ']' }),
            (')' | ']', Some(close)) if c == close => open = None,
            ('(' | '[' | ')' | ']', _) => return Err(format!("q has an unexpected `{c}` at position {position}")),
            (',', None) => {
                terms.push(&text[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    if let Some(close) = open {
        return Err(format!("q ends before its `{close}`"));
    }
    terms.push(&text[start..]);
    Ok(terms)
}

/// Whether the id or any text of a record contains a text. Which fields the vendor searches is unknown.
fn mentions(resource: Resource, record: &Record, text: &str) -> bool {
    let contains = |value: &Value| value.as_str().is_some_and(|value| value.to_lowercase().contains(text));
    record.id.to_string().contains(text)
        || resource.fields().iter().any(|field| match (field.kind, record.value(field.name)) {
            (Kind::Text | Kind::OneOf(_), value) => contains(value),
            (Kind::Embedded(_), Value::Object(object)) => object.values().any(contains),
            _ => false,
        })
}

impl Path {
    fn parse(text: &str, mut resource: Resource, hidden: impl Fn(Resource, &str) -> bool) -> Result<Self, String> {
        let unknown = || format!("q has an unknown field `{text}`");
        let mut relations = Vec::new();
        let mut names = text.split('.').peekable();
        while let Some(name) = names.next() {
            let field = resource.field(name).filter(|field| !hidden(resource, field.name)).ok_or_else(unknown)?;
            match (field.kind, names.peek()) {
                (Kind::One(target), Some(_)) => {
                    relations.push(field);
                    resource = target;
                }
                (Kind::Author, Some(_)) => {
                    relations.push(field);
                    resource = Resource::User;
                }
                (Kind::Embedded(texts), Some(inner)) => {
                    let inside = texts.iter().find(|text| *text == inner).copied();
                    names.next();
                    if inside.is_none() || names.next().is_some() {
                        return Err(unknown());
                    }
                    return Ok(Self { relations, field, inside });
                }
                (Kind::Author | Kind::Embedded(_) | Kind::Many(_) | Kind::One(_), _) => {
                    return Err(format!("q cannot compare `{text}`: it is an object"));
                }
                (Kind::Href | Kind::Tags | Kind::Unknown, _) | (_, Some(_)) => return Err(unknown()),
                (_, None) => return Ok(Self { relations, field, inside: None }),
            }
        }
        Err(unknown())
    }

    fn kind(&self) -> Kind {
        if self.inside.is_some() { Kind::Text } else { self.field.kind }
    }

    fn value(&self, store: &Store, record: &Record) -> Value {
        let mut record = record;
        for relation in &self.relations {
            match store.target(record, relation.name, relation.kind) {
                Some((_, target)) => record = target,
                None => return Value::Null,
            }
        }
        match (self.field.kind, self.inside) {
            (Kind::Id, _) => record.id.into(),
            (_, Some(inside)) => record.value(self.field.name).get(inside).cloned().unwrap_or_default(),
            (_, None) => record.value(self.field.name).clone(),
        }
    }
}

impl Condition {
    fn parse(term: &str, value: &str, kind: Kind) -> Result<Self, String> {
        let malformed = || format!("q has a malformed term `{term}`");
        if let Some(range) = value.strip_prefix('[') {
            let (from, to) = range.strip_suffix(']').and_then(|range| range.split_once(',')).ok_or_else(malformed)?;
            if to.contains(',') || (from.is_empty() && to.is_empty()) {
                return Err(malformed());
            }
            return Self::between(term, from, to, kind);
        }
        if let Some(list) = value.strip_prefix('(') {
            let list = list.strip_suffix('!').unwrap_or(list).strip_suffix(')').ok_or_else(malformed)?;
            return Self::one_of(term, &list.split(',').collect::<Vec<_>>(), kind);
        }
        if value.contains(['(', ')', '[', ']']) {
            return Err(malformed());
        }
        match kind {
            Kind::Flag => match value {
                "true" => Ok(Self::Flag(true)),
                "false" => Ok(Self::Flag(false)),
                _ => Err(format!("q expects true or false in `{term}`")),
            },
            Kind::Date | Kind::Timestamp => Self::between(term, value, value, kind),
            _ => Self::one_of(term, &[value], kind),
        }
    }

    fn between(term: &str, from: &str, to: &str, kind: Kind) -> Result<Self, String> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match kind {
            Kind::Amount | Kind::Id | Kind::Number => {
                let number = |text: String| text.parse().map_err(|_| format!("q expects numbers in `{term}`"));
                Ok(Self::NumbersBetween(some(from).map(number).transpose()?, some(to).map(number).transpose()?))
            }
            Kind::Date | Kind::Timestamp => {
                let span = |text: String| span(&text, kind).ok_or_else(|| format!("q expects dates in `{term}`"));
                let (from, to) = (some(from).map(span).transpose()?, some(to).map(span).transpose()?);
                Ok(Self::TimesBetween(from.map(|(start, _)| start), to.map(|(_, end)| end)))
            }
            _ => Err(format!("q expects no range in `{term}`")),
        }
    }

    fn one_of(term: &str, values: &[&str], kind: Kind) -> Result<Self, String> {
        if values.iter().any(|value| value.is_empty()) {
            return Err(format!("q has a malformed term `{term}`"));
        }
        match kind {
            Kind::Amount | Kind::Id | Kind::Number => {
                let numbers = values.iter().map(|value| value.parse()).collect::<Result<_, _>>();
                Ok(Self::Numbers(numbers.map_err(|_| format!("q expects numbers in `{term}`"))?))
            }
            Kind::OneOf(_) | Kind::Text => Ok(Self::Texts(values.iter().map(|value| value.to_lowercase()).collect())),
            _ => Err(format!("q expects no list in `{term}`")),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Flag(expected), Value::Bool(value)) => expected == value,
            (Self::Numbers(numbers), Value::Number(value)) => {
                value.as_f64().is_some_and(|value| numbers.contains(&value))
            }
            (Self::NumbersBetween(from, to), Value::Number(value)) => value
                .as_f64()
                .is_some_and(|value| from.is_none_or(|from| from <= value) && to.is_none_or(|to| value <= to)),
            (Self::Texts(texts), Value::String(value)) => texts.contains(&value.to_lowercase()),
            (Self::TimesBetween(from, to), Value::String(value)) => {
                from.as_ref().is_none_or(|from| from <= value) && to.as_ref().is_none_or(|to| value <= to)
            }
            _ => false,
        }
    }
}

/// The first and the last second of a date, in the format of the stored times. Clients of the vendor send dates; one
/// also sends times, but nothing shows that they work, so they are refused here.
fn span(text: &str, kind: Kind) -> Option<(String, String)> {
    let date: Date = text.parse().ok().filter(|_| text.len() == "2026-03-02".len())?;
    Some(match kind {
        Kind::Date => (date.to_string(), date.to_string()),
        _ => (format!("{date}T00:00:00Z"), format!("{date}T23:59:59Z")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::store::ROOT;
    use super::*;

    fn put(store: &mut Store, resource: Resource, id: i64, values: Value) {
        let Value::Object(values) = values else { panic!("{values} is not an object") };
        store.put(resource, Record { id, parent: ROOT, values });
    }

    /// The ids of the orders that match a `q`.
    fn orders(q: &str) -> Result<Vec<i64>, String> {
        let mut store = Store::default();
        put(&mut store, Resource::Queue, 1, json!({"name": "Reception"}));
        put(&mut store, Resource::Status, 450, json!({"queue": 1}));
        put(&mut store, Resource::Status, 451, json!({}));
        put(
            &mut store,
            Resource::Order,
            1,
            json!({
                "createdAt": "2026-03-01T23:59:59Z", "isClosed": false, "reference": "PO-7", "status": 450,
                "total": 89.9, "contact": {"fullName": "Jill Marsh", "company": "Acme"}, "internalLocation": "STORE",
            }),
        );
        put(
            &mut store,
            Resource::Order,
            2,
            json!({"createdAt": "2026-03-02T00:00:00Z", "isClosed": true, "status": 451, "total": 100}),
        );
        put(&mut store, Resource::Order, 3, json!({"createdAt": "2026-03-03T12:00:00Z", "isClosed": null}));

        let filter = Filter::parse(q, Resource::Order, |_, name| name == "totalRemaining")?;
        let matching =
            store.under(Resource::Order, ROOT).filter(|order| filter.matches(&store, Resource::Order, order));
        Ok(matching.map(|order| order.id).collect())
    }

    #[test]
    fn every_form_that_clients_of_the_vendor_send_is_accepted() {
        for (q, ids) in [
            ("jill", vec![1]),
            ("po-7", vec![1]),
            ("reference:po-7", vec![1]),
            ("reference:PO", vec![]),
            ("isClosed:false", vec![1]),
            ("isClosed:true", vec![2]),
            ("createdAt:2026-03-02", vec![2]),
            ("createdAt:[2026-03-01,2026-03-02]", vec![1, 2]),
            ("createdAt:[2026-03-02,]", vec![2, 3]),
            ("createdAt:[,2026-03-01]", vec![1]),
            ("status.id:450", vec![1]),
            ("status.id:(450,451)!", vec![1, 2]),
            ("status.id:(451,999)", vec![2]),
            ("status.queue.name:reception", vec![1]),
            ("contact.company:acme", vec![1]),
            ("internalLocation:store", vec![1]),
            ("total:[90,]", vec![2]),
            ("id:(1,3)", vec![1, 3]),
            ("isClosed:false,jill,createdAt:[2026-01-01,2026-12-31]", vec![1]),
            ("isClosed:true,jill", vec![]),
        ] {
            assert_eq!(orders(q), Ok(ids), "{q}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        for q in [
            "color:red",
            "status.color:red",
            "contact.phone:1",
            "contact.company.name:1",
            "reference.id:1",
            "href:x",
            ":x",
            "totalRemaining:1",
        ] {
            let message = orders(q).expect_err(q);
            assert!(message.starts_with("q has an unknown field"), "{q}: {message}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        for (q, message) in [
            ("isClosed:maybe", "q expects true or false in `isClosed:maybe`"),
            ("isClosed:(true,false)", "q expects no list in `isClosed:(true,false)`"),
            ("status.id:open", "q expects numbers in `status.id:open`"),
            ("createdAt:yesterday", "q expects dates in `createdAt:yesterday`"),
            ("createdAt:[2026-03-02T00:00:00Z,]", "q expects dates in `createdAt:[2026-03-02T00:00:00Z,]`"),
            ("createdAt:[2026-03-02 00:00:00,]", "q expects dates in `createdAt:[2026-03-02 00:00:00,]`"),
            ("createdAt:2026-02-30", "q expects dates in `createdAt:2026-02-30`"),
            ("reference:[a,b]", "q expects no range in `reference:[a,b]`"),
            ("status:450", "q cannot compare `status`: it is an object"),
            ("lines:1", "q cannot compare `lines`: it is an object"),
        ] {
            assert_eq!(orders(q).expect_err(q), message);
        }
    }

    #[test]
    fn invalid_syntax_is_refused() {
        for q in [
            "",
            ",",
            "jill,",
            "reference:",
            "createdAt:[2026-03-01]",
            "createdAt:[,]",
            "createdAt:[a,b,c]",
            "id:()",
            "id:(1,)",
            "id:(1",
            "id:[1,2",
            "id:1)",
            "id:((1))",
            "createdAt:[2026-03-01,2026-03-02)",
            "id:(1)x",
            "createdAt:[2026-03-01,]!",
            "id:(1)(2)",
        ] {
            assert!(orders(q).is_err(), "{q}: {:?}", orders(q));
        }
    }
}
