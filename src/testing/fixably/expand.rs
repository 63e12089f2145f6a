//! The `expand` parameter: which links in a response become objects.
//!
//! `customer,lines(items(product))` on an order; `items(customer,lines(items))` on a list of them.

use super::schema::{Kind, Resource};

/// Deeper than any useful chain of relations, and far from a stack overflow.
const MAX_DEPTH: usize = 16;

/// A tree of relation names. The empty one expands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expand(Vec<(String, Self)>);

/// What an [`Expand`] is applied to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Level {
    List(Resource),
    Object(Resource),
}

impl Expand {
    /// Parses the parameter and checks it against the relations of the object or list.
    pub(super) fn parse(text: &str, level: Level) -> Result<Self, String> {
        let mut parser = Parser { text, rest: text };
        let expand = parser.relations(0)?;
        if !parser.rest.is_empty() {
            return Err(parser.unexpected());
        }
        expand.check(level)?;
        Ok(expand)
    }

    /// What to expand inside a relation, or `None` to leave it a link.
    pub(super) fn inside(&self, relation: &str) -> Option<&Self> {
        self.0.iter().find(|(name, _)| name == relation).map(|(_, inside)| inside)
    }

    fn check(&self, level: Level) -> Result<(), String> {
        for (name, inside) in &self.0 {
            let level = match level {
                Level::List(resource) if name == "items" => Some(Level::Object(resource)),
                Level::List(_) => return Err(format!("a list expands `items` and nothing else, not `{name}`")),
                Level::Object(resource) => match resource.field(name).map(|field| field.kind) {
                    Some(Kind::Author) => Some(Level::Object(Resource::User)),
                    Some(Kind::Embedded(_) | Kind::Unknown) => None,
                    Some(Kind::Many(resource)) => Some(Level::List(resource)),
                    Some(Kind::One(resource)) => Some(Level::Object(resource)),
                    _ => return Err(format!("`{name}` is not a relation of {}", resource.segment())),
                },
            };
            match level {
                Some(level) => inside.check(level)?,
                None if inside.0.is_empty() => {}
                None => return Err(format!("nothing can be expanded inside `{name}`")),
            }
        }
        Ok(())
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Parser<'_> {
    fn relations(&mut self, depth: usize) -> Result<Expand, String> {
        if depth == MAX_DEPTH {
            return Err(format!("expand goes more than {MAX_DEPTH} levels deep"));
        }
        let mut relations: Vec<(String, Expand)> = Vec::new();
        loop {
            let name = self.name()?;
            if relations.iter().any(|(other, _)| *other == name) {
                return Err(format!("`{name}` is expanded twice"));
            }
            let mut inside = Expand::default();
            if self.take('(') {
                inside = self.relations(depth + 1)?;
                if !self.take(')') {
                    return Err(self.unexpected());
                }
            }
            relations.push((name, inside));
            if !self.take(',') {
                return Ok(Expand(relations));
            }
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.unexpected());
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(name.to_owned())
    }

    fn take(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn unexpected(&self) -> String {
        let place = self.text.len() - self.rest.len();
        match self.rest.chars().next() {
            Some(found) => format!("expand has an unexpected `{found}` at position {place}"),
            None => "expand ends too early".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Level = Level::Object(Resource::Order);
    const ORDERS: Level = Level::List(Resource::Order);

    #[test]
    fn nested_relations_are_found() {
        let expand = Expand::parse("customer,lines(items(product)),store", ORDER).expect("valid");
        let lines = expand.inside("lines").and_then(|lines| lines.inside("items")).expect("lines(items)");
        assert_eq!(lines.inside("product"), Some(&Expand::default()));
        assert_eq!(expand.inside("queue"), None);
    }

    #[test]
    fn every_form_that_clients_of_the_vendor_send_is_accepted() {
        for (text, level) in [
            ("items", ORDERS),
            ("items(status,lines(items))", ORDERS),
            ("lines(items(product)),customer,store", ORDER),
            ("contact,handledBy,orderedBy,device,location,queue,status", ORDER),
            ("notes(items(createdBy)),tasks(items(task))", ORDER),
            ("children(items),billingAddress,shippingAddress", Level::Object(Resource::Customer)),
            ("items(children(items))", Level::List(Resource::Customer)),
            ("items(statuses(items))", Level::List(Resource::Queue)),
            ("queue,custom", Level::Object(Resource::Status)),
            ("deliveries(items)", Level::Object(Resource::Location)),
            ("lines", ORDER),
        ] {
            assert!(Expand::parse(text, level).is_ok(), "{text}: {:?}", Expand::parse(text, level));
        }
    }

    #[test]
    fn an_unknown_relation_is_refused_by_name() {
        for (text, level, message) in [
            ("customers", ORDER, "`customers` is not a relation of orders"),
            ("reference", ORDER, "`reference` is not a relation of orders"),
            ("lines(product)", ORDER, "a list expands `items` and nothing else, not `product`"),
            ("customer", ORDERS, "a list expands `items` and nothing else, not `customer`"),
            (
                "items,children(items)",
                Level::List(Resource::Customer),
                "a list expands `items` and nothing else, not `children`",
            ),
            ("contact(company)", ORDER, "nothing can be expanded inside `contact`"),
            ("queue", Level::Object(Resource::Product), "`queue` is not a relation of products"),
            ("customer,customer", ORDER, "`customer` is expanded twice"),
        ] {
            assert_eq!(Expand::parse(text, level).expect_err(text), message);
        }
    }

    #[test]
    fn invalid_syntax_is_refused_with_its_position() {
        for (text, message) in [
            ("", "expand ends too early"),
            ("customer,", "expand ends too early"),
            ("lines(items", "expand ends too early"),
            ("lines()", "expand has an unexpected `)` at position 6"),
            ("customer)", "expand has an unexpected `)` at position 8"),
            ("customer, store", "expand has an unexpected ` ` at position 9"),
            ("a(é)", "expand has an unexpected `é` at position 2"),
        ] {
            assert_eq!(Expand::parse(text, ORDER).expect_err(text), message);
        }
    }

    #[test]
    fn a_deeply_nested_expand_is_refused() {
        let text = "status(queue(".repeat(50_000);
        assert_eq!(Expand::parse(&text, ORDER).expect_err("too deep"), "expand goes more than 16 levels deep");
    }
}
