//! Cycles between components that no Rust type or JSON value could express.
//!
//! Cycles that end are fine: a list may be empty, an optional field absent, and progenitor boxes the field that closes
//! the cycle.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::schema::Schema;
use crate::spec_error::SpecError;

/// Refuses components that only refer to each other, and objects that require each other.
pub(crate) fn check(schemas: &IndexMap<String, Schema>) -> Result<(), SpecError> {
    let names = || schemas.keys().map(String::as_str);
    let aliases = |name: &str| schemas.get(name).and_then(alias).map(|target| (name.to_owned(), target)).into_iter();
    if let Some(cycle) = find(names(), |name| aliases(name).collect()) {
        return Err(SpecError::new("components.schemas", format!("{cycle}: these only refer to each other")));
    }
    let needs = |name: &str| schemas.get(name).map(|schema| requirements(name, schema)).unwrap_or_default();
    if let Some(cycle) = find(names(), |name| aliases(name).chain(needs(name)).collect()) {
        let problem = format!("{cycle}: each requires the next, so no value ends; make one of the fields optional");
        return Err(SpecError::new("components.schemas", problem));
    }
    Ok(())
}

/// The component that this one is another name or a list of.
fn alias(schema: &Schema) -> Option<&str> {
    if schema.rust.is_some() || schema.is_struct() {
        return None;
    }
    schema.target().or_else(|| alias(schema.items.as_deref()?))
}

/// The components that an object cannot be without.
fn requirements<'a>(name: &str, schema: &'a Schema) -> Vec<(String, &'a str)> {
    let required = schema.required.iter().filter(|_| schema.rust.is_none());
    let targets =
        required.filter_map(|field| Some((format!("{name}.{field}"), schema.properties.get(field)?.target()?)));
    targets.collect()
}

/// The first cycle, as the steps that lead around it: `A.b -> B.a -> A`.
///
/// `steps` returns what a node refers to, each with the text for the step that leads there.
pub(crate) fn find<'a>(
    nodes: impl IntoIterator<Item = &'a str>,
    steps: impl Fn(&'a str) -> Vec<(String, &'a str)>,
) -> Option<String> {
    let mut finished = BTreeSet::new();
    nodes.into_iter().find_map(|node| follow(node, &steps, &mut Vec::new(), &mut finished))
}

/// `path` holds the nodes between the start and this one, each with the step that was taken from it.
fn follow<'a>(
    node: &'a str,
    steps: &impl Fn(&'a str) -> Vec<(String, &'a str)>,
    path: &mut Vec<(&'a str, String)>,
    finished: &mut BTreeSet<&'a str>,
) -> Option<String> {
    if let Some(start) = path.iter().position(|(passed, _)| *passed == node) {
        let around = path[start..].iter().map(|(_, step)| step.as_str());
        return Some(around.chain([node]).collect::<Vec<_>>().join(" -> "));
    }
    if finished.contains(node) {
        return None;
    }
    for (step, next) in steps(node) {
        path.push((node, step));
        let cycle = follow(next, steps, path, finished);
        path.pop();
        if cycle.is_some() {
            return cycle;
        }
    }
    finished.insert(node);
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checked(schemas: Value) -> Result<(), String> {
        let schemas: IndexMap<String, Schema> = serde_json::from_value(schemas).unwrap();
        check(&schemas).map_err(|error| error.to_string())
    }

    fn to(name: &str) -> Value {
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    #[test]
    fn aliases_of_each_other_are_refused_with_the_cycle() {
        let error = checked(json!({ "A": to("B"), "B": { "allOf": [to("C")] }, "C": to("A") })).unwrap_err();
        assert_eq!(error, "components.schemas: A -> B -> C -> A: these only refer to each other");
    }

    #[test]
    fn a_component_that_is_itself_or_a_list_of_itself_is_refused() {
        let error = checked(json!({ "A": to("A") })).unwrap_err();
        assert_eq!(error, "components.schemas: A -> A: these only refer to each other");

        let list = json!({ "type": "array", "items": { "type": "array", "items": to("A") } });
        let error = checked(json!({ "A": list })).unwrap_err();
        assert_eq!(error, "components.schemas: A -> A: these only refer to each other");
    }

    #[test]
    fn objects_that_require_each_other_are_refused_with_the_fields() {
        let error = checked(json!({
            "Start": { "properties": { "a": to("A") }, "required": ["a"] },
            "A": { "properties": { "b": to("B") }, "required": ["b"] },
            "B": { "properties": { "a": { "allOf": [to("A")] } }, "required": ["a"] },
        }));
        let problem = "each requires the next, so no value ends; make one of the fields optional";
        assert_eq!(error.unwrap_err(), format!("components.schemas: A.b -> B.a -> A: {problem}"));
    }

    #[test]
    fn a_requirement_is_followed_through_an_alias() {
        let error = checked(json!({ "A": { "properties": { "b": to("B") }, "required": ["b"] }, "B": to("A") }));
        assert!(error.unwrap_err().contains("A.b -> B -> A: each requires the next"));
    }

    #[test]
    fn cycles_that_end_are_fine() {
        for ends in [
            json!({ "A": { "properties": { "a": to("A") } } }),
            json!({ "A": { "properties": { "a": { "type": "array", "items": to("A") } }, "required": ["a"] } }),
            json!({
                "A": { "properties": { "b": to("B") }, "required": ["b"] },
                "B": { "properties": { "a": to("A") } },
            }),
            json!({
                "A": { "properties": { "a": to("Link") }, "required": ["a"] },
                "Link": { "allOf": [to("A")], "x-rust": "Ref<A>" },
            }),
        ] {
            assert_eq!(checked(ends.clone()), Ok(()), "{ends}");
        }
    }

    #[test]
    fn what_two_objects_share_is_no_cycle() {
        let shared = json!({
            "A": { "properties": { "b": to("B"), "c": to("C") }, "required": ["b", "c"] },
            "B": { "properties": { "c": to("C") }, "required": ["c"] },
            "C": { "properties": { "name": { "type": "string" } } },
        });
        assert_eq!(checked(shared), Ok(()));
    }
}
